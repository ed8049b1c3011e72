use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::http::Reply;

/// Is the longest wait that is believed; whoever asks for more is understood to ask for this much.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Reads how long a server asks to wait: `retry-after-ms`, else `retry-after` in seconds (a fraction is fine) or as a date.
///
/// A date counts from the response's own `date`, else from `now`; one that has passed asks for no wait. What is negative or
/// no number says nothing (`None`). The result is at most a year.
pub fn retry_after(reply: &Reply, now: Option<Timestamp>) -> Option<Duration> {
    let number = |name: &str, unit: f64| reply.header(name).and_then(|text| seconds(text.trim(), unit));
    number("retry-after-ms", 1e-3).or_else(|| number("retry-after", 1.0)).or_else(|| {
        let until = date(reply.header("retry-after")?)?;
        Some(between(moment(reply, now)?, until))
    })
}

/// Returns when a response was sent, by its own clock, else by the caller's.
pub(super) fn moment(reply: &Reply, now: Option<Timestamp>) -> Option<Timestamp> {
    reply.header("date").and_then(date).or(now)
}

/// Returns the time from one moment to another; none is left once it has passed.
pub(super) fn between(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or_default().min(LONGEST)
}

fn seconds(text: &str, unit: f64) -> Option<Duration> {
    // The parser of the standard library also takes `inf`, `nan` and `+1`.
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let value = text.parse::<f64>().ok().filter(|value| is_number && !value.is_nan())?;
    Some(Duration::try_from_secs_f64(value * unit).unwrap_or(LONGEST).min(LONGEST))
}

/// Reads a date of HTTP (RFC 9110, 5.6.7): the usual form and the two obsolete ones.
fn date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let usual = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok();
    usual.or_else(|| {
        let parsed = |format: &str| jiff::fmt::strtime::parse(format, text).ok()?.to_datetime().ok();
        let obsolete = parsed("%A, %d-%b-%y %H:%M:%S GMT").or_else(|| parsed("%a %b %e %H:%M:%S %Y"))?;
        jiff::tz::TimeZone::UTC.to_timestamp(obsolete).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::super::RateLimits;
    use super::*;

    fn wait(headers: &[(&str, &str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let now = "2026-11-23T12:00:00Z".parse().ok();
        retry_after(&Reply { headers, ..Reply::default() }, now)
    }

    #[test]
    fn every_form_is_read() {
        let after = |text| wait(&[("retry-after", text)]);
        assert_eq!(after("3"), Some(Duration::from_secs(3)));
        assert_eq!(after(" 0.25 "), Some(Duration::from_millis(250)));
        assert_eq!(after("0"), Some(Duration::ZERO));
        assert_eq!(after("1e9"), Some(LONGEST));
        assert_eq!(after("1e400"), Some(LONGEST));
        assert_eq!(after("Mon, 23 Nov 2026 12:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(after("Monday, 23-Nov-26 12:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(after("Mon Nov 23 12:00:30 2026"), Some(Duration::from_secs(30)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("Wed, 21 Oct 9999 07:28:00 GMT"), Some(LONGEST));
        for garbage in ["", "soon", "-1", "nan", "inf", "+3", "1 minute", "2026-11-23"] {
            assert_eq!(after(garbage), None, "{garbage}");
        }
        let both = [("retry-after-ms", "1500"), ("retry-after", "9")];
        assert_eq!(wait(&both), Some(Duration::from_millis(1500)));
        assert_eq!(wait(&[("retry-after-ms", "x"), ("retry-after", "9")]), Some(Duration::from_secs(9)));
        let dated = [("date", "Mon, 23 Nov 2026 13:00:00 GMT"), ("retry-after", "Mon, 23 Nov 2026 13:00:05 GMT")];
        assert_eq!(wait(&dated), Some(Duration::from_secs(5)));
        assert_eq!(wait(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_and_nothing_is_longer_than_a_year(ms in ".*", after in ".*", date in ".*") {
            let headers = [("retry-after-ms", &*ms), ("retry-after", &*after), ("date", &*date)];
            proptest::prop_assert!(wait(&headers).is_none_or(|wait| wait <= LONGEST));
        }

        #[test]
        fn any_number_of_seconds_is_that_many(seconds in 0.0..1e7_f64) {
            let read = wait(&[("retry-after", &seconds.to_string())]).unwrap();
            proptest::prop_assert!((read.as_secs_f64() - seconds).abs() < 1e-6);
        }
    }

    /// Whatever the headers say, nobody waits for longer than a year, nor for a limit longer than that.
    #[test]
    fn fuzzed() {
        crate::mutations::fuzz("headers", 1, |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let headers = text.lines().filter_map(|line| line.split_once(':'));
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let reply = Reply { headers, ..Reply::default() };
            for now in ["2026-11-23T12:00:00Z".parse().ok(), None] {
                let limits = RateLimits::read(&reply, now);
                let waits = [retry_after(&reply, now), limits.requests_reset, limits.tokens_reset];
                assert!(waits.into_iter().flatten().all(|wait| wait <= LONGEST));
            }
        });
    }
}
