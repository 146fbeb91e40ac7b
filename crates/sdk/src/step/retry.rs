//! When a step that failed is tried again.

use std::time::Duration;

use tenure_core::{Failure, limits};

/// How often a step may try before its failure is recorded, and how long it pauses. Only failures
/// that say they are retryable are tried again.
///
/// A failure that says how long to wait ([`Failure::after`]) is given that time at least, up to a day
/// ([`limits::RETRY_BACKOFF`]). A pause of more than five seconds is on record with the attempt that
/// failed: while nothing else is in flight the run is parked, and attempts go on being counted
/// wherever it is leased next. Shorter ones are waited for by the worker, and counted from 1 again
/// if that is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// The pause after the first attempt…
    pub backoff: Duration,
    /// …by how much it grows with each further one: 2 doubles it, 1 leaves it as it is…
    pub factor: f64,
    /// …and the longest pause.
    pub max_backoff: Duration,
    /// Which share of a pause is left to chance, 0 to 1: those who failed together should not come
    /// back together.
    pub jitter: f64,
    /// Codes of failures that are not tried again, whatever they say of themselves.
    pub never: &'static [&'static str],
}

impl Default for Retry {
    /// Three attempts, pausing half to all of a second and then of two.
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: Duration::from_secs(1),
            factor: 2.0,
            max_backoff: Duration::from_mins(1),
            jitter: 0.5,
            never: &[],
        }
    }
}

impl Retry {
    /// One attempt.
    pub const NONE: Self = Self {
        attempts: 1,
        backoff: Duration::ZERO,
        factor: 1.0,
        max_backoff: Duration::ZERO,
        jitter: 0.0,
        never: &[],
    };

    /// So many attempts, always with this pause between them.
    pub fn fixed(attempts: u32, pause: Duration) -> Self {
        Self { attempts, backoff: pause, max_backoff: pause, ..Self::NONE }
    }

    /// Whether there is another attempt after this one, counted from 1, that failed so.
    pub(crate) fn allows(&self, attempt: u32, failure: &Failure) -> bool {
        failure.retryable
            && attempt < self.attempts
            && !self.never.iter().any(|code| *code == failure.code)
    }

    /// The pause before it. `chance` is a random number of 0 to 1.
    pub(crate) fn pause(&self, attempt: u32, failure: &Failure, chance: f64) -> Duration {
        let kept = 1.0 - self.jitter.clamp(0.0, 1.0) * chance;
        let pause = self.grown(attempt).min(self.max_backoff).mul_f64(kept);
        let asked = failure.retry_after.unwrap_or_default().min(limits::RETRY_BACKOFF);
        pause.max(asked)
    }

    fn grown(&self, attempt: u32) -> Duration {
        let times = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.backoff.as_secs_f64() * self.factor.max(0.0).powi(times);
        // Beyond what a duration can say, where it is not nothing at all.
        let endless = if self.backoff.is_zero() { Duration::ZERO } else { Duration::MAX };
        Duration::try_from_secs_f64(grown).unwrap_or(endless)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(retry: &Retry, failure: &Failure) -> Vec<f64> {
        [1, 2, 3, 4, u32::MAX]
            .map(|attempt| retry.pause(attempt, failure, 0.0).as_secs_f64())
            .to_vec()
    }

    #[test]
    fn pauses_grow_to_their_limit_or_stay_as_they_are() {
        let failure = Failure::retryable("x", "y");
        let doubling = Retry { max_backoff: Duration::from_secs(3), ..Retry::default() };
        assert_eq!(seconds(&doubling, &failure), [1.0, 2.0, 3.0, 3.0, 3.0]);
        let fixed = Retry::fixed(9, Duration::from_secs(7));
        assert_eq!(seconds(&fixed, &failure), [7.0; 5]);
        assert_eq!(seconds(&Retry::NONE, &failure), [0.0; 5]);
        let nothing = Retry { backoff: Duration::ZERO, ..Retry::default() };
        assert_eq!(seconds(&nothing, &failure), [0.0; 5]);
        let odd = Retry { factor: f64::NAN, ..Retry::default() };
        assert!(odd.pause(9, &failure, 0.0) <= odd.max_backoff);
    }

    #[test]
    fn chance_shortens_a_pause_by_its_share() {
        let failure = Failure::retryable("x", "y");
        let retry = Retry::default();
        assert_eq!(retry.pause(1, &failure, 1.0), Duration::from_millis(500));
        let whole = Retry { jitter: 1.0, ..retry };
        assert_eq!(whole.pause(1, &failure, 1.0), Duration::ZERO);
    }

    #[test]
    fn a_pause_is_as_long_as_the_other_side_asks_but_no_longer_than_a_day() {
        let after = |time| Failure::retryable("http_429", "later").after(time);
        let retry = Retry::default();
        assert_eq!(retry.pause(1, &after(Duration::from_mins(5)), 1.0), Duration::from_mins(5));
        assert_eq!(retry.pause(1, &after(Duration::MAX), 1.0), Duration::from_hours(24));
        assert_eq!(retry.pause(2, &after(Duration::ZERO), 0.0), Duration::from_secs(2));
    }

    #[test]
    fn some_failures_are_never_tried_again() {
        let retry = Retry { never: &["quota"], ..Retry::default() };
        assert!(retry.allows(1, &Failure::retryable("http_500", "")));
        assert!(!retry.allows(3, &Failure::retryable("http_500", "")), "that was the last one");
        assert!(!retry.allows(1, &Failure::retryable("quota", "")));
        assert!(!retry.allows(1, &Failure::permanent("http_400", "")));
    }
}
