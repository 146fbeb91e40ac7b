//! Cancel: somebody wants the run to end.

use std::time::Duration;

use super::{Request, Run, RunState};
use crate::error::Result;
use crate::steering::Steering;
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

impl Run {
    /// Cancels the run: at once if nobody is working on it, else by asking its owner, who has
    /// `grace` to clean up. `None` when there is nothing left to do: the run has ended, or was
    /// asked before.
    pub fn cancel(
        &self,
        by: Steering,
        now: Timestamp,
        grace: Duration,
    ) -> Result<Option<Transition>> {
        let by = by.checked()?;
        Ok(match (&self.state, &self.request) {
            (RunState::Queued { .. } | RunState::Waiting { .. }, _) => {
                Some(self.cancelled(by, now))
            }
            (RunState::Running { lease }, None | Some(Request::Pause { .. })) => {
                let request = Request::Cancel { by, force_at: now + grace };
                let after = Self { request: Some(request), ..self.clone() };
                let effects = vec![Effect::WakeOwner(lease.worker), Effect::WakeWatchers];
                Some(Transition::of(self, after, effects, now))
            }
            (RunState::Running { .. }, Some(Request::Cancel { .. }))
            | (
                RunState::Succeeded { .. } | RunState::Failed { .. } | RunState::Cancelled { .. },
                _,
            ) => None,
        })
    }

    /// The cancel that was asked of its owner.
    pub fn cancel_asked(&self) -> Option<(&Steering, Timestamp)> {
        match &self.request {
            Some(Request::Cancel { by, force_at }) => Some((by, *force_at)),
            Some(Request::Pause { .. }) | None => None,
        }
    }

    /// Whether its owner was asked to give it back, to rest.
    pub const fn pause_asked(&self) -> bool {
        matches!(self.request, Some(Request::Pause { .. }))
    }
}
