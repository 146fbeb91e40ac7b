//! Cancel: somebody wants the run to end.

use std::time::Duration;

use super::{CancelRequest, Run, RunState};
use crate::error::Result;
use crate::limits;
use crate::text;
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

impl Run {
    /// Cancels the run: at once if nobody is working on it, else by asking its owner, who has
    /// `grace` to clean up. `None` when there is nothing left to do: the run has ended, or was
    /// asked before.
    pub fn cancel(
        &self,
        reason: &str,
        now: Timestamp,
        grace: Duration,
    ) -> Result<Option<Transition>> {
        text::check("the reason of a cancel", reason, limits::MESSAGE)?;
        let cancelled = || RunState::Cancelled { reason: reason.to_owned(), at: now };
        Ok(match &self.state {
            RunState::Queued { .. } | RunState::Waiting { .. } => {
                Some(self.to_rest(cancelled(), now))
            }
            RunState::Running { lease } if self.cancel.is_none() => {
                let request = CancelRequest { reason: reason.to_owned(), force_at: now + grace };
                let after = Self { cancel: Some(request), ..self.clone() };
                let effects = vec![Effect::WakeOwner(lease.worker), Effect::WakeWatchers];
                Some(Transition::of(self, after, effects, now))
            }
            RunState::Running { .. }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => None,
        })
    }
}
