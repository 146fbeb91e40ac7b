//! The oracle: ledgers outside of the system, and what must hold, by the names of
//! `docs/architecture.md`.
//!
//! It sees each committed change, each execution of a step, and all that clients and workers are
//! told. It asks the rules nothing: what it expects it works out by itself. The first thing that
//! does not hold ends the simulation.

mod answers;
mod effects;
mod end;
mod entries;
mod family;
mod ledger;
mod once;
mod parked;
mod turns;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tenure_core::steering::Steer;
use tenure_core::{Key, LeaseId, Run, RunId, RunState, Timestamp, Transition};

use crate::message::CommitRequest;
use crate::world::number;
use ledger::Ledger;

pub(crate) const ONE_WRITER: &str = "ONE-WRITER";
pub(crate) const NO_GAP: &str = "NO-GAP";
pub(crate) const FIRST_WINS: &str = "FIRST-WINS";
pub(crate) const NO_LOST_WAKE: &str = "NO-LOST-WAKE";
pub(crate) const FINAL: &str = "FINAL";
pub(crate) const ACKED_RUNS: &str = "ACKED-RUNS";
pub(crate) const ANSWERED_ONCE: &str = "ANSWERED-ONCE";
pub(crate) const DB_TIME: &str = "DB-TIME";
/// What was acknowledged is there: a record, a signal, a cancel.
pub(crate) const ACKNOWLEDGED: &str = "ACKNOWLEDGED";
/// Who keeps to the protocol is never told that it does not.
pub(crate) const BLAMELESS: &str = "BLAMELESS";
/// A signal is taken once, and those of one name in order.
pub(crate) const SIGNALS: &str = "SIGNALS";
/// A run has a row in the queue exactly while somebody may lease it, now or later.
pub(crate) const QUEUE: &str = "QUEUE";
/// A step is executed again only where it could not be known that it had been.
pub(crate) const EFFECTS: &str = "EFFECTS";
/// A step that must not happen twice is on record before it begins, and does not begin again without
/// a decision.
pub(crate) const ONCE: &str = "ONCE";
/// A call makes one run, and its end is told to the caller once. When the caller ends, so does it.
pub(crate) const FAMILY: &str = "FAMILY";
/// Of the runs with one concurrency key one at a time has its turn, in the order of creation; and
/// higher priorities come first.
pub(crate) const TURNS: &str = "TURNS";
/// A journal gives the code what it was given when it was written.
pub(crate) const REPLAY: &str = "REPLAY";

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The name of the rule.
    pub(crate) rule: &'static str,
    /// The number of the run, if it is about one.
    pub(crate) run: Option<u128>,
    /// A sentence.
    pub(crate) what: String,
}

/// Who caused a change.
pub(crate) enum By {
    /// Under this idempotency key.
    Create(String),
    /// Something is put into its inbox.
    Client,
    Steer(Steer),
    Answer,
    TimeOut,
    /// It has its turn.
    Turn,
    /// Another run has ended, or replaces it.
    System,
    Commit(Arc<CommitRequest>),
    Beat(LeaseId),
    Claim,
    Withdraw(LeaseId),
    Sweep,
}

/// A change that is being committed.
pub(crate) struct Decided {
    pub(crate) by: By,
    pub(crate) before: Option<Arc<Run>>,
    pub(crate) transition: Transition,
}

impl Decided {
    /// Whether the time of a lease was up.
    fn is_takeover(&self) -> bool {
        matches!(self.by, By::Sweep) && matches!(self.transition.run.state, RunState::Queued { .. })
    }

    /// Whether the run had an owner who had shown a sign of life. An offer gets lost with the answer
    /// of a poll that nobody reads, such as the second one to a poll that came twice.
    fn was_started(&self) -> bool {
        let lease = self.before.as_ref().and_then(|run| run.lease_held());
        lease.is_some_and(|lease| lease.started)
    }
}

/// A moment, by the clock of the harness and by that of the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Duration,
    pub(crate) database: Timestamp,
}

/// Everything that was noted.
pub(crate) struct Oracle {
    /// Whether nothing goes wrong that could cost a worker its lease.
    calm: bool,
    ledgers: BTreeMap<RunId, Ledger>,
    /// The run of each idempotency key.
    keys: BTreeMap<String, RunId>,
    /// The run that each call has made.
    called: BTreeMap<(RunId, Key), RunId>,
    /// Runs whose children have been told to end.
    ended: BTreeSet<RunId>,
    executions: u64,
    /// How far the database's clock was set forward in all.
    forward: Duration,
    violation: Option<Violation>,
}

impl Oracle {
    pub(crate) fn new(calm: bool) -> Self {
        Self {
            calm,
            ledgers: BTreeMap::new(),
            keys: BTreeMap::new(),
            called: BTreeMap::new(),
            ended: BTreeSet::new(),
            executions: 0,
            forward: Duration::ZERO,
            violation: None,
        }
    }

    /// The first thing that did not hold.
    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Notes what does not hold. What follows from a mistake shows nothing new.
    pub(crate) fn violated(&mut self, rule: &'static str, run: Option<RunId>, what: String) {
        let run = run.map(number);
        self.violation.get_or_insert(Violation { rule, run, what });
    }

    /// Notes what a ledger found.
    fn conclude(&mut self, run: RunId, found: Result<(), Broken>) {
        if let Err(Broken(rule, what)) = found {
            self.violated(rule, Some(run), what);
        }
    }

    /// A change is committed.
    pub(crate) fn saved(&mut self, at: Moment, decided: &Decided) {
        let run = decided.transition.run.id;
        if let By::Create(key) = &decided.by {
            self.created(key, run);
            let row = Arc::new(decided.transition.run.clone());
            self.ledgers.insert(run, Ledger::new(row.clone()));
            let found = self.check_called(&row).and_then(|()| self.check_turn(&row));
            return self.conclude(run, found);
        }
        let (forward, calm) = (self.forward, self.calm);
        let Some(ledger) = self.ledgers.get_mut(&run) else {
            return self.violated(ACKED_RUNS, Some(run), "a run that nobody created".to_owned());
        };
        let found = ledger.saved(at, forward, decided);
        let found = found.and_then(|()| self.check_received(decided));
        let found = found.and_then(|()| self.check_turn(&decided.transition.run));
        self.conclude(run, found);
        if calm && decided.is_takeover() && decided.was_started() {
            let what = "a lease was taken away although nothing went wrong".to_owned();
            self.violated(DB_TIME, Some(run), what);
        }
    }

    fn created(&mut self, key: &str, run: RunId) {
        if let Some(first) = self.keys.insert(key.to_owned(), run) {
            let (first, second) = (number(first), number(run));
            let what = format!("the requests of key `{key}` made run {first} and run {second}");
            self.violated(ACKED_RUNS, Some(run), what);
        }
    }

    /// A run is saved, and this is its row in the queue.
    pub(crate) fn queued(&mut self, run: &Run, row: Option<Timestamp>) {
        let ready_at = run.ready_at();
        let found = must(row == ready_at, QUEUE, || {
            let state = run.state.name();
            format!("it is {state}, ready at {ready_at:?}, and its row in the queue says {row:?}")
        });
        self.conclude(run.id, found);
    }

    /// Whether every run has ended.
    pub(crate) fn have_all_ended(&self) -> bool {
        self.ledgers.values().all(|ledger| ledger.row.state.is_terminal())
    }

    /// The database's clock was set.
    pub(crate) fn clock_set(&mut self, by: i64) {
        self.forward += Duration::from_micros(u64::try_from(by).unwrap_or(0));
        self.ledgers.values_mut().for_each(Ledger::doubt);
    }
}

/// A rule that is broken, and how.
struct Broken(&'static str, String);

/// Says what must hold.
fn must(holds: bool, rule: &'static str, else_what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(rule, else_what())) }
}
