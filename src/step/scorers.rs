use super::StepError;
use super::json_lines::unexpected;
use super::outcome::wrong_score;
use crate::digest::Decimal;
use crate::plan::{self, Options, Pick, ScorerConfig, ScorerSettings, Support};
use crate::scoring::{
    self, Choice, ChoiceSettings, Exact, ExactSettings, Gold, GoldOption, Includes, IncludesSettings, Json, JsonMatch,
    JsonSettings, Number, Numeric, NumericSettings, Pattern, PatternSettings, Qa, QaSettings, Score, Scorer, Squad,
    Strategy, Tolerance, Unsupported,
};

/// Returns the columns of a scorer's metrics, in order.
///
/// They are the scorer's own names; a scorer that goes by another name than its kind puts it before them, as in
/// `strict_exact`. `open` says whether the items are open-book.
pub fn metric_names(settings: &ScorerSettings, name: &str, open: bool) -> Vec<String> {
    let prefixed =
        |metric: &&str| if name == kind(settings) { (*metric).to_owned() } else { format!("{name}_{metric}") };
    base_metrics(settings, open).iter().map(prefixed).collect()
}

/// Returns the revision of a scorer's code.
pub fn scorer_revision(settings: &ScorerSettings) -> u32 {
    match settings {
        ScorerSettings::Squad {} => Squad::REVISION,
        ScorerSettings::Qa { .. } => Qa::REVISION,
        ScorerSettings::Includes { .. } => Includes::REVISION,
        ScorerSettings::Exact { .. } => Exact::REVISION,
        ScorerSettings::Numeric { .. } => Numeric::REVISION,
        ScorerSettings::Regex { .. } => Pattern::REVISION,
        ScorerSettings::Choice { .. } => Choice::REVISION,
        ScorerSettings::Json { .. } => Json::REVISION,
    }
}

fn kind(settings: &ScorerSettings) -> &'static str {
    match settings {
        ScorerSettings::Squad {} => Squad::NAME,
        ScorerSettings::Qa { .. } => Qa::NAME,
        ScorerSettings::Includes { .. } => Includes::NAME,
        ScorerSettings::Exact { .. } => Exact::NAME,
        ScorerSettings::Numeric { .. } => Numeric::NAME,
        ScorerSettings::Regex { .. } => Pattern::NAME,
        ScorerSettings::Choice { .. } => Choice::NAME,
        ScorerSettings::Json { .. } => Json::NAME,
    }
}

fn base_metrics(settings: &ScorerSettings, open: bool) -> &'static [&'static str] {
    match settings {
        ScorerSettings::Squad {} => Squad.metrics(open),
        ScorerSettings::Qa { .. } => Qa::default().metrics(open),
        ScorerSettings::Includes { .. } => Includes::default().metrics(open),
        ScorerSettings::Exact { .. } => Exact::default().metrics(open),
        ScorerSettings::Numeric { .. } => Numeric::default().metrics(open),
        // A pattern has to compile before it can say so itself.
        ScorerSettings::Regex { .. } => &["regex"],
        ScorerSettings::Choice { .. } => Choice::default().metrics(open),
        ScorerSettings::Json { .. } => Json::default().metrics(open),
    }
}

/// Is a scorer of a dataset, ready to score, with the columns it fills.
pub(super) struct ColumnScorer {
    columns: Vec<String>,
    /// One scorer; two where a number may be close in either of two ways, of which the better counts.
    scorers: Vec<Scorer>,
    /// The field of items that lists what is to be chosen from.
    options: Option<String>,
    open: bool,
}

impl ColumnScorer {
    /// Makes the scorer that a config describes.
    pub(super) fn new(config: &ScorerConfig, open: bool) -> Result<Self, StepError> {
        let columns = metric_names(&config.settings, &config.name, open);
        let scorers = match &config.settings {
            ScorerSettings::Squad {} => vec![Squad.into()],
            ScorerSettings::Qa { support, threshold, min_token_overlap } => {
                let strategy = match support {
                    Support::Baseline => Strategy::Baseline,
                    Support::Overlap => Strategy::Overlap,
                };
                let (threshold, min_token_overlap) = (threshold.to_f64(), min_token_overlap.to_f64());
                let unsupported = Unsupported { strategy, threshold, min_token_overlap };
                vec![Qa::new(&QaSettings { unsupported, ..QaSettings::default() }).into()]
            }
            ScorerSettings::Includes { ignore_case, words } => {
                vec![Includes::new(IncludesSettings { ignore_case: *ignore_case, words: *words }).into()]
            }
            ScorerSettings::Exact { ignore_case, trim } => {
                vec![Exact::new(ExactSettings { ignore_case: *ignore_case, trim: *trim }).into()]
            }
            ScorerSettings::Numeric { pick, tolerance, relative_tolerance } => {
                let limits = [(*tolerance, Tolerance::Absolute as Limit), (*relative_tolerance, Tolerance::Relative)];
                numeric(picked(*pick), limits)
            }
            ScorerSettings::Regex { pattern, full } => {
                let settings = PatternSettings { pattern: pattern.clone(), full: *full };
                let pattern = Pattern::new(settings)
                    .map_err(|error| unexpected(&format!("the scorer `{}`", config.name), error))?;
                vec![pattern.into()]
            }
            ScorerSettings::Choice { options, gold } => {
                let options = match options {
                    Options::Fixed(texts) => texts.clone(),
                    Options::Field(_) => Vec::new(),
                };
                let gold = match gold {
                    plan::GoldOption::TextOrLetter => GoldOption::TextOrLetter,
                    plan::GoldOption::Index => GoldOption::Index,
                    plan::GoldOption::Number => GoldOption::Number,
                };
                vec![Choice::new(ChoiceSettings { options, gold }).into()]
            }
            ScorerSettings::Json { compare, paths, ignore_case } => {
                let compare = match compare {
                    plan::JsonMatch::Equal => JsonMatch::Equal,
                    plan::JsonMatch::Subset => JsonMatch::Subset,
                };
                let (paths, ignore_case) = (paths.clone(), *ignore_case);
                vec![Json::new(JsonSettings { compare, paths, ignore_case }).into()]
            }
        };
        let options = config.settings.item_field().map(str::to_owned);
        Ok(Self { columns, scorers, options, open })
    }

    /// Says whether a completed response without text is an answer like any other. It is to the official SQuAD evaluator,
    /// where it says that there is no answer.
    pub(super) fn scores_empty(&self) -> bool {
        self.scorers.iter().any(|scorer| matches!(scorer, Scorer::Squad(_)))
    }

    /// Returns the field of items that lists what is to be chosen from.
    pub(super) fn options(&self) -> Option<&str> {
        self.options.as_deref()
    }

    /// Lists the columns.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Scores one answer.
    pub(super) fn score(&self, answer: &str, gold: &Gold<'_>) -> ColumnScores {
        let mut best: Vec<f64> = Vec::new();
        let (mut support, mut is_unclear) = (None, false);
        for scores in self.scorers.iter().map(|scorer| scorer.score(answer, gold)) {
            support = support.or(scores.support());
            is_unclear |= scores.is_unclear();
            best.resize(scores.iter().len(), 0.0);
            for (value, (_, found)) in best.iter_mut().zip(scores.iter()) {
                *value = value.max(found);
            }
        }
        ColumnScores { values: best, support, is_unclear }
    }

    /// Scores an answer that is wrong for its status alone.
    pub(super) fn wrong(&self, unanswerable: bool) -> impl Iterator<Item = f64> + use<> {
        let metrics = self.scorers.first().map_or(&[][..], |scorer| scorer.metrics(self.open));
        metrics.iter().map(move |metric| wrong_score(metric, unanswerable))
    }
}

/// Is what a scorer says of one answer.
pub(super) struct ColumnScores {
    /// The values, in the order of the columns.
    pub(super) values: Vec<f64>,
    /// The share of the answer's words that the passage holds, from a scorer that asks for it.
    pub(super) support: Option<f64>,
    /// Whether the scorer could not find in the answer what it compares.
    pub(super) is_unclear: bool,
}

type Limit = fn(Number) -> Tolerance;

fn numeric(pick: scoring::Pick, limits: [(Decimal, Limit); 2]) -> Vec<Scorer> {
    let scorer = |tolerance| Scorer::from(Numeric::new(NumericSettings { pick, tolerance }));
    // A limit of zero asks for equality, which every limit allows.
    let limits = limits.into_iter().filter(|(limit, _)| *limit != Decimal::ZERO);
    let limited: Vec<_> = limits
        .filter_map(|(limit, make)| Number::parse(&limit.to_string()).map(make))
        .map(|tolerance| scorer(Some(tolerance)))
        .collect();
    if limited.is_empty() { vec![scorer(None)] } else { limited }
}

/// Turns the config's word into the scorer's.
pub(super) fn picked(pick: Pick) -> scoring::Pick {
    match pick {
        Pick::First => scoring::Pick::First,
        Pick::Last => scoring::Pick::Last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<ScorerSettings> {
        let half = Decimal::new(5, -1);
        vec![
            ScorerSettings::Squad {},
            ScorerSettings::Qa { support: Support::Overlap, threshold: half, min_token_overlap: half },
            ScorerSettings::Includes { ignore_case: true, words: true },
            ScorerSettings::Exact { ignore_case: false, trim: true },
            ScorerSettings::Numeric { pick: Pick::Last, tolerance: half, relative_tolerance: half },
            ScorerSettings::Regex { pattern: "{{answer}}".to_owned(), full: false },
            ScorerSettings::Choice { options: Options::Field("o".to_owned()), gold: plan::GoldOption::Index },
            ScorerSettings::Json { compare: plan::JsonMatch::Subset, paths: Vec::new(), ignore_case: true },
        ]
    }

    #[test]
    fn columns_are_those_of_the_scorer() {
        for settings in all() {
            let config = ScorerConfig { name: kind(&settings).to_owned(), settings };
            for open in [false, true] {
                let scorer = ColumnScorer::new(&config, open).unwrap();
                assert_eq!(scorer.columns(), scorer.scorers[0].metrics(open));
                assert_eq!(scorer_revision(&config.settings), scorer.scorers[0].revision());
                let answers = ["18".to_owned()];
                let gold = Gold {
                    answers: &answers,
                    unanswerable: false,
                    context: None,
                    open,
                    options: &[],
                    normal_context: None,
                };
                assert_eq!(scorer.score("18", &gold).values.len(), scorer.columns().len());
                assert_eq!(scorer.wrong(false).collect::<Vec<_>>(), vec![0.0; scorer.columns().len()]);
            }
        }
    }

    #[test]
    fn a_name_of_its_own_stands_before_the_metrics() {
        let exact = ScorerSettings::Exact { ignore_case: true, trim: true };
        assert_eq!(metric_names(&exact, "exact", false), ["exact"]);
        assert_eq!(metric_names(&exact, "strict", false), ["strict_exact"]);
        assert_eq!(metric_names(&all()[1], "qa", false), ["em", "f1", "abstain_rate"]);
    }

    #[test]
    fn either_tolerance_is_enough() {
        let numeric = |tolerance: &str, relative: &str| {
            let settings = ScorerSettings::Numeric {
                pick: Pick::Last,
                tolerance: tolerance.parse().unwrap(),
                relative_tolerance: relative.parse().unwrap(),
            };
            ColumnScorer::new(&ScorerConfig { name: "numeric".to_owned(), settings }, false).unwrap()
        };
        let answers = ["100".to_owned()];
        let score = |scorer: &ColumnScorer| scorer.score("104", &Gold::closed(&answers)).values.first().copied();
        assert_eq!(score(&numeric("0", "0")), Some(0.0));
        assert_eq!(score(&numeric("4", "0.01")), Some(1.0));
        assert_eq!(score(&numeric("1", "0.04")), Some(1.0));
        assert_eq!(score(&numeric("0", "0.03")), Some(0.0));
    }

    #[test]
    fn only_false_answers_are_counted_for_what_is_wrong_by_status() {
        let config = ScorerConfig { name: "qa".to_owned(), settings: all()[1].clone() };
        let scorer = ColumnScorer::new(&config, true).unwrap();
        assert_eq!(scorer.wrong(true).collect::<Vec<_>>(), [0.0, 0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_an_error() {
        let settings = ScorerSettings::Regex { pattern: "(".to_owned(), full: false };
        assert!(ColumnScorer::new(&ScorerConfig { name: "regex".to_owned(), settings }, false).is_err());
    }
}
