use std::fmt::Write as _;

/// Is how a case of a JUnit report ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It passed.
    Passed,
    /// It failed.
    Failed {
        /// In one line.
        message: String,
        /// At length.
        text: String,
    },
    /// It was not judged, and why.
    Skipped(String),
}

/// Is one case of a JUnit report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it belongs to.
    pub class: String,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub end: End,
}

/// Is one suite of a JUnit report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// Writes suites as JUnit XML, as continuous integration reads it. `time` is 0: what a case took is nobody's business here.
pub fn junit_xml(name: &str, suites: &[Suite]) -> String {
    let counts = |suites: &[Suite]| {
        let cases = || suites.iter().flat_map(|suite| &suite.cases);
        let failures = cases().filter(|case| matches!(case.end, End::Failed { .. })).count();
        let skipped = cases().filter(|case| matches!(case.end, End::Skipped(_))).count();
        (cases().count(), failures, skipped)
    };
    let (tests, failures, _) = counts(suites);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"0\">\n",
        escaped(name)
    );
    for suite in suites {
        let (tests, failures, skipped) = counts(std::slice::from_ref(suite));
        let _ = writeln!(
            xml,
            "<testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"0\">",
            escaped(&suite.name)
        );
        for Case { class, name, end } in &suite.cases {
            let _ = write!(xml, "<testcase classname=\"{}\" name=\"{}\" time=\"0\"", escaped(class), escaped(name));
            match end {
                End::Passed => xml.push_str("/>\n"),
                End::Failed { message, text } => {
                    let _ = writeln!(
                        xml,
                        "><failure message=\"{}\" type=\"score\">{}</failure></testcase>",
                        escaped(message),
                        escaped(text)
                    );
                }
                End::Skipped(why) => {
                    let _ = writeln!(xml, "><skipped message=\"{}\"/></testcase>", escaped(why));
                }
            }
        }
        xml.push_str("</testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Escapes a text for XML, in attributes too; characters that XML 1.0 cannot hold, or that nobody sees, are shown by their
/// code points.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "[U+{:04X}]", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "<a href=\"x\">&\u{1}\u{1b}[31m]]>\n";
        let end = End::Failed { message: hostile.into(), text: hostile.into() };
        let case = Case { class: hostile.into(), name: hostile.into(), end };
        let xml = junit_xml(hostile, &[Suite { name: hostile.into(), cases: vec![case] }]);
        assert!(!xml.contains("<a") && !xml.contains('\u{1b}') && !xml.contains("]]>"), "{xml}");
        assert_eq!(xml.matches("&lt;a href=&quot;x&quot;&gt;&amp;[U+0001][U+001B][31m]]&gt;&#10;").count(), 6);
    }

    #[test]
    fn the_counts_are_those_of_the_cases() {
        let case = |end| Case { class: "c".into(), name: "n".into(), end };
        let failed = End::Failed { message: "m".into(), text: "t".into() };
        let cases = vec![case(End::Passed), case(failed), case(End::Skipped("s".into()))];
        let xml = junit_xml("run", &[Suite { name: "s".into(), cases }]);
        assert!(xml.contains("<testsuites name=\"run\" tests=\"3\" failures=\"1\" errors=\"0\" time=\"0\">"), "{xml}");
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{xml}");
    }
}
