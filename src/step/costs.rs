//! Prices the tokens.

pub(super) mod effectiveness;
mod judges;
pub(super) mod verdict_tokens;

use verdict_tokens::VERDICT_TOKENS;

use super::cost_table::{ArmCosts, CostTable, LongPromptRates, PairedCost, Pricing, UsageSource};
use super::intervals::Intervals;
use super::json_lines::{read_lines, write_document};
use super::paired_item::{PairedArm, PairedItem};
use super::significance::Arms;
use super::{Inputs, Outputs, StepError};
use crate::digest::Decimal;
use crate::plan::{CostsParams, Price, PricedModel};
use crate::stats::{self, Differences, Stream, lattice_round};

/// Names the kind of rates that are those of batches.
const BATCH_RATES: &str = "batch_discount";

/// Writes `costs.json`: the tokens of each arm at the config's rates and mode.
pub fn run(params: &CostsParams, inputs: &Inputs<'_>, outputs: &mut dyn Outputs) -> Result<(), StepError> {
    let text = inputs.text("paired")?;
    let items: Vec<PairedItem<'_>> = read_lines("paired", &text).collect::<Result<_, _>>()?;
    let rates = Rates::of(params.model.price, params.model.batch);
    let arms = [0, 1].map(|arm| {
        let mut draws = items.iter().filter_map(|item| item.arms()[arm]).peekable();
        draws.peek()?;
        Some(totals(draws, rates))
    });
    let both = || arms.iter().flatten();
    let sum = |of: fn(&ArmCosts) -> Option<u64>| both().filter_map(of).reduce(|a, b| a + b);
    let count = |of: fn(&ArmCosts) -> u64| both().map(of).sum();
    let usd = both().map(|arm| arm.usd).sum::<Option<f64>>().filter(|_| rates.is_some());
    let (judges, tokens) = judges::judges(&params.judges, inputs)?;
    let document = CostTable {
        prompt_tokens: sum(|arm| arm.prompt_tokens),
        completion_tokens: sum(|arm| arm.completion_tokens),
        total_tokens: sum(|arm| arm.total_tokens),
        usd: usd.map(lattice_round),
        batch_discount_applied: rates.is_some_and(|rates| rates.is_batch),
        usage_records: count(|arm| arm.usage_records),
        unknown_usage: count(|arm| arm.unknown_usage),
        usage_source: UsageSource { kind: "draws".to_owned() },
        pricing: pricing(&params.model, rates),
        arms: Arms::new(arms),
        paired_difference: rates.and_then(|rates| paired_difference(params, &items, rates)),
        judges,
    };
    if !params.judges.is_empty() {
        outputs.put(VERDICT_TOKENS, tokens)?;
    }
    if let Some(wanted) = &params.effectiveness {
        effectiveness::write(wanted, &items, rates, outputs)?;
    }
    outputs.put("costs.json", write_document("costs.json", &document)?)
}

/// Holds the rates that apply, in US dollars for a million tokens.
#[derive(Clone, Copy)]
struct Rates {
    input: f64,
    output: f64,
    long_prompt: Option<LongRates>,
    is_batch: bool,
}

/// Holds the rates of requests with more input tokens than `above`.
#[derive(Clone, Copy)]
struct LongRates {
    above: u64,
    input: f64,
    output: f64,
}

/// Counts the tokens of draws, those of long prompts apart.
#[derive(Clone, Copy, Default)]
struct Bill {
    input: u64,
    output: u64,
    long_input: u64,
    long_output: u64,
}

impl Bill {
    fn add(&mut self, input: u64, output: u64, rates: Rates) {
        if rates.long_prompt.is_some_and(|long| input > long.above) {
            self.long_input += input;
            self.long_output += output;
        } else {
            self.input += input;
            self.output += output;
        }
    }
}

impl Rates {
    /// Takes the rates of the mode; none where there is no price. A price without a factor for batches has none.
    fn of(price: Option<Price>, batch: bool) -> Option<Self> {
        let price = price?;
        let factor = price.batch.filter(|factor| batch && *factor != Decimal::ONE);
        let scale = factor.map_or(1.0, |factor| factor.to_f64());
        let rate = |rate: Decimal| lattice_round(rate.to_f64() * scale);
        let long_prompt = price.long_prompt.map(|long| LongRates {
            above: long.above,
            input: rate(long.input),
            output: rate(long.output),
        });
        Some(Self { input: rate(price.input), output: rate(price.output), long_prompt, is_batch: factor.is_some() })
    }

    /// Takes those that a table states; none where it states none.
    fn stated(pricing: &Pricing) -> Option<Self> {
        let long_prompt = pricing.long_prompt.as_ref().map(|long| LongRates {
            above: long.above_tokens,
            input: long.input_rate_per_mtok,
            output: long.output_rate_per_mtok,
        });
        Some(Self {
            input: pricing.input_rate_per_mtok?,
            output: pricing.output_rate_per_mtok?,
            long_prompt,
            is_batch: pricing.rate_type == BATCH_RATES,
        })
    }

    fn usd(self, bill: Bill) -> f64 {
        let short = bill.input as f64 * self.input + bill.output as f64 * self.output;
        let long = |rates: LongRates| bill.long_input as f64 * rates.input + bill.long_output as f64 * rates.output;
        lattice_round((short + self.long_prompt.map_or(0.0, long)) / 1e6)
    }
}

fn pricing(model: &PricedModel, rates: Option<Rates>) -> Pricing {
    let rate_type = match rates {
        None => "unknown",
        Some(Rates { is_batch: true, .. }) => BATCH_RATES,
        Some(_) => "standard",
    };
    Pricing {
        provider: model.provider.clone(),
        model_key: model.model.clone(),
        input_rate_per_mtok: rates.map(|rates| rates.input),
        output_rate_per_mtok: rates.map(|rates| rates.output),
        long_prompt: rates.and_then(|rates| rates.long_prompt).map(|long| LongPromptRates {
            above_tokens: long.above,
            input_rate_per_mtok: long.input,
            output_rate_per_mtok: long.output,
        }),
        rate_type: rate_type.to_owned(),
        table_found: rates.is_some(),
        use_batch_api: model.batch,
        as_of: model.price_as_of.clone(),
    }
}

/// Sums up draws.
#[derive(Default)]
struct Tally {
    costs: ArmCosts,
    bill: Bill,
}

impl Tally {
    /// Adds a draw: whether it failed, and what it states that it read and wrote.
    fn add(&mut self, is_failure: bool, tokens: (Option<u64>, Option<u64>), rates: Option<Rates>) {
        let costs = &mut self.costs;
        if is_failure {
            costs.failed += 1;
            return;
        }
        costs.completed += 1;
        match tokens.0.zip(tokens.1) {
            Some((input, output)) => {
                costs.usage_records += 1;
                if let Some(rates) = rates {
                    self.bill.add(input, output, rates);
                }
            }
            None => costs.unknown_usage += 1,
        }
        for (total, tokens) in [(&mut costs.prompt_tokens, tokens.0), (&mut costs.completion_tokens, tokens.1)] {
            if let Some(tokens) = tokens {
                *total = Some(total.unwrap_or(0) + tokens);
            }
        }
    }

    /// Returns what they come to. Where a completed draw does not state its tokens, the price is not known.
    fn finish(mut self, rates: Option<Rates>) -> ArmCosts {
        let costs = &mut self.costs;
        costs.total_tokens = costs.prompt_tokens.zip(costs.completion_tokens).map(|(input, output)| input + output);
        if costs.unknown_usage == 0 {
            costs.usd = rates.map(|rates| rates.usd(self.bill));
        }
        self.costs
    }
}

fn totals<'a>(items: impl Iterator<Item = &'a PairedArm>, rates: Option<Rates>) -> ArmCosts {
    let mut tally = Tally::default();
    for item in items {
        for ((status, input), output) in item.statuses.iter().zip(&item.input_tokens).zip(&item.output_tokens) {
            tally.add(status.is_failure(), (*input, *output), rates);
        }
    }
    tally.finish(rates)
}

/// Compares the cost of the items whose draws were all completed; none where a completed draw does not state its tokens.
fn paired_difference(params: &CostsParams, items: &[PairedItem<'_>], rates: Rates) -> Option<PairedCost> {
    let mut pairs = Vec::new();
    for item in items {
        let [Some(control), Some(treatment)] = item.arms() else { continue };
        let is_complete = |arm: &PairedArm| !arm.statuses.is_empty() && !arm.statuses.iter().any(|s| s.is_failure());
        if is_complete(control) && is_complete(treatment) {
            pairs.push((item_usd(control, rates)?, item_usd(treatment, rates)?));
        }
    }
    if pairs.is_empty() {
        return None;
    }
    let differences = Differences::omitting(pairs);
    let mut stream = Stream::derive(params.random_seed, "bootstrap|costs|usd");
    let bootstrap = stats::bootstrap(&differences, params.bootstrap_samples, &mut stream);
    let intervals = Intervals::of(params.alpha, |level| bootstrap.as_ref()?.percentile(level));
    Some(PairedCost {
        mean_usd_per_item: differences.mean(),
        ci_95: intervals.ci_95,
        ci: intervals.ci,
        method: intervals.method,
        n_items: differences.n(),
    })
}

fn item_usd(arm: &PairedArm, rates: Rates) -> Option<f64> {
    let mut bill = Bill::default();
    for (input, output) in arm.input_tokens.iter().zip(&arm.output_tokens) {
        bill.add((*input)?, (*output)?, rates);
    }
    Some(rates.usd(bill))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::LongPromptPrice;
    use crate::step::memory::run_in_memory;

    fn params(price: Option<(&str, &str, Option<&str>)>, batch: bool) -> CostsParams {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        CostsParams {
            model: PricedModel {
                provider: "p".to_owned(),
                model: "m".to_owned(),
                price: price.map(|(input, output, batch)| Price {
                    input: decimal(input),
                    output: decimal(output),
                    cached_input: None,
                    cache_write: None,
                    batch: batch.map(decimal),
                    long_prompt: None,
                }),
                price_as_of: Some("2026-11-01".to_owned()),
                batch,
            },
            bootstrap_samples: 200,
            random_seed: 1,
            effectiveness: None,
            alpha: Decimal::new(5, -2),
            judges: Vec::new(),
        }
    }

    fn line(id: u32, control: &str, treatment: &str) -> String {
        format!("{{\"dataset\":\"d\",\"item\":\"{id}\",\"control\":{{{control}}},\"treatment\":{{{treatment}}}}}\n")
    }

    fn draw(status: &str, input: &str, output: &str) -> String {
        let start = format!(r#""statuses":["{status}"],"scored":0,"sums":[],"#);
        start + &format!(r#""input_tokens":[{input}],"output_tokens":[{output}]"#)
    }

    fn costs(params: &CostsParams, paired: &str) -> CostTable {
        let inputs = [("paired", paired)];
        let out = run_in_memory(&inputs, |inputs, outputs| run(params, inputs, outputs)).unwrap();
        serde_json::from_str(&out["costs.json"]).unwrap()
    }

    #[test]
    fn tokens_are_priced_at_the_rates_of_the_mode() {
        let paired = line(0, &draw("stop", "1000", "10"), &draw("length", "3000", "20"))
            + &line(1, &draw("stop", "1000", "10"), &draw("stop", "3000", "40"));
        let table = costs(&params(Some(("0.15", "0.60", Some("0.5"))), true), &paired);
        assert_eq!(
            (table.prompt_tokens, table.completion_tokens, table.total_tokens),
            (Some(8000), Some(80), Some(8080))
        );
        assert_eq!((table.pricing.input_rate_per_mtok, table.pricing.output_rate_per_mtok), (Some(0.075), Some(0.3)));
        assert_eq!((table.usd, table.batch_discount_applied), (Some(0.000624), true));
        assert_eq!(table.pricing.rate_type, "batch_discount");
        let [control, treatment] = table.arms.both().map(|arm| arm.unwrap().usd);
        assert_eq!((control, treatment), (Some(0.000156), Some(0.000468)));
        let paired_cost = table.paired_difference.unwrap();
        assert_eq!((paired_cost.mean_usd_per_item, paired_cost.n_items), (Some(0.000156), 2));
        assert_eq!(paired_cost.ci_95, Some([0.000153, 0.000159]));
        let standard = costs(&params(Some(("0.15", "0.60", None)), true), &paired);
        assert_eq!((standard.usd, standard.batch_discount_applied), (Some(0.001248), false));
    }

    #[test]
    fn a_long_prompt_is_priced_draw_by_draw() {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        let mut params = params(Some(("1", "2", Some("0.5"))), false);
        let long = LongPromptPrice { above: 1000, input: decimal("10"), output: decimal("20") };
        params.model.price.as_mut().unwrap().long_prompt = Some(long);
        let paired = line(0, &draw("stop", "1000", "10"), &draw("stop", "1001", "10"));
        let table = costs(&params, &paired);
        let [control, treatment] = table.arms.both().map(|arm| arm.unwrap().usd);
        assert_eq!((control, treatment, table.usd), (Some(0.00102), Some(0.01021), Some(0.01123)));
        let rates = LongPromptRates { above_tokens: 1000, input_rate_per_mtok: 10.0, output_rate_per_mtok: 20.0 };
        assert_eq!(table.pricing.long_prompt, Some(rates));
        assert_eq!(table.paired_difference.unwrap().mean_usd_per_item, Some(0.00919));
        params.model.batch = true;
        assert_eq!(costs(&params, &paired).usd, Some(0.005615));
    }

    #[test]
    fn what_is_unknown_is_null() {
        let paired = line(0, &draw("stop", "1000", "10"), &draw("stop", "3000", "null"));
        let table = costs(&params(Some(("1", "1", None)), false), &paired);
        assert_eq!((table.usd, table.unknown_usage, table.usage_records), (None, 1, 1));
        assert_eq!((table.prompt_tokens, table.completion_tokens), (Some(4000), Some(10)));
        assert_eq!(table.arms.control.unwrap().usd, Some(0.00101));
        assert_eq!((table.arms.treatment.unwrap().usd, table.paired_difference), (None, None));
        let unpriced = costs(&params(None, false), &line(0, &draw("stop", "1", "1"), &draw("stop", "1", "1")));
        assert_eq!((unpriced.usd, unpriced.pricing.table_found), (None, false));
        assert_eq!((unpriced.pricing.rate_type.as_str(), unpriced.paired_difference), ("unknown", None));
        let none = costs(&params(None, false), "");
        assert_eq!((none.prompt_tokens, none.usd), (None, None));
    }

    #[test]
    fn failures_are_not_priced_and_not_unknown() {
        let paired = line(0, &draw("stop", "1000", "10"), &draw("failed:timeout", "null", "null"));
        let table = costs(&params(Some(("1", "1", None)), false), &paired);
        assert_eq!((table.usd, table.unknown_usage), (Some(0.00101), 0));
        assert_eq!(table.arms.treatment.map(|arm| (arm.failed, arm.completed)), Some((1, 0)));
        assert_eq!(table.paired_difference, None);
    }
}
