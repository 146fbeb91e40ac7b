//! Times that a process measures, and what they come to.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::task::Task;

/// Many times, in nanoseconds, each kept to three digits.
pub(crate) struct Times(Histogram<u64>);

/// Between which they are told apart: a tenth of a microsecond and an hour.
const BOUNDS: (u64, u64) = (100, 3_600_000_000_000);

/// What many times come to, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    /// How many there were; without any, all others are zero.
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) most: f64,
}

impl Times {
    /// None yet.
    pub(crate) fn new() -> Self {
        let (least, most) = BOUNDS;
        Self(Histogram::new_with_bounds(least, most, 3).expect("these bounds are in order"))
    }

    /// One more.
    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What they come to.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let [p50, p90, p99, most] =
            [0.5, 0.9, 0.99, 1.0].map(|part| micros(self.0.value_at_quantile(part)));
        Quantiles { count: self.0.len(), p50, p90, p99, most }
    }
}

fn micros(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1_000_000.0
}

/// What a worker sees of its runs.
pub(crate) struct Seen {
    started: Mutex<Times>,
    steps: Mutex<Times>,
    resumed: Mutex<Times>,
}

/// What it has seen since it was asked the last time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Sight {
    /// From before a run was created until its code ran.
    pub(crate) started: Quantiles,
    /// From the call of a step until it returned.
    pub(crate) steps: Quantiles,
    /// From before a question was answered until its run executed a step.
    pub(crate) resumed: Quantiles,
}

impl Seen {
    pub(crate) fn new() -> Self {
        let [started, steps, resumed] = [(); 3].map(|()| Mutex::new(Times::new()));
        Self { started, steps, resumed }
    }

    /// The code of a run has begun.
    pub(crate) fn started(&self, task: &Task) {
        locked(&self.started).record(task.age());
    }

    /// A step took so long.
    pub(crate) fn step(&self, time: Duration) {
        locked(&self.steps).record(time);
    }

    /// A run went on so long after its question was answered.
    pub(crate) fn resumed(&self, time: Duration) {
        locked(&self.resumed).record(time);
    }

    /// What was seen, which is then forgotten.
    pub(crate) fn take(&self) -> Sight {
        let [started, steps, resumed] = [&self.started, &self.steps, &self.resumed].map(|times| {
            let taken = std::mem::replace(&mut *locked(times), Times::new());
            taken.quantiles()
        });
        Sight { started, steps, resumed }
    }
}

/// What is behind a lock that nobody holds for long.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
