//! Where a run ends at the latest, and how failed steps are tried again.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bounds::{ATTEMPTS, TOKENS, TURNS};
use crate::node::Node;
use crate::span::Span;

/// Where a run ends at the latest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Replies of the model in one run.
    #[schemars(range(min = *TURNS.start(), max = *TURNS.end()))]
    pub turns: u32,
    /// Tokens that one run may use, in and out together. Without it there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = *TOKENS.start(), max = *TOKENS.end()))]
    pub tokens: Option<u64>,
    /// Time that one run may take, longer than zero. Without it there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub time: Option<Span>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { turns: 20, tokens: None, time: None }
    }
}

impl Limits {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["turns", "tokens", "time"])?;
        let turns = fields.read("turns", |node| node.small_integer(&TURNS));
        Some(Self {
            turns: turns.unwrap_or(Self::default().turns),
            tokens: fields.read("tokens", |node| node.integer(&TOKENS)),
            time: fields.read("time", Span::read_filled),
        })
    }
}

/// How steps that failed are tried again. The pause before the second attempt is `backoff`; it
/// doubles from attempt to attempt up to `max_backoff`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Attempts of one step, the first one included.
    #[schemars(range(min = *ATTEMPTS.start(), max = *ATTEMPTS.end()))]
    pub attempts: u32,
    /// Pause before the second attempt.
    pub backoff: Span,
    /// Longest pause between two attempts; not shorter than `backoff`.
    pub max_backoff: Span,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, backoff: Span::seconds(1), max_backoff: Span::seconds(60) }
    }
}

impl Retry {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["attempts", "backoff", "max_backoff"])?;
        let default = Self::default();
        let attempts = fields.read("attempts", |node| node.small_integer(&ATTEMPTS));
        let backoff = fields.read("backoff", Span::read).unwrap_or(default.backoff);
        // A long `backoff` alone must not contradict the default of the other field.
        let longest = default.max_backoff.max(backoff);
        let max_backoff = fields.read("max_backoff", |node| read_longest(node, backoff));
        Some(Self {
            attempts: attempts.unwrap_or(default.attempts),
            backoff,
            max_backoff: max_backoff.unwrap_or(longest),
        })
    }
}

fn read_longest(node: &Node<'_>, backoff: Span) -> Option<Span> {
    let longest = Span::read(node)?;
    if longest < backoff {
        let hint = format!("give at least {backoff}, or a shorter `backoff`");
        return node.problem(format!("is shorter than the first pause of {backoff}"), hint);
    }
    Some(longest)
}
