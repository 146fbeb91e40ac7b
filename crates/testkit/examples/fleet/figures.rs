//! Figures: many times, and what they come to.

use std::fmt;
use std::time::Duration;

/// Times that were measured, sorted.
#[derive(Clone, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// Of these.
    pub(crate) fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort();
        Self(times)
    }

    /// What so many of a hundred are not above.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// In a table, in milliseconds: how many, the percentiles 50 and 99, and the longest.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, most] = [50, 99, 100].map(|percent| millis(self.percentile(percent)));
        write!(f, "{:>6}{p50:>9.1}{p99:>9.1}{most:>9.1}", self.0.len())
    }
}

/// The head of such a table.
pub(crate) const HEAD: &str = "     n      p50      p99     most";

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
