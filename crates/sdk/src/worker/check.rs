//! Check runs: the code is replayed over the journal of another run, to see whether they agree.
//! Nothing is executed and nothing recorded; where that would happen the code does not go on.

use std::sync::OnceLock;

use serde_json::json;
use tenure_core::{Failure, Key, Payload};
use tenure_proto::{convert, v1};
use v1::outcome::Outcome;

use crate::stop::Stop;

/// The journal that is checked.
pub(crate) struct Check {
    /// Whose it is.
    pub(super) run: String,
    /// How many entries it has.
    pub(super) entries: u64,
    /// Where its code could not go on. The code is gone when that is told, and its waits with it.
    next: OnceLock<Vec<Key>>,
}

impl Check {
    /// What the wire says about it, if the run is a check.
    pub(super) fn of(wire: &v1::LeasedRun) -> Option<Self> {
        let check = wire.check.as_ref()?;
        let next = OnceLock::new();
        Some(Self { run: check.run.clone(), entries: check.entries, next })
    }

    /// Notes where the code cannot go on.
    pub(super) fn stop_at(&self, waits: Vec<Key>) {
        // It stops once.
        let _ = self.next.set(waits);
    }

    /// How a check ends, if its lease is still ours. Code that ended, well or not, agrees with its
    /// journal, and so does code that wants something that is not there yet.
    pub(super) fn outcome(&self, result: Result<Payload, Stop>) -> Option<Outcome> {
        Some(match result {
            Ok(_) | Err(Stop::Failed(_) | Stop::Suspended) => Outcome::Succeed(self.agrees()),
            Err(Stop::Blocked(why)) => Outcome::Fail(fail(why)),
            Err(Stop::Cancelled) => Outcome::Cancelled(v1::Cancelled {}),
            Err(Stop::Drained) => Outcome::Release(v1::Release {}),
            Err(Stop::LeaseLost) => return None,
        })
    }

    /// What a check says that found no difference: how many entries there are, and what would be
    /// executed or waited for next.
    fn agrees(&self) -> v1::Payload {
        let next: Vec<&str> = self.next.get().into_iter().flatten().map(Key::as_str).collect();
        let found = json!({ "entries": self.entries, "next": next });
        convert::payload(Payload::json(found.to_string()))
    }
}

fn fail(why: Failure) -> v1::Fail {
    let failure = Some(convert::failure(why.cleaned()));
    v1::Fail { failure, ..v1::Fail::default() }
}
