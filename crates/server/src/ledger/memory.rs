//! Runs as they were last seen: what commits of leased runs are decided on without reading them.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use tenure_core::{Run, RunId, RunState, TenantId, Timestamp};
use tenure_store::HeardNow;

use crate::cache::Cache;

/// Which run.
pub(super) type Place = (TenantId, RunId);

/// What is remembered is never trusted: what is decided on it is saved only if the run still has the
/// revision that is remembered.
pub(crate) struct Memory {
    runs: Vec<Cache<Place, Arc<Run>>>,
    /// The latest time, in microseconds since 1970, that something was decided at: what comes later is
    /// not to be ready before what came first.
    decided: AtomicI64,
}

/// Parts with a lock each, and runs in each: a replica leases no more at a time without noticing.
const SHARDS: usize = 16;
const RUNS: usize = 2_000;
/// The largest output of a run that is remembered when it has ended, for those who wait for it.
const OUTPUT: usize = 4 << 10;

impl Default for Memory {
    fn default() -> Self {
        let runs = (0..SHARDS).map(|_| Cache::of(RUNS)).collect();
        Self { runs, decided: AtomicI64::new(i64::MIN) }
    }
}

impl Memory {
    pub(crate) fn get(&self, place: Place) -> Option<Arc<Run>> {
        self.shard(place).get(&place)
    }

    /// Remembers a run that was just saved, if it will be asked for again: it is leased, or it has
    /// just ended. One that is parked is not kept (PARKED-IS-FREE).
    pub(crate) fn note(&self, run: Arc<Run>) {
        let place = (run.tenant, run.id);
        let kept = match &run.state {
            RunState::Running { .. } | RunState::Failed { .. } | RunState::Cancelled { .. } => {
                Some(run)
            }
            RunState::Succeeded { output, .. } if output.data.len() <= OUTPUT => {
                Some(Arc::new(with_own_output(&run)))
            }
            RunState::Succeeded { .. } | RunState::Queued { .. } | RunState::Waiting { .. } => None,
        };
        if let Some(run) = kept {
            let newer = |one: &Arc<Run>, other: &Arc<Run>| one.revision > other.revision;
            self.shard(place).put_if(place, run, newer);
        } else {
            self.forget(place);
        }
    }

    pub(super) fn forget(&self, place: Place) {
        self.shard(place).remove(&place);
    }

    /// Something was decided at this time.
    pub(super) fn decided(&self, at: Timestamp) {
        self.decided.fetch_max(at.micros(), Ordering::Relaxed);
    }

    /// The moments that the database's clock is between, now that it has shown what was decided at.
    pub(super) fn since_decided(&self, heard: HeardNow) -> HeardNow {
        let decided = Timestamp::from_micros(self.decided.load(Ordering::Relaxed));
        let earliest = heard.earliest.max(decided).min(heard.latest);
        self.decided(earliest);
        HeardNow { earliest, ..heard }
    }

    fn shard(&self, place: Place) -> &Cache<Place, Arc<Run>> {
        &self.runs[part_of(place.1, self.runs.len())]
    }
}

/// The run with an output of its own: as it came it is a part of the whole message that it came in,
/// which would be kept with it.
fn with_own_output(run: &Run) -> Run {
    let mut run = run.clone();
    if let RunState::Succeeded { output, .. } = &mut run.state {
        output.data = Bytes::copy_from_slice(&output.data);
    }
    run
}

/// Which of so many parts a run belongs to.
pub(super) fn part_of(run: RunId, parts: usize) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(run);
    // The remainder is below the number of parts, so it fits.
    usize::try_from(hash % parts as u64).unwrap_or(0)
}
