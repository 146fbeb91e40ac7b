//! The way of a worker's commits to the control plane: runs that commit at the same time share a
//! call, because most of what a commit costs both processes is the call.
//!
//! There is no timer. A commit that finds room for another call starts one at once; what comes while
//! [`CALLS`] are under way goes together as soon as one of them ends. So an idle worker adds no
//! delay, and the busier it is, the more of its runs share each call.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use tenure_core::{Error, limits};
use tenure_proto::{status, v1};
use tonic::{Code, Response, Status};
use v1::commit_result::Result as Committed;

use crate::client::Client;

/// Calls under way at a time: enough that the control plane has the next one while it saves the last,
/// few enough that many commits share each.
const CALLS: usize = 4;
/// Bytes of the commits in one call, as the protocol has it. One that is larger goes alone.
const BYTES: usize = 3 << 20;
/// A call that takes longer makes room for another: what holds up the commit of one run, or a slow
/// line, must not keep other runs from theirs.
const SLOW: Duration = Duration::from_secs(1);
/// For so long a control plane that knows no batches is not asked again: it may be updated while the
/// worker runs.
const OLDER: Duration = Duration::from_mins(1);

/// Takes the commits of all runs of a worker.
pub(super) struct Commits {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In the order that they came.
    waiting: VecDeque<Waiting>,
    /// How many calls are under way, without the slow ones.
    calls: usize,
    /// Until when the control plane is taken for one that knows no batches.
    older: Option<Instant>,
}

/// A commit that waits for its call.
struct Waiting {
    /// A `CommitRequest`, encoded once and sent as it is however often.
    request: Bytes,
    caller: Arc<dyn Caller>,
}

/// Whom the answer to a commit goes to.
pub(super) trait Caller: Send + Sync {
    /// The commit was answered, or its call failed, having been sent at this moment.
    fn answered(self: Arc<Self>, answer: Result<v1::CommitResponse, Error>, sent: Instant);
}

impl Commits {
    pub(super) fn new(client: Client) -> Arc<Self> {
        Arc::new(Self { client, state: Mutex::default() })
    }

    /// Commits once: an encoded `CommitRequest`, in one call with others if they come at the same time.
    pub(super) fn add(self: &Arc<Self>, request: Bytes, caller: Arc<dyn Caller>) {
        let commit = Waiting { request, caller };
        let mut state = self.lock();
        if state.older.is_some_and(|until| Instant::now() < until) {
            self.alone(commit);
            return;
        }
        state.waiting.push_back(commit);
        if state.calls < CALLS {
            state.calls += 1;
            tokio::spawn(self.clone().work());
        }
    }

    /// Commits this in a call of its own.
    fn alone(&self, commit: Waiting) {
        let client = self.client.clone();
        tokio::spawn(async move {
            let sent = Instant::now();
            let answer = match v1::CommitRequest::decode(commit.request) {
                Ok(request) => client.workers().commit(request).await,
                Err(error) => Err(Status::internal(error.to_string())),
            };
            let answer = answer.map(Response::into_inner).map_err(|status| crate::error(&status));
            commit.caller.answered(answer, sent);
        });
    }

    /// Makes calls as long as there is something to commit.
    async fn work(self: Arc<Self>) {
        loop {
            // Runs that are about to commit come along: an answer wakes many of them.
            tokio::task::yield_now().await;
            let Some(batch) = self.lock().next() else { return };
            let call = self.call(batch);
            tokio::pin!(call);
            if tokio::time::timeout(SLOW, &mut call).await.is_err() {
                self.make_room();
                return call.await;
            }
        }
    }

    /// A call counts no longer; another takes its place if there is something to commit.
    fn make_room(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            state.calls -= 1;
        } else {
            tokio::spawn(self.clone().work());
        }
    }

    /// Makes one call and hands out the answers.
    async fn call(&self, batch: Vec<Waiting>) {
        let sent = Instant::now();
        let commits = batch.iter().map(|commit| commit.request.clone()).collect();
        match self.client.batch_commit(commits).await {
            Ok(response) => {
                for (commit, result) in batch.into_iter().zip(response.results) {
                    commit.caller.answered(answer(result), sent);
                }
            }
            Err(status) => self.fail(&status, batch, sent),
        }
    }

    /// A call came to nothing. One that may pass later is repeated by each run for itself, as long as
    /// it has its lease. Any other answer is about the call, or about one commit of it that nobody can
    /// name: all go alone, and only that one is refused.
    fn fail(&self, status: &Status, batch: Vec<Waiting>, sent: Instant) {
        let error = crate::error(status);
        if error.retryable() {
            for commit in batch {
                commit.caller.answered(Err(error.clone()), sent);
            }
            return;
        }
        if status.code() == Code::Unimplemented {
            tracing::info!("the control plane is older and takes commits one by one");
            self.lock().older = Some(Instant::now() + OLDER);
        } else {
            tracing::warn!(%error, "a batch of commits was refused; sending them one by one");
        }
        for commit in batch {
            self.alone(commit);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The commits of the next call, as many as it takes; `None` ends a call's turn, if there are none.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let (mut count, mut bytes) = (0, 0);
        for commit in &self.waiting {
            bytes += commit.request.len();
            if count > 0 && (count == limits::LEASES || bytes > BYTES) {
                break;
            }
            count += 1;
        }
        if count == 0 {
            self.calls -= 1;
            return None;
        }
        Some(self.waiting.drain(..count).collect())
    }
}

fn answer(result: v1::CommitResult) -> Result<v1::CommitResponse, Error> {
    match result.result {
        Some(Committed::Committed(response)) => Ok(response),
        Some(Committed::Refused(refusal)) => Err(status::from_refusal(&refusal)),
        None => Err(Error::internal("a commit was answered with nothing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Caller for Nobody {
        fn answered(self: Arc<Self>, _: Result<v1::CommitResponse, Error>, _: Instant) {}
    }

    /// The sizes of the calls that commits of these bytes are sent in.
    fn calls(commits: &[usize]) -> Vec<usize> {
        let waiting =
            |bytes: &usize| Waiting { request: vec![0; *bytes].into(), caller: Arc::new(Nobody) };
        let waiting = commits.iter().map(waiting).collect();
        let mut state = State { waiting, calls: 1, older: None };
        let calls = std::iter::from_fn(|| state.next()).map(|batch| batch.len()).collect();
        assert_eq!(state.calls, 0);
        calls
    }

    #[test]
    fn a_call_is_as_large_as_the_protocol_allows() {
        assert_eq!(calls(&[]), [0; 0]);
        assert_eq!(calls(&[10; 3]), [3]);
        assert_eq!(calls(&[10; limits::LEASES + 1]), [limits::LEASES, 1]);
        assert_eq!(calls(&[1 << 20; 4]), [3, 1]);
        assert_eq!(calls(&[10, 10, BYTES + 1, 10]), [2, 1, 1], "a larger one goes alone");
    }
}
