//! JUnit XML, as CI systems read it.

use std::fmt::Write as _;

/// Is one test case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JunitCase {
    /// What it is of: a trial.
    pub class: String,
    /// Its name.
    pub name: String,
    /// Why it failed; none where it passed.
    pub failure: Option<String>,
}

/// Writes one suite of cases.
pub fn junit(suite: &str, cases: &[JunitCase]) -> String {
    let failures = cases.iter().filter(|case| case.failure.is_some()).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{0}\" failures=\"{failures}\">\n  <testsuite name=\"{1}\" tests=\"{0}\" \
         failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n",
        cases.len(),
        attribute(suite)
    );
    for case in cases {
        let _ =
            write!(xml, "    <testcase classname=\"{}\" name=\"{}\"", attribute(&case.class), attribute(&case.name));
        match &case.failure {
            None => xml.push_str("/>\n"),
            Some(why) => {
                let _ = writeln!(xml, ">\n      <failure message=\"{}\"/>\n    </testcase>", attribute(why));
            }
        }
    }
    xml + "  </testsuite>\n</testsuites>\n"
}

/// Writes a text as a quoted attribute; what XML cannot hold is shown by its code point.
fn attribute(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", c as u32);
            }
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
    fn cases_and_failures_are_counted() {
        let case = |failure: Option<&str>| JunitCase {
            class: "a<b\"".to_owned(),
            name: "x >= 1\u{1b}".to_owned(),
            failure: failure.map(str::to_owned),
        };
        let xml = junit("gates", &[case(None), case(Some("0.5 & less"))]);
        assert!(xml.contains("tests=\"2\" failures=\"1\""));
        assert!(xml.contains("classname=\"a&lt;b&quot;\" name=\"x &gt;= 1[U+001B]\"/>"));
        assert!(xml.contains("<failure message=\"0.5 &amp; less\"/>"));
    }
}
