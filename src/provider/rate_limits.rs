use std::time::Duration;

use jiff::Timestamp;

use super::http::Reply;
use super::retry_after::{between, moment};

/// Is what a response says of how much more may be sent; what it does not say is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests that may still be sent before the limit is reset.
    pub requests_left: Option<u64>,
    /// When that limit is reset, from now.
    pub requests_reset: Option<Duration>,
    /// Tokens that may still be used before the limit is reset.
    pub tokens_left: Option<u64>,
    /// When that limit is reset, from now.
    pub tokens_reset: Option<Duration>,
}

impl RateLimits {
    /// Reads the headers of OpenAI and its kin (`x-ratelimit-*`), else Anthropic's (`anthropic-ratelimit-*`).
    ///
    /// Of Anthropic's several limits of tokens, the one with least left counts.
    pub fn read(reply: &Reply, now: Option<Timestamp>) -> Self {
        let count = |name: &str| reply.header(name)?.trim().parse::<u64>().ok();
        let span = |name: &str| span(reply.header(name)?.trim());
        let openai = Self {
            requests_left: count("x-ratelimit-remaining-requests"),
            requests_reset: span("x-ratelimit-reset-requests"),
            tokens_left: count("x-ratelimit-remaining-tokens"),
            tokens_reset: span("x-ratelimit-reset-tokens"),
        };
        if openai != Self::default() {
            return openai;
        }
        let until = |name: &str| {
            let until = reply.header(name)?.trim().parse::<Timestamp>().ok()?;
            Some(between(moment(reply, now)?, until))
        };
        let tokens = ["tokens", "input-tokens", "output-tokens"]
            .into_iter()
            .filter_map(|what| {
                let left = count(&format!("anthropic-ratelimit-{what}-remaining"))?;
                Some((left, until(&format!("anthropic-ratelimit-{what}-reset"))))
            })
            .min();
        Self {
            requests_left: count("anthropic-ratelimit-requests-remaining"),
            requests_reset: until("anthropic-ratelimit-requests-reset"),
            tokens_left: tokens.map(|(left, _)| left),
            tokens_reset: tokens.and_then(|(_, reset)| reset),
        }
    }
}

/// Reads a span of time as OpenAI writes it: `20ms`, `1s`, `6m0s`, `1h2m3.5s`; a bare number is seconds. At most a day.
fn span(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let value: f64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        total += value
            * match &after[..unit] {
                "ms" => 1e-3,
                "s" | "" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return None,
            };
        rest = &after[unit..];
    }
    let day = Duration::from_hours(24);
    Some(Duration::try_from_secs_f64(total).unwrap_or(day).min(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(headers: &[(&str, &str)]) -> RateLimits {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        RateLimits::read(&Reply { headers, ..Reply::default() }, "2026-11-23T12:00:00Z".parse().ok())
    }

    #[test]
    fn openai_says_it_in_spans() {
        let read = limits(&[
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "20ms"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        assert_eq!((read.requests_left, read.tokens_left), (Some(59), Some(149_984)));
        assert_eq!(read.requests_reset, Some(Duration::from_millis(20)));
        assert_eq!(read.tokens_reset, Some(Duration::from_mins(6)));
        assert_eq!(span("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(span("7"), Some(Duration::from_secs(7)));
        for garbage in ["", "s", "1x", "-1s", "1.2.3s", "é"] {
            assert_eq!(span(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn anthropic_says_it_in_moments() {
        let read = limits(&[
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-11-23T12:00:30Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "9000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-23T12:01:00Z"),
            ("anthropic-ratelimit-output-tokens-remaining", "100"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-23T11:00:00Z"),
        ]);
        let expected = RateLimits {
            requests_left: Some(49),
            requests_reset: Some(Duration::from_secs(30)),
            tokens_left: Some(100),
            tokens_reset: Some(Duration::ZERO),
        };
        assert_eq!(read, expected);
        assert_eq!(limits(&[]), RateLimits::default());
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(a in ".*", b in ".*", c in ".*") {
            limits(&[("x-ratelimit-reset-tokens", &a), ("x-ratelimit-remaining-tokens", &b)]);
            limits(&[("anthropic-ratelimit-tokens-remaining", "1"), ("anthropic-ratelimit-tokens-reset", &c)]);
        }
    }
}
