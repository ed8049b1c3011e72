//! How a provider may be asked.

use std::time::Duration;

use super::super::tree::Node;
use super::super::{AskingLimits, BatchLimits};
use super::Loader;

impl Loader<'_> {
    /// Reads the limits of asking from a provider.
    pub fn asking(&mut self, node: &Node) -> AskingLimits {
        let timeouts = node.get("timeouts");
        let mut span = |key: &str, of: Option<&Node>| self.span_of_time(key, of);
        AskingLimits {
            connect_timeout: span("connect", timeouts),
            read_timeout: span("read", timeouts),
            total_timeout: span("total", timeouts),
            first_wait: span("first_wait", Some(node)),
            max_wait: span("max_wait", Some(node)),
            max_retry_time: span("max_retry_time", Some(node)),
            max_attempts: node.integer_at("max_attempts"),
            requests_per_minute: node.integer_at("requests_per_minute"),
            tokens_per_minute: node.integer_at("tokens_per_minute"),
            max_concurrent_requests: node.integer_at("max_concurrent_requests"),
        }
    }
}

impl Loader<'_> {
    /// Reads how a provider's batches are gone about.
    pub fn batch_limits(&mut self, node: &Node) -> BatchLimits {
        let Some(of) = node.get("batch") else { return BatchLimits::default() };
        BatchLimits {
            from: of.integer_at("from"),
            max_requests: of.integer_at("max_requests"),
            max_bytes: of.integer_at("max_bytes"),
            poll: self.span_of_time("poll", Some(of)),
            start_deadline: self.span_of_time("start_deadline", Some(of)),
            list_delay: self.span_of_time("list_delay", Some(of)),
            remove_files: of.boolean_at("remove_files") == Some(true),
        }
    }

    pub fn span_of_time(&mut self, key: &str, of: Option<&Node>) -> Option<Duration> {
        let value = of?.get(key)?;
        let read = duration(value.text()?);
        if read.is_none() {
            let message = "a span of time is a number with `ms`, `s`, `m` or `h`, and more than 0";
            self.error(value.span, message, "write `60s`, say");
        }
        read
    }
}

/// Reads `500ms`, `60s`, `1.5m`, `2h`: at least a millisecond, at most a week.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (digits, unit) = text.split_at(unit);
    let milliseconds = match unit {
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 60e3,
        "h" => 3600e3,
        _ => return None,
    };
    let milliseconds = digits.parse::<f64>().ok()? * milliseconds;
    (1.0..=604_800e3).contains(&milliseconds).then(|| Duration::from_millis(milliseconds as u64))
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn spans_of_time_are_read() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Some(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Some(Duration::from_hours(2)));
        for text in ["", "60", "s", "0s", "-1s", "1 s", "1d", "1e3s", "1.2.3s", "999999h", "1é"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
