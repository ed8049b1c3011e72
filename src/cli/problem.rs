use std::fmt::Write as _;

use crate::step::InputProblem;

/// Renders a problem in an input file as the config's errors are: place, source line, arrow, remedy.
pub fn render(problem: &InputProblem) -> String {
    let mut out = format!("error: {}", problem.message);
    let place = match (problem.line, problem.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", problem.file),
        (Some(line), None) => format!("{}:{line}", problem.file),
        _ => problem.file.clone(),
    };
    let gutter = problem.line.map_or(1, |line| line.to_string().len());
    let _ = write!(out, "\n{:gutter$}--> {place}", "");
    if let (Some(line), Some(text)) = (problem.line, &problem.source_line) {
        let _ = write!(out, "\n{:gutter$} |\n{line} | {}", "", printable(text));
        // The line is cut to a readable length; the arrow stays below it.
        let column = (problem.column.unwrap_or(1).max(1) as usize).min(text.chars().count() + 1);
        let _ = write!(out, "\n{:gutter$} | {:width$}^", "", "", width = column - 1);
    }
    let _ = write!(out, "\n{:gutter$} = help: {}", "", problem.remedy);
    out
}

/// Replaces what a terminal would obey by what it can show.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) => {
                '\u{fffd}'
            }
            c => c,
        })
        .collect()
}
