use crate::digest::Decimal;
use crate::flow::Money;
use crate::request::{Circumstances, Usage};

/// Is what tokens of a model cost, each rate for one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Input.
    pub input: Money,
    /// Output, reasoning included.
    pub output: Money,
    /// Input that the provider read from its prompt cache; absent: as other input.
    pub cached_input: Option<Money>,
    /// Input that the provider wrote to its prompt cache; absent: as other input.
    pub cache_write: Option<Money>,
    /// What a request costs that is bought in a batch, as a share of its price; absent: all of it.
    pub batch: Option<Decimal>,
    /// Other rates for long prompts.
    pub long_prompt: Option<LongPrompt>,
}

/// Is what all tokens of a request cost whose input is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPrompt {
    /// Input tokens beyond which it applies.
    pub above: u64,
    /// Input; what is read from and written to the prompt cache changes in proportion.
    pub input: Money,
    /// Output.
    pub output: Money,
}

impl Rates {
    /// Returns the rates that apply to a request with so many input tokens.
    #[must_use]
    pub fn at(&self, input_tokens: u64) -> Self {
        let Some(long) = self.long_prompt.filter(|long| input_tokens > long.above) else { return *self };
        let in_proportion = |rate: Option<Money>| Some(rate?.in_proportion(long.input, self.input));
        Self {
            input: long.input,
            output: long.output,
            cached_input: in_proportion(self.cached_input),
            cache_write: in_proportion(self.cache_write),
            ..*self
        }
    }

    /// Returns the price of so many tokens, without any of the prompt cache's rates.
    pub fn plain(&self, input_tokens: u64, output_tokens: u64, in_batch: bool) -> Money {
        let rates = self.at(input_tokens);
        self.discounted(rates.input.times(input_tokens).plus(rates.output.times(output_tokens)), in_batch)
    }

    /// Returns the price of an answer; `None` where a count is missing.
    ///
    /// The input tokens of `usage` are all of the input; the circumstances say how many of them the provider read from or
    /// wrote to its prompt cache, and whether the answer was bought in a batch.
    pub fn price(&self, usage: &Usage, circumstances: &Circumstances) -> Option<Money> {
        let (input, output) = (usage.input_tokens?, usage.output_tokens?);
        let cached = circumstances.cached_tokens.unwrap_or(0).min(input);
        let written = circumstances.cache_write_tokens.unwrap_or(0).min(input - cached);
        let rates = self.at(input);
        let price = rates
            .input
            .times(input - cached - written)
            .plus(rates.cached_input.unwrap_or(rates.input).times(cached))
            .plus(rates.cache_write.unwrap_or(rates.input).times(written))
            .plus(rates.output.times(output));
        Some(self.discounted(price, circumstances.bought.as_deref() == Some("batch")))
    }

    /// Returns the most that a request can cost that has at most so many tokens of each kind.
    pub fn at_most(&self, input_tokens: u64, output_tokens: u64, in_batch: bool) -> Money {
        let price = |rates: Self| {
            let kinds = [Some(rates.input), rates.cache_write, rates.cached_input];
            let dearest = kinds.into_iter().flatten().max().unwrap_or(rates.input);
            dearest.times(input_tokens).plus(rates.output.times(output_tokens))
        };
        // The tokens are an upper bound: the request may turn out to be a short one after all.
        self.discounted(price(*self).max(price(self.at(input_tokens))), in_batch)
    }

    /// Says whether every token is free.
    pub fn is_nothing(&self) -> bool {
        let long = self.long_prompt.map_or([Money::ZERO; 2], |long| [long.input, long.output]);
        let own =
            [self.input, self.output, self.cached_input.unwrap_or_default(), self.cache_write.unwrap_or_default()];
        own.iter().chain(&long).all(|rate| *rate == Money::ZERO)
    }

    fn discounted(&self, price: Money, in_batch: bool) -> Money {
        // A factor below zero cannot be written in a config; it would leave the price as it is.
        let factor = self.batch.filter(|_| in_batch);
        factor.and_then(|factor| price.scaled_by(factor)).unwrap_or(price)
    }

    /// Takes the dearer rate of each kind.
    #[must_use]
    pub fn dearer(self, other: Self) -> Self {
        let both = |a: Option<Money>, a_input, b: Option<Money>, b_input| {
            (a.is_some() || b.is_some()).then(|| a.unwrap_or(a_input).max(b.unwrap_or(b_input)))
        };
        let long_prompt = match (self.long_prompt, other.long_prompt) {
            (Some(a), Some(b)) => Some(LongPrompt {
                above: a.above.min(b.above),
                input: a.input.max(b.input),
                output: a.output.max(b.output),
            }),
            (a, b) => a.or(b),
        };
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cached_input: both(self.cached_input, self.input, other.cached_input, other.input),
            cache_write: both(self.cache_write, self.input, other.cache_write, other.input),
            batch: self.batch.zip(other.batch).map(|(a, b)| a.max(b)),
            long_prompt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Money {
        Money::per_token(text.parse().unwrap()).unwrap()
    }

    fn usd(text: &str) -> Money {
        Money::usd(text.parse().unwrap()).unwrap()
    }

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input_tokens: Some(input), output_tokens: Some(output), reasoning_tokens: Some(output) }
    }

    fn rates() -> Rates {
        Rates {
            input: rate("3"),
            output: rate("15"),
            cached_input: Some(rate("0.3")),
            cache_write: Some(rate("3.75")),
            batch: Some("0.5".parse().unwrap()),
            long_prompt: Some(LongPrompt { above: 200_000, input: rate("6"), output: rate("22.5") }),
        }
    }

    #[test]
    fn each_kind_of_token_has_its_rate() {
        let plain = Circumstances::default();
        assert_eq!(rates().price(&usage(1000, 100), &plain), Some(usd("0.0045")));
        let circumstances =
            Circumstances { cached_tokens: Some(600), cache_write_tokens: Some(300), ..Circumstances::default() };
        // 100 at 3, 600 at 0.30, 300 at 3.75, 100 at 15.
        assert_eq!(rates().price(&usage(1000, 100), &circumstances), Some(usd("0.003105")));
        let batch = Circumstances { bought: Some("batch".into()), ..circumstances.clone() };
        assert_eq!(rates().price(&usage(1000, 100), &batch), Some(usd("0.0015525")));
        // A provider that counts more read from its prompt cache than there was input is not paid less than nothing.
        assert_eq!(rates().price(&usage(500, 0), &circumstances), Some(usd("0.00015")));
        // Without rates of their own they are as other input.
        let bare = Rates { input: rate("3"), output: rate("15"), ..Rates::default() };
        assert_eq!(bare.price(&usage(1000, 100), &batch), Some(usd("0.0045")));
    }

    #[test]
    fn a_missing_count_is_no_price() {
        for usage in [Usage { output_tokens: None, ..usage(1, 1) }, Usage { input_tokens: None, ..usage(1, 1) }] {
            assert_eq!(rates().price(&usage, &Circumstances::default()), None);
        }
    }

    #[test]
    fn a_long_prompt_has_rates_of_its_own() {
        let plain = Circumstances::default();
        assert_eq!(rates().price(&usage(200_000, 1000), &plain), Some(usd("0.615")));
        assert_eq!(rates().price(&usage(200_001, 1000), &plain), Some(usd("1.222506")));
        let cached = Circumstances { cached_tokens: Some(300_000), ..Circumstances::default() };
        assert_eq!(rates().price(&usage(300_000, 0), &cached), Some(usd("0.18")));
        assert_eq!(rates().plain(300_000, 1000, true), usd("0.91125"));
    }

    #[test]
    fn the_most_is_never_less_than_the_price() {
        let kinds = [None, Some(0), Some(70), Some(250_000)];
        for input in [0, 1, 199_999, 200_000, 200_001, 400_000] {
            for cached_tokens in kinds {
                for cache_write_tokens in kinds {
                    let circumstances = Circumstances { cached_tokens, cache_write_tokens, ..Circumstances::default() };
                    let price = rates().price(&usage(input, 300), &circumstances).unwrap();
                    for bound in [input, input + 1, input * 2] {
                        assert!(price <= rates().at_most(bound, 300, false), "{input} {circumstances:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_dearer_of_two_is_dear_in_everything() {
        let other = Rates { input: rate("4"), output: rate("1"), ..Rates::default() };
        let both = rates().dearer(other);
        assert_eq!((both.input, both.output), (rate("4"), rate("15")));
        assert_eq!((both.cached_input, both.cache_write), (Some(rate("4")), Some(rate("4"))));
        assert_eq!((both.batch, both.long_prompt), (None, rates().long_prompt));
        assert!(!both.is_nothing() && Rates::default().is_nothing());
    }
}
