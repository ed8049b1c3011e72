use super::inline::Words;
use super::metric_row::regression_words;
use super::number::{NONE, count, difference, range};
use super::panel::Panel;
use super::{MetricRow, Unit};

/// Is what regressions over all draws of a trial say of the treatment.
#[derive(Clone, Debug, PartialEq)]
pub struct MarginalModels {
    /// The models: what each is of, in words, and what it came to or why it was not fitted.
    pub models: Vec<(&'static str, Result<FittedModel, String>)>,
}

/// Is a model that was fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedModel {
    /// The method, as in `gee-logit-exchangeable`.
    pub method: String,
    /// The metric.
    pub metric: MetricRow,
    /// The effect of treatment: log odds, or the difference of means.
    pub effect: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// The odds ratio with its ends, of a model of right and wrong; what is infinite is absent.
    pub odds: Option<(Option<f64>, [Option<f64>; 2])>,
    /// How many draws.
    pub n: u64,
    /// In how many clusters.
    pub groups: u64,
}

impl FittedModel {
    fn cells(&self, words: &str) -> Vec<Words> {
        let or_none = |text: Option<String>| Words::default().text(text.unwrap_or_else(|| NONE.to_owned()));
        let end = |end: Option<f64>| end.map_or_else(|| NONE.to_owned(), |end| format!("{end:.3}"));
        let (effect, interval) = match &self.odds {
            Some((ratio, [low, high])) => {
                (ratio.map(|ratio| format!("odds ratio {ratio:.3}")), Some(format!("{} to {}", end(*low), end(*high))))
            }
            None => (
                self.effect.map(|effect| difference(Unit::Share, effect)),
                self.interval.map(|ends| range(Unit::Share, ends)),
            ),
        };
        vec![
            Words::default().text(words),
            self.metric.name_words(),
            regression_words(&self.method),
            Words::default().text(count(self.n)),
            Words::default().text(count(self.groups)),
            or_none(effect),
            or_none(interval),
        ]
    }
}

impl MarginalModels {
    /// Makes the panel.
    pub(super) fn panel(&self) -> Panel {
        let fitted = self.models.iter().filter_map(|(words, model)| Some(model.as_ref().ok()?.cells(words)));
        let mut after = Words::default();
        for (words, model) in &self.models {
            if let Err(why) = model {
                let space = if after.is_empty() { "" } else { " " };
                after = after.text(format!("{space}Not fitted: {words} ({why})."));
            }
        }
        Panel {
            heading: "Mixed-Effects (Robustness)",
            before: Words::default().text(
                "What treatment does to a draw in models over all draws of the trial, draws of one item (or cluster) dependent. The name is \
                 the predecessor's; these are marginal models.",
            ),
            headings: ["Model", "Metric", "Method", ">Draws", ">Groups", ">Treatment", ">95% interval"]
                .map(str::to_owned)
                .to_vec(),
            rows: fitted.collect(),
            after,
        }
    }
}
