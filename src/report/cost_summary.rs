use std::fmt::Write;

use super::markdown::{Table, code};
use super::number::{NONE, count, usd};
use super::section::ARMS;

/// Is what a trial's answers cost.
#[derive(Clone, Debug, PartialEq)]
pub struct CostSummary {
    /// Both arms together.
    pub total: ArmCost,
    /// Control and treatment, where they were built.
    pub arms: [Option<ArmCost>; 2],
    /// The rates for input and output in US dollars for a million tokens, where they are known.
    pub rates: Option<(f64, f64)>,
    /// Input tokens beyond which other rates hold for a request, and these.
    pub long_prompt: Option<(u64, f64, f64)>,
    /// Whether the rates are those of batches.
    pub is_batch: bool,
    /// When the price was read.
    pub as_of: Option<String>,
    /// How many completed draws do not state their tokens.
    pub unknown_usage: u64,
    /// What an item costs more under treatment.
    pub paired: Option<PairedCostDifference>,
    /// What the models that judge used, by name; it is in none of the numbers above.
    pub judges: Vec<JudgeCost>,
}

/// Is what a model that judges used on a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeCost {
    /// The model's name.
    pub model: String,
    /// How many verdicts it completed; one on an answer that both arms gave counts once.
    pub verdicts: u64,
    /// How many of them are on pairs of answers.
    pub on_pairs: u64,
    /// What they took.
    pub cost: ArmCost,
}

/// Is what one arm used. What is unknown is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArmCost {
    /// Tokens read.
    pub prompt_tokens: Option<u64>,
    /// Tokens written.
    pub completion_tokens: Option<u64>,
    /// US dollars.
    pub usd: Option<f64>,
}

/// Is the mean difference of what an item costs.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedCostDifference {
    /// The mean, in US dollars.
    pub mean: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// How many items.
    pub n: u64,
}

impl CostSummary {
    /// Renders the section under a second-level heading.
    pub(super) fn render(&self, level: &str) -> String {
        let mut text = String::from("## Cost\n\n");
        let mut table = Table::new(["Condition", ">Prompt tokens", ">Completion tokens", ">USD"]);
        let rows = ARMS.iter().zip(&self.arms).filter_map(|(name, arm)| Some((*name, arm.as_ref()?)));
        for (name, arm) in rows.chain([("Both", &self.total)]) {
            let tokens = |tokens: Option<u64>| tokens.map_or_else(|| NONE.to_owned(), count);
            table.row([name, &tokens(arm.prompt_tokens), &tokens(arm.completion_tokens), &cost_cell(arm.usd)]);
        }
        text.push_str(&table.finish());
        match self.rates {
            Some((input, output)) => {
                let batch = if self.is_batch { ", the batch discount applied" } else { "" };
                let as_of = self.as_of.as_deref().map(|date| format!(", as of {}", code(date))).unwrap_or_default();
                let _ = writeln!(
                    text,
                    "Priced at ${input} for a million input tokens and ${output} for a million output tokens{batch}{as_of}."
                );
                if let Some((above, input, output)) = self.long_prompt {
                    let above = count(above);
                    let _ = writeln!(text, "Requests with more than {above} input tokens: ${input} and ${output}.");
                }
            }
            None => text.push_str("No price is known for this model, so the cost is not known; it is not zero.\n"),
        }
        if self.unknown_usage > 0 {
            let _ = writeln!(text, "{} completed answers state no token counts.", count(self.unknown_usage));
        }
        if let Some(paired) = &self.paired {
            let interval = paired
                .interval
                .map(|(lower, upper)| format!(" ({level} interval {} to {})", signed_usd(lower), signed_usd(upper)));
            let _ = writeln!(
                text,
                "The cost of an item differs by {} on average, treatment − control{}, over {} items.",
                signed_usd(paired.mean),
                interval.unwrap_or_default(),
                count(paired.n)
            );
        }
        text + &self.judge_table()
    }

    fn judge_table(&self) -> String {
        if self.judges.is_empty() {
            return String::new();
        }
        let (verdicts, on_pairs) =
            self.judges.iter().fold((0, 0), |(all, pairs), judge| (all + judge.verdicts, pairs + judge.on_pairs));
        let once = if verdicts > on_pairs || on_pairs == 0 {
            " A verdict on an answer that both arms gave counts once."
        } else {
            ""
        };
        let orders =
            if on_pairs > 0 { " A pair of answers is shown in both orders, and each has its verdicts." } else { "" };
        format!(
            "\nWhat models that judge the answers took is not among these costs.{once}{orders}\n\n{}",
            JudgeCost::table(&self.judges)
        )
    }
}

impl JudgeCost {
    /// Renders what models that judge took, a row for each.
    pub(super) fn table(judges: &[Self]) -> String {
        let on_pairs = judges.iter().any(|judge| judge.on_pairs > 0).then_some(">On pairs");
        let headings = ["Judge", ">Verdicts"].into_iter().chain(on_pairs);
        let mut table = Table::new(headings.chain([">Prompt tokens", ">Completion tokens", ">USD"]));
        for judge in judges {
            let tokens = |tokens: Option<u64>| tokens.map_or_else(|| NONE.to_owned(), count);
            let cost = &judge.cost;
            let [prompt, completion] = [cost.prompt_tokens, cost.completion_tokens].map(tokens);
            let on_pairs = on_pairs.map(|_| count(judge.on_pairs));
            let cells = [code(&judge.model), count(judge.verdicts)].into_iter().chain(on_pairs);
            table.row(cells.chain([prompt, completion, cost_cell(cost.usd)]));
        }
        table.finish().trim_end().to_owned() + "\n"
    }
}

/// Writes US dollars, for a cell.
pub(super) fn cost_cell(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), usd)
}

/// Writes a difference in US dollars, with its sign.
pub(super) fn signed_usd(value: f64) -> String {
    if value < 0.0 { usd(value) } else { format!("+{}", usd(value)) }
}
