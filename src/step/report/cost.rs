use super::ends;
use crate::report::{ArmCost, CostSummary, JudgeCost, PairedCostDifference};
use crate::step::cost_table::{ArmCosts, CostTable, JudgeCosts};
use crate::step::significance::Arms;

/// Collects what a report says of costs.
pub(super) fn cost(table: &CostTable) -> CostSummary {
    let judge = |(model, judge): (&String, &JudgeCosts)| {
        judge_cost(model, &judge.all, judge.pairs.as_ref().map_or(0, |pairs| pairs.completed))
    };
    let arms: &Arms<ArmCosts> = &table.arms;
    let pricing = &table.pricing;
    CostSummary {
        total: ArmCost {
            prompt_tokens: table.prompt_tokens,
            completion_tokens: table.completion_tokens,
            usd: table.usd,
        },
        arms: arms.both().map(|arm| arm.map(used)),
        judges: table.judges.iter().map(judge).collect(),
        rates: pricing.input_rate_per_mtok.zip(pricing.output_rate_per_mtok),
        long_prompt: pricing
            .long_prompt
            .as_ref()
            .map(|long| (long.above_tokens, long.input_rate_per_mtok, long.output_rate_per_mtok)),
        is_batch: table.batch_discount_applied,
        as_of: pricing.as_of.clone(),
        unknown_usage: table.unknown_usage,
        paired: table.paired_difference.as_ref().and_then(|paired| {
            let interval = ends(paired.ci_95, paired.ci);
            Some(PairedCostDifference { mean: paired.mean_usd_per_item?, interval, n: paired.n_items })
        }),
    }
}

/// Collects what a report says of what a model that judges took; `on_pairs` of its verdicts are on pairs of answers.
pub(in crate::step) fn judge_cost(model: &str, costs: &ArmCosts, on_pairs: u64) -> JudgeCost {
    JudgeCost { model: model.to_owned(), verdicts: costs.completed, on_pairs, cost: used(costs) }
}

fn used(arm: &ArmCosts) -> ArmCost {
    ArmCost { prompt_tokens: arm.prompt_tokens, completion_tokens: arm.completion_tokens, usd: arm.usd }
}
