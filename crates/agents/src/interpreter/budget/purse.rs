//! Several budgets at once.

use tenure_sdk::{Budget as Given, Context, Stop, Usage};

use super::{Budget, Turn};

/// The budgets that the turns of a conversation are taken from: that of the run, and those of what is
/// inside it. Each has to have room for a turn.
pub(in crate::interpreter) struct Purse<'a> {
    budgets: Vec<&'a mut Budget>,
    /// The budget that had no room.
    refused: Option<usize>,
}

impl<'a> Purse<'a> {
    pub(in crate::interpreter) fn new(budgets: impl Into<Vec<&'a mut Budget>>) -> Self {
        Self { budgets: budgets.into(), refused: None }
    }

    /// Whether the budget at this place had no room for more.
    pub(in crate::interpreter) fn was_refused_by(&self, place: usize) -> bool {
        self.refused == Some(place)
    }

    /// The turn that is written down in `scope`, if there may be one.
    pub(in crate::interpreter) async fn next_turn(&mut self, scope: Context) -> Result<Turn, Stop> {
        let mut last = false;
        for (place, budget) in self.budgets.iter_mut().enumerate() {
            self.refused = Some(place);
            last |= budget.next_turn(&scope).await?;
        }
        self.refused = None;
        Ok(Turn { scope, last })
    }

    /// What each of so many agents may use that are called at the same time.
    pub(in crate::interpreter) fn share(&self, among: usize) -> Given {
        let shares = self.budgets.iter().map(|budget| budget.share(among));
        shares.fold(Given::default(), Given::tighter)
    }

    /// Adds what a model call consumed, or a called run in total.
    pub(in crate::interpreter) fn spend(&mut self, usage: &Usage) {
        for budget in &mut self.budgets {
            budget.spend(usage);
        }
    }

    /// What a model was asked for, or nothing if it is to be asked again.
    pub(in crate::interpreter) async fn paid<T>(
        &self,
        place: &Context,
        asked: Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        match self.budgets.last() {
            Some(of_run) => of_run.paid(place, asked).await,
            None => asked.map(Some),
        }
    }

    /// Counts this many calls of tools, of which some ask models; false if the run is to wrap up
    /// instead.
    pub(in crate::interpreter) async fn admit_calls(
        &mut self,
        place: &Context,
        calls: usize,
        metered: usize,
    ) -> Result<bool, Stop> {
        for (number, budget) in self.budgets.iter_mut().enumerate() {
            self.refused = Some(number);
            if !budget.admit_calls(place, calls, metered).await? {
                return Ok(false);
            }
        }
        self.refused = None;
        Ok(true)
    }
}
