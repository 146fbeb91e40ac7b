//! Budgets: what a run may use at most, handed down by whoever created it.

/// What a run may use at most, the runs that it calls included; `None` is no bound. It is given once,
/// by whoever creates the run, and holds for life. Who keeps to it is the code of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Money, in millionths of a dollar.
    pub cost_micros: Option<u64>,
    /// Tokens, in and out together.
    pub tokens: Option<u64>,
    /// Calls of tools.
    pub tool_calls: Option<u64>,
}

impl Budget {
    /// Whether it bounds nothing.
    pub const fn is_unlimited(&self) -> bool {
        matches!(self, Self { cost_micros: None, tokens: None, tool_calls: None })
    }

    /// The lower of both bounds, each by itself: whoever hands down can only narrow.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        Self {
            cost_micros: lower(self.cost_micros, other.cost_micros),
            tokens: lower(self.tokens, other.tokens),
            tool_calls: lower(self.tool_calls, other.tool_calls),
        }
    }
}

fn lower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn the_tighter_of_two_budgets_has_the_lower_of_each_bound() {
        let one = Budget { cost_micros: Some(5), tokens: None, tool_calls: Some(1) };
        let other = Budget { cost_micros: Some(3), tokens: Some(7), tool_calls: Some(2) };
        let both = Budget { cost_micros: Some(3), tokens: Some(7), tool_calls: Some(1) };
        assert_eq!(one.tighter(other), both);
        assert_eq!(other.tighter(one), both);
        assert_eq!(one.tighter(Budget::default()), one);
        assert!(Budget::default().is_unlimited() && !one.is_unlimited());
    }
}
