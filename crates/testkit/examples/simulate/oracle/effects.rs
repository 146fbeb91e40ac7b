//! Effects: each execution of a step, and when it may be another one of the same step.

use std::time::Duration;

use tenure_core::{EntryStatus, Error, Key, LeaseId, Opening, RunId};

use super::ledger::Ledger;
use super::{Broken, DB_TIME, EFFECTS, Oracle, REPLAY, must};

/// One execution of a step. Its number is its result.
pub(super) struct Execution {
    pub(super) number: u64,
    pub(super) lease: LeaseId,
    /// Whether it began under a lease that was over, which its worker could not know.
    pub(super) late: bool,
    /// How many entries the journal had.
    pub(super) recorded: u64,
}

/// An execution that begins: its number, and how many there have been of the step with it.
pub(crate) struct Begun {
    pub(crate) number: u64,
    pub(crate) nth: usize,
}

/// A sleep may seem this much shorter to a worker whose clock is fast: 1 in so many.
const FAST: u32 = 50;

impl Oracle {
    /// A worker begins to execute a step, which may have to happen `once`.
    pub(crate) fn executed(&mut self, run: RunId, key: &Key, lease: LeaseId, once: bool) -> Begun {
        self.executions += 1;
        let number = self.executions;
        let calm = self.calm;
        let Some(ledger) = self.ledgers.get_mut(&run) else { return Begun { number, nth: 1 } };
        let late = ledger.owner() != Some(lease);
        let mut found = check(ledger, key, lease, calm);
        if once && !late {
            found = found.and_then(|()| ledger.check_begin(key));
        }
        let recorded = ledger.entries.len() as u64;
        let executions = ledger.executions.entry(key.clone()).or_default();
        executions.push(Execution { number, lease, late, recorded });
        let nth = executions.len();
        self.conclude(run, found);
        Begun { number, nth }
    }

    /// The code goes on after a sleep of this length.
    pub(crate) fn woke(&mut self, now: Duration, run: RunId, key: &Key, length: Duration) {
        let forward = self.forward;
        let Some(ledger) = self.ledgers.get(&run) else { return };
        let found = match ledger.passed(now, forward, key) {
            None => Err(Broken(REPLAY, format!("`{key}` ended and is not in the journal"))),
            Some(passed) => must(is_over(passed, length), DB_TIME, || {
                format!("`{key}` of {length:?} was over after {passed:?}")
            }),
        };
        self.conclude(run, found);
    }

    /// The code could not go on with its journal.
    pub(crate) fn stuck(&mut self, run: RunId, error: &Error) {
        self.violated(REPLAY, Some(run), format!("its code does not go on: {error}"));
    }
}

/// Whether a sleep of this length may be over when so much time has passed: with what a fast clock
/// makes of it, and the microsecond that rounding may take.
pub(super) fn is_over(passed: Duration, length: Duration) -> bool {
    passed + Duration::from_micros(1) + length / FAST >= length
}

fn check(ledger: &Ledger, key: &Key, lease: LeaseId, calm: bool) -> Result<(), Broken> {
    let owner = ledger.owner.as_ref().filter(|owner| owner.lease == lease);
    let before = ledger.executions.get(key).map_or(&[][..], Vec::as_slice);
    let recorded = ledger.last(key).map(|entry| &entry.record.status);
    let again = matches!(recorded, Some(EntryStatus::Opened(Opening::Again)));
    let recorded = recorded.is_some_and(|status| !matches!(status, EntryStatus::Opened(_)));
    // The code gave up while it was being executed, or the run was to be tried again with it.
    let cut = |execution: &Execution| again || ledger.cut.contains(&execution.lease);
    must(owner.is_none() || !recorded, EFFECTS, || {
        format!("`{key}` was executed although its result was recorded")
    })?;
    must(before.iter().all(|execution| execution.lease != lease), EFFECTS, || {
        format!("`{key}` was executed twice under one lease")
    })?;
    must(!calm || before.iter().all(cut), EFFECTS, || {
        format!("`{key}` was executed again although nothing went wrong")
    })?;
    let late = ledger.late.get(&lease).is_some_and(|certain| *certain);
    must(!late, EFFECTS, || {
        format!("`{key}` was begun under a lease that was over, and its worker could know")
    })
}
