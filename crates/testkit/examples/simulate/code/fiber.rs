//! One branch of the code, and where it stands.

use std::time::Duration;

use tenure_core::{Digest, EntryStatus, Key, Scope};

use super::FiberId;
use crate::message::value;
use crate::script::{Part, Parts};

pub(super) struct Fiber {
    pub(super) parts: Parts,
    pub(super) next: usize,
    pub(super) scope: Scope,
    pub(super) parent: Option<FiberId>,
    pub(super) at: At,
    /// Made of every result that the fiber has seen, in order.
    pub(super) seen: Digest,
}

/// Where a fiber stands. What is being recorded the code sees when that is acknowledged.
#[derive(Clone)]
pub(super) enum At {
    Ready,
    Executing(Key),
    /// The result of a step is being committed.
    Recording(EntryStatus),
    /// How a wait ended is being committed.
    Ending(EntryStatus),
    /// That a step which must not happen twice starts is being committed.
    Starting(Key),
    /// It finds out whether the step has happened. If it cannot, it asks under the other key.
    FindingOut {
        step: Key,
        doubt: Key,
    },
    /// The question whether the step has happened is being committed.
    Asking {
        step: Key,
        doubt: Key,
    },
    /// It waits for the answer to that.
    Doubting {
        step: Key,
        doubt: Key,
    },
    /// The answer is being committed.
    Settling {
        step: Key,
        status: EntryStatus,
    },
    /// The record of a sleep that begins is being committed.
    FallingAsleep(Key, Duration),
    Sleeping(Key),
    /// A question or a call is being committed.
    Opening {
        key: Key,
        awaited: bool,
    },
    Waiting(Key),
    /// Its branches are not all over yet.
    Joining(Vec<FiberId>),
    Over,
}

impl Fiber {
    pub(super) fn new(parts: Parts, scope: Scope, parent: Option<FiberId>) -> Self {
        Self { parts, next: 0, scope, parent, at: At::Ready, seen: Digest::of("") }
    }

    pub(super) fn see(&mut self, status: &EntryStatus) {
        self.fold(value(status));
        self.at = At::Ready;
    }

    pub(super) fn fold(&mut self, more: &[u8]) {
        self.seen = Digest::of([&self.seen.as_bytes()[..], more].concat());
    }

    /// The part that it is at.
    pub(super) fn part(&self) -> Option<&Part> {
        self.parts.get(self.next.checked_sub(1)?)
    }
}
