use std::collections::BTreeMap;

use super::finish::thousands;
use crate::digest::Decimal;
use crate::flow::Money;

/// Is the level of the interval of a price.
pub(super) const LEVEL: f64 = 0.9;

/// Is what a build would cost, in US dollars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// How many draws have a price and are not there.
    pub draws: u64,
    /// The interval, at 90 %, where every price rests on answers of before; else its ends are those of what is known and the
    /// least and the most of the rest.
    pub low: f64,
    /// Its upper end; none where nothing bounds the length of some answer.
    pub high: Option<f64>,
    /// The most that it can cost without repeated attempts; none where nothing bounds some answer.
    pub ceiling: Option<Money>,
    /// How many draws have no answers of before to go by.
    pub without_history: u64,
    /// How many requests of before were gone by.
    pub learnt_from: u64,
    /// How many draws have no price, by model.
    pub unpriced: BTreeMap<String, u64>,
    /// How many draws go to servers of one's own that have no price.
    pub unbilled: u64,
    /// How many verdicts, by model, are asked for at a price once the answers are there that they are about.
    pub later: BTreeMap<String, u64>,
    /// Whether nothing bounds the length of some of these verdicts.
    pub is_later_endless: bool,
}

impl Estimate {
    /// Returns what is to be reckoned with: the upper end of the interval; none where nothing bounds it.
    pub fn upper(&self) -> Option<Money> {
        if self.draws == 0 { Some(Money::ZERO) } else { self.high.map(money) }
    }

    /// Says whether something would be bought that has no price.
    pub fn has_unpriced(&self) -> bool {
        !self.unpriced.is_empty()
    }

    /// Writes the price in a few words: `$0.10 to $0.31`, `at most $2.10`.
    pub fn words(&self) -> String {
        let known = match (self.draws, self.high) {
            (0, _) => None,
            (_, None) => Some(format!("at least {}, and nothing bounds it", money(self.low))),
            (_, Some(high)) if self.without_history == self.draws => Some(format!("at most {}", money(high))),
            (_, Some(high)) => Some(format!("{} to {}", money(self.low), money(high))),
        };
        if !self.later.is_empty() {
            return format!("{}, and the verdicts on answers to come", known.unwrap_or_else(|| "$0.00".to_owned()));
        }
        match (known, self.has_unpriced()) {
            (None, false) => "$0.00".to_owned(),
            (None, true) => "price unknown".to_owned(),
            (Some(known), false) => known,
            (Some(known), true) => format!("{known}, and what has no price"),
        }
    }

    /// Explains the price, a sentence a line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let draws = |n: u64| if n == 1 { "1 request".to_owned() } else { format!("{} requests", thousands(n)) };
        if self.draws > 0 {
            let priced = draws(self.draws);
            let learnt = draws(self.learnt_from);
            let ceiling = self.ceiling.map_or_else(String::new, |ceiling| format!("; at most {ceiling}"));
            let why = match (self.without_history, self.high) {
                (0, _) => format!(
                    "price of {priced}: {} (90 % interval; input from the text, output by {learnt} answered before{ceiling})",
                    self.words_of_interval()
                ),
                (_, None) => format!(
                    "price of {priced}: at least {}; nothing bounds the length of some answers: set `max_output_tokens`",
                    money(self.low)
                ),
                (without, Some(high)) if without == self.draws => format!(
                    "price of {priced}: at most {} (no answers of before to estimate by; `exp build --pilot 20` gets some)",
                    money(high)
                ),
                (without, Some(_)) => format!(
                    "price of {priced}: {} (90 % interval by {learnt} answered before, and {} from the least to the most{ceiling})",
                    self.words_of_interval(),
                    draws(without)
                ),
            };
            lines.push(why);
        }
        for (model, count) in &self.unpriced {
            let hint = "write `price: {input: …, output: …, as_of: …}` for the model";
            lines.push(format!("price of {} to `{model}`: unknown; {hint}", draws(*count)));
        }
        for (model, count) in &self.later {
            let verdicts = if *count == 1 { "1 verdict".to_owned() } else { format!("{} verdicts", thousands(*count)) };
            lines.push(format!(
                "up to {verdicts} of `{model}` on answers that are not there yet: their price is known when they are"
            ));
        }
        if self.unbilled > 0 {
            lines.push(format!("{} to servers of your own, which have no price", draws(self.unbilled)));
        }
        lines
    }

    fn words_of_interval(&self) -> String {
        let high = self.high.map_or_else(|| "?".to_owned(), |high| money(high).to_string());
        format!("{} to {high}", money(self.low))
    }

    /// Returns the estimate for `--json`.
    pub fn document(&self) -> serde_json::Value {
        serde_json::json!({
            "requests": self.draws,
            "interval": {"level": LEVEL, "low": rounded(self.low), "high": self.high.map(rounded)},
            "ceiling": self.ceiling.map(Money::to_f64),
            "without_history": self.without_history,
            "learnt_from": self.learnt_from,
            "unpriced": self.unpriced,
            "unbilled": self.unbilled,
            "later": self.later,
        })
    }
}

/// Takes an estimate to the millionth of a dollar: its further digits mean nothing.
fn rounded(usd: f64) -> f64 {
    (usd * 1e6).round() / 1e6
}

fn money(usd: f64) -> Money {
    Decimal::from_f64(rounded(usd.max(0.0))).and_then(Money::usd).unwrap_or(Money::MAX)
}
