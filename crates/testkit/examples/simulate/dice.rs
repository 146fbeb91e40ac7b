//! Chance: the one source of it. The same seed throws the same dice in the same order.

use std::time::Duration;

/// The dice of one simulation.
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// True so many times in a thousand.
    pub(crate) fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.0.u32(..1_000) < permille
    }

    /// A number from `from` to `to`, both included.
    pub(crate) fn number(&mut self, from: u32, to: u32) -> u32 {
        self.0.u32(from..=to)
    }

    /// A place in a list of so many, which is not empty.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        self.0.usize(..len)
    }

    /// A length from `from` to `to`, in milliseconds.
    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(self.0.u64(from * 1_000..=to * 1_000))
    }

    /// Half to all of `pause`, as a client waits before it tries again.
    pub(crate) fn jittered(&mut self, pause: Duration) -> Duration {
        pause / 2 + pause * self.0.u32(..=1_000) / 2_000
    }
}
