//! How things stand with a lease: what heartbeats, commits and the worker tell the run's task.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

/// What the run's task is told. Everything only ever moves one way, except `paused`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, in any combination")]
pub(crate) struct State {
    /// Another worker owns the run.
    pub(crate) lost: bool,
    /// A cancel was asked for.
    pub(crate) cancelled: bool,
    /// The run is to rest: start no step any more, and give it back. Can be taken back.
    pub(crate) paused: bool,
    /// The worker is going away: start no step any more…
    pub(crate) draining: bool,
    /// …and do not wait for those that are being executed either.
    pub(crate) abandoned: bool,
    /// Until when steps may begin: most of the lease's time from when the last heartbeat was *sent*
    /// that was acknowledged. Later the lease may be gone, and nobody may have said so yet.
    pub(crate) good_until: Option<Instant>,
    /// How many entries the run's inbox has.
    pub(crate) inbox: u64,
}

impl State {
    /// Whether a step may begin at this moment.
    pub(crate) fn may_begin(&self, now: Instant) -> bool {
        !self.is_leaving() && self.is_good(now)
    }

    /// Whether the lease must still stand at this moment.
    pub(crate) fn is_good(&self, now: Instant) -> bool {
        self.good_until.is_none_or(|until| now < until)
    }

    /// Whether the run is to be given back at its next step boundary.
    pub(crate) fn is_leaving(&self) -> bool {
        self.draining || self.paused
    }
}

/// A shared [`State`] that can be waited on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(Arc<watch::Sender<State>>);

impl Standing {
    pub(crate) fn get(&self) -> State {
        *self.0.borrow()
    }

    /// Changes the state; who waits is told only if it is another one.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        self.0.send_if_modified(|state| {
            let before = *state;
            change(state);
            *state != before
        });
    }

    /// Waits until the state is so.
    pub(crate) async fn until(&self, so: impl FnMut(&State) -> bool) -> State {
        let mut receiver = self.0.subscribe();
        let reached = receiver.wait_for(so).await.map(|state| *state);
        match reached {
            Ok(state) => state,
            // The sender is `self`, so it is there; whatever: nothing will ever change.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_step_begins_only_under_a_lease_that_must_still_stand() {
        let now = Instant::now();
        let (soon, past) = (Some(now + Duration::from_secs(1)), Some(now));
        assert!(State { good_until: soon, ..State::default() }.may_begin(now));
        assert!(!State { good_until: past, ..State::default() }.may_begin(now), "nobody was heard");
        let leaving = State { good_until: soon, draining: true, ..State::default() };
        assert!(!leaving.may_begin(now));
    }
}
