//! Wrong rules: the right ones behind a wrapper that takes one comparison away. The checker has to
//! find each of them, or it would not find a mistake in the right ones either.

use tenure_core::Run;
use tenure_core::run::{Commit, Outcome};

use crate::network;
use crate::row::worker_id;

/// Which rules the control plane follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Those of `tenure_core`, as they are.
    Right,
    /// A commit does not compare the lease.
    AnyLease,
    /// A commit compares the name of the worker instead of the lease.
    LeaseByName,
    /// A commit does not compare the expected `seq`.
    AnySeq,
    /// A commit that was applied before is not recognised.
    NoRepetition,
    /// A suspend does not compare the inbox counter.
    AnyInbox,
    /// The sweep acts on the row that it read, not on the row that it has locked.
    SweepReadsFirst,
}

impl Variant {
    /// The row and the command that the rule gets to see.
    pub(crate) fn commit(
        self,
        mut run: Run,
        sent: &network::Commit,
        mut commit: Commit,
    ) -> (Run, Commit) {
        let held = run.lease_held();
        match self {
            Self::Right | Self::SweepReadsFirst => {}
            Self::AnyLease => commit.lease = held.map_or(commit.lease, |lease| lease.id),
            Self::LeaseByName => {
                let named = held.filter(|lease| lease.worker == worker_id(sent.worker));
                commit.lease = named.map_or(commit.lease, |lease| lease.id);
            }
            Self::AnySeq => commit.expected_seq = run.next_seq,
            Self::NoRepetition => run.last_commit = None,
            Self::AnyInbox => {
                if let Some(Outcome::Suspend { inbox, .. }) = &mut commit.outcome {
                    *inbox = run.inbox;
                }
            }
        }
        (run, commit)
    }
}
