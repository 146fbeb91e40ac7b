//! Turns and priorities: who comes first.

use std::sync::Arc;

use tenure_core::run::WaitReason;
use tenure_core::{Run, RunState};

use super::{Broken, Oracle, TURNS, must};
use crate::world::number;

impl Oracle {
    /// A run has changed: no other one with its concurrency key may have its turn as well.
    pub(super) fn check_turn(&self, run: &Run) -> Result<(), Broken> {
        let Some(key) = run.concurrency.as_ref().filter(|_| has_turn(run)) else { return Ok(()) };
        let others = self.ledgers.values().map(|ledger| &ledger.row);
        let mut others =
            others.filter(|row| row.id != run.id && row.concurrency == run.concurrency);
        let second = others.find(|row| has_turn(row)).map(|row| number(row.id));
        must(second.is_none(), TURNS, || {
            format!("it has its turn of `{key}`, as has run {second:?}")
        })
    }

    /// Runs were chosen from those that are ready.
    pub(crate) fn chosen<'r>(
        &mut self,
        chosen: &[Arc<Run>],
        ready: impl Iterator<Item = &'r Arc<Run>>,
    ) {
        let Some(last) = chosen.iter().map(|run| run.priority).min() else { return };
        let left = ready.filter(|run| chosen.iter().all(|one| one.id != run.id));
        let before = left.filter(|run| run.priority > last).map(|run| run.id).next();
        if let Some(before) = before {
            let what = format!("a run with priority {last} was chosen before it");
            self.violated(TURNS, Some(before), what);
        }
    }
}

fn has_turn(run: &Run) -> bool {
    let waits = run.state == RunState::Waiting { reason: WaitReason::Turn };
    !waits && !run.state.is_terminal()
}
