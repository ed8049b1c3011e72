use std::collections::{BTreeMap, HashMap, HashSet};

use super::verdict_tokens::{VERDICT_TOKENS, VerdictTokens};
use super::{Rates, Tally, pricing};
use crate::digest::RequestKey;
use crate::plan::JudgeRates;
use crate::step::answers::AnswersReader;
use crate::step::cost_table::JudgeCosts;
use crate::step::json_lines::{unexpected, write_line};
use crate::step::parts::part_names;
use crate::step::significance::Arms;
use crate::step::{Inputs, RequestsReader, StepError};

/// Prices the verdicts of each model that judges: the inputs `judge_requests/…` and `judge_answers/…`, in the same places, and of
/// pairs `pair_requests/…` and `pair_answers/…`. Returns a line of `verdict_tokens` for each verdict, too.
///
/// A verdict is known by its request and its number: what two arms or pairs share was asked once.
pub(super) fn judges(
    judges: &[JudgeRates],
    inputs: &Inputs<'_>,
) -> Result<(BTreeMap<String, JudgeCosts>, Vec<u8>), StepError> {
    let mut all = BTreeMap::new();
    let mut lines = Vec::new();
    for judge in judges {
        let rates = Rates::of(judge.model.price, judge.model.batch);
        let mut bought: HashSet<(RequestKey, u32)> = HashSet::new();
        let mut total = Tally::default();
        let mut take = |verdict: &VerdictTokens<'_>| {
            let is_new = bought.insert(verdict.address());
            if is_new {
                verdict.add_to(&mut total, rates);
                write_line(VERDICT_TOKENS, &mut lines, verdict)?;
            }
            Ok(is_new)
        };
        let mut arms: [Option<Tally>; 2] = [None, None];
        for (arm, side) in arms.iter_mut().zip(["control", "treatment"]) {
            for (dataset, scorer) in &judge.scorers {
                let place = format!("{side}/{scorer}");
                for part in part_names(inputs, &format!("judge_answers/{place}"), dataset) {
                    let tally = arm.get_or_insert_default();
                    each_verdict(inputs, (&judge.name, false), &part, |verdict| {
                        verdict.add_to(tally, rates);
                        take(verdict).map(drop)
                    })?;
                }
            }
        }
        let mut pairs: Option<Tally> = None;
        for (dataset, name) in &judge.pairs {
            for part in part_names(inputs, &format!("pair_answers/{name}"), dataset) {
                let tally = pairs.get_or_insert_default();
                each_verdict(inputs, (&judge.name, true), &part, |verdict| {
                    if take(verdict)? {
                        verdict.add_to(tally, rates);
                    }
                    Ok(())
                })?;
            }
        }
        let costs = JudgeCosts {
            pricing: pricing(&judge.model, rates),
            all: total.finish(rates),
            arms: Arms::new(arms.map(|arm| arm.map(|tally| tally.finish(rates)))),
            pairs: pairs.map(|tally| tally.finish(rates)),
        };
        all.insert(judge.name.clone(), costs);
    }
    Ok((all, lines))
}

/// Tells of the verdicts in an input `judge_answers/…` or `pair_answers/…`; what was asked stands in `judge_requests/…` or
/// `pair_requests/…`.
fn each_verdict(
    inputs: &Inputs<'_>,
    (judge, is_on_pair): (&str, bool),
    answers: &str,
    mut each: impl FnMut(&VerdictTokens<'_>) -> Result<(), StepError>,
) -> Result<(), StepError> {
    let requests = answers.replacen("_answers/", "_requests/", 1);
    let mut keys: HashMap<String, RequestKey> = HashMap::new();
    for line in RequestsReader::new(inputs.open(&requests)?)? {
        let line = line?;
        keys.insert(line.item, line.key);
    }
    for line in AnswersReader::new(inputs.open(answers)?) {
        let line = line?;
        let key = keys.get(&line.item);
        let usage = line.answer.as_ref().map(|answer| &answer.usage);
        each(&VerdictTokens {
            judge: judge.into(),
            key: *key.ok_or_else(|| unexpected(&requests, format!("no request is about `{}`", line.item)))?,
            n: line.n,
            is_on_pair,
            is_failure: line.failure.is_some(),
            input_tokens: usage.and_then(|usage| usage.input_tokens),
            output_tokens: usage.and_then(|usage| usage.output_tokens),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Price, PricedModel};
    use crate::request::{Decoding, Message, ProviderIdentity, Request, Role, Terms};
    use crate::step::RequestsWriter;
    use crate::step::cost_table::{CostTable, UsageSource};
    use crate::step::costs::verdict_tokens::all_verdicts;
    use crate::step::memory::run_in_memory;

    fn requests(asked: &[(&str, &str)]) -> String {
        let terms = Terms {
            provider: ProviderIdentity("p".to_owned()),
            model: "m".to_owned(),
            revision: None,
            decoding: Decoding::default(),
            extra: BTreeMap::new(),
            draw_salt: None,
        };
        let mut writer =
            RequestsWriter::new(Request { terms: terms.into(), messages: Vec::new(), recording: None }).unwrap();
        for (name, text) in asked {
            writer.push(name, vec![Message::new(Role::User, (*text).to_owned())], None).unwrap();
        }
        String::from_utf8(writer.finish()).unwrap()
    }

    fn answer(item: &str, n: u32, tokens: (u32, u32)) -> String {
        let usage = format!("{{\"input_tokens\":{},\"output_tokens\":{}}}", tokens.0, tokens.1);
        format!(
            "{{\"item\":\"{item}\",\"n\":{n},\"answer\":{{\"status\":\"stop\",\"text\":\"x\",\"usage\":{usage}}}}}\n"
        )
    }

    fn rates(price: bool) -> JudgeRates {
        let price = price.then(|| Price {
            input: "1".parse().unwrap(),
            output: "10".parse().unwrap(),
            cached_input: None,
            cache_write: None,
            batch: None,
            long_prompt: None,
        });
        let (provider, model) = ("p".to_owned(), "m".to_owned());
        JudgeRates {
            name: "ours".to_owned(),
            model: PricedModel { provider, model, price, price_as_of: None, batch: false },
            scorers: vec![("d".to_owned(), "judge".to_owned())],
            pairs: vec![("d".to_owned(), "pair".to_owned())],
        }
    }

    fn priced(rates: &JudgeRates, inputs: &[(&str, String)]) -> (JudgeCosts, String) {
        let mut found = None;
        run_in_memory(inputs, |inputs, _| {
            found = Some(judges(std::slice::from_ref(rates), inputs)?);
            Ok(())
        })
        .unwrap();
        let (mut all, lines) = found.unwrap();
        (all.remove("ours").unwrap(), String::from_utf8(lines).unwrap())
    }

    #[test]
    fn a_verdict_that_two_arms_share_is_bought_once() {
        let control = requests(&[("0/a", "same"), ("0/b", "one")]);
        let treatment = requests(&[("0/a", "same"), ("0/b", "other")]);
        let answers = [answer("0/a", 0, (100, 10)), answer("0/a", 1, (100, 20)), answer("0/b", 0, (200, 10))].concat();
        let failed = "{\"item\":\"0/b\",\"n\":1,\"failure\":\"timeout\"}\n";
        let inputs = [
            ("judge_requests/control/judge/d/00000", control),
            ("judge_requests/treatment/judge/d/00000", treatment),
            ("judge_answers/control/judge/d/00000", answers.clone() + failed),
            ("judge_answers/treatment/judge/d/00000", answers),
        ];
        let (costs, lines) = priced(&rates(true), &inputs);
        let [control, treatment] = costs.arms.both().map(|arm| arm.unwrap().clone());
        assert_eq!((control.completed, control.failed, treatment.completed), (3, 1, 3));
        assert_eq!((costs.all.completed, costs.all.failed, costs.all.prompt_tokens), (4, 1, Some(600)));
        // 600 read at a dollar a million, 50 written at ten.
        assert_eq!((costs.all.usd, control.usd, costs.pairs), (Some(0.0011), Some(0.0008), None));
        assert_eq!(lines.lines().count(), 5, "{lines}");
        // Without a price nothing is known of what they cost.
        assert_eq!(priced(&rates(false), &inputs).0.all.usd, None);
    }

    #[test]
    fn verdicts_on_pairs_count_in_both_orders_and_those_that_trials_share_once() {
        // The second draw is the first with the arms changed over: its first order is the other's second.
        let asked = |other: &str| {
            requests(&[
                ("0.control_first/a", "x or y"),
                ("0.treatment_first/a", "y or x"),
                ("1.control_first/a", "y or x"),
                ("1.treatment_first/a", "x or y"),
                ("0.control_first/b", other),
            ])
        };
        let names = ["0.control_first/a", "0.treatment_first/a", "1.control_first/a", "1.treatment_first/a"];
        let said = names.map(|name| answer(name, 0, (100, 10))).concat();
        let trial = |other: &str| {
            let said = said.clone() + &answer("0.control_first/b", 0, (1000, 1));
            priced(&rates(true), &[("pair_requests/pair/d/00000", asked(other)), ("pair_answers/pair/d/00000", said)])
        };
        let trials = [trial("z"), trial("other z")];
        let (costs, lines) = &trials[0];
        let pairs = costs.pairs.as_ref().unwrap();
        assert_eq!((pairs.completed, pairs.prompt_tokens, pairs.usd), (3, Some(1200), Some(0.00141)));
        assert_eq!((&costs.all, costs.arms.both()), (pairs, [None, None]));
        assert!(lines.starts_with("{\"judge\":\"ours\",\"key\":\"blake3:"), "{lines}");
        assert!(lines.lines().all(|line| line.contains(",\"n\":0,\"is_on_pair\":true,\"input_tokens\":1")), "{lines}");

        let tables = trials
            .each_ref()
            .map(|(costs, _)| CostTable { judges: BTreeMap::from([("ours".to_owned(), costs.clone())]), ..bare() });
        let trials: Vec<_> = tables
            .iter()
            .zip(&trials)
            .map(|(table, (_, lines))| (table, ("verdict_tokens/s".to_owned(), lines.clone())))
            .collect();
        let all = &all_verdicts(&trials).unwrap()["ours"];
        // Two that both trials have, and one of each.
        assert_eq!((all.costs.completed, all.on_pairs, all.costs.prompt_tokens), (4, 4, Some(2200)));
        assert_eq!(all.costs.usd, Some(0.00242));
    }

    fn bare() -> CostTable {
        CostTable {
            prompt_tokens: None,
            completion_tokens: None,
            total_tokens: None,
            usd: None,
            batch_discount_applied: false,
            usage_records: 0,
            unknown_usage: 0,
            usage_source: UsageSource { kind: "draws".to_owned() },
            pricing: pricing(&rates(false).model, None),
            arms: Arms::new([None, None]),
            paired_difference: None,
            judges: BTreeMap::new(),
        }
    }
}
