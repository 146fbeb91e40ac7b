//! The only place of the SDK that asks the outside for time and randomness.

use tenure_core::{Timestamp, WorkerId};
use uuid::Uuid;

/// An id for a worker process.
#[expect(clippy::disallowed_methods, reason = "a worker process is where its id begins")]
pub(crate) fn worker_id() -> WorkerId {
    WorkerId::new(Uuid::now_v7())
}

/// The host's clock, for what user code asks to have recorded. It decides nothing.
#[expect(clippy::disallowed_methods, reason = "what the code of a run sees as now, recorded once")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_micros(0) + since.unwrap_or_default()
}

/// A random number, for what user code asks to have recorded.
pub(crate) fn random() -> u64 {
    fastrand::u64(..)
}

/// A number of 0 to 1, for what is left to chance.
pub(crate) fn chance() -> f64 {
    fastrand::f64()
}
