use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Rates, Tally, pricing};
use crate::digest::RequestKey;
use crate::plan::JudgeRates;
use crate::step::answers::AnswersReader;
use crate::step::cost_table::JudgeCosts;
use crate::step::json_lines::unexpected;
use crate::step::significance::Arms;
use crate::step::{Inputs, RequestsReader, StepError};

/// Prices the verdicts of each model that judges: the inputs `judge_requests/…` and `judge_answers/…`, in the same places.
///
/// A verdict is known by its request and its number: what two arms share was asked once.
pub(super) fn judges(judges: &[JudgeRates], inputs: &Inputs<'_>) -> Result<BTreeMap<String, JudgeCosts>, StepError> {
    let mut all = BTreeMap::new();
    for judge in judges {
        let rates = Rates::of(judge.price, judge.batch);
        let mut bought: HashSet<(RequestKey, u32)> = HashSet::new();
        let mut both = Tally::default();
        let mut arms: [Option<Tally>; 2] = [None, None];
        for (arm, side) in arms.iter_mut().zip(["control", "treatment"]) {
            for (dataset, scorer) in &judge.scorers {
                let place = format!("{side}/{scorer}/{dataset}/");
                let prefix = format!("judge_answers/{place}");
                let parts = inputs.entries().iter().filter_map(|entry| entry.name.strip_prefix(&prefix));
                for part in parts.filter(|part| !part.contains('/')) {
                    let tally = arm.get_or_insert_default();
                    let mut keys: HashMap<String, RequestKey> = HashMap::new();
                    for line in RequestsReader::new(inputs.open(&format!("judge_requests/{place}{part}"))?)? {
                        let line = line?;
                        keys.insert(line.item, line.key);
                    }
                    for line in AnswersReader::new(inputs.open(&format!("{prefix}{part}"))?) {
                        let line = line?;
                        let key = keys.get(&line.item);
                        let key = *key.ok_or_else(|| {
                            unexpected("judge_requests", format!("no request is about `{}`", line.item))
                        })?;
                        let usage = line.answer.as_ref().map(|answer| &answer.usage);
                        let tokens =
                            (usage.and_then(|usage| usage.input_tokens), usage.and_then(|usage| usage.output_tokens));
                        let is_failure = line.failure.is_some();
                        tally.add(is_failure, tokens, rates);
                        if bought.insert((key, line.n)) {
                            both.add(is_failure, tokens, rates);
                        }
                    }
                }
            }
        }
        let costs = JudgeCosts {
            pricing: pricing((&judge.provider, &judge.model), (judge.batch, judge.price_as_of.clone()), rates),
            all: both.finish(rates),
            arms: Arms::new(arms.map(|arm| arm.map(|tally| tally.finish(rates)))),
        };
        all.insert(judge.name.clone(), costs);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Price;
    use crate::request::{Decoding, Message, ProviderIdentity, Request, Role, Terms};
    use crate::step::RequestsWriter;
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

    #[test]
    fn a_verdict_that_two_arms_share_is_bought_once() {
        let price = Price {
            input: "1".parse().unwrap(),
            output: "10".parse().unwrap(),
            cached_input: None,
            cache_write: None,
            batch: None,
            long_prompt: None,
        };
        let rates = JudgeRates {
            name: "ours".to_owned(),
            provider: "p".to_owned(),
            model: "m".to_owned(),
            price: Some(price),
            price_as_of: None,
            batch: false,
            scorers: vec![("d".to_owned(), "judge".to_owned())],
        };
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
        let mut found = None;
        run_in_memory(&inputs, |inputs, _| {
            found = Some(judges(std::slice::from_ref(&rates), inputs)?);
            Ok(())
        })
        .unwrap();
        let costs = &found.unwrap()["ours"];
        let [control, treatment] = costs.arms.both().map(|arm| arm.unwrap().clone());
        assert_eq!((control.completed, control.failed, treatment.completed), (3, 1, 3));
        assert_eq!((costs.all.completed, costs.all.failed, costs.all.prompt_tokens), (4, 1, Some(600)));
        // 600 read at a dollar a million, 50 written at ten.
        assert_eq!((costs.all.usd, control.usd), (Some(0.0011), Some(0.0008)));
        // Without a price nothing is known of what they cost.
        let unpriced = JudgeRates { price: None, ..rates };
        let mut found = None;
        run_in_memory(&inputs, |inputs, _| {
            found = Some(judges(&[unpriced], inputs)?);
            Ok(())
        })
        .unwrap();
        assert_eq!(found.unwrap()["ours"].all.usd, None);
    }
}
