use std::fmt::Write as _;

use super::methods::interval_methods;
use super::table::name;
use super::{PageTrial, RunPage};
use crate::report::chart::{
    ArmBars, ArmPair, CostQuality, CostedTrial, FlipRow, Flips, Forest, ForestGroup, ForestRow, Histogram, Mark,
    RiskCoverage, StatusRow, Statuses, both,
};
use crate::report::metric_row::interval_name;
use crate::report::number::{NONE, count, p_value};
use crate::report::{MetricRow, Section, Unit};

/// Is how many rows a forest has room for besides the primary ones.
const EXPLORATORY_ROWS: usize = 40;

/// Is a dataset and a metric of it.
pub(super) type Pair = (String, String);

impl RunPage {
    /// Renders the charts.
    pub(super) fn charts(&self) -> String {
        let mut html = self.effects();
        html.push_str(&self.arms());
        html.push_str(&self.grid());
        html.push_str(&self.risk());
        html.push_str(&self.cost());
        html.push_str(&self.heterogeneity());
        html.push_str(&self.missing());
        html.push_str(&self.flips());
        html.push_str(&self.pairwise());
        html.push_str(&self.agreement());
        html + &self.tokens()
    }

    /// Names a trial by what tells it from the others: model, prompt set, decoding point.
    pub(super) fn label(&self, trial: &PageTrial) -> String {
        let parts = |trial: &PageTrial| [trial.model.clone(), trial.prompt_set.clone(), trial.point.clone()];
        let own = parts(trial);
        let differs = |at: usize| self.trials.iter().any(|other| parts(other)[at] != own[at]);
        let telling: Vec<&str> = (0..own.len()).filter(|at| differs(*at)).map(|at| own[at].as_str()).collect();
        let is_shared = self.trials.iter().filter(|other| parts(other) == own).count() > 1;
        if telling.is_empty() || is_shared { trial.report.slug.clone() } else { telling.join(" · ") }
    }

    /// Lists the datasets and metrics that are primary in a trial, in their order.
    pub(super) fn primaries(&self) -> Vec<Pair> {
        let mut all = Vec::new();
        for verdict in self.trials.iter().flat_map(|trial| &trial.report.verdicts) {
            let pair = (verdict.dataset.clone(), verdict.metric.name.clone());
            if !all.contains(&pair) {
                all.push(pair);
            }
        }
        all
    }

    /// Lists every dataset and metric, the primary ones first.
    fn pairs(&self) -> Vec<Pair> {
        let mut all = self.primaries();
        for trial in &self.trials {
            for (dataset, section) in trial.datasets() {
                for metric in &section.metrics {
                    let pair = (dataset.to_owned(), metric.name.clone());
                    if !all.contains(&pair) {
                        all.push(pair);
                    }
                }
            }
        }
        all
    }

    fn effects(&self) -> String {
        let mut groups = Vec::new();
        let primaries = self.primaries();
        let pairs = self.pairs();
        let is_full = pairs.len() * self.trials.len() > primaries.len() * self.trials.len() + EXPLORATORY_ROWS;
        let shown = if is_full { primaries } else { pairs };
        let mut metrics = Vec::new();
        for (dataset, metric) in &shown {
            let mut rows = Vec::new();
            for trial in &self.trials {
                let Some(row) = trial.metric(dataset, metric) else { continue };
                let label = if self.trials.len() == 1 { title(row, dataset) } else { self.label(trial) };
                let is_primary = trial.is_primary(dataset, metric);
                if let Some(forest_row) = forest_row(row, label, is_primary) {
                    rows.push(forest_row);
                    metrics.push(row);
                }
            }
            if let Some(first) = self.trials.iter().find_map(|trial| trial.metric(dataset, metric))
                && !rows.is_empty()
            {
                if self.trials.len() == 1 {
                    match groups.last_mut() {
                        None => groups.push(ForestGroup { heading: String::new(), rows }),
                        Some(group) => group.rows.extend(rows),
                    }
                } else {
                    groups.push(ForestGroup { heading: title(first, dataset), rows });
                }
            }
        }
        if groups.is_empty() {
            return String::new();
        }
        let forest = Forest { groups, axis: "difference, treatment − control (percentage points)".to_owned() };
        let level = self.level();
        let left_out = if is_full { " Metrics that are not primary are in the tables." } else { "" };
        figure(
            "effects",
            "Effects of treatment",
            &both(|fit| forest.draw(fit)),
            &format!(
                "Mean differences over paired items, with {level} intervals in brackets and as bars{}. Filled: primary, with the corrected q; \
                 hollow: exploratory, with the uncorrected p. Right of the line, treatment scores higher, which for rates of errors is \
                 worse.{left_out}",
                in_brackets(&interval_methods(metrics.into_iter()))
            ),
        )
    }

    /// Returns the level of intervals.
    pub(super) fn level(&self) -> String {
        self.trials.first().map_or_else(String::new, |trial| trial.report.family.level())
    }

    fn arms(&self) -> String {
        let mut groups: Vec<(String, Vec<ArmPair>)> = Vec::new();
        let mut methods: Vec<&str> = Vec::new();
        for (dataset, metric) in self.primaries() {
            let mut pairs = Vec::new();
            let mut heading = String::new();
            for trial in &self.trials {
                let Some(row) = trial.metric(&dataset, &metric).filter(|row| row.unit == Unit::Share) else { continue };
                heading = title(row, &dataset);
                let arms = [0, 1].map(|arm: usize| {
                    let estimate = row.arms[arm].as_ref()?;
                    methods.extend(
                        estimate.method.as_deref().map(interval_name).filter(|method| !methods.contains(method)),
                    );
                    Some((estimate.mean?, estimate.interval))
                });
                let label = if self.trials.len() == 1 { heading.clone() } else { self.label(trial) };
                if arms.iter().any(Option::is_some) {
                    pairs.push(ArmPair { label, arms });
                }
            }
            if self.trials.len() == 1 {
                match groups.last_mut() {
                    None => groups.push((String::new(), pairs)),
                    Some(group) => group.1.extend(pairs),
                }
            } else if !pairs.is_empty() {
                groups.push((heading, pairs));
            }
        }
        if groups.iter().all(|group| group.1.is_empty()) {
            return String::new();
        }
        let bars = ArmBars { groups };
        figure(
            "arms",
            "Each arm by itself",
            &(ARM_KEY.to_owned() + &both(|fit| bars.draw(fit))),
            &format!(
                "Means over all items that the arm has a score for, with {} intervals in brackets and as whiskers{}. Intervals of two arms may overlap where \
                 their paired difference is clear: judge the difference by the chart above.",
                self.level(),
                in_brackets(&methods.join(", "))
            ),
        )
    }

    fn risk(&self) -> String {
        let mut html = String::new();
        for trial in &self.trials {
            for curve in &trial.curves {
                let title = if self.trials.len() == 1 {
                    curve.dataset.clone()
                } else {
                    format!("{} · {}", curve.dataset, self.label(trial))
                };
                let chart = RiskCoverage { title, curves: curve.arms.clone() };
                html.push_str(&both(|fit| chart.draw(fit)));
            }
        }
        if html.is_empty() {
            return String::new();
        }
        figure(
            "risk",
            "Risk against coverage",
            &format!("<div class=\"multiples\">{html}</div>"),
            "An arm that is drawn several times may decline some of the draws. Each point keeps the items whose share of abstentions does not \
             exceed a threshold: how many questions are then answered, and how many of those answers are wrong. Lower is better at \
             the same coverage.",
        )
    }

    fn cost(&self) -> String {
        let per_item = |trial: &PageTrial, arm: usize| -> Option<f64> {
            let cost = trial.report.cost.arms[arm].as_ref()?.usd?;
            let items = trial.datasets().map(|(_, section)| section.n_items + section.n_missing).sum::<u64>();
            (items > 0).then(|| cost / items as f64 * 1000.0)
        };
        let has_price =
            self.trials.iter().any(|trial| (0..2).any(|arm| per_item(trial, arm).is_some_and(|cost| cost > 0.0)));
        let tokens = |trial: &PageTrial, arm: usize| -> Option<f64> {
            let counts = &trial.tokens.arms[arm];
            let n: u64 = counts.values().sum();
            (n > 0).then(|| counts.iter().map(|(tokens, n)| *tokens as f64 * *n as f64).sum::<f64>() / n as f64)
        };
        let mut html = String::new();
        for (dataset, metric) in self.primaries() {
            let mut trials = Vec::new();
            let mut heading = String::new();
            for trial in &self.trials {
                let Some(row) = trial.metric(&dataset, &metric).filter(|row| row.unit == Unit::Share) else { continue };
                heading = title(row, &dataset);
                let arms = [0, 1].map(|arm: usize| {
                    let cost = if has_price { per_item(trial, arm) } else { tokens(trial, arm) };
                    Some((cost?, row.arms[arm].as_ref()?.mean?))
                });
                trials.push(CostedTrial { label: self.label(trial), arms });
            }
            if trials.iter().all(|trial| trial.arms.iter().all(Option::is_none)) {
                continue;
            }
            let axis = if has_price { "US dollars per 1,000 items" } else { "output tokens per answer" };
            let chart = CostQuality { title: heading, axis: axis.to_owned(), trials };
            html.push_str(&both(|fit| chart.draw(fit)));
        }
        if html.is_empty() {
            return String::new();
        }
        let what = if has_price {
            "Costs are those of all answers of an arm at the config's prices, divided by the trial's items."
        } else {
            "No price is known or everything was free, so tokens stand for cost: the mean over all answers of an arm."
        };
        let caption = format!("Each line leads from control to treatment, which is named. {what}");
        figure("cost", "Cost against quality", &format!("{ARM_KEY}<div class=\"multiples\">{html}</div>"), &caption)
    }

    fn missing(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        let sections =
            || self.trials.iter().flat_map(|trial| trial.datasets().map(move |(name, section)| (trial, name, section)));
        for (status, _) in
            sections().flat_map(|(_, _, section)| section.counts.iter().flatten()).flat_map(|arm| &arm.statuses)
        {
            if status != "stop" && !names.contains(status) {
                names.push(status.clone());
            }
        }
        names.sort();
        let draws: u64 = sections()
            .flat_map(|(_, _, section)| section.counts.iter().flatten())
            .flat_map(|arm| &arm.statuses)
            .map(|(_, n)| n)
            .sum();
        if draws == 0 {
            return String::new();
        }
        if names.is_empty() {
            let words = format!("<p>All {} answers ended by themselves, and every one has a score.</p>", count(draws));
            return figure("missing", "Missing and other answers", &words, "");
        }
        let mut groups: Vec<(String, Vec<StatusRow>)> = Vec::new();
        // A dataset whose answers all stopped by themselves has no bar to show.
        let ended_otherwise = |section: &Section| {
            section.counts.iter().flatten().any(|arm| arm.statuses.iter().any(|one| one.0 != "stop"))
        };
        let is_alone = self.trials.len() == 1;
        let mut found: Vec<_> = sections().filter(|found| ended_otherwise(found.2)).collect();
        // Those of a dataset stand together.
        found.sort_by_key(|(_, dataset, _)| *dataset);
        for (trial, dataset, section) in found {
            for (arm, counts) in section.counts.iter().enumerate() {
                let Some(counts) = counts else { continue };
                let of = |name: &str| counts.statuses.iter().find(|(other, _)| other == name).map_or(0, |(_, n)| *n);
                let row = StatusRow {
                    label: if is_alone { dataset.to_owned() } else { self.label(trial) },
                    is_treatment: arm == 1,
                    counts: names.iter().map(|name| of(name)).collect(),
                    draws: counts.statuses.iter().map(|(_, n)| n).sum(),
                };
                push_under(&mut groups, if is_alone { "" } else { dataset }, row);
            }
        }
        let mut key = String::from("<p class=\"key\">");
        for (at, status) in names.iter().enumerate() {
            let means = status_meaning(status).map_or_else(String::new, |means| format!(" ({means})"));
            let _ = write!(key, "<span><i class=\"{}\"></i>{}{means}</span> ", Statuses::class(at), name(status));
        }
        key.push_str("</p>");
        let chart = Statuses { names, groups };
        let without: u64 = sections().map(|(_, _, section)| section.n_missing).sum();
        figure(
            "missing",
            "Missing and other answers",
            &(key + &both(|fit| chart.draw(fit))),
            &format!(
                "Answers that did not end by themselves (<code>stop</code>), by how they ended. {}",
                match without {
                    0 => "Every item has a score under both arms.".to_owned(),
                    1 => "1 item lacks a score under an arm and is in no difference.".to_owned(),
                    n => format!(
                        "{} items lack a score under an arm, over all trials and datasets, and are in no difference.",
                        count(n)
                    ),
                }
            ),
        )
    }

    fn flips(&self) -> String {
        let mut groups = Vec::new();
        for (dataset, metric) in self.primaries() {
            for trial in &self.trials {
                let Some(row) = trial.metric(&dataset, &metric) else { continue };
                let Some(delta) = row.delta.as_ref().filter(|delta| delta.n > 0) else { continue };
                let (up, equal, down) = delta.signs;
                let title = title(row, &dataset);
                let (heading, label) =
                    if self.trials.len() == 1 { (String::new(), title) } else { (title, self.label(trial)) };
                push_under(&mut groups, &heading, FlipRow { label, up, equal, down });
            }
        }
        if groups.is_empty() {
            return String::new();
        }
        let chart = Flips { groups };
        figure(
            "flips",
            "Flips: items that score higher under one arm",
            &both(|fit| chart.draw(fit)),
            "Numbers are paired items; bars are their shares of all paired items, on one scale.",
        )
    }

    fn tokens(&self) -> String {
        let mut html = String::new();
        for trial in self.trials.iter().filter(|trial| trial.tokens.arms.iter().any(|arm| !arm.is_empty())) {
            let chart = Histogram { title: &self.label(trial), arms: [&trial.tokens.arms[0], &trial.tokens.arms[1]] };
            html.push_str(&both(|fit| chart.draw(fit)));
        }
        if html.is_empty() {
            return String::new();
        }
        figure(
            "tokens",
            "Tokens written",
            &format!("<div class=\"multiples\">{html}</div>"),
            "Share of each arm's answers by the tokens they wrote, over all datasets of the trial.",
        )
    }
}

const ARM_KEY: &str = "<p class=\"key\"><span><i class=\"control\"></i>control</span> <span><i class=\"treatment\"></i>treatment</span></p>";

/// Wraps a chart in its section; the caption is HTML.
pub(super) fn figure(id: &str, title: &str, body: &str, caption: &str) -> String {
    let caption = if caption.is_empty() { String::new() } else { format!("<p class=\"caption\">{caption}</p>") };
    format!("<section id=\"{id}\"><h2>{title}</h2>{body}{caption}</section>\n")
}

/// Puts words that there may be in brackets.
fn in_brackets(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" ({words})") }
}

/// Puts a row under the last heading, or under a new one.
fn push_under<R>(groups: &mut Vec<(String, Vec<R>)>, heading: &str, row: R) {
    match groups.last_mut() {
        Some((last, rows)) if last == heading => rows.push(row),
        _ => groups.push((heading.to_owned(), vec![row])),
    }
}

/// Says what a status means that is no word of daily use.
fn status_meaning(status: &str) -> Option<&'static str> {
    Some(match status {
        "length" => "cut at the token limit",
        "content_filter" => "withheld by a filter",
        "empty" => "no text",
        "no_answer" => "nothing to extract",
        "failed:no_recording" => "nothing recorded",
        _ => return None,
    })
}

pub(super) fn title(row: &MetricRow, dataset: &str) -> String {
    format!("{} · {dataset}", row.name_shown().0)
}

fn forest_row(row: &MetricRow, label: String, is_primary: bool) -> Option<ForestRow> {
    let delta = row.delta.as_ref().filter(|_| row.unit == Unit::Share)?;
    let note = match (&delta.q, &delta.test) {
        (Some(q), _) => p_value("q", *q),
        (None, Some((_, p))) => p_value("p", *p),
        (None, None) => NONE.to_owned(),
    };
    let mark = if is_primary { Mark::Confirmatory } else { Mark::Exploratory };
    Some(ForestRow { label, mean: delta.mean?, interval: delta.interval, note, mark })
}
