//! The way into a run's journal: one commit in flight; what parallel steps record meanwhile goes
//! into the next one.

use std::time::Duration;

use tenure_core::{EntryStatus, Error, ErrorKind, Opening, Record, limits};
use tenure_proto::{convert, v1};
use tokio::sync::{mpsc, oneshot};

use super::standing::Standing;
use crate::client::Client;
use crate::stop::Stop;

/// Hands records and the outcome to the task that commits them.
#[derive(Clone, Debug)]
pub(crate) struct Journal(mpsc::UnboundedSender<Request>);

#[derive(Debug)]
enum Request {
    Append(Appended),
    End(v1::outcome::Outcome, oneshot::Sender<Result<(), Error>>),
}

impl Journal {
    /// Records these, in one commit; they are durable when this returns.
    pub(crate) async fn append(&self, records: Vec<Record>) -> Result<(), Stop> {
        let (reply, answer) = oneshot::channel();
        let sent = self.0.send(Request::Append((records, reply)));
        match (sent, answer.await) {
            (Ok(()), Ok(result)) => result,
            _ => Err(Stop::LeaseLost),
        }
    }

    /// Ends the lease. The only refusal that leaves it as it was is `wrong_state`.
    pub(crate) async fn end(&self, outcome: v1::outcome::Outcome) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let sent = self.0.send(Request::End(outcome, reply));
        match (sent, answer.await) {
            (Ok(()), Ok(result)) => result,
            _ => Err(Error::lease_lost("the run's journal is closed")),
        }
    }
}

/// What commits for one lease.
pub(crate) struct Committer {
    pub(crate) client: Client,
    pub(crate) run: String,
    pub(crate) lease: String,
    pub(crate) next_seq: u64,
    pub(crate) standing: Standing,
}

impl Committer {
    /// Starts the task; it ends with the lease or with the last [`Journal`].
    pub(crate) fn start(self) -> Journal {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(self.work(receiver));
        Journal(sender)
    }

    async fn work(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut left = None;
        loop {
            let first = match left.take() {
                Some(request) => request,
                None => match requests.recv().await {
                    Some(request) => request,
                    None => return,
                },
            };
            let open = match first {
                Request::Append(first) => {
                    let (batch, rest) = gather(first, &mut requests);
                    left = rest;
                    self.append(batch).await
                }
                Request::End(outcome, reply) => {
                    let ended = self.commit(Vec::new(), Some(outcome)).await;
                    let open =
                        matches!(&ended, Err(error) if error.kind() == ErrorKind::WrongState);
                    let _ = reply.send(ended);
                    open
                }
            };
            if !open {
                return;
            }
        }
    }

    /// Commits a batch and answers everybody in it; whether the lease goes on.
    async fn append(&mut self, batch: Vec<Appended>) -> bool {
        let (records, replies): (Vec<Vec<Record>>, Vec<_>) = batch.into_iter().unzip();
        let committed = self.commit(records.concat(), None).await;
        let open = match &committed {
            Ok(()) => true,
            // It is refused for what it says: the code hears of it, and the run fails with that.
            Err(error) => matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge),
        };
        if let Err(error) = &committed {
            tracing::warn!(run = self.run, %error, "a run's results could not be recorded");
            self.standing.change(|state| state.lost |= !open);
        }
        for reply in replies {
            let _ = reply.send(match &committed {
                Ok(()) => Ok(()),
                Err(error) if open => Err(Stop::failed(error.kind().as_str(), error.message())),
                Err(_) => Err(Stop::LeaseLost),
            });
        }
        open
    }

    /// Sends one commit until it is answered. The very same request may be sent several times: it
    /// takes effect once. Gives up when the lease is known to be lost.
    async fn commit(
        &mut self,
        records: Vec<Record>,
        outcome: Option<v1::outcome::Outcome>,
    ) -> Result<(), Error> {
        let patience = if outcome.is_some() { OWN_END } else { Duration::ZERO };
        let request = v1::CommitRequest {
            tenant: self.client.tenant().to_string(),
            run: self.run.clone(),
            lease: self.lease.clone(),
            expected_seq: self.next_seq,
            records: records.into_iter().map(convert::record).collect(),
            outcome: outcome.map(|outcome| v1::Outcome { outcome: Some(outcome) }),
        };
        let send = || {
            let (mut workers, request) = (self.client.workers(), request.clone());
            async move { workers.commit(request).await }
        };
        let response = tokio::select! {
            response = self.client.retry(send) => response?,
            () = self.lost(patience) => {
                return Err(Error::lease_lost("another worker owns the run"));
            }
        };
        self.next_seq = response.next_seq;
        self.standing.change(|state| {
            state.inbox = state.inbox.max(response.inbox);
            state.cancelled |= response.cancel_requested;
            state.paused = response.pause_requested;
        });
        Ok(())
    }
}

impl Committer {
    /// Returns so long after the lease is known to be lost.
    async fn lost(&self, patience: Duration) {
        self.standing.until(|state| state.lost).await;
        tokio::time::sleep(patience).await;
    }
}

/// A heartbeat may hear that the lease has ended before the answer comes to the commit that ended it:
/// that answer is waited for so long.
const OWN_END: Duration = Duration::from_secs(2);

type Appended = (Vec<Record>, oneshot::Sender<Result<(), Stop>>);

/// What else is waiting to be appended, as far as it fits one commit, and the first that does not.
fn gather(
    first: Appended,
    requests: &mut mpsc::UnboundedReceiver<Request>,
) -> (Vec<Appended>, Option<Request>) {
    let (mut count, mut bytes) = size(&first.0);
    let mut batch = vec![first];
    while let Ok(request) = requests.try_recv() {
        let Request::Append(next) = request else { return (batch, Some(request)) };
        let (more, larger) = size(&next.0);
        count += more;
        bytes += larger;
        if count > limits::COMMIT_ENTRIES || bytes > limits::JOURNAL_PAGE_BYTES {
            return (batch, Some(Request::Append(next)));
        }
        batch.push(next);
    }
    (batch, None)
}

/// How many records these are, and how many bytes about.
fn size(records: &[Record]) -> (usize, usize) {
    let bytes = records.iter().map(|record| match &record.status {
        EntryStatus::Succeeded(payload) => payload.data.len(),
        EntryStatus::Failed(failure) => failure.message.len(),
        EntryStatus::Opened(Opening::Interrupt(question)) => {
            question.payload.data.len() + question.schema.len()
        }
        EntryStatus::Opened(Opening::Child(call)) => call.input.data.len(),
        EntryStatus::Opened(Opening::Started | Opening::Again) | EntryStatus::Steered(_) => 0,
    });
    (records.len(), bytes.sum())
}
