use super::*;
use crate::report::junit::End;

fn run(text: &str) -> ExportRun {
    let draw = |condition: &str, score: Option<f64>| ExportDraw {
        dataset: text.into(),
        item: text.into(),
        condition: condition.into(),
        temperature: "-0.5".into(),
        text: text.into(),
        targets: vec![text.into()],
        scores: score.into_iter().map(|score| ("em".to_owned(), score)).collect(),
        ..ExportDraw::default()
    };
    let test = ExportTest {
        dataset: text.into(),
        metric: "em".into(),
        n: 1,
        p: Some(1e-9),
        q: Some(0.04),
        ..ExportTest::default()
    };
    let draws = vec![draw("control", Some(1.0)), draw("control", None), draw("treatment", Some(0.0))];
    let trial = ExportTrial { slug: text.into(), draws, tests: vec![test], ..ExportTrial::default() };
    ExportRun {
        run_id: "r1".into(),
        created: "2026-11-25T12:00:00.000Z".into(),
        trials: vec![trial],
        ..ExportRun::default()
    }
}

#[test]
fn no_cell_is_a_formula_where_that_is_asked_for() {
    for start in ["=1+1", "+a", "-a", "@SUM(A1)", "\tx", "\rx"] {
        let run = run(start);
        let rows = |is_safe| {
            let bytes = csv_table(&run, is_safe).unwrap();
            let mut reader = csv::Reader::from_reader(&*bytes);
            reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(rows(false)[0][14], start, "as it is, where nothing else is asked for");
        assert_eq!(rows(true)[0][14], format!("'{start}"));
        assert_eq!(rows(true)[0][7], "-0.5", "a number stays one");
        for cell in rows(true).into_iter().flatten() {
            assert!(!cell.starts_with(['=', '+', '@', '\t', '\r']), "{cell}");
        }
    }
}

#[test]
fn latex_takes_text_as_text() {
    let table = latex_table(&run("50%_\\input{x}$&#^~\n\u{1}"));
    let escaped = "50\\%\\_\\textbackslash{}input\\{x\\}\\$\\&\\#\\textasciicircum{}\\textasciitilde{}  ";
    assert_eq!(table.matches(escaped).count(), 2, "{table}");
    assert!(table.contains("$<0.001$ & 0.040 \\\\"), "{table}");
    assert!(table.lines().filter(|line| line.contains(escaped)).all(|line| line.matches(" & ").count() == 9));
}

#[test]
fn cases_end_as_their_scores_say() {
    let suites = junit_suites(&run("x"));
    assert_eq!(suites.iter().map(|suite| suite.name.as_str()).collect::<Vec<_>>(), ["x/x/control", "x/x/treatment"]);
    assert_eq!(suites[0].cases[0].end, End::Passed);
    assert!(matches!(suites[0].cases[1].end, End::Skipped(_)));
    assert!(matches!(suites[1].cases[0].end, End::Failed { .. }));
}

/// No text of an item or a trial leads out of the directory that is written.
#[test]
fn names_of_files_stay_inside() {
    for text in ["../../x", "/etc/x", "a\\b", "..", "a\nb", ""] {
        let run = run(text);
        let names = lm_eval_files(&run).into_iter().chain(inspect_logs(&run).unwrap()).map(|(name, _)| name);
        for name in names {
            let parts: Vec<&str> = name.split('/').collect();
            assert!(parts.len() <= 2 && parts.iter().all(|part| !part.is_empty() && !part.starts_with('.')), "{name}");
        }
    }
}
