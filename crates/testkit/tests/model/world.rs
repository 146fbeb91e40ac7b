//! A state of the model: the database, the workers, the network, and what may still go wrong.

use std::collections::BTreeSet;

use tenure_core::{Effect, Transition};

use crate::network::Message;
use crate::program::Saved;
use crate::row::{Row, small};
use crate::worker::Worker;

/// A state. It is its own canonical form: it has no moments, and nothing that only grows but epochs
/// and lease numbers, which the bounds keep small.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    // The database.
    pub(crate) row: Row,
    pub(crate) journal: Vec<Saved>,
    /// Whether the run has a row in the queue.
    pub(crate) queued: bool,
    // Around it.
    pub(crate) workers: [Worker; 2],
    pub(crate) network: BTreeSet<Message>,
    /// What a sweep saw, in the variant that acts on it later.
    pub(crate) swept: Option<Row>,
    /// Leases that were given.
    pub(crate) leases: u8,
    /// Signals that were sent.
    pub(crate) signals: u8,
    pub(crate) left: Bounds,
    /// The first thing that went wrong.
    pub(crate) broken: Option<Broken>,
}

/// How often what need not happen may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bounds {
    /// A worker process dies. It is there again at once, under the same name.
    pub(crate) crashes: u8,
    /// The time of a lease is up although its owner lives, or an offer that arrived is withdrawn.
    pub(crate) expiries: u8,
    /// A request is delivered and stays on its way.
    pub(crate) copies: u8,
    /// A request, an answer or an offer is lost.
    pub(crate) losses: u8,
    /// A worker sends a heartbeat.
    pub(crate) beats: u8,
    /// A worker is told to stop.
    pub(crate) drains: u8,
    /// A client cancels.
    pub(crate) cancels: u8,
}

/// What went wrong in a step, where the state alone does not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    /// Something was written for a worker whose lease was not the current one.
    Stranger,
    /// An entry was written over another.
    Overwritten,
    /// A run that had ended was changed.
    Revived,
    /// A worker was told that a record is in the journal, and it is not.
    Forgotten,
    /// A worker that keeps to the protocol was told that it does not.
    Blamed,
}

impl World {
    /// A run that was just created, and two workers that have nothing to do.
    pub(crate) fn new(left: Bounds) -> Self {
        Self {
            row: Row::created(),
            journal: Vec::new(),
            queued: true,
            workers: [Worker::Idle, Worker::Idle],
            network: BTreeSet::new(),
            swept: None,
            leases: 0,
            signals: 0,
            left,
            broken: None,
        }
    }

    /// Saves all of a transition. The database's own guards are left out on purpose (the revision,
    /// the key of the journal): the rules have to hold by themselves.
    pub(crate) fn save(&mut self, transition: Transition) {
        self.note(self.row.ended(), Broken::Revived);
        self.row = Row::of(transition.run);
        for effect in &transition.effects {
            self.cause(effect);
        }
    }

    fn cause(&mut self, effect: &Effect) {
        match effect {
            Effect::Append(entry) => {
                let entry = Saved::of(entry);
                let taken = self.journal.iter().any(|old| old.seq == entry.seq);
                self.note(taken, Broken::Overwritten);
                self.journal.push(entry);
            }
            Effect::Receive(item) => assert_eq!(small(item.number), self.row.inbox),
            Effect::Enqueue { .. } => self.queued = true,
            Effect::Dequeue => self.queued = false,
            Effect::Open { .. } | Effect::WakeOwner(_) | Effect::WakeWatchers => {}
            Effect::OpenInterrupt(_)
            | Effect::EndInterrupt { .. }
            | Effect::CloseInterrupts { .. }
            | Effect::Post { .. } => {
                unreachable!("nobody of the model asks, or has to do with another run: {effect:?}")
            }
        }
    }

    /// Remembers what went wrong, if it did.
    pub(crate) fn note(&mut self, wrong: bool, what: Broken) {
        self.broken = self.broken.or(wrong.then_some(what));
    }

    /// Whether a living process holds the lease that stands.
    pub(crate) fn owner_lives(&self) -> bool {
        let holders = self.workers.iter().filter_map(Worker::held);
        self.row.lease().is_some_and(|lease| holders.into_iter().any(|held| held.lease == lease))
    }

    /// Removes answers that nobody waits for any more: they make no difference to anything.
    pub(crate) fn forget_answers(&mut self) {
        let workers = &self.workers;
        self.network
            .retain(|message| workers[usize::from(message.request().worker())].wants(message));
    }
}
