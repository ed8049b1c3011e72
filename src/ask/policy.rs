use std::collections::BTreeMap;
use std::time::Duration;

use crate::request::ProviderIdentity;

/// Says how a provider over a network is asked: how much at once, how often again, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many requests are in flight at once, at most.
    pub most_in_flight: usize,
    /// How many requests are sent in a minute, at most; absent: no limit of ours.
    pub requests_per_minute: Option<u64>,
    /// How many tokens (of input, estimated, and the most of output) are asked for in a minute, at most.
    pub tokens_per_minute: Option<u64>,
    /// How often one draw is sent in one build, at most.
    pub max_attempts: u32,
    /// The wait before the second attempt, where the provider names none; it doubles from there, up to 30 seconds.
    pub first_wait: Duration,
    /// The longest wait that a provider may ask for; beyond it nothing more is sent to it in this build.
    pub max_wait: Duration,
    /// The time from the first attempt of a draw after which no further one is made.
    pub max_retry_time: Duration,
    /// Whether a draw is sent again after an attempt that may have been paid for.
    pub retry_uncertain: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            most_in_flight: 64,
            requests_per_minute: None,
            tokens_per_minute: None,
            max_attempts: 8,
            first_wait: Duration::from_millis(500),
            max_wait: Duration::from_mins(2),
            max_retry_time: Duration::from_mins(15),
            retry_uncertain: true,
        }
    }
}

/// Holds how each provider is asked.
#[derive(Clone, Debug, Default)]
pub struct Policies(BTreeMap<ProviderIdentity, Policy>);

impl Policies {
    /// Adds the policy of a provider.
    pub fn add(&mut self, provider: ProviderIdentity, policy: Policy) {
        self.0.insert(provider, policy);
    }

    /// Returns a provider's policy; the default, where it has none of its own.
    pub fn of(&self, provider: &ProviderIdentity) -> Policy {
        self.0.get(provider).copied().unwrap_or_default()
    }

    /// Returns how many requests may be in flight to the provider to which that is most.
    pub fn most_in_flight(&self) -> usize {
        self.0.values().map(|policy| policy.most_in_flight).max().unwrap_or(0)
    }
}

/// Is the longest wait between two attempts that nobody asked for.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Says what becomes of a draw whose attempt failed in a way that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is sent again after this long.
    Again(Duration),
    /// It has failed.
    GiveUp,
    /// The provider wants to be left alone for this long, which is longer than a build waits.
    Park(Duration),
}

impl Policy {
    /// Decides after the failed attempt number `attempt` (from 1), `since` the first one was sent.
    ///
    /// The wait is the longer of what the provider asks for and of the backoff `first_wait * 2^(attempt-1)`, with a jitter
    /// of up to half the backoff on top. `jitter` is in [0, 1).
    pub(super) fn next(&self, attempt: u32, since: Duration, asked: Option<Duration>, jitter: f64) -> Next {
        if let Some(asked) = asked.filter(|asked| *asked > self.max_wait) {
            return Next::Park(asked);
        }
        if attempt >= self.max_attempts {
            return Next::GiveUp;
        }
        let doublings = attempt.saturating_sub(1).min(16);
        let backoff = self.first_wait.saturating_mul(1 << doublings).min(LONGEST_BACKOFF);
        let wait = backoff.max(asked.unwrap_or_default()) + backoff.mul_f64(jitter.clamp(0.0, 1.0) / 2.0);
        if since + wait > self.max_retry_time { Next::GiveUp } else { Next::Again(wait) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn waits_double_and_end() {
        let policy = Policy { max_attempts: 4, ..Policy::default() };
        let next = |attempt| policy.next(attempt, Duration::ZERO, None, 0.0);
        let expected = [Next::Again(MS(500)), Next::Again(MS(1000)), Next::Again(MS(2000)), Next::GiveUp];
        assert_eq!([next(1), next(2), next(3), next(4)], expected);
        assert_eq!(policy.next(2, Duration::ZERO, None, 0.5), Next::Again(MS(1250)));
    }

    #[test]
    fn the_provider_is_heard() {
        let policy = Policy::default();
        assert_eq!(policy.next(1, Duration::ZERO, Some(MS(7000)), 0.0), Next::Again(MS(7000)));
        assert_eq!(policy.next(3, Duration::ZERO, Some(MS(10)), 0.0), Next::Again(MS(2000)), "never less than ours");
        let week = Duration::from_hours(168);
        assert_eq!(policy.next(8, Duration::ZERO, Some(week), 0.0), Next::Park(week), "parked, not failed");
        assert_eq!(policy.next(1, policy.max_retry_time, None, 0.0), Next::GiveUp);
    }

    proptest! {
        /// Whatever a provider asks for, attempts and time are bounded.
        #[test]
        fn every_draw_ends(asked in prop::collection::vec(prop::option::of(0_u64..10_000_000), 40), jitter in 0.0..1.0) {
            let policy = Policy::default();
            let mut since = Duration::ZERO;
            for (attempt, asked) in (1..).zip(asked) {
                match policy.next(attempt, since, asked.map(MS), jitter) {
                    Next::Again(wait) => since += wait,
                    Next::GiveUp | Next::Park(_) => return Ok(()),
                }
                prop_assert!(attempt < policy.max_attempts && since <= policy.max_retry_time);
            }
            prop_assert!(false, "forty attempts and no end");
        }
    }
}
