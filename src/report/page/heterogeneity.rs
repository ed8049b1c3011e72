use std::fmt::Write as _;

use super::sections::{figure, title};
use super::{PageTrial, RunPage, escape};
use crate::report::MetricRow;
use crate::report::chart::{Forest, ForestGroup, ForestRow, Mark, both};
use crate::report::number::{count, p_value};

/// Is how many values of one field are drawn.
const VALUES: usize = 30;

/// Is what the axis of these charts shows.
const AXIS: &str = "difference, treatment − control (percentage points)";

impl RunPage {
    /// Renders the effects on several sets of items: pooled, and by the values of each subgroup field; empty where there are none.
    pub(super) fn heterogeneity(&self) -> String {
        let is_alone = self.trials.len() == 1;
        let (mut pooled, mut fields, mut is_cut, mut is_narrowed) = (String::new(), String::new(), false, false);
        for trial in &self.trials {
            let of = if is_alone { String::new() } else { format!(" · {}", self.label(trial)) };
            for found in &trial.pooled {
                // One trial has room for every metric, as the chart of effects has.
                if !is_alone && !trial.has_primary(&found.metric) {
                    is_narrowed = true;
                    continue;
                }
                pooled.push_str(&draw(found.heading() + &of, found.rows()));
                pooled.push_str(&found.words());
            }
            for section in &trial.report.sections {
                for (field, values) in &section.detail.fields {
                    let Some((_, first)) = values.first() else { continue };
                    let what = format!("{} by {field}{of}", section.book());
                    is_cut |= values.len() > VALUES;
                    let rows = subgroup_rows(values);
                    if !rows.is_empty() {
                        fields.push_str(&draw(title(first, &what), rows));
                    }
                }
            }
        }
        let mut caption = String::new();
        if !pooled.is_empty() {
            caption.push_str(
                "Each dataset\u{2019}s mean difference with its 95% interval; diamonds: pooled (inverse variance; random effects by \
                 DerSimonian and Laird). Q and I² say how far the sets differ beyond chance: I² is the share of variation that is not \
                 sampling, τ its standard deviation. ",
            );
            if is_narrowed {
                caption.push_str("Metrics that are primary nowhere are in the trials\u{2019} reports. ");
            }
        }
        if !fields.is_empty() {
            let _ = write!(
                caption,
                "By field: hollow points are the values of a field of the items, with {} intervals; they are exploratory, and nothing is \
                 corrected for how many there are. n: paired items.",
                self.level()
            );
            if is_cut {
                let _ = write!(
                    caption,
                    " Of a field with more, the {VALUES} values with the most items are drawn; reports have all."
                );
            }
        }
        if caption.is_empty() {
            return String::new();
        }
        let html = pooled + &fields;
        figure("heterogeneity", "Does the effect differ between sets of items?", &html, caption.trim_end())
    }
}

fn draw(heading: String, rows: Vec<ForestRow>) -> String {
    let forest = Forest { groups: vec![ForestGroup { heading, rows }], axis: AXIS.to_owned() };
    both(|fit| forest.draw(fit))
}

/// Makes a row for each value of a field; of many, for those with the most items.
fn subgroup_rows(values: &[(String, MetricRow)]) -> Vec<ForestRow> {
    let items = |metric: &MetricRow| metric.delta.as_ref().map_or(0, |delta| delta.n);
    let mut sizes: Vec<u64> = values.iter().map(|(_, metric)| items(metric)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let least = sizes.get(VALUES - 1).copied().unwrap_or(0);
    let row = |(value, metric): &(String, MetricRow)| {
        let delta = metric.delta.as_ref()?;
        let note = format!("n = {}", count(delta.n));
        Some(ForestRow {
            label: value.clone(),
            mean: delta.mean?,
            interval: delta.interval,
            note,
            mark: Mark::Exploratory,
        })
    };
    values.iter().filter(|(_, metric)| items(metric) >= least).filter_map(row).take(VALUES).collect()
}

impl super::PooledEffects {
    fn heading(&self) -> String {
        title(&MetricRow::named(&self.metric), &self.sets)
    }

    fn rows(&self) -> Vec<ForestRow> {
        let row = |label: &str, mean, interval, mark| ForestRow {
            label: label.to_owned(),
            mean,
            interval,
            note: String::new(),
            mark,
        };
        let studies = self.studies.iter().map(|(label, mean, ends)| row(label, *mean, *ends, Mark::Confirmatory));
        let pooled = self.pooled.iter().map(|(label, mean, ends)| row(label, *mean, Some(*ends), Mark::Pooled));
        studies.chain(pooled).collect()
    }

    fn words(&self) -> String {
        let (q, df, p) = self.q;
        let tau = self.tau2.map_or_else(String::new, |tau2| format!(", τ = {:.1} pp", tau2.sqrt() * 100.0));
        format!(
            "<p class=\"small\">Heterogeneity: Q = {q:.2} on {df} df, {}; I² = {:.0}%{tau}.</p>",
            escape(&p_value("p", p)),
            self.i2 * 100.0
        )
    }
}

impl PageTrial {
    /// Says whether a metric is primary in any dataset.
    fn has_primary(&self, metric: &str) -> bool {
        self.report.verdicts.iter().any(|verdict| verdict.metric.name == metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Delta, PooledEffects};

    #[test]
    fn of_a_field_with_many_values_those_with_the_most_items_are_drawn() {
        let value = |n: u64| {
            let delta = Delta {
                n,
                means: None,
                mean: Some(0.1),
                interval: None,
                method: None,
                signs: (0, 0, 0),
                test: None,
                q: None,
            };
            (format!("v{n}"), MetricRow { delta: Some(delta), ..MetricRow::named("em") })
        };
        let all: Vec<_> = (1..=40).map(value).collect();
        let drawn: Vec<String> = subgroup_rows(&all).into_iter().map(|row| row.label).collect();
        assert_eq!((drawn.len(), drawn[0].as_str(), drawn[29].as_str()), (VALUES, "v11", "v40"));
        let few = subgroup_rows(&all[..2]);
        assert_eq!((few.len(), few[1].note.as_str(), few[1].mark), (2, "n = 2", Mark::Exploratory));
    }

    #[test]
    fn pooled_effects_stand_under_what_they_pool() {
        let found = PooledEffects {
            metric: "em".to_owned(),
            sets: "closed-book datasets".to_owned(),
            studies: vec![("a".to_owned(), 0.2, Some((0.1, 0.3))), ("b".to_owned(), 0.0, None)],
            pooled: vec![("random effects".to_owned(), 0.1, (-0.1, 0.3))],
            q: (8.31, 1, 0.004),
            i2: 0.88,
            tau2: Some(0.01),
        };
        assert_eq!(found.heading(), "EM · closed-book datasets");
        let marks: Vec<Mark> = found.rows().iter().map(|row| row.mark).collect();
        assert_eq!(marks, [Mark::Confirmatory, Mark::Confirmatory, Mark::Pooled]);
        assert_eq!(
            found.words(),
            "<p class=\"small\">Heterogeneity: Q = 8.31 on 1 df, p = 0.0040; I² = 88%, τ = 10.0 pp.</p>"
        );
    }
}
