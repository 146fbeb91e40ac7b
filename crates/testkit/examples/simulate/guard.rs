//! Guards that can be taken away, one at a time. The oracle has to notice each of them, or it would
//! not notice a mistake in the right rules either.
//!
//! Nothing in `tenure_core` is changed for that: the rule is shown a row or a command that has been
//! doctored, so that the comparison in question always fits.

use clap::ValueEnum;
use tenure_core::Run;
use tenure_core::run::{Commit, Outcome};

/// A comparison that something depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Guard {
    /// A commit compares the lease.
    Lease,
    /// A commit compares the expected `seq`.
    Seq,
    /// A commit that was applied before is recognised.
    Repetition,
    /// A suspend compares the inbox counter.
    Inbox,
    /// The sweep looks again at the row that it has locked.
    Sweep,
    /// A claim takes only what is ready.
    Ready,
    /// A create looks whether its idempotency key is taken.
    Key,
    /// A signal is compared with those that came before it.
    Source,
    /// A reply waits until the transaction has committed.
    Reply,
    /// A worker starts nothing when 5/6 of its lease have passed without a heartbeat.
    Deadline,
    /// A worker looks at that whenever it begins something, not only between two heartbeats.
    Promptness,
    /// A worker does not park a run while a record of it is on its way.
    Parking,
    /// An answer is compared with the one that was given first.
    Answer,
    /// A question whose time is up is timed out only if nobody has answered it.
    TimeOut,
    /// A message between runs stays until its work is done.
    Taken,
    /// That children are to end is told after all calls of their caller.
    Calls,
    /// That a step which must not happen twice starts is on record before it does.
    Started,
    /// A worker looks at its lease once more when that is on record.
    Recheck,
    /// Only who has a turn hands it on.
    Turn,
    /// The idempotency key of a creation that is refused is not taken.
    Refused,
}

impl Guard {
    /// The row and the command that the rule gets to see.
    pub(crate) fn doctor(self, run: &mut Run, commit: &mut Commit) {
        match self {
            Self::Lease => {
                commit.lease = run.lease_held().map_or(commit.lease, |lease| lease.id);
            }
            Self::Seq => commit.expected_seq = run.next_seq,
            Self::Repetition => run.last_commit = None,
            Self::Inbox => {
                if let Some(Outcome::Suspend { inbox, .. }) = &mut commit.outcome {
                    *inbox = run.inbox;
                }
            }
            Self::Sweep
            | Self::Ready
            | Self::Key
            | Self::Source
            | Self::Reply
            | Self::Deadline
            | Self::Promptness
            | Self::Parking
            | Self::Answer
            | Self::TimeOut
            | Self::Taken
            | Self::Calls
            | Self::Started
            | Self::Recheck
            | Self::Turn
            | Self::Refused => {}
        }
    }
}
