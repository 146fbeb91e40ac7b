//! Budgets of things that are done at the same time.

use tenure_sdk::{Budget as Given, Usage};

use super::Budget;
use super::limit::Limit;

impl Budget {
    /// What each of so many agents may use that are called at the same time: what is left, divided
    /// evenly. What they leave is free again when they have ended.
    pub(in crate::interpreter) fn share(&self, among: usize) -> Given {
        let among = (among as u64).max(1);
        amounts(|limit| Some(self.left(limit)? / among))
    }

    /// A copy for each of so many things that are done at the same time. What all of them hand down is
    /// no more than what this could.
    pub(in crate::interpreter) fn fork(&self, among: usize) -> Self {
        let share = self.share(among);
        let until = |limit: Limit| Some(self.used(limit).saturating_add(limit.given(&share)?));
        Self { part: amounts(until), ..self.clone() }
    }

    /// What is left to hand down, if that is bounded.
    fn left(&self, limit: Limit) -> Option<u64> {
        let bounds = [self.allowed(limit), limit.given(&self.part)];
        Some(bounds.into_iter().flatten().min()?.saturating_sub(self.used(limit)))
    }

    /// Adds up what was used by copies of this, each given to one of several things that were done at
    /// the same time. What a person has allowed to one of them is allowed to all from now on.
    pub(in crate::interpreter) fn join(&mut self, copies: impl IntoIterator<Item = Self>) {
        let before = self.clone();
        for copy in copies {
            self.turns += copy.turns - before.turns;
            self.calls += copy.calls - before.calls;
            self.used.add(&since(&copy.used, &before.used));
            self.dearer(&copy.dearest);
            self.raise(&copy.limits);
            self.ending = self.ending.or(copy.ending);
            self.wrapped |= copy.wrapped;
        }
    }

    /// Whether the run has had its last turn.
    pub(in crate::interpreter) fn is_over(&self) -> bool {
        self.wrapped
    }

    fn raise(&mut self, other: &tenure_spec::Limits) {
        let limits = &mut self.limits;
        limits.turns = limits.turns.max(other.turns);
        limits.tokens = limits.tokens.max(other.tokens);
        limits.cost = limits.cost.max(other.cost);
        limits.tool_calls = limits.tool_calls.max(other.tool_calls);
        limits.time = limits.time.max(other.time);
    }
}

/// The amounts that can be handed down.
fn amounts(of: impl Fn(Limit) -> Option<u64>) -> Given {
    Given {
        cost_micros: of(Limit::Cost),
        tokens: of(Limit::Tokens),
        tool_calls: of(Limit::ToolCalls),
    }
}

/// What was used after `before`.
fn since(used: &Usage, before: &Usage) -> Usage {
    Usage {
        input_tokens: used.input_tokens.saturating_sub(before.input_tokens),
        output_tokens: used.output_tokens.saturating_sub(before.output_tokens),
        cached_tokens: used.cached_tokens.saturating_sub(before.cached_tokens),
        reasoning_tokens: used.reasoning_tokens.saturating_sub(before.reasoning_tokens),
        cost_micros: used.cost_micros.saturating_sub(before.cost_micros),
        unpriced: used.unpriced,
        tool_calls: used.tool_calls.saturating_sub(before.tool_calls),
        model: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_up_says_whether_its_price_is_known() {
        let before = Usage { cost_micros: 10, input_tokens: 3, ..Usage::default() };
        let used = Usage { cost_micros: 15, input_tokens: 4, unpriced: true, ..Usage::default() };
        let mut sum = before.clone();
        sum.add(&since(&used, &before));
        assert_eq!(sum, used);
    }
}
