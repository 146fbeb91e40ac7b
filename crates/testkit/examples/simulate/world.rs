//! What everybody shares: the time, the agenda of what is to come, the dice, the network, the
//! database, and those who watch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use tenure_core::steering::Steer;
use tenure_core::{Effect, RunId, Transition};
use uuid::Uuid;

use crate::dice::Dice;
use crate::faults::Fault;
use crate::figures::Figures;
use crate::message::{Address, Hint, Message, Node};
use crate::oracle::{By, Decided, Moment, Oracle};
use crate::plan::Plan;
use crate::show::Saved;
use crate::store::Store;
use crate::trace::Trace;
use crate::{client, control_plane, person, worker};

/// Something that is to happen.
pub(crate) enum Event {
    /// A message reaches this process.
    Arrives(Node, Message),
    /// Something that a process waits for on its own.
    Alarm(Address, Alarm),
    Fault(Fault),
}

pub(crate) enum Alarm {
    ControlPlane(control_plane::Alarm),
    Worker(worker::Alarm),
    Client(client::Alarm),
    Person(person::Alarm),
}

/// A process as the machine that it runs on sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Process {
    /// Counts its lives: who is started again is somebody else.
    pub(crate) life: u32,
    pub(crate) up: bool,
    /// It does nothing before that, and then goes on as if nothing had been.
    pub(crate) frozen_until: Duration,
}

/// Everything but the processes themselves.
pub(crate) struct World {
    /// Since the beginning. Nobody but the harness can read this clock.
    pub(crate) now: Duration,
    /// Ordered by time, then by who was first: nothing happens in an order that chance of another
    /// kind than the dice decides.
    agenda: BTreeMap<(Duration, u64), Event>,
    entered: u64,
    ids: u128,
    pub(crate) dice: Dice,
    pub(crate) plan: Plan,
    pub(crate) processes: BTreeMap<Node, Process>,
    /// From whom nothing reaches whom.
    pub(crate) cut: BTreeSet<(Node, Node)>,
    pub(crate) store: Store,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) figures: Figures,
}

impl World {
    pub(crate) fn new(dice: Dice, plan: Plan, trace: Trace) -> Self {
        Self {
            now: Duration::ZERO,
            agenda: BTreeMap::new(),
            entered: 0,
            ids: 0,
            dice,
            oracle: Oracle::new(plan.weather.is_calm()),
            plan,
            processes: BTreeMap::new(),
            cut: BTreeSet::new(),
            store: Store::default(),
            trace,
            figures: Figures::default(),
        }
    }

    /// Enters something into the agenda.
    pub(crate) fn enter(&mut self, delay: Duration, event: Event) {
        self.entered += 1;
        self.agenda.insert((self.now + delay, self.entered), event);
    }

    /// Something that `who` does on its own, unless it is dead by then.
    pub(crate) fn alarm(&mut self, who: Address, delay: Duration, alarm: impl Into<Alarm>) {
        self.enter(delay, Event::Alarm(who, alarm.into()));
    }

    /// What happens next; time passes until then.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let ((at, _), event) = self.agenda.pop_first()?;
        self.now = at;
        Some(event)
    }

    /// A number that nothing else has: ids of runs and leases read as `run 17` and `lease 18`.
    pub(crate) fn new_id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    /// The life that a process is in.
    pub(crate) fn address(&self, node: Node) -> Address {
        Address { node, life: self.process(node).life }
    }

    pub(crate) fn process(&self, node: Node) -> Process {
        self.processes.get(&node).copied().unwrap_or_default()
    }

    /// Starts a process that is down; its address.
    pub(crate) fn start(&mut self, node: Node) -> Address {
        let process = self.processes.entry(node).or_default();
        process.life += 1;
        process.up = true;
        process.frozen_until = Duration::ZERO;
        self.address(node)
    }

    /// Commits one transaction; whom to wake for it.
    pub(crate) fn commit(
        &mut self,
        decided: &[Decided],
        whole: impl IntoIterator<Item = Transition>,
    ) -> Vec<Hint> {
        let at = Moment { now: self.now, database: self.store.clock(self.now) };
        for change in decided {
            self.oracle.saved(at, change);
            self.count(change);
            let run = &change.transition.run;
            self.note(Some(run.id), Saved(change));
        }
        let mut hints = Vec::new();
        for transition in whole {
            let run = transition.run.clone();
            hints.extend(transition.effects.iter().filter_map(hint));
            self.store.save(transition, at.database);
            self.oracle.queued(&run, self.store.queued(run.id));
            if let Some(script) = self.store.script(run.id) {
                self.oracle.rests(self.now, &run, script);
            }
        }
        hints
    }

    fn count(&mut self, change: &Decided) {
        let figures = &mut self.figures;
        let pausing = matches!(change.by, By::Steer(Steer::Pause));
        figures.leases += u64::from(matches!(change.by, By::Claim));
        figures.timed_out += u64::from(matches!(change.by, By::TimeOut));
        figures.turns += u64::from(matches!(change.by, By::Turn));
        figures.paused += u64::from(pausing);
    }

    /// Commits a transaction with one change for each run.
    pub(crate) fn save(&mut self, decided: &[Decided]) -> Vec<Hint> {
        let whole: Vec<_> = decided.iter().map(|change| change.transition.clone()).collect();
        self.commit(decided, whole)
    }

    /// Writes down what happened.
    pub(crate) fn note(&mut self, run: Option<RunId>, what: impl Display) {
        self.trace.note(self.now, run.map(number), what);
    }
}

fn hint(effect: &Effect) -> Option<Hint> {
    match effect {
        Effect::Enqueue { .. } => Some(Hint::Pool),
        Effect::Post { .. } => Some(Hint::Posted),
        Effect::WakeOwner(worker) => Some(Hint::Worker(*worker)),
        Effect::Open { .. }
        | Effect::Append(_)
        | Effect::Receive(_)
        | Effect::OpenInterrupt(_)
        | Effect::EndInterrupt { .. }
        | Effect::CloseInterrupts { .. }
        | Effect::Dequeue
        | Effect::WakeWatchers => None,
    }
}

/// The number of a run, as people read it.
pub(crate) fn number(run: RunId) -> u128 {
    run.uuid().as_u128()
}
