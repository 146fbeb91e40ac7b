//! What one run causes in another: written with the change that causes it, delivered later.
//!
//! No transaction ever changes two runs. What crosses runs is a message in an outbox table; every
//! replica takes what is due, does it, and removes it. Done twice, each does the same as once.

use crate::id::RunId;
use crate::journal::{Failure, Usage};
use crate::key::Key;
use crate::payload::Payload;
use crate::steering::Steering;
use crate::wait::Call;

/// What is to happen because of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Create the run that this one calls.
    Call {
        /// The entry that opened the call.
        key: Key,
        /// What is called.
        call: Box<Call>,
    },
    /// Tell the run that called this one how it ended.
    Ended {
        /// Who called.
        parent: RunId,
        /// The entry of the caller that opened the call.
        key: Key,
        /// The output, or why there is none.
        result: Result<Payload, Failure>,
        /// What it has used in total, the runs that it called included.
        usage: Usage,
    },
    /// Cancel the runs that this one called and did not detach. Comes after all of its calls.
    EndChildren {
        /// Why.
        steering: Steering,
    },
    /// Let the next run of this concurrency key have its turn.
    FreeTurn {
        /// The concurrency key.
        key: String,
    },
    /// Cancel the other runs of this concurrency key: this one replaces them.
    TakeTurn {
        /// The concurrency key.
        key: String,
    },
}
