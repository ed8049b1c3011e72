use std::fmt::Write as _;

use super::{ExportRun, ExportTest};

/// Writes the comparisons of a run as a LaTeX table (booktabs): means, difference with its 95 % interval, p, and p as corrected
/// within each trial's family. Exploratory comparisons carry a dagger.
pub fn latex_table(run: &ExportRun) -> String {
    let mut out = format!(
        "% run {}; \\usepackage{{booktabs}}\n\\begin{{tabular}}{{lllrrrrlrr}}\n\\toprule\n\
         trial & dataset & metric & $n$ & control & treatment & $\\Delta$ & 95\\,\\% interval & $p$ & $p_{{\\mathrm{{adj}}}}$ \\\\\n",
        escaped(&run.run_id)
    );
    for trial in &run.trials {
        out.push_str("\\midrule\n");
        for test in &trial.tests {
            out.push_str(&row(&trial.slug, test));
        }
    }
    out.push_str("\\bottomrule\n\\end{tabular}\n");
    let corrections: std::collections::BTreeSet<&str> =
        run.trials.iter().map(|trial| trial.correction.as_str()).filter(|name| !name.is_empty()).collect();
    let corrections: Vec<String> = corrections.into_iter().map(escaped).collect();
    let _ = writeln!(
        out,
        "% p_adj: {}, within each trial's family. A dagger marks exploratory comparisons, which are corrected apart.",
        if corrections.is_empty() { "uncorrected".to_owned() } else { corrections.join(", ") }
    );
    out
}

fn row(slug: &str, test: &ExportTest) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "--".to_owned(), |value| format!("{value:.3}"));
    let signed = |value: f64| format!("${value:+.3}$");
    let p = |value: Option<f64>| match value {
        None => "--".to_owned(),
        Some(p) if p < 0.001 => "$<0.001$".to_owned(),
        Some(p) => format!("{p:.3}"),
    };
    let interval = test.ci_95.map_or_else(|| "--".to_owned(), |[low, high]| format!("$[{low:+.3}, {high:+.3}]$"));
    format!(
        "{} & {} & {}{} & {} & {} & {} & {} & {} & {} & {} \\\\\n",
        escaped(slug),
        escaped(&test.dataset),
        escaped(&test.metric),
        if test.is_confirmatory { "" } else { "$^\\dagger$" },
        test.n,
        number(test.control),
        number(test.treatment),
        test.delta.map_or_else(|| "--".to_owned(), signed),
        interval,
        p(test.p),
        p(test.q),
    )
}

/// Escapes a text for LaTeX; control characters become spaces.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '{' | '}' | '$' | '&' | '#' | '_' | '%' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
