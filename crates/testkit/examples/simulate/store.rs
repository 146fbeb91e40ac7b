//! The database: committed rows, and its clock. Each call is one atomic step; whoever calls it has
//! the row locks for that long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::run::InboxItem;
use tenure_core::{Effect, Entry, Run, RunId, Timestamp, Transition};

use crate::script::Script;

/// What is committed.
#[derive(Default)]
pub(crate) struct Store {
    runs: BTreeMap<RunId, Arc<Run>>,
    journals: BTreeMap<RunId, Vec<Entry>>,
    inboxes: BTreeMap<RunId, Vec<InboxItem>>,
    /// The queue: who may be leased, and from when on.
    ready: BTreeMap<RunId, Timestamp>,
    /// What runs were given.
    scripts: BTreeMap<RunId, Arc<Script>>,
    /// Idempotency keys, and the runs that they created.
    keys: BTreeMap<String, RunId>,
    /// How far the clock was set forward and backward, in microseconds.
    ahead: i64,
}

/// When the simulation begins, by the database's clock: in 2023.
const BEGIN: i64 = 1_700_000_000_000_000;

impl Store {
    /// The database's clock, the only one that decides anything (DB-TIME).
    pub(crate) fn clock(&self, now: Duration) -> Timestamp {
        let passed = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(BEGIN + passed + self.ahead)
    }

    /// Sets the clock by so many microseconds.
    pub(crate) fn set_clock(&mut self, by: i64) {
        self.ahead += by;
    }

    pub(crate) fn run(&self, run: RunId) -> Option<&Arc<Run>> {
        self.runs.get(&run)
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.runs.values()
    }

    pub(crate) fn journal(&self, run: RunId) -> &[Entry] {
        self.journals.get(&run).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn inbox(&self, run: RunId) -> &[InboxItem] {
        self.inboxes.get(&run).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn script(&self, run: RunId) -> Option<&Arc<Script>> {
        self.scripts.get(&run)
    }

    pub(crate) fn key(&self, key: &str) -> Option<RunId> {
        self.keys.get(key).copied()
    }

    /// The queue's row of a run.
    pub(crate) fn queued(&self, run: RunId) -> Option<Timestamp> {
        self.ready.get(&run).copied()
    }

    /// Up to so many runs that are ready, longest ready first.
    pub(crate) fn ready(&self, now: Timestamp, limit: usize) -> Vec<Arc<Run>> {
        let due = self.ready.iter().filter(|(_, ready_at)| **ready_at <= now);
        let mut due: Vec<_> = due.map(|(run, ready_at)| (*ready_at, *run)).collect();
        due.sort_unstable();
        due.iter().take(limit).filter_map(|(_, run)| self.runs.get(run).cloned()).collect()
    }

    /// Takes an idempotency key for a run, with what the run is given.
    pub(crate) fn reserve(&mut self, key: String, run: RunId, script: Arc<Script>) {
        self.keys.insert(key, run);
        self.scripts.insert(run, script);
    }

    /// Saves all of a transition. The guards of a real database are left out (the row's revision,
    /// the unique keys): the oracle looks at each change, and the rules have to hold by themselves.
    pub(crate) fn save(&mut self, transition: Transition) {
        let id = transition.run.id;
        self.runs.insert(id, Arc::new(transition.run));
        for effect in transition.effects {
            self.cause(id, effect);
        }
    }

    fn cause(&mut self, run: RunId, effect: Effect) {
        match effect {
            Effect::Append(entry) => self.journals.entry(run).or_default().push(entry),
            Effect::Receive(item) => self.inboxes.entry(run).or_default().push(item),
            Effect::Enqueue { ready_at } => drop(self.ready.insert(run, ready_at)),
            Effect::Dequeue => drop(self.ready.remove(&run)),
            Effect::Open { .. }
            | Effect::OpenInterrupt(_)
            | Effect::EndInterrupt { .. }
            | Effect::CloseInterrupts { .. }
            | Effect::Post { .. }
            | Effect::WakeOwner(_)
            | Effect::WakeWatchers => {}
        }
    }
}
