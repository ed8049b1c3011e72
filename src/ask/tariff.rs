use std::collections::BTreeMap;

use super::Rates;
use crate::flow::Money;
use crate::request::{Circumstances, ProviderIdentity, Request, Usage};

/// Says what a model's answers cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tariff {
    /// Nothing: it is embedded here.
    Free,
    /// It runs on a server of one's own and has no price: nobody sends a bill, but what it costs is not known.
    Unbilled,
    /// These rates.
    Rated(Rates),
    /// Nobody said.
    Unknown,
}

/// Is the most that one attempt at a request can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// No more than this.
    Known(Money),
    /// There is no price, or nothing limits the length of the answer.
    Unknown,
}

/// Holds the tariff of each model, by who answers and the model's id.
#[derive(Clone, Debug, Default)]
pub struct Tariffs(BTreeMap<ProviderIdentity, BTreeMap<String, Entry>>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    tariff: Tariff,
    in_batch: bool,
    max_output: Option<u64>,
}

/// Bounds the tokens that a server adds around one message: its role and the marks of its template.
const MESSAGE_OVERHEAD: u64 = 32;
/// Bounds the tokens that a server adds to a request: a default system prompt, the start of the answer.
const REQUEST_OVERHEAD: u64 = 256;
/// Are the fields of a body that limit the length of an answer, in the words of the protocols.
const LIMITS: [&str; 4] = ["max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict"];
/// Are the fields of a body that ask for several answers at once.
const COPIES: [&str; 2] = ["n", "best_of"];

impl Tariffs {
    /// Sets the tariff of a model. `in_batch`: its requests are bought in batches. `max_output`: no answer is longer, in
    /// tokens, where a request states no limit.
    ///
    /// Two entries of one model (two names in a config) become one, so that no ceiling is too low: the dearer rate of each
    /// kind, no price before any, and in batches only where both are.
    pub fn add(
        &mut self,
        provider: ProviderIdentity,
        model: impl Into<String>,
        tariff: Tariff,
        in_batch: bool,
        max_output: Option<u64>,
    ) {
        let merge = |known: &mut Entry| {
            known.tariff = match (known.tariff, tariff) {
                (Tariff::Unknown, _) | (_, Tariff::Unknown) => Tariff::Unknown,
                (Tariff::Rated(a), Tariff::Rated(b)) => Tariff::Rated(a.dearer(b)),
                (rated @ Tariff::Rated(_), _) | (_, rated @ Tariff::Rated(_)) => rated,
                (Tariff::Unbilled, _) | (_, Tariff::Unbilled) => Tariff::Unbilled,
                (Tariff::Free, Tariff::Free) => Tariff::Free,
            };
            known.in_batch &= in_batch;
            known.max_output = known.max_output.zip(max_output).map(|(a, b)| a.max(b));
        };
        let entry = Entry { tariff, in_batch, max_output };
        self.0.entry(provider).or_default().entry(model.into()).and_modify(merge).or_insert(entry);
    }

    /// Returns a model's tariff; one that was never set is unknown.
    pub fn of(&self, provider: &ProviderIdentity, model: &str) -> Tariff {
        self.entry(provider, model).map_or(Tariff::Unknown, |entry| entry.tariff)
    }

    fn entry(&self, provider: &ProviderIdentity, model: &str) -> Option<&Entry> {
        self.0.get(provider)?.get(model)
    }

    /// Returns the most that one attempt at a request can cost.
    ///
    /// Input is bounded by the bytes of what is sent, since a token stands for a byte of text at least: the UTF-8 bytes of
    /// all messages and, as JSON, of the further fields of the body (a schema), 32 tokens for each message and 256 for the
    /// request. Output is bounded by the largest limit that the request states, else by what was set for the model, times
    /// the number of answers that it asks for. Each token is counted at the dearest rate that can apply to it.
    pub fn ceiling(&self, request: &Request) -> Ceiling {
        let Some(entry) = self.entry(&request.provider, &request.model) else { return Ceiling::Unknown };
        let rates = match entry.tariff {
            Tariff::Free | Tariff::Unbilled => return Ceiling::Known(Money::ZERO),
            Tariff::Unknown => return Ceiling::Unknown,
            Tariff::Rated(rates) if rates.is_nothing() => return Ceiling::Known(Money::ZERO),
            Tariff::Rated(rates) => rates,
        };
        let Some(most) = most_output_tokens(request).or(entry.max_output) else { return Ceiling::Unknown };
        let stated = COPIES.iter().filter_map(|name| request.extra.get(*name)?.as_u64()).max();
        let output = most.saturating_mul(stated.unwrap_or(1).max(1));
        Ceiling::Known(rates.at_most(most_input_tokens(request), output, entry.in_batch))
    }

    /// Returns the price of an answer; `None`: it is not known, because there is no price or a count is missing.
    ///
    /// What was embedded here, or taken in from elsewhere, cost nothing here.
    pub fn price(
        &self,
        provider: &ProviderIdentity,
        model: &str,
        usage: &Usage,
        circumstances: &Circumstances,
    ) -> Option<Money> {
        if matches!(circumstances.bought.as_deref(), Some("embedded" | "ingested")) {
            return Some(Money::ZERO);
        }
        match self.of(provider, model) {
            Tariff::Free => Some(Money::ZERO),
            Tariff::Unbilled | Tariff::Unknown => None,
            Tariff::Rated(rates) if rates.is_nothing() => Some(Money::ZERO),
            Tariff::Rated(rates) => rates.price(usage, circumstances),
        }
    }

    /// Returns the price of a request with so many tokens, bought as this model's requests are; `None`: there is no price.
    pub fn estimate(&self, provider: &ProviderIdentity, model: &str, input: u64, output: u64) -> Option<Money> {
        let entry = self.entry(provider, model)?;
        match entry.tariff {
            Tariff::Free => Some(Money::ZERO),
            Tariff::Unbilled | Tariff::Unknown => None,
            Tariff::Rated(rates) => Some(rates.plain(input, output, entry.in_batch)),
        }
    }
}

fn most_input_tokens(request: &Request) -> u64 {
    let messages = request.messages.iter().map(|message| message.content.len() as u64 + MESSAGE_OVERHEAD);
    let extra = request.extra.iter().map(|(name, value)| name.len() as u64 + value.to_string().len() as u64);
    messages.chain(extra).sum::<u64>() + REQUEST_OVERHEAD
}

/// Returns the largest limit that the request states, in tokens: one in the further fields may replace the decoding's.
fn most_output_tokens(request: &Request) -> Option<u64> {
    let stated = LIMITS.iter().filter_map(|name| request.extra.get(*name)?.as_u64());
    stated.chain(request.decoding.max_output_tokens.map(u64::from)).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Decoding, Message, Role, Terms};

    fn provider(name: &str) -> ProviderIdentity {
        ProviderIdentity(name.to_owned())
    }

    fn rates(input: &str, output: &str) -> Rates {
        let rate = |text: &str| Money::per_token(text.parse().unwrap()).unwrap();
        Rates { input: rate(input), output: rate(output), ..Rates::default() }
    }

    fn request(text: &str, max_output_tokens: Option<u32>) -> Request {
        Request {
            terms: Terms {
                decoding: Decoding { max_output_tokens, ..Decoding::default() },
                ..Terms::new(provider("p"), "m")
            }
            .into(),
            messages: vec![Message::new(Role::System, "S"), Message::new(Role::User, text)],
            recording: None,
        }
    }

    fn tariffs(tariff: Tariff) -> Tariffs {
        let mut tariffs = Tariffs::default();
        tariffs.add(provider("p"), "m", tariff, false, None);
        tariffs
    }

    fn micros(n: u64) -> Ceiling {
        Ceiling::Known(Money::per_token("1".parse().unwrap()).unwrap().times(n))
    }

    #[test]
    fn a_ceiling_counts_every_byte_and_the_longest_answer() {
        let rated = tariffs(Tariff::Rated(rates("1", "2")));
        // One byte and four, twice 32, 256; and twice 10 for output.
        assert_eq!(rated.ceiling(&request("übe", Some(10))), micros(1 + 4 + 64 + 256 + 20));
        assert_eq!(rated.ceiling(&request("", None)), Ceiling::Unknown);
        let mut wide = request("", Some(10));
        wide.terms_mut().extra.insert("n".into(), 3.into());
        wide.terms_mut().extra.insert("max_tokens".into(), 20.into());
        // The further fields are 2 and 12 bytes.
        assert_eq!(rated.ceiling(&wide), micros(1 + 64 + 256 + 14 + 120));
        let mut limited = Tariffs::default();
        limited.add(provider("p"), "m", Tariff::Rated(rates("1", "2")), false, Some(5));
        assert_eq!(limited.ceiling(&request("", None)), micros(1 + 64 + 256 + 10));
    }

    #[test]
    fn what_nobody_bills_has_a_ceiling_and_what_nobody_priced_has_none() {
        let unlimited = request("x", None);
        let plain = Circumstances::default();
        let usage = Usage { input_tokens: Some(1), output_tokens: Some(1), reasoning_tokens: None };
        let cases = [
            (Tariff::Free, Ceiling::Known(Money::ZERO), Some(Money::ZERO)),
            (Tariff::Rated(Rates::default()), Ceiling::Known(Money::ZERO), Some(Money::ZERO)),
            (Tariff::Unbilled, Ceiling::Known(Money::ZERO), None),
            (Tariff::Unknown, Ceiling::Unknown, None),
        ];
        for (tariff, ceiling, price) in cases {
            let tariffs = tariffs(tariff);
            assert_eq!(tariffs.ceiling(&unlimited), ceiling, "{tariff:?}");
            assert_eq!(tariffs.price(&provider("p"), "m", &usage, &plain), price, "{tariff:?}");
        }
        let none = Tariffs::default();
        assert_eq!((none.ceiling(&unlimited), none.of(&provider("p"), "m")), (Ceiling::Unknown, Tariff::Unknown));
        for bought in ["embedded", "ingested"] {
            let circumstances = Circumstances { bought: Some(bought.into()), ..Circumstances::default() };
            assert_eq!(none.price(&provider("p"), "m", &usage, &circumstances), Some(Money::ZERO));
        }
    }

    #[test]
    fn a_missing_usage_is_unknown_and_never_nothing() {
        let rated = tariffs(Tariff::Rated(rates("1", "2")));
        assert_eq!(rated.price(&provider("p"), "m", &Usage::default(), &Circumstances::default()), None);
    }

    #[test]
    fn two_names_of_one_model_make_no_ceiling_too_low() {
        let mut tariffs = tariffs(Tariff::Rated(rates("1", "9")));
        tariffs.add(provider("p"), "m", Tariff::Rated(rates("2", "3")), true, None);
        assert_eq!(tariffs.of(&provider("p"), "m"), Tariff::Rated(rates("2", "9")));
        tariffs.add(provider("p"), "m", Tariff::Free, false, None);
        assert_eq!(tariffs.of(&provider("p"), "m"), Tariff::Rated(rates("2", "9")));
        tariffs.add(provider("p"), "m", Tariff::Unknown, false, None);
        assert_eq!(tariffs.of(&provider("p"), "m"), Tariff::Unknown);
        assert_eq!(tariffs.of(&provider("p"), "other"), Tariff::Unknown);
    }

    #[test]
    fn batches_are_estimated_at_their_price() {
        let mut tariffs = Tariffs::default();
        let half = Rates { batch: Some("0.5".parse().unwrap()), ..rates("2", "4") };
        tariffs.add(provider("p"), "m", Tariff::Rated(half), true, None);
        let price = tariffs.estimate(&provider("p"), "m", 10, 5);
        assert_eq!(price.map(Ceiling::Known), Some(micros(20)));
        assert_eq!(tariffs.ceiling(&request("", Some(0))), micros(1 + 64 + 256));
    }
}
