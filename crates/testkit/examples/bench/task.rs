//! What a run of the benchmark is to do. Its output is its input.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The agent of all runs, and the pool that they wait in.
pub(crate) const AGENT: &str = "bench";

/// The input of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// Steps, one after the other, at least one.
    pub(crate) steps: u32,
    /// Bytes that each of them gives.
    pub(crate) bytes: usize,
    /// Afterwards it asks somebody, and does one more step when that has answered.
    pub(crate) parks: bool,
    /// When its creation began, in microseconds since 1970.
    created_at: u64,
}

impl Task {
    /// One that is created now.
    pub(crate) fn new(steps: u32, bytes: usize) -> Self {
        Self { steps, bytes, parks: false, created_at: now() }
    }

    /// One that parks in the end; its steps are made in several branches where there are many.
    pub(crate) fn parking(steps: u32, bytes: usize) -> Self {
        Self { parks: true, ..Self::new(steps, bytes) }
    }

    /// Time since its creation began.
    pub(crate) fn age(&self) -> Duration {
        since(self.created_at)
    }
}

/// What a step gives: it does nothing else.
pub(crate) fn filler(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Time since then, in microseconds since 1970.
pub(crate) fn since(then: u64) -> Duration {
    Duration::from_micros(now().saturating_sub(then))
}

/// The time in microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "several processes of one machine, for figures")]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
