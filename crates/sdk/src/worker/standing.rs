//! How things stand with a lease: what heartbeats, commits and the worker tell the run's task.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
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
    /// Until when steps may begin: most of the lease's time from when the last sign of life was *sent*
    /// that was acknowledged, a heartbeat or a commit. Later the lease may be gone, and nobody may have said so yet.
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

/// Until when steps may begin under a lease that was extended by so much: one sixth of it is left for
/// what is being sent.
pub(super) fn good_until(sent: Instant, extended: Duration) -> Instant {
    sent + extended * 5 / 6
}

/// A shared [`State`] that can be waited on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: watch::Sender<State>,
    /// The run's task, which looks at the state whenever it is polled.
    task: AtomicWaker,
}

impl Standing {
    pub(crate) fn get(&self) -> State {
        *self.0.state.borrow()
    }

    /// Changes the state; who waits is told only if it is another one.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        let changed = self.0.state.send_if_modified(|state| {
            let before = *state;
            change(state);
            *state != before
        });
        if changed {
            self.wake();
        }
    }

    /// Steps may begin until then. Each commit extends the lease: who waits is told only if it could
    /// not be believed in.
    pub(super) fn extend(&self, until: Instant) {
        self.0.state.send_if_modified(|state| {
            let was_good = state.is_good(Instant::now());
            state.good_until = state.good_until.max(Some(until));
            !was_good
        });
    }

    /// Wakes the task that is being polled whenever the state changes.
    pub(super) fn listen(&self, task: &Waker) {
        self.0.task.register(task);
    }

    /// Has the run's task look again.
    pub(super) fn wake(&self) {
        self.0.task.wake();
    }

    /// Waits until the state is so.
    pub(crate) async fn until(&self, mut so: impl FnMut(&State) -> bool) -> State {
        let state = self.get();
        if so(&state) {
            return state;
        }
        let mut receiver = self.0.state.subscribe();
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

    #[tokio::test]
    async fn who_waits_for_a_lease_to_stand_again_hears_of_it() {
        let standing = Standing::default();
        let now = Instant::now();
        standing.change(|state| state.good_until = Some(now));
        let far = now + Duration::from_hours(1);
        let waits = standing.until(|state| state.is_good(Instant::now()));
        let (state, ()) = tokio::join!(waits, async { standing.extend(far) });
        assert_eq!(state.good_until, Some(far));
        standing.extend(now);
        assert_eq!(
            standing.get().good_until,
            Some(far),
            "an answer that came late takes nothing away"
        );
    }
}
