//! What travels between workers and the control plane. A message that is not delivered is under way
//! for ever, so delay and another order cost nothing; losing and copying are faults.

use tenure_core::Digest;

use crate::program::Step;

/// A message on its way. A set of them is the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Message {
    Ask(Request),
    /// The answer goes to whoever waits for the answer to this request, if anybody still does.
    Answer(Request, Answer),
}

/// What a worker asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Request {
    Commit(Commit),
    Beat { worker: u8, lease: u8 },
}

/// A commit as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Commit {
    /// The name of the sender. No rule looks at it; a variant does.
    pub(crate) worker: u8,
    pub(crate) lease: u8,
    pub(crate) expected_seq: u8,
    /// Which results it records. Each result is the lease's own.
    pub(crate) steps: &'static [Step],
    pub(crate) end: Option<End>,
}

/// How a commit ends its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum End {
    Succeed,
    Suspend { inbox: u8 },
    Release,
    Cancelled,
}

/// What the control plane answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Answer {
    Committed {
        next_seq: u8,
        cancel: bool,
    },
    Alive {
        cancel: bool,
    },
    /// `ABORTED`, or `lost` in a heartbeat.
    Lost,
    /// `ALREADY_EXISTS`.
    Conflict,
    /// `FAILED_PRECONDITION`.
    WrongState,
}

impl Request {
    pub(crate) fn worker(&self) -> u8 {
        match self {
            Self::Commit(commit) => commit.worker,
            Self::Beat { worker, .. } => *worker,
        }
    }

    pub(crate) fn lease(&self) -> u8 {
        match self {
            Self::Commit(commit) => commit.lease,
            Self::Beat { lease, .. } => *lease,
        }
    }
}

impl Message {
    /// The request that this is, or answers.
    pub(crate) fn request(&self) -> &Request {
        match self {
            Self::Ask(request) | Self::Answer(request, _) => request,
        }
    }
}

impl Commit {
    /// The digest of the request: every part of it in a place of its own, so two requests share one
    /// only if they are the same.
    pub(crate) fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        let (end, inbox) = match self.end {
            None => (0, 0),
            Some(End::Succeed) => (1, 0),
            Some(End::Suspend { inbox }) => (2, inbox),
            Some(End::Release) => (3, 0),
            Some(End::Cancelled) => (4, 0),
        };
        bytes[..4].copy_from_slice(&[self.lease, self.expected_seq, end, inbox]);
        for (byte, step) in bytes[4..].iter_mut().zip(self.steps) {
            *byte = 1 + *step as u8;
        }
        Digest::from_bytes(bytes)
    }
}
