use std::collections::{BTreeMap, HashSet};

use super::estimate::{Estimate, LEVEL};
use crate::ask::{Ceiling, Tariff, Tariffs};
use crate::digest::RequestKey;
use crate::flow::Money;
use crate::request::{DrawAddress, ProviderIdentity, Request};
use crate::stats::{Stratum, Stream, predicted_sum};
use crate::step::Wanted;
use crate::store::LoggedDraw;

/// How often it is resampled.
const RESAMPLES: u32 = 500;
/// How many requests of one kind are looked at: more would make no interval noticeably narrower.
const MOST: usize = 500;
/// From this number on, a dataset's arm is estimated by its own answers; below, by those of all arms.
const OWN: usize = 10;
/// Below this number, the answers of earlier runs are looked at too.
const FEW: usize = 100;

/// Names what has answers of like length: the same model, asked the same dataset under the same arm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    provider: ProviderIdentity,
    model: String,
    dataset: String,
    arm: String,
}

/// Is one request that was answered.
#[derive(Clone, Copy, Default)]
struct Seen {
    bytes: u64,
    input: u64,
    draws: u64,
    price: Money,
}

/// Is what is known and wanted of one kind.
#[derive(Default)]
struct Pool {
    /// By key, so that those that are kept are any, not the first of the dataset.
    seen: BTreeMap<RequestKey, Seen>,
    requests: HashSet<RequestKey>,
    draws: u64,
    bytes: u64,
    messages: u64,
    ceiling: Money,
    has_no_ceiling: bool,
}

/// Collects what a build would send and what is known of answers like those, and estimates what it will cost.
pub struct Estimator<'a> {
    tariffs: &'a Tariffs,
    pools: BTreeMap<Kind, Pool>,
    counted: HashSet<DrawAddress>,
    unpriced: BTreeMap<String, u64>,
    unbilled: u64,
}

/// Returns the dataset and the arm that a label of an `infer` action ends with, its part left out.
pub fn dataset_and_arm(scope: &str) -> Option<(&str, &str)> {
    let (rest, arm) = scope.rsplit_once('/')?;
    Some((rest.rsplit_once('/')?.1, arm))
}

/// Estimates input tokens by the text alone: two for seven bytes, four for each message, three for the answer's start.
fn tokens_of(bytes: u64, messages: u64) -> u64 {
    (bytes * 2).div_ceil(7) + 4 * messages + 3
}

fn bytes_of(request: &Request) -> u64 {
    request.messages.iter().map(|message| message.content.len() as u64).sum()
}

impl<'a> Estimator<'a> {
    /// Makes an estimator that goes by these tariffs, and leaves out draws that are on their way already.
    pub fn new(tariffs: &'a Tariffs, on_their_way: HashSet<DrawAddress>) -> Self {
        Self { tariffs, pools: BTreeMap::new(), counted: on_their_way, unpriced: BTreeMap::new(), unbilled: 0 }
    }

    /// Takes draws that are wanted, each once: those that were found are answers to go by, the rest are to be bought.
    pub fn take(&mut self, scope: &str, draws: &[Wanted], found: &[Option<LoggedDraw>]) {
        for (wanted, found) in draws.iter().zip(found) {
            if !self.counted.insert(wanted.address) {
                continue;
            }
            let request = &wanted.request;
            if let Some(draw) = found {
                self.observe(scope, wanted, draw);
                continue;
            }
            match self.tariffs.of(&request.provider, &request.model) {
                Tariff::Free => {}
                Tariff::Unbilled => self.unbilled += 1,
                Tariff::Unknown => *self.unpriced.entry(request.model.clone()).or_default() += 1,
                Tariff::Rated(rates) if rates.is_nothing() => {}
                Tariff::Rated(_) => {
                    let ceiling = self.tariffs.ceiling(request);
                    let Some(pool) = self.pool(scope, request) else { continue };
                    pool.requests.insert(wanted.address.request);
                    pool.draws += 1;
                    pool.bytes += bytes_of(request);
                    pool.messages += request.messages.len() as u64;
                    match ceiling {
                        Ceiling::Known(ceiling) => pool.ceiling = pool.ceiling.plus(ceiling),
                        Ceiling::Unknown => pool.has_no_ceiling = true,
                    }
                }
            }
        }
    }

    /// Takes an answer of before.
    pub fn observe(&mut self, scope: &str, wanted: &Wanted, draw: &LoggedDraw) {
        let request = &wanted.request;
        let usage = &draw.answer.usage;
        let price = self.tariffs.price(&request.provider, &request.model, usage, &draw.circumstances);
        let (Some(price), Some(input)) = (price.filter(|price| *price > Money::ZERO), usage.input_tokens) else {
            return;
        };
        let Some(pool) = self.pool(scope, request) else { return };
        let seen = pool.seen.entry(wanted.address.request).or_default();
        seen.bytes += bytes_of(request);
        seen.input += input;
        seen.draws += 1;
        seen.price = seen.price.plus(price);
        if pool.seen.len() > MOST {
            pool.seen.pop_last();
        }
    }

    fn pool(&mut self, scope: &str, request: &Request) -> Option<&mut Pool> {
        let (dataset, arm) = dataset_and_arm(scope)?;
        let (provider, model) = (request.provider.clone(), request.model.clone());
        let kind = Kind { provider, model, dataset: dataset.to_owned(), arm: arm.to_owned() };
        Some(self.pools.entry(kind).or_default())
    }

    /// Says whether anything is to be bought that has a price.
    pub fn wants_any(&self) -> bool {
        self.pools.values().any(|pool| pool.draws > 0)
    }

    /// Says whether answers of earlier runs to this model under this scope would help.
    pub fn wants(&self, scope: &str) -> bool {
        let Some((dataset, arm)) = dataset_and_arm(scope) else { return false };
        let mut needy = self.pools.iter().filter(|(kind, pool)| {
            kind.dataset == dataset && pool.draws > 0 && pool.seen.len() < if kind.arm == arm { FEW } else { OWN }
        });
        needy.next().is_some()
    }

    /// Says whether this model is to be asked for anything that has a price.
    pub fn wants_model(&self, provider: &ProviderIdentity, model: &str) -> bool {
        self.pools.iter().any(|(kind, pool)| pool.draws > 0 && kind.provider == *provider && kind.model == model)
    }

    /// Estimates.
    pub fn finish(self) -> Estimate {
        let mut estimate = Estimate {
            high: Some(0.0),
            ceiling: Some(Money::ZERO),
            unpriced: self.unpriced,
            unbilled: self.unbilled,
            ..Estimate::default()
        };
        // What is estimated by the same answers is one stratum: its errors are not independent.
        let mut groups: BTreeMap<Kind, (Vec<&Pool>, Vec<Seen>)> = BTreeMap::new();
        let tariffs = self.tariffs;
        for (kind, pool) in self.pools.iter().filter(|(_, pool)| pool.draws > 0) {
            estimate.draws += pool.draws;
            let ceiling = Some(pool.ceiling).filter(|_| !pool.has_no_ceiling);
            estimate.ceiling = estimate.ceiling.zip(ceiling).map(|(sum, more)| sum.plus(more));
            let by_arm = pool.seen.len() >= OWN;
            let key = if by_arm { kind.clone() } else { Kind { arm: String::new(), ..kind.clone() } };
            let is_like = |other: &Kind| {
                (&other.provider, &other.model, &other.dataset) == (&kind.provider, &kind.model, &kind.dataset)
                    && (!by_arm || other.arm == kind.arm)
            };
            let like = || self.pools.iter().filter(|(other, _)| is_like(other));
            let group = groups
                .entry(key)
                .or_insert_with(|| (Vec::new(), like().flat_map(|(_, pool)| pool.seen.values().copied()).collect()));
            group.0.push(pool);
        }
        let mut strata = Vec::new();
        let (mut shift, mut most) = (0.0, Some(Money::ZERO));
        for (kind, (pools, seen)) in groups {
            let sum = |of: fn(&Pool) -> u64| pools.iter().map(|pool| of(pool)).sum::<u64>();
            let (draws, bytes, messages) = (sum(|pool| pool.draws), sum(|pool| pool.bytes), sum(|pool| pool.messages));
            let ceiling = pools
                .iter()
                .map(|pool| Some(pool.ceiling).filter(|_| !pool.has_no_ceiling))
                .try_fold(Money::ZERO, |sum, ceiling| Some(sum.plus(ceiling?)));
            if seen.is_empty() {
                estimate.without_history += draws;
                let input = tokens_of(bytes / draws, messages / draws);
                let least = tariffs.estimate(&kind.provider, &kind.model, input, 0).unwrap_or_default().times(draws);
                estimate.low += least.to_f64();
                estimate.high = estimate.high.zip(ceiling).map(|(sum, ceiling)| sum + ceiling.to_f64());
                continue;
            }
            estimate.learnt_from += seen.len() as u64;
            most = most.zip(ceiling).map(|(sum, ceiling)| sum.plus(ceiling));
            let requests: u64 = pools.iter().map(|pool| pool.requests.len() as u64).sum();
            // A million tokens' price over a million: one token's would be rounded to a unit.
            let input_rate =
                tariffs.estimate(&kind.provider, &kind.model, 1_000_000, 0).unwrap_or_default().to_f64() / 1e6;
            let all = |of: fn(&Seen) -> u64| seen.iter().map(of).sum::<u64>() as f64;
            let (seen_bytes, seen_draws) = (all(|seen| seen.bytes), all(|seen| seen.draws));
            let per_byte = input_rate * all(|seen| seen.input) / seen_bytes.max(1.0);
            let mean_bytes = seen_bytes / seen_draws;
            // What an answer cost, as if its request had been of the mean length; the difference is known from the text.
            let price = |seen: &Seen| {
                let draws = seen.draws as f64;
                seen.price.to_f64() / draws - per_byte * (seen.bytes as f64 / draws - mean_bytes)
            };
            shift += per_byte * (bytes as f64 - draws as f64 * mean_bytes);
            let weight = draws as f64 / requests as f64;
            strata.push(Stratum { known: seen.iter().map(price).collect(), missing: requests, weight });
        }
        let mut stream = Stream::derive(0, "price of a build");
        if let Some(found) = predicted_sum(&strata, LEVEL, RESAMPLES, &mut stream) {
            let most = most.map_or(f64::INFINITY, Money::to_f64);
            estimate.low += (found.lower + shift).clamp(0.0, most);
            estimate.high = estimate.high.map(|high| high + (found.upper + shift).clamp(0.0, most));
        }
        estimate
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ask::Rates;
    use crate::request::{Answer, AnswerStatus, Circumstances, Decoding, Message, Role, Terms, Usage};

    /// Is one answered draw of a history: the arm, its request, and what came.
    struct Past {
        scope: String,
        wanted: Wanted,
        draw: LoggedDraw,
    }

    fn identity() -> ProviderIdentity {
        ProviderIdentity("p".into())
    }

    /// 0.40 and 1.60 dollars for a million tokens.
    fn tariffs() -> Tariffs {
        let rate = |text: &str| Money::per_token(text.parse().unwrap()).unwrap();
        let mut tariffs = Tariffs::default();
        let rates = Rates { input: rate("0.4"), output: rate("1.6"), ..Rates::default() };
        tariffs.add(identity(), "m", Tariff::Rated(rates), false, None);
        tariffs.add(ProviderIdentity("own".into()), "m", Tariff::Unbilled, false, None);
        tariffs
    }

    fn past(arm: &str, question: &str, number: u32, input: u64, output: u64) -> Past {
        let request = Request {
            terms: Terms {
                decoding: Decoding { max_output_tokens: Some(1024), ..Decoding::default() },
                draw_salt: Some(arm.to_owned()),
                ..Terms::new(identity(), "m")
            }
            .into(),
            messages: vec![Message::new(Role::System, "Answer."), Message::new(Role::User, question)],
            recording: None,
        };
        let address = DrawAddress { request: request.key(), generation: 0, number };
        let answer = Answer {
            status: AnswerStatus::Stop,
            text: String::new(),
            reasoning: None,
            finish_reason: None,
            served_model: None,
            usage: Usage { input_tokens: Some(input), output_tokens: Some(output), reasoning_tokens: None },
        };
        let circumstances = Circumstances { bought: Some("online".into()), ..Circumstances::default() };
        Past {
            scope: format!("m/t0/d/{arm}"),
            wanted: Wanted { item: question.to_owned(), request: Arc::new(request), address },
            draw: LoggedDraw { address, answer, circumstances, raw: Vec::new() },
        }
    }

    fn normal(stream: &mut Stream) -> f64 {
        crate::stats::special::normal_quantile(stream.uniform() + 1e-17)
    }

    /// Makes a history of two arms: questions of many lengths, and answers of lognormal length, cut at the limit. A hard
    /// item is answered at length under both arms.
    fn lognormal(items: u32, spread: f64, draws: u32, stream: &mut Stream) -> Vec<Past> {
        let mut history = Vec::new();
        for item in 0..items {
            let bytes = 80.0 * libm::exp(0.5 * normal(stream));
            let question = format!("{item} {}", "x".repeat(bytes as usize));
            let hard = 0.3 * normal(stream);
            for (arm, level) in [("control", 3.5), ("steps", 5.0)] {
                for number in 0..draws {
                    let length = libm::exp(level + spread * (hard + normal(stream)));
                    let input = (question.len() as f64 * (0.27 + 0.02 * normal(stream))).max(1.0) as u64 + 12;
                    history.push(past(arm, &question, number, input, length.clamp(1.0, 1024.0) as u64));
                }
            }
        }
        history
    }

    /// Splits a history at random 200 times, a share of its items known and the rest to be bought; returns the share of
    /// splits in which the interval held the true cost, and the median of its width over that cost.
    fn coverage(history: &[Past], known: f64, stream: &mut Stream) -> (f64, f64) {
        let tariffs = tariffs();
        let items: Vec<&String> = history
            .iter()
            .map(|past| &past.wanted.item)
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let (mut held, mut widths) = (0, Vec::new());
        for _ in 0..200 {
            let mut left = items.clone();
            let n = (known * items.len() as f64) as usize;
            let chosen: HashSet<&String> =
                (0..n).map(|_| left.swap_remove(stream.below(left.len() as u32) as usize)).collect();
            let mut estimator = Estimator::new(&tariffs, HashSet::new());
            let mut cost = Money::ZERO;
            for past in history {
                let is_known = chosen.contains(&past.wanted.item);
                let found = is_known.then(|| past.draw.clone());
                estimator.take(&past.scope, std::slice::from_ref(&past.wanted), &[found]);
                if !is_known {
                    let (usage, how) = (&past.draw.answer.usage, &past.draw.circumstances);
                    cost = cost.plus(tariffs.price(&identity(), "m", usage, how).unwrap());
                }
            }
            let estimate = estimator.finish();
            assert_eq!(estimate.without_history, 0);
            let (cost, high) = (cost.to_f64(), estimate.high.unwrap());
            assert!(high <= estimate.ceiling.unwrap().to_f64());
            held += u32::from(estimate.low <= cost && cost <= high);
            widths.push((high - estimate.low) / cost);
        }
        widths.sort_unstable_by(f64::total_cmp);
        (f64::from(held) / 200.0, widths[100])
    }

    #[track_caller]
    fn holds(what: &str, history: &[Past], known: f64, stream: &mut Stream) {
        let (share, width) = coverage(history, known, stream);
        println!("{what}: {known} known: held in {share}, median width {width:.3} of the cost");
        assert!((0.85..=0.95).contains(&share), "{what}: held in {share}");
        assert!(width <= 0.5, "{what}: median width {width} of the cost");
    }

    #[test]
    fn the_interval_holds_the_true_cost_of_made_histories() {
        let mut stream = Stream::derive(3, "histories");
        for (spread, draws, known) in [(0.6, 1, 0.1), (0.6, 1, 0.5), (1.0, 1, 0.3), (0.6, 3, 0.2)] {
            let history = lognormal(300, spread, draws, &mut stream);
            holds(&format!("lognormal {spread}, {draws} draws"), &history, known, &mut stream);
        }
    }

    /// Takes what four systems answered to real questions, a token for four bytes.
    #[test]
    fn the_interval_holds_the_true_cost_of_real_histories() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/gsm8k/example_model_solutions.jsonl");
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: ../shared is absent");
            return;
        };
        let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut stream = Stream::derive(4, "real histories");
        for system in ["6b_finetuning", "175b_verification"] {
            let answers = rows.iter().filter_map(|row| {
                let (question, answer) = (row["question"].as_str()?, row[system]["solution"].as_str()?);
                let tokens = |text: &str| text.len().div_ceil(4) as u64;
                Some(past("control", question, 0, tokens(question) + 12, tokens(answer)))
            });
            let history: Vec<Past> = answers.take(500).collect();
            assert_eq!(history.len(), 500, "{system}");
            for known in [0.1, 0.4] {
                holds(system, &history, known, &mut stream);
            }
        }
    }
}
