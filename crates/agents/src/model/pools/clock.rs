//! What time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A clock that only goes forward and that tests can move. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    /// Milliseconds.
    moved: Arc<AtomicU64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { start: Instant::now(), moved: Arc::default() }
    }
}

impl Clock {
    /// The time since the clock was made.
    pub fn now(&self) -> Duration {
        self.start.elapsed() + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    /// Lets time pass at once.
    pub fn pass(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.moved.fetch_add(millis, Ordering::Relaxed);
    }
}
