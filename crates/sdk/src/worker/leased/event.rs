//! What a run's task waits for beside its code. All of it is looked at whenever the task is polled: a
//! step costs no wake-ups but its own.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tenure_core::Payload;
use tokio::time::Sleep;

use super::Leased;
use crate::stop::Stop;

/// How long a run that waits must be quiet before it is parked: what is about to arrive needs no
/// second lease then.
const PARK_AFTER: Duration = Duration::from_millis(100);

/// The code of a run, while it runs.
pub(in crate::worker) type Running = BoxFuture<'static, Result<Payload, Stop>>;

/// What happens to a run.
pub(in crate::worker) enum Event {
    /// The code does not go on, for this reason or by itself.
    Ended(Result<Payload, Stop>),
    /// The inbox has what the engine has not been given.
    InboxMoved,
    /// The code waits for what has not arrived, and nothing else has gone on for a while.
    Quiet,
}

/// That nothing has changed since, and when that has lasted long enough.
struct Quiet {
    changes: u64,
    over: Pin<Box<Sleep>>,
}

impl Leased {
    /// Polls the code until something happens.
    pub(in crate::worker) async fn next_event(&self, code: &mut Running) -> Event {
        let mut quiet = None;
        poll_fn(|task| self.look(task, code, &mut quiet)).await
    }

    fn look(
        &self,
        task: &mut Context<'_>,
        code: &mut Running,
        quiet: &mut Option<Quiet>,
    ) -> Poll<Event> {
        // First, so that no change after a look is missed.
        self.standing.listen(task.waker());
        let state = self.standing.get();
        if state.lost {
            return Poll::Ready(Event::Ended(Err(Stop::LeaseLost)));
        }
        if state.cancelled {
            return Poll::Ready(Event::Ended(Err(Stop::Cancelled)));
        }
        if let Poll::Ready(result) = self.poll_code(task, code) {
            return Poll::Ready(Event::Ended(result));
        }
        if self.inbox_moved() {
            return Poll::Ready(Event::InboxMoved);
        }
        if self.is_at_rest() {
            return Poll::Ready(Event::Ended(Err(Stop::Drained)));
        }
        self.poll_quiet(task, quiet).map(|()| Event::Quiet)
    }

    fn poll_code(&self, task: &mut Context<'_>, code: &mut Running) -> Poll<Result<Payload, Stop>> {
        self.polling.store(true, Ordering::SeqCst);
        let polled = code.as_mut().poll(task);
        self.polling.store(false, Ordering::SeqCst);
        polled
    }

    /// A check reads no inbox: what is not in the journal is not taken.
    fn inbox_moved(&self) -> bool {
        let arrived = self.standing.get().inbox;
        arrived > 0 && self.check.is_none() && arrived > self.engine().received()
    }

    /// Whether the run is to be given back and is at a step boundary: the worker is going away, or
    /// the run is to rest.
    fn is_at_rest(&self) -> bool {
        let state = self.standing.get();
        state.is_leaving() && (state.abandoned || !self.is_executing())
    }

    /// Ready when the code has waited, and nothing else has changed, for long enough.
    fn poll_quiet(&self, task: &mut Context<'_>, quiet: &mut Option<Quiet>) -> Poll<()> {
        let Some(changes) = self.rests_since() else {
            *quiet = None;
            return Poll::Pending;
        };
        let same = quiet.take().filter(|quiet| quiet.changes == changes);
        let begins = || Quiet { changes, over: Box::pin(tokio::time::sleep(PARK_AFTER)) };
        quiet.insert(same.unwrap_or_else(begins)).over.as_mut().poll(task)
    }
}
