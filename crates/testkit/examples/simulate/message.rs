//! What is said over the network. Only what a rule or a worker looks at is here.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::{InboxItem, Outcome};
use tenure_core::{
    Digest, Entry, EntryStatus, Error, LeaseId, Name, Payload, Record, Run, RunId, WorkerId,
};

use crate::script::Script;

/// Who takes part. Each is one process, but the database, which is the row locks and the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Database,
    ControlPlane(u8),
    Worker(u8),
    Client(u8),
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
    Cancel { run: RunId },
    Retry { run: RunId },
    Watch { run: RunId, after: u64 },
    // Workers'.
    Poll { worker: WorkerId, capacity: usize, wait: Duration },
    Beat { worker: WorkerId, leases: Vec<Held>, wait: Duration },
    Commit(Arc<CommitRequest>),
    ReadJournal { run: RunId, after: u64 },
    ReadInbox { run: RunId, after: u64 },
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
    Refused(Error),
}

/// A lease that a worker keeps alive, and what it knows about the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) run: RunId,
    pub(crate) lease: LeaseId,
    pub(crate) inbox: u64,
    pub(crate) cancel: bool,
}

/// What is new about a lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) lease: LeaseId,
    pub(crate) lost: bool,
    pub(crate) cancel: bool,
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
    /// The fingerprint of the request, lease included: the same bytes are the same commit.
    pub(crate) fn digest(&self) -> Digest {
        let Self { run, lease, expected_seq, records, outcome } = self;
        let mut bytes = format!("{run} {lease} {expected_seq} {outcome:?}").into_bytes();
        for record in records {
            bytes.extend_from_slice(record.key.as_str().as_bytes());
            bytes.extend_from_slice(value(&record.status));
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
}
