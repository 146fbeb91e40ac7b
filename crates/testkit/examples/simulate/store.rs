//! The database: committed rows, and its clock. Each call is one atomic step; whoever calls it has
//! the row locks for that long.

mod between;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tenure_core::queue::{self, Ready};
use tenure_core::run::InboxItem;
use tenure_core::{
    Call, Effect, Entry, Interrupt, InterruptId, InterruptState, Message, Run, RunId, Timestamp,
    Transition,
};

use crate::script::{Library, Script};
pub(crate) use between::{Place, Posted};

/// What is committed.
#[derive(Default)]
pub(crate) struct Store {
    runs: BTreeMap<RunId, Arc<Run>>,
    journals: BTreeMap<RunId, Vec<Entry>>,
    inboxes: BTreeMap<RunId, Vec<InboxItem>>,
    interrupts: BTreeMap<InterruptId, Interrupt>,
    /// The queue: who may be leased, and from when on.
    ready: BTreeMap<RunId, Timestamp>,
    /// Messages between runs, and when each is due.
    outbox: BTreeMap<Place, (Timestamp, Message)>,
    /// Who has the turn of each concurrency key.
    turns: BTreeMap<String, RunId>,
    /// What runs were given.
    scripts: BTreeMap<RunId, Arc<Script>>,
    /// Idempotency keys, and the runs that they created.
    keys: BTreeMap<String, RunId>,
    /// Every script that runs may call, by number.
    pub(crate) library: Library,
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

    pub(crate) fn interrupt(&self, id: InterruptId) -> Option<&Interrupt> {
        self.interrupts.get(&id)
    }

    pub(crate) fn interrupts(&self) -> impl Iterator<Item = &Interrupt> {
        self.interrupts.values()
    }

    pub(crate) fn script(&self, run: RunId) -> Option<&Arc<Script>> {
        self.scripts.get(&run)
    }

    /// The script that a call names, if there is such a one.
    pub(crate) fn called(&self, call: &Call) -> Option<&Arc<Script>> {
        let number = std::str::from_utf8(&call.input.data).ok()?;
        self.library.get(number.parse::<usize>().ok()?)
    }

    pub(crate) fn key(&self, key: &str) -> Option<RunId> {
        self.keys.get(key).copied()
    }

    /// The queue's row of a run.
    pub(crate) fn queued(&self, run: RunId) -> Option<Timestamp> {
        self.ready.get(&run).copied()
    }

    /// Every run that is ready.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Run>> {
        let due = self.ready.iter().filter(move |(_, ready_at)| **ready_at <= now);
        due.filter_map(|(run, _)| self.runs.get(run))
    }

    /// Up to so many runs that are ready, in the order that the queue's rule gives.
    pub(crate) fn ready(&self, now: Timestamp, limit: usize) -> Vec<Arc<Run>> {
        let row = |run: &Arc<Run>| Ready {
            tenant: run.tenant,
            run: run.id,
            lane: None,
            priority: run.priority,
            ready_at: self.ready[&run.id],
        };
        let chosen = queue::choose(self.due(now).map(row).collect(), &HashMap::new(), limit, 0);
        chosen.iter().filter_map(|(_, run)| self.runs.get(run).cloned()).collect()
    }

    /// Takes an idempotency key for a run.
    pub(crate) fn reserve(&mut self, key: String, run: RunId) {
        self.keys.insert(key, run);
    }

    /// Keeps what a run is given.
    pub(crate) fn give(&mut self, run: RunId, script: Arc<Script>) {
        self.scripts.insert(run, script);
    }

    /// Saves all of a transition. The guards of a real database are left out (the row's revision,
    /// the unique keys): the oracle looks at each change, and the rules have to hold by themselves.
    pub(crate) fn save(&mut self, transition: Transition, now: Timestamp) {
        let id = transition.run.id;
        self.runs.insert(id, Arc::new(transition.run));
        for effect in transition.effects {
            self.cause(id, effect, now);
        }
    }

    fn cause(&mut self, run: RunId, effect: Effect, now: Timestamp) {
        match effect {
            Effect::Append(entry) => self.journals.entry(run).or_default().push(entry),
            Effect::Receive(item) => self.inboxes.entry(run).or_default().push(item),
            Effect::OpenInterrupt(interrupt) => {
                self.interrupts.insert(interrupt.id, *interrupt);
            }
            Effect::EndInterrupt { id, state } => {
                self.interrupts.entry(id).and_modify(|interrupt| interrupt.state = state);
            }
            Effect::CloseInterrupts { at } => self.close_interrupts(run, at),
            Effect::Post { number, message } => {
                self.outbox.insert((run, number), (now, message));
            }
            Effect::Enqueue { ready_at } => drop(self.ready.insert(run, ready_at)),
            Effect::Dequeue => drop(self.ready.remove(&run)),
            Effect::Open { .. } | Effect::WakeOwner(_) | Effect::WakeWatchers => {}
        }
    }

    fn close_interrupts(&mut self, run: RunId, at: Timestamp) {
        let of_run = self.interrupts.values_mut().filter(|interrupt| interrupt.run == run);
        for interrupt in of_run.filter(|one| one.state == InterruptState::Open) {
            interrupt.state = InterruptState::Closed { at };
        }
    }
}
