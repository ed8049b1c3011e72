use super::finish::thousands;
use super::output::Output;
use super::p_value::p_text;
use crate::run::{DriftReport, DriftTest, ServedChange};

/// Says what a report comes to: what was found, and what would have been seen. It never says that nothing has changed.
pub fn words(report: &DriftReport) -> Vec<String> {
    let mut words: Vec<String> = report.found.iter().map(|found| format!("drift: {found}")).collect();
    words.extend(report.tests.iter().filter(|test| test.q_value > report.alpha).map(unseen));
    words
}

fn unseen(test: &DriftTest) -> String {
    let DriftTest { model, dataset, metric, n, .. } = test;
    let subject = format!("{model}: {dataset}.{metric}, {} pairs", thousands(*n));
    match (test.detectable, test.detectable_share) {
        (Some(least), _) => format!(
            "{subject}: no drift was found; a drift of the mean by {least:.4} or more would have been seen with 80 % power, a \
             smaller one need not have been"
        ),
        (None, Some(share)) => format!(
            "{subject}: no value differs; had {:.1} % or more of the values changed in one direction, it would have been seen \
             with 80 % power",
            100.0 * share
        ),
        (None, None) => format!("{subject}: too few to see any drift; ask for more with a larger --n"),
    }
}

/// Prints the report: what was asked, the tests, what served the answers, and what it comes to.
pub fn print(report: &DriftReport, run: &str, (generation, compared, failed): (u32, usize, usize), out: &Output) {
    let failed = if failed > 0 { format!(", {} failed", thousands(failed as u64)) } else { String::new() };
    out.line(&format!(
        "drift of run {run}: {} requests asked again in generation {generation}{failed}",
        thousands(compared as u64)
    ));
    let names: Vec<String> =
        report.tests.iter().map(|test| format!("{} {}.{}", test.model, test.dataset, test.metric)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(6);
    if !report.tests.is_empty() {
        out.line(&format!(
            "{:<width$} {:>7} {:>10} {:>10} {:>10} {:>9} {:>9}  test",
            "metric", "pairs", "then", "now", "change", "p", "q (Holm)"
        ));
    }
    for (name, test) in names.iter().zip(&report.tests) {
        out.line(&format!(
            "{name:<width$} {:>7} {:>10.4} {:>10.4} {:>+10.4} {:>9} {:>9}  {}",
            test.n,
            test.then,
            test.now,
            test.difference,
            p_text(test.p_value),
            p_text(test.q_value),
            test.test
        ));
    }
    for same in &report.identical {
        let at = if same.greedy { "at temperature 0" } else { "where the sampler is random" };
        out.line(&format!(
            "{}: {} of {} texts are the same {at}",
            same.model,
            thousands(same.identical),
            thousands(same.pairs)
        ));
    }
    for change in &report.served {
        out.line(&served(change));
    }
    for words in words(report) {
        out.line(&words);
    }
}

fn served(change: &ServedChange) -> String {
    let what = change.what.replace('_', " ");
    let list = |counts: &std::collections::BTreeMap<String, u64>| {
        let entries: Vec<String> =
            counts.iter().map(|(name, count)| format!("`{name}` ({})", thousands(*count))).collect();
        if entries.is_empty() { "not said".to_owned() } else { entries.join(", ") }
    };
    if change.then.keys().eq(change.now.keys()) {
        return format!("{}: {what} {}, then and now", change.model, list(&change.now));
    }
    format!("{}: {what} {} then, {} now", change.model, list(&change.then), list(&change.now))
}
