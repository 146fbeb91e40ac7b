//! The lease: the right of one worker to advance one run.

use std::time::Duration;

use crate::id::{LeaseId, WorkerId};
use crate::time::Timestamp;

/// A lease as the run's row holds it.
///
/// Every write of a worker is compared with [`id`](Self::id) for equality: a random value cannot
/// come back after a restored backup, as a number could. [`epoch`](Self::epoch) only orders the
/// owners. [`until`](Self::until) says when somebody else *may* take over; what revokes a lease is
/// the taking over, so a late owner whom nobody has replaced may still write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// New at each acquire.
    pub id: LeaseId,
    /// The run's epoch under this lease; each next owner has a greater one.
    pub epoch: u64,
    /// Who holds it, for people and for wake-ups; never compared.
    pub worker: WorkerId,
    /// When others may take over, by the database's clock.
    pub until: Timestamp,
    /// Whether the worker has shown a sign of life. An offer that nobody took up costs the run no
    /// attempt.
    pub started: bool,
}

impl Lease {
    /// Whether others may take over at `now`.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.until < now
    }

    /// The lease after a sign of life at `now`; it is never shortened.
    #[must_use]
    pub fn extended(&self, now: Timestamp, ttl: Duration) -> Self {
        Self { until: self.until.max(now + ttl), started: true, ..self.clone() }
    }
}
