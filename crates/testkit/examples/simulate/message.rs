//! What is said over the network. Only what a rule or a worker looks at is here.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::{self, InboxItem, Outcome};
use tenure_core::steering::Steer;
use tenure_core::{
    Digest, Entry, EntryStatus, Error, Interrupt, InterruptId, Key, LeaseId, Name, Payload, Record,
    Run, RunId, WorkerId,
};

use crate::script::Script;

/// Who takes part. Each is one process, but the database, which is the row locks and the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Database,
    ControlPlane(u8),
    Worker(u8),
    Client(u8),
    /// Who answers questions and helps runs that are stuck.
    Person(u8),
}

/// One life of a process: a message to an earlier one reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) node: Node,
    pub(crate) life: u32,
}

/// The number of one call. The same request sent again is another call.
pub(crate) type CallId = u64;

/// Who waits for an answer to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Caller {
    pub(crate) who: Address,
    pub(crate) call: CallId,
}

/// What is on its way.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Ask(Caller, Request),
    /// The caller has let go of a call: its connection is cut.
    Cut(Caller),
    Answer(Caller, Reply),
    /// Between replicas: look again.
    Hint(Hint),
}

#[derive(Clone, Debug)]
pub(crate) enum Request {
    // Clients'.
    Create { key: String, script: Arc<Script> },
    Signal { run: RunId, source: String, name: Name, payload: Payload },
    Steer { run: RunId, how: How },
    Watch { run: RunId, after: u64 },
    // Persons', who also steer.
    ListOpen,
    Answer { run: RunId, interrupt: InterruptId, answer: tenure_core::Answer },
    // Workers'.
    Poll { worker: WorkerId, capacity: usize, wait: Duration },
    Beat { worker: WorkerId, leases: Vec<Held>, wait: Duration },
    Commit(Arc<CommitRequest>),
    ReadJournal { run: RunId, after: u64 },
    ReadInbox { run: RunId, after: u64 },
}

/// How somebody intervenes.
#[derive(Clone, Debug)]
pub(crate) enum How {
    /// By a word alone.
    Do(Steer),
    Patch(Key, Payload),
    Prioritize(i32),
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// The run as the command left it.
    Done(Arc<Run>),
    Page {
        run: Arc<Run>,
        entries: Vec<Entry>,
        more: bool,
    },
    Inbox {
        items: Vec<InboxItem>,
        more: bool,
    },
    /// Runs that are leased to the worker; none if there was none in time.
    Leased(Vec<Offered>),
    News(Vec<News>),
    /// Questions that nobody has answered, and runs that wait for somebody to help them.
    Open {
        questions: Vec<Interrupt>,
        runs: Vec<Arc<Run>>,
    },
    Refused(Error),
}

/// A lease that a worker keeps alive, and what it knows about the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) run: RunId,
    pub(crate) lease: LeaseId,
    pub(crate) inbox: u64,
    pub(crate) cancel: bool,
    pub(crate) pause: bool,
}

/// What is new about a lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) lease: LeaseId,
    pub(crate) lost: bool,
    pub(crate) cancel: bool,
    pub(crate) pause: bool,
    pub(crate) inbox: u64,
}

/// A run as it comes with a poll: the row under its new lease, and the first page of its journal.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    pub(crate) run: Arc<Run>,
    pub(crate) script: Arc<Script>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) more: bool,
}

/// A commit as it is on the wire.
#[derive(Clone, Debug)]
pub(crate) struct CommitRequest {
    pub(crate) run: RunId,
    pub(crate) lease: LeaseId,
    pub(crate) expected_seq: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) outcome: Option<Outcome>,
}

impl CommitRequest {
    /// The commit as the rule takes it.
    pub(crate) fn command(&self) -> run::Commit {
        let Self { lease, expected_seq, records, outcome, .. } = self;
        run::Commit {
            lease: *lease,
            expected_seq: *expected_seq,
            records: records.clone(),
            outcome: outcome.clone(),
            digest: self.digest(),
        }
    }

    /// The fingerprint of the request, lease included: the same bytes are the same commit.
    pub(crate) fn digest(&self) -> Digest {
        let Self { run, lease, expected_seq, records, outcome } = self;
        let mut bytes = format!("{run} {lease} {expected_seq} {outcome:?}").into_bytes();
        for record in records {
            bytes.extend_from_slice(record.key.as_str().as_bytes());
            bytes.extend_from_slice(value(&record.status));
            if let EntryStatus::Opened(opening) = &record.status {
                bytes.extend_from_slice(format!("{opening:?}").as_bytes());
            }
        }
        Digest::of(bytes)
    }
}

/// The bytes of a result: here every execution gives others.
pub(crate) fn value(status: &EntryStatus) -> &[u8] {
    match status {
        EntryStatus::Succeeded(payload) => &payload.data,
        EntryStatus::Failed(failure) => failure.message.as_bytes(),
        EntryStatus::Opened(_) | EntryStatus::Steered(_) => &[],
    }
}

/// "Look again": it may be lost, and nothing but time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    Pool,
    Worker(WorkerId),
    /// There are messages between runs; told to nobody else.
    Posted,
}
