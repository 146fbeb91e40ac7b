//! What commits for one lease. It has no task of its own: who records something starts a commit if
//! none is under way, and the answer to that one starts the next.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use tenure_core::{Error, ErrorKind};
use tenure_proto::{convert, v1};
use tokio::sync::oneshot;

use super::{Request, gather};
use crate::client::Backoff;
use crate::stop::Stop;
use crate::worker::commits::{Caller, Commits};
use crate::worker::standing::{Standing, good_until};

pub(super) struct Committer {
    run: String,
    /// What every commit of the lease begins with, encoded: whose, and by what right.
    beginning: Vec<u8>,
    /// How long the lease lasts after a sign of life, as each commit is.
    ttl: Duration,
    commits: Arc<Commits>,
    standing: Standing,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_seq: u64,
    /// What waits for the commit before it, in order.
    requests: VecDeque<Request>,
    under_way: Option<UnderWay>,
    /// The lease has ended or is lost.
    closed: bool,
}

/// A commit that is not answered yet. The very same bytes are sent until it is: it takes effect once.
struct UnderWay {
    request: Bytes,
    waiting: Waiting,
    /// When it was sent first. It may have taken effect at any time since, and extended the lease then.
    sent: Option<Instant>,
    backoff: Backoff,
}

/// Who waits for a commit.
enum Waiting {
    Append(Vec<oneshot::Sender<Result<(), Stop>>>),
    End(oneshot::Sender<Result<(), Error>>),
}

impl Committer {
    pub(super) fn new(
        wire: &v1::LeasedRun,
        tenant: &str,
        commits: Arc<Commits>,
        standing: Standing,
    ) -> Self {
        let beginning = v1::CommitRequest {
            tenant: tenant.to_owned(),
            run: wire.run.clone(),
            lease: wire.lease.clone(),
            ..v1::CommitRequest::default()
        };
        Self {
            run: wire.run.clone(),
            beginning: beginning.encode_to_vec(),
            ttl: convert::duration_in("ttl", wire.ttl).unwrap_or_default(),
            commits,
            standing,
            state: Mutex::new(State { next_seq: wire.next_seq, ..State::default() }),
        }
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Commits this when its turn comes. Its reply is dropped if the lease has ended.
    pub(super) fn ask(self: &Arc<Self>, request: Request) {
        let mut state = self.lock();
        if !state.closed {
            state.requests.push_back(request);
            self.go_on(&mut state);
        }
    }

    /// Starts the next commit if none is under way.
    fn go_on(self: &Arc<Self>, state: &mut State) {
        if state.under_way.is_some() {
            return;
        }
        let Some(first) = state.requests.pop_front() else { return };
        let mut commit = v1::CommitRequest { expected_seq: state.next_seq, ..Default::default() };
        let waiting = match first {
            Request::Append(first) => {
                let batch = gather(first, &mut state.requests);
                let (records, replies): (Vec<_>, _) = batch.into_iter().unzip();
                commit.records = records.into_iter().flatten().map(convert::record).collect();
                Waiting::Append(replies)
            }
            Request::End(outcome, reply) => {
                commit.outcome = Some(v1::Outcome { outcome: Some(outcome) });
                Waiting::End(reply)
            }
        };
        let request = self.encoded(&commit);
        self.commits.add(request.clone(), self.clone());
        state.under_way =
            Some(UnderWay { request, waiting, sent: None, backoff: Backoff::default() });
    }

    /// The bytes of a commit, behind what every one begins with.
    fn encoded(&self, commit: &v1::CommitRequest) -> Bytes {
        let mut bytes = Vec::with_capacity(self.beginning.len() + commit.encoded_len());
        bytes.extend_from_slice(&self.beginning);
        // A vector that grows takes everything.
        let _ = commit.encode(&mut bytes);
        bytes.into()
    }

    /// Sends the commit under way again after a pause, unless the lease is lost and nobody waits.
    fn repeat(self: Arc<Self>, state: &mut State, mut under_way: UnderWay) {
        if self.standing.get().lost && !under_way.waiting.is_waiting() {
            state.close();
            return;
        }
        let (request, pause) = (under_way.request.clone(), under_way.backoff.next());
        state.under_way = Some(under_way);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            self.commits.clone().add(request, self);
        });
    }

    /// What the answer to a commit says about the lease.
    fn learn(&self, response: &v1::CommitResponse, sent: Instant) {
        self.standing.extend(good_until(sent, self.ttl));
        self.standing.change(|state| {
            state.inbox = state.inbox.max(response.inbox);
            state.cancelled |= response.cancel_requested;
            state.paused = response.pause_requested;
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caller for Committer {
    fn answered(self: Arc<Self>, answer: Result<v1::CommitResponse, Error>, sent: Instant) {
        let mut state = self.lock();
        let Some(mut under_way) = state.under_way.take() else { return };
        let sent = *under_way.sent.get_or_insert(sent);
        let answer = match answer {
            Ok(response) => {
                self.learn(&response, sent);
                state.next_seq = response.next_seq;
                Ok(())
            }
            Err(error) if error.retryable() => {
                return self.clone().repeat(&mut state, under_way);
            }
            Err(error) => Err(error),
        };
        let open = under_way.waiting.leaves_open(&answer);
        if let (Waiting::Append(_), Err(error)) = (&under_way.waiting, &answer) {
            tracing::warn!(run = self.run, %error, "a run's results could not be recorded");
            self.standing.change(|state| state.lost |= !open);
        }
        under_way.waiting.tell(&answer, open);
        if open {
            self.go_on(&mut state);
        } else {
            state.close();
        }
    }
}

impl State {
    /// Nothing is committed any more; who still waits hears so.
    fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }
}

impl Waiting {
    fn is_waiting(&self) -> bool {
        match self {
            Self::Append(replies) => replies.iter().any(|reply| !reply.is_closed()),
            Self::End(reply) => !reply.is_closed(),
        }
    }

    /// Whether the lease goes on after this answer.
    fn leaves_open(&self, answer: &Result<(), Error>) -> bool {
        match (self, answer.as_ref().map_err(Error::kind)) {
            (Self::Append(_), Ok(())) => true,
            // It is refused for what it says: the code hears of it, and the run fails with that.
            (Self::Append(_), Err(kind)) => {
                matches!(kind, ErrorKind::Invalid | ErrorKind::TooLarge)
            }
            (Self::End(_), Ok(())) => false,
            (Self::End(_), Err(kind)) => kind == ErrorKind::WrongState,
        }
    }

    /// Answers all who wait. Who does not listen any more is code that has been stopped.
    fn tell(self, answer: &Result<(), Error>, open: bool) {
        let replies = match self {
            Self::Append(replies) => replies,
            Self::End(reply) => {
                let _ = reply.send(answer.clone());
                return;
            }
        };
        for reply in replies {
            let _ = reply.send(match answer {
                Ok(()) => Ok(()),
                Err(error) if open => Err(Stop::failed(error.kind().as_str(), error.message())),
                Err(_) => Err(Stop::LeaseLost),
            });
        }
    }
}
