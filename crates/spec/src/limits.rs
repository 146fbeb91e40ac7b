//! Where a run ends at the latest, and how failed steps are tried again.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::bounds::{ATTEMPTS, COST, TOKENS, TOOL_CALLS, TURNS};
use crate::node::Node;
use crate::span::Span;

/// Where a run ends at the latest. What a turn has begun is not cut off: limits are looked at before
/// the next one, which has to fit as if it cost as much as the dearest before it. Of tokens, money and
/// calls of tools, agents that the run calls are given a share of what is left, and what they use
/// counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Replies of the model in one run.
    #[schemars(range(min = *TURNS.start(), max = *TURNS.end()))]
    pub turns: u32,
    /// Tokens that one run may use, in and out together, those of agents that it calls included.
    /// Without it there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = *TOKENS.start(), max = *TOKENS.end()))]
    pub tokens: Option<u64>,
    /// Money that one run may cost, in dollars to the millionth, with the agents that it calls. A
    /// reply whose price nobody knows ends the run. Without it there is no limit.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "dollars")]
    #[schemars(with = "f64", range(min = 0.000_001, max = 1_000_000))]
    pub cost: Option<u64>,
    /// Calls of tools that one run may make, those that agents make included which it calls. Having an
    /// agent do something is one as well. Without it there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = *TOOL_CALLS.start(), max = *TOOL_CALLS.end()))]
    pub tool_calls: Option<u64>,
    /// Time that one run may take, longer than zero. Without it there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub time: Option<Span>,
    /// What happens at a limit.
    pub then: AtLimit,
}

/// What happens when a run comes to a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AtLimit {
    /// The run fails.
    #[default]
    Fail,
    /// A person is asked for more, in an interrupt.
    Ask,
    /// The model gets one more turn, without tools, to answer with what it has.
    WrapUp,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turns: 20,
            tokens: None,
            cost: None,
            tool_calls: None,
            time: None,
            then: AtLimit::Fail,
        }
    }
}

impl Limits {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["turns", "tokens", "cost", "tool_calls", "time", "then"])?;
        let thens = [("fail", AtLimit::Fail), ("ask", AtLimit::Ask), ("wrap_up", AtLimit::WrapUp)];
        let turns = fields.read("turns", |node| node.small_integer(&TURNS));
        Some(Self {
            turns: turns.unwrap_or(Self::default().turns),
            tokens: fields.read("tokens", |node| node.integer(&TOKENS)),
            cost: fields.read("cost", read_dollars),
            tool_calls: fields.read("tool_calls", |node| node.integer(&TOOL_CALLS)),
            time: fields.read("time", Span::read_filled),
            then: fields.read("then", |node| node.choice("word", &thens)).unwrap_or_default(),
        })
    }
}

/// An amount of dollars, as millionths.
fn read_dollars(node: &Node<'_>) -> Option<u64> {
    let hint = "write dollars, from 0.000001 to 1000000, such as `0.10`";
    let Some(dollars) = node.value.as_f64() else {
        return node.problem("must be an amount of dollars", hint);
    };
    let micros = (dollars * 1e6).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked below")]
    let whole = micros as u64;
    if COST.contains(&whole) { Some(whole) } else { node.problem("is out of range", hint) }
}

#[expect(clippy::ref_option, reason = "the form that serde asks for")]
#[expect(clippy::cast_precision_loss, reason = "a double holds far more than `COST` allows")]
fn dollars<S: Serializer>(micros: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    micros.map(|micros| micros as f64 / 1e6).serialize(serializer)
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
