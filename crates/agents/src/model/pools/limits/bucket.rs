//! A leaky bucket as a meter, which is a token bucket looked at from the other side: what is taken
//! drains at the rate of the limit, and what would flow over has to wait. Pure: the time is an
//! argument.
//!
//! The algorithm is the continuous-state one of the generic cell rate algorithm (ITU-T I.371,
//! annex A); `bucket.lua` is the same for Redis.

use std::time::Duration;

/// What both count in.
const MINUTE: f64 = 60_000.0;
/// Below that, in requests or tokens, nothing flows over: floating-point numbers do not come out even.
const NOTHING: f64 = 1e-6;

/// What a backend takes in a minute; 0 for anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PerMinute {
    pub(super) requests: u64,
    pub(super) tokens: u64,
}

/// What is taken of it at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Amount {
    pub(super) requests: f64,
    pub(super) tokens: f64,
}

/// How full the buckets of a backend are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bucket {
    at: Duration,
    taken: Amount,
    /// Nothing is taken until then.
    until: Duration,
}

impl Bucket {
    /// Takes an amount if it fits, or else says how long it has to wait. One that is larger than the
    /// limit fits when nothing is taken.
    pub(super) fn take(
        &mut self,
        limit: PerMinute,
        amount: Amount,
        now: Duration,
    ) -> Result<(), Duration> {
        self.drain(limit, now);
        let requests = wait(limit.requests, self.taken.requests, amount.requests);
        let tokens = wait(limit.tokens, self.taken.tokens, amount.tokens);
        let wait = self.until.saturating_sub(now).max(requests).max(tokens);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.add(amount);
        Ok(())
    }

    /// Adds what was taken beyond what was thought; less than nothing gives some back.
    pub(super) fn settle(&mut self, limit: PerMinute, amount: Amount, now: Duration) {
        self.drain(limit, now);
        self.add(amount);
    }

    /// Nothing is taken for so long.
    pub(super) fn pause(&mut self, pause: Duration, now: Duration) {
        self.until = self.until.max(now + pause);
    }

    fn add(&mut self, amount: Amount) {
        self.taken.requests = (self.taken.requests + amount.requests).max(0.0);
        self.taken.tokens = (self.taken.tokens + amount.tokens).max(0.0);
    }

    fn drain(&mut self, limit: PerMinute, now: Duration) {
        let since = now.saturating_sub(self.at).as_secs_f64() * 1_000.0;
        self.at = self.at.max(now);
        self.taken.requests = (self.taken.requests - since * rate(limit.requests)).max(0.0);
        self.taken.tokens = (self.taken.tokens - since * rate(limit.tokens)).max(0.0);
    }
}

/// What drains in a millisecond.
#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
fn rate(limit: u64) -> f64 {
    limit as f64 / MINUTE
}

/// Until an amount fits.
#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
fn wait(limit: u64, taken: f64, amount: f64) -> Duration {
    let most = limit as f64;
    let over = taken + amount.min(most) - most;
    if limit == 0 || over < NOTHING {
        return Duration::ZERO;
    }
    Duration::from_secs_f64((over / rate(limit)).ceil() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: PerMinute = PerMinute { requests: 6, tokens: 600 };

    fn call(tokens: f64) -> Amount {
        Amount { requests: 1.0, tokens }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_minutes_worth_at_once_and_then_one_after_the_other() {
        let mut bucket = Bucket::default();
        for _ in 0..6 {
            assert_eq!(bucket.take(LIMIT, call(1.0), at(0)), Ok(()));
        }
        assert_eq!(bucket.take(LIMIT, call(1.0), at(0)), Err(at(10)));
        assert_eq!(bucket.take(LIMIT, call(1.0), at(4)), Err(at(6)), "a refusal takes nothing");
        assert_eq!(bucket.take(LIMIT, call(1.0), at(10)), Ok(()));
        assert_eq!(bucket.take(LIMIT, call(1.0), at(10)), Err(at(10)));
    }

    #[test]
    fn tokens_are_settled_when_they_are_known() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(LIMIT, call(500.0), at(0)), Ok(()));
        assert_eq!(bucket.take(LIMIT, call(200.0), at(0)), Err(at(10)));
        bucket.settle(LIMIT, Amount { requests: 0.0, tokens: -400.0 }, at(0));
        assert_eq!(bucket.take(LIMIT, call(200.0), at(0)), Ok(()));
        bucket.settle(LIMIT, Amount { requests: 0.0, tokens: 600.0 }, at(0));
        assert_eq!(bucket.take(LIMIT, call(0.0), at(0)), Err(at(30)), "900 of 600 are taken");
        bucket.settle(LIMIT, Amount { requests: 0.0, tokens: -9_999.0 }, at(0));
        assert_eq!(bucket.take(LIMIT, call(600.0), at(0)), Ok(()), "never less than nothing");
    }

    #[test]
    fn what_is_larger_than_the_limit_waits_for_an_empty_bucket() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(LIMIT, call(1_200.0), at(0)), Ok(()));
        assert_eq!(bucket.take(LIMIT, call(1.0), at(0)), Err(Duration::from_millis(60_100)));
        assert_eq!(bucket.take(LIMIT, call(1_200.0), at(119)), Err(at(1)));
        assert_eq!(bucket.take(LIMIT, call(1_200.0), at(120)), Ok(()));
    }

    #[test]
    fn a_pause_holds_back_all_and_no_limit_nothing() {
        let mut bucket = Bucket::default();
        let none = PerMinute::default();
        (0..1_000).for_each(|_| assert_eq!(bucket.take(none, call(1e9), at(0)), Ok(())));
        bucket.pause(at(20), at(0));
        bucket.pause(at(5), at(0));
        assert_eq!(bucket.take(none, call(1.0), at(1)), Err(at(19)));
        assert_eq!(bucket.take(none, call(1.0), at(20)), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_drains_nothing() {
        let mut bucket = Bucket::default();
        (0..6).for_each(|_| assert_eq!(bucket.take(LIMIT, call(1.0), at(100)), Ok(())));
        assert_eq!(bucket.take(LIMIT, call(1.0), at(50)), Err(at(10)));
        assert_eq!(bucket.take(LIMIT, call(1.0), at(105)), Err(at(5)), "100 to 105");
    }
}
