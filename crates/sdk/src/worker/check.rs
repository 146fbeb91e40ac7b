//! Check runs: the code is replayed over the journal of another run, to see whether they agree.
//! Nothing is executed and nothing recorded; where that would happen the code does not go on.

use serde_json::json;
use tenure_core::{Failure, Key, Payload};
use tenure_proto::{convert, v1};
use v1::outcome::Outcome;

use super::leased::Leased;
use crate::stop::Stop;

/// The journal that is checked.
pub(crate) struct Check {
    /// Whose it is.
    pub(super) run: String,
    /// How many entries it has.
    pub(super) entries: u64,
}

impl Check {
    /// What the wire says about it, if the run is a check.
    pub(super) fn of(wire: &v1::LeasedRun) -> Option<Self> {
        let check = wire.check.as_ref()?;
        Some(Self { run: check.run.clone(), entries: check.entries })
    }

    /// How a check ends, if its lease is still ours. Code that ended, well or not, agrees with its
    /// journal, and so does code that wants something that is not there yet.
    pub(super) fn outcome(
        &self,
        leased: &Leased,
        result: Result<Payload, Stop>,
    ) -> Option<Outcome> {
        Some(match result {
            Ok(_) | Err(Stop::Failed(_)) => Outcome::Succeed(self.agrees(&[])),
            Err(Stop::Suspended) => Outcome::Succeed(self.agrees(&leased.engine().waits())),
            Err(Stop::Blocked(why)) => Outcome::Fail(fail(why)),
            Err(Stop::Cancelled) => Outcome::Cancelled(v1::Cancelled {}),
            Err(Stop::Drained) => Outcome::Release(v1::Release {}),
            Err(Stop::LeaseLost) => return None,
        })
    }

    /// What a check says that found no difference: how many entries there are, and what would be
    /// executed or waited for next.
    fn agrees(&self, next: &[Key]) -> v1::Payload {
        let next: Vec<&str> = next.iter().map(Key::as_str).collect();
        let found = json!({ "entries": self.entries, "next": next });
        convert::payload(Payload::json(found.to_string()))
    }
}

fn fail(why: Failure) -> v1::Fail {
    let failure = Some(convert::failure(why.cleaned()));
    v1::Fail { failure, ..v1::Fail::default() }
}
