//! The end: nothing goes wrong any more, and everything has come to rest.

use std::sync::Arc;
use std::time::Duration;

use tenure_core::{Key, RunId, RunState};

use super::ledger::Ledger;
use super::{ACKED_RUNS, Broken, FAMILY, NO_LOST_WAKE, Oracle, REPLAY, must};
use crate::code::{self, FLAKY};
use crate::figures::Figures;
use crate::script::{End, Script};
use crate::store::Store;

impl Oracle {
    /// Looks at every run when all clients have seen the end of theirs, or time is up.
    pub(crate) fn finish(&mut self, store: &Store, bound: Duration, figures: &mut Figures) {
        let found: Vec<(RunId, Result<(), Broken>)> = self
            .ledgers
            .iter()
            .map(|(run, ledger)| (*run, judge(ledger, store.script(*run), self.calm, bound)))
            .collect();
        for (run, found) in found {
            self.conclude(run, found);
        }
        if !store.is_quiet() {
            self.violated(FAMILY, None, "messages between runs are left".to_owned());
        }
        self.ledgers.values().for_each(|ledger| count(ledger, figures));
    }
}

fn judge(
    ledger: &Ledger,
    script: Option<&Arc<Script>>,
    calm: bool,
    bound: Duration,
) -> Result<(), Broken> {
    let state = &ledger.row.state;
    let rule = if matches!(state, RunState::Waiting { .. }) { NO_LOST_WAKE } else { ACKED_RUNS };
    must(state.is_terminal(), rule, || {
        format!("it is {} although nothing went wrong for {bound:?}", state.name())
    })?;
    let Some(script) = script else {
        return Err(Broken(ACKED_RUNS, "what it was given is not there".to_owned()));
    };
    let expected = match (state, script.end) {
        (RunState::Succeeded { output, .. }, End::Succeed | End::SucceedAfter(_)) => {
            let replayed = code::replay(script, &ledger.entries)
                .map_err(|error| Broken(REPLAY, error.to_string()))?;
            must(replayed.as_ref() == Some(output), REPLAY, || {
                "its output is not what its journal gives".to_owned()
            })?;
            true
        }
        (RunState::Failed { failure, at }, end) => match failure.code.as_str() {
            "as_written" => end == End::Fail,
            "exhausted" => !calm,
            "deadline" => ledger.row.deadline.is_some_and(|deadline| deadline <= *at),
            FLAKY => ledger.is_out_of_retries(),
            _ => false,
        },
        (RunState::Cancelled { .. }, _) => true,
        _ => false,
    };
    must(expected, ACKED_RUNS, || format!("it ended as {state:?}; its code says {:?}", script.end))
}

impl Ledger {
    /// Whether its policy has no further attempt, or nobody wants one.
    fn is_out_of_retries(&self) -> bool {
        let row = &self.row;
        let cancelled = |key: &Key| key.as_str().starts_with("tenure:cancel");
        row.retried >= row.retry.limit
            || row.attempts >= row.max_attempts
            || self.entries.iter().any(|entry| cancelled(&entry.record.key))
    }
}

fn count(ledger: &Ledger, figures: &mut Figures) {
    figures.runs += 1;
    figures.entries += ledger.entries.len() as u64;
    figures.takeovers += ledger.takeovers;
    figures.called += u64::from(ledger.row.parent.is_some());
    figures.retried += u64::from(ledger.row.retried);
    match ledger.row.state {
        RunState::Succeeded { .. } => figures.succeeded += 1,
        RunState::Failed { .. } => figures.failed += 1,
        RunState::Cancelled { .. } => figures.cancelled += 1,
        RunState::Queued { .. } | RunState::Running { .. } | RunState::Waiting { .. } => {}
    }
}
