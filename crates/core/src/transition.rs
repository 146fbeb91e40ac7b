//! What a command causes, as a value.

use std::collections::BTreeMap;

use crate::id::{InterruptId, WorkerId};
use crate::interrupt::{Interrupt, InterruptState};
use crate::journal::Entry;
use crate::message::Message;
use crate::payload::Payload;
use crate::run::{InboxItem, Run};
use crate::time::Timestamp;

/// Everything that a command on a run causes: the run as it will be, and the closed list of what
/// else has to be written or told. Whoever saves it does all of it, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The revision that the run's row must have when this is saved; `None` when it is new. The row
    /// is locked as well: two guards that do not share a cause.
    pub before: Option<u64>,
    /// The run afterwards.
    pub run: Run,
    /// What else happens, in order.
    pub effects: Vec<Effect>,
    /// How much of the run's row is another than before.
    pub change: Change,
}

/// How much of a run's row a transition changes: what does not change need not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// What a sign of life of its owner changes, and no more: the lease's time, the counters of
    /// attempts, entries and usage, and which commit was the last.
    Advance,
    /// Anything.
    Whole,
}

/// One thing that a transition causes besides the change of the run's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write what the run was given. Comes with the run's creation only.
    Open {
        /// What the run was asked to do.
        input: Payload,
        /// Words of the creator's, to find the run by.
        labels: BTreeMap<String, String>,
    },
    /// Append this entry to the journal.
    Append(Entry),
    /// Put this into the run's inbox.
    Receive(InboxItem),
    /// Ask a person or system.
    OpenInterrupt(Box<Interrupt>),
    /// An open interrupt of the run has come to this.
    EndInterrupt {
        /// Which.
        id: InterruptId,
        /// What became of it.
        state: InterruptState,
    },
    /// The run has ended: its open interrupts are closed.
    CloseInterrupts {
        /// When.
        at: Timestamp,
    },
    /// Cause something in another run.
    Post {
        /// Its place among the run's messages.
        number: u64,
        /// What.
        message: Message,
    },
    /// Put the run into its pool's queue, to be leased from `ready_at` on; tell the pool's pollers.
    Enqueue {
        /// When the first worker may have it.
        ready_at: Timestamp,
    },
    /// Take the run out of its pool's queue.
    Dequeue,
    /// Tell the run's owner that there is news for it: a cancel, an inbox entry, a lost lease.
    WakeOwner(WorkerId),
    /// Tell those who watch the run that it changed.
    WakeWatchers,
}

impl Transition {
    /// The transition of `run`, whose row had the revision `before`, into `after`.
    pub(crate) fn of(run: &Run, mut after: Run, effects: Vec<Effect>, now: Timestamp) -> Self {
        after.revision = run.revision + 1;
        after.updated_at = now;
        Self { before: Some(run.revision), run: after, effects, change: Change::Whole }
    }

    /// The same, which its maker knows to change no more than [`Change::Advance`] says.
    pub(crate) fn advancing(self) -> Self {
        Self { change: Change::Advance, ..self }
    }

    /// Whether it writes nothing but the run's row, what it was given, its journal and its place in
    /// the queue.
    pub fn is_plain(&self) -> bool {
        self.effects.iter().all(|effect| match effect {
            Effect::Open { .. }
            | Effect::Append(_)
            | Effect::Enqueue { .. }
            | Effect::Dequeue
            | Effect::WakeOwner(_)
            | Effect::WakeWatchers => true,
            Effect::Receive(_)
            | Effect::OpenInterrupt(_)
            | Effect::EndInterrupt { .. }
            | Effect::CloseInterrupts { .. }
            | Effect::Post { .. } => false,
        })
    }

    /// This transition followed by `next`, a transition of the run that this one led to: one write
    /// for two commands.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        debug_assert_eq!(next.before, Some(self.run.revision), "a transition of another run");
        self.effects.extend(next.effects);
        let change = if next.change == Change::Advance { self.change } else { Change::Whole };
        Self { before: self.before, run: next.run, effects: self.effects, change }
    }
}
