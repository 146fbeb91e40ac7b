//! The way into a run's journal: one commit under way; what parallel steps record meanwhile goes
//! into the next one.

mod committer;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::{EntryStatus, Error, Opening, Record, limits};
use tenure_proto::v1;
use tokio::sync::oneshot;

use super::commits::Commits;
use super::standing::Standing;
use crate::stop::Stop;
use committer::Committer;

/// Hands records and the outcome to what commits for one lease.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Committer>);

enum Request {
    Append(Appended),
    End(v1::outcome::Outcome, oneshot::Sender<Result<(), Error>>),
}

type Appended = (Vec<Record>, oneshot::Sender<Result<(), Stop>>);

/// A heartbeat may hear that the lease has ended before the answer comes to the commit that ended it:
/// that answer is waited for so long.
const OWN_END: Duration = Duration::from_secs(2);

impl Journal {
    /// The journal of a lease that was just got, for `tenant`.
    pub(super) fn new(
        wire: &v1::LeasedRun,
        tenant: &str,
        commits: Arc<Commits>,
        standing: Standing,
    ) -> Self {
        Self(Arc::new(Committer::new(wire, tenant, commits, standing)))
    }

    /// Records these, in one commit; they are durable when this returns.
    pub(crate) async fn append(&self, records: Vec<Record>) -> Result<(), Stop> {
        let (reply, answer) = oneshot::channel();
        self.0.ask(Request::Append((records, reply)));
        answer.await.unwrap_or(Err(Stop::LeaseLost))
    }

    /// Ends the lease. The only refusal that leaves it as it was is `wrong_state`.
    pub(crate) async fn end(&self, outcome: v1::outcome::Outcome) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.0.ask(Request::End(outcome, reply));
        let lost = async {
            self.0.standing().until(|state| state.lost).await;
            tokio::time::sleep(OWN_END).await;
        };
        tokio::select! {
            biased;
            answer = answer => {
                answer.unwrap_or_else(|_| Err(Error::lease_lost("the run's journal is closed")))
            }
            () = lost => Err(Error::lease_lost("another worker owns the run")),
        }
    }
}

/// What else is waiting to be appended, as far as it fits one commit with the first.
fn gather(first: Appended, requests: &mut VecDeque<Request>) -> Vec<Appended> {
    let (mut count, mut bytes) = size(&first.0);
    let mut batch = vec![first];
    while let Some(Request::Append(next)) = requests.front() {
        let (more, larger) = size(&next.0);
        count += more;
        bytes += larger;
        if count > limits::COMMIT_ENTRIES || bytes > limits::JOURNAL_PAGE_BYTES {
            break;
        }
        if let Some(Request::Append(next)) = requests.pop_front() {
            batch.push(next);
        }
    }
    batch
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
