use std::time::Duration;

use super::Policy;
use crate::provider::RateLimits;

/// Decides how many requests may be in flight to one provider, and when the next one may be sent.
///
/// The number rises while answers come (by one for each, as long as nothing was ever refused; then by one for each round
/// of it) and is halved when the provider says that it is asked too much. What it says of its limits, and the limits of the
/// config, hold sending back on top of that. Times are those of a clock that never goes back.
#[derive(Debug)]
pub(super) struct Pace {
    most: f64,
    limit: f64,
    /// Nothing was refused yet.
    rising: bool,
    in_flight: usize,
    /// When the number was halved: what was sent before says nothing new.
    halved: Option<Duration>,
    paused_until: Duration,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// How many requests are in flight at the beginning.
const FIRST: f64 = 16.0;

/// Says whether the next request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// At once.
    Now,
    /// Not before this time.
    At(Duration),
    /// When one that is in flight has ended.
    AfterOne,
}

/// Lets through so much a minute, a sixth of it at once.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    most: f64,
    left: f64,
    at: Duration,
}

impl Bucket {
    fn new(per_minute: u64) -> Self {
        let per_minute = per_minute.max(1) as f64;
        let most = (per_minute / 6.0).max(1.0);
        Self { per_second: per_minute / 60.0, most, left: most, at: Duration::ZERO }
    }

    fn fill(&mut self, now: Duration) {
        self.left = (self.left + now.saturating_sub(self.at).as_secs_f64() * self.per_second).min(self.most);
        self.at = now;
    }

    /// Returns when `amount` may pass. More than fits passes when the bucket is full, and is paid back afterwards.
    fn when(&mut self, now: Duration, amount: f64) -> Option<Duration> {
        self.fill(now);
        let lacking = amount.min(self.most) - self.left;
        (lacking > 1e-9).then(|| now + Duration::from_secs_f64(lacking / self.per_second))
    }
}

impl Pace {
    /// Starts within the limits of a policy.
    pub(super) fn new(policy: &Policy) -> Self {
        let most = policy.most_in_flight.max(1) as f64;
        Self {
            most,
            limit: most.min(FIRST),
            rising: true,
            in_flight: 0,
            halved: None,
            paused_until: Duration::ZERO,
            requests: policy.requests_per_minute.map(Bucket::new),
            tokens: policy.tokens_per_minute.map(Bucket::new),
        }
    }

    /// Returns how many requests may be in flight now.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Returns how many are.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Says whether a request of so many tokens may be sent, where `freed` of those in flight are about to end.
    pub(super) fn ready(&mut self, now: Duration, tokens: u64, freed: usize) -> Ready {
        if self.in_flight.saturating_sub(freed) >= self.limit() {
            return Ready::AfterOne;
        }
        let mut at = (self.paused_until > now).then_some(self.paused_until);
        if let Some(bucket) = &mut self.requests {
            at = at.max(bucket.when(now, 1.0));
        }
        if let Some(bucket) = &mut self.tokens {
            at = at.max(bucket.when(now, tokens as f64));
        }
        at.map_or(Ready::Now, Ready::At)
    }

    /// Notes that a request was sent.
    pub(super) fn sent(&mut self, tokens: u64) {
        self.in_flight += 1;
        if let Some(bucket) = &mut self.requests {
            bucket.left -= 1.0;
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.left -= tokens as f64;
        }
    }

    /// Notes that a request has ended without a complaint.
    pub(super) fn answered(&mut self, now: Duration, limits: &RateLimits) {
        // What is not used up says nothing about how much more would be taken.
        let used = self.in_flight >= self.limit();
        self.in_flight = self.in_flight.saturating_sub(1);
        if used {
            let more = if self.rising { 1.0 } else { 1.0 / self.limit };
            self.limit = (self.limit + more).min(self.most);
        }
        self.heed(now, limits);
    }

    /// Notes that a request ended in a failure that says nothing about how much may be in flight.
    pub(super) fn failed(&mut self, now: Duration, limits: &RateLimits) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.heed(now, limits);
    }

    /// Notes that the provider refused a request, sent at `sent`, because it is asked too much; nothing is sent for `wait`.
    pub(super) fn refused(&mut self, now: Duration, sent: Duration, wait: Duration, limits: &RateLimits) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.rising = false;
        if self.halved.is_none_or(|halved| sent >= halved) {
            self.limit = (self.limit / 2.0).max(1.0);
            self.halved = Some(now);
        }
        self.paused_until = self.paused_until.max(now + wait);
        self.heed(now, limits);
    }

    fn heed(&mut self, now: Duration, limits: &RateLimits) {
        let pairs = [(limits.requests_left, limits.requests_reset), (limits.tokens_left, limits.tokens_reset)];
        for (left, reset) in pairs {
            if let (Some(0), Some(reset)) = (left, reset) {
                // A limit is reset within the day; whatever says otherwise is not believed.
                self.paused_until = self.paused_until.max(now + reset.min(Duration::from_mins(1)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;
    const NONE: RateLimits =
        RateLimits { requests_left: None, requests_reset: None, tokens_left: None, tokens_reset: None };

    fn policy(most: usize) -> Policy {
        Policy { most_in_flight: most, ..Policy::default() }
    }

    /// Sends as much as may be sent, and answers all of it.
    fn round(pace: &mut Pace, now: Duration) -> usize {
        let mut sent = 0;
        while pace.ready(now, 1, 0) == Ready::Now {
            pace.sent(1);
            sent += 1;
        }
        for _ in 0..sent {
            pace.answered(now, &NONE);
        }
        sent
    }

    #[test]
    fn it_rises_to_the_most_and_no_further() {
        let mut pace = Pace::new(&policy(200));
        let mut rounds = 0;
        while pace.limit() < 200 {
            assert!(round(&mut pace, S(0)) > 0);
            rounds += 1;
            assert!(rounds < 400);
        }
        assert_eq!(round(&mut pace, S(0)), 200);
        assert_eq!(pace.in_flight(), 0);
        let mut small = Pace::new(&policy(3));
        assert_eq!(round(&mut small, S(0)), 3);
        for _ in 0..3 {
            small.sent(1);
        }
        assert_eq!(small.ready(S(0), 1, 0), Ready::AfterOne);
        assert_eq!(small.ready(S(0), 1, 1), Ready::Now, "in the place of one that has ended");
    }

    #[test]
    fn it_is_halved_once_for_what_was_in_flight_together() {
        let mut pace = Pace::new(&policy(64));
        for _ in 0..16 {
            pace.sent(1);
        }
        for _ in 0..16 {
            pace.refused(S(1), S(0), S(2), &NONE);
        }
        assert_eq!((pace.limit(), pace.in_flight()), (8, 0));
        assert_eq!(pace.ready(S(1), 1, 0), Ready::At(S(3)), "and nothing is sent before the time it names");
        assert_eq!(round(&mut pace, S(3)), 8);
        assert!(pace.limit() <= 9, "it rises slowly from there");
        pace.sent(1);
        pace.refused(S(5), S(4), S(0), &NONE);
        assert_eq!(pace.limit(), 4);
        for _ in 0..10 {
            pace.sent(1);
            pace.refused(S(9), S(9), S(0), &NONE);
        }
        assert_eq!(pace.limit(), 1, "one is always tried");
    }

    #[test]
    fn a_minute_holds_what_it_may() {
        let limits = Policy { requests_per_minute: Some(60), ..policy(1000) };
        let mut pace = Pace::new(&limits);
        let mut sent = 0;
        for second in 0..60 {
            while pace.ready(S(second), 1, 0) == Ready::Now {
                pace.sent(1);
                pace.failed(S(second), &NONE);
                sent += 1;
            }
        }
        assert!((60..=70).contains(&sent), "{sent}");
        let tokens = Policy { tokens_per_minute: Some(600), ..policy(1000) };
        let mut pace = Pace::new(&tokens);
        assert_eq!(pace.ready(S(0), 5_000, 0), Ready::Now, "more than fits at all passes, and is paid back");
        pace.sent(5_000);
        assert!(matches!(pace.ready(S(1), 1, 0), Ready::At(at) if at > S(400)));
    }

    #[test]
    fn what_the_provider_says_of_its_limits_is_heeded() {
        let mut pace = Pace::new(&policy(10));
        pace.sent(1);
        let none_left = RateLimits { requests_left: Some(0), requests_reset: Some(S(7)), ..NONE };
        pace.answered(S(1), &none_left);
        assert_eq!(pace.ready(S(1), 1, 0), Ready::At(S(8)));
        assert_eq!(pace.ready(S(8), 1, 0), Ready::Now);
    }
}
