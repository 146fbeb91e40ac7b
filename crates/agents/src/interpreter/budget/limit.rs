//! The kinds of limits: their names, and their amounts in words.

use std::time::Duration;

use serde_json::{Value, json};
use tenure_sdk::Budget;
use tenure_spec::{Limits, Span};

/// What there may be too much of. Amounts are whole numbers: money in millionths of a dollar, time in
/// seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Turns,
    ToolCalls,
    Tokens,
    Cost,
    Time,
}

/// Millionths in a dollar.
const MICROS: f64 = 1e6;

impl Limit {
    /// The field of the specification.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::ToolCalls => "tool_calls",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Time => "time",
        }
    }

    /// How much the run was given of it, if that is bounded.
    pub(super) fn given(self, given: &Budget) -> Option<u64> {
        match self {
            Self::Turns | Self::Time => None,
            Self::ToolCalls => given.tool_calls,
            Self::Tokens => given.tokens,
            Self::Cost => given.cost_micros,
        }
    }

    /// How much there may be: what the limits say, or less if the run was given less.
    pub(super) fn allowed(self, limits: &Limits, given: &Budget) -> Option<u64> {
        let own = match self {
            Self::Turns => Some(u64::from(limits.turns)),
            Self::ToolCalls => limits.tool_calls,
            Self::Tokens => limits.tokens,
            Self::Cost => limits.cost,
            Self::Time => limits.time.map(|time| time.0.as_secs()),
        };
        own.into_iter().chain(self.given(given)).min()
    }

    /// An amount for people.
    pub(super) fn shown(self, amount: u64) -> String {
        match self {
            Self::Turns => format!("{amount} replies of the model"),
            Self::ToolCalls => format!("{amount} calls of tools"),
            Self::Tokens => format!("{amount} tokens"),
            Self::Cost => format!("${}", dollars(amount)),
            Self::Time => Span(Duration::from_secs(amount)).to_string(),
        }
    }

    /// An amount in the unit of the specification; a time in seconds.
    pub(super) fn number(self, amount: u64) -> Value {
        match self {
            Self::Cost => json!(dollars(amount)),
            Self::Turns | Self::ToolCalls | Self::Tokens | Self::Time => json!(amount),
        }
    }

    /// Allows this much, given in the unit of the specification.
    pub(super) fn raise(self, limits: &mut Limits, to: f64) {
        match self {
            Self::Turns => limits.turns = u32::try_from(whole(to)).unwrap_or(u32::MAX),
            Self::ToolCalls => limits.tool_calls = Some(whole(to)),
            Self::Tokens => limits.tokens = Some(whole(to)),
            Self::Cost => limits.cost = Some(whole(to * MICROS)),
            Self::Time => limits.time = Some(Span(Duration::from_secs(whole(to)))),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
fn dollars(micros: u64) -> f64 {
    micros as f64 / MICROS
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(amount: f64) -> u64 {
    amount.round() as u64
}
