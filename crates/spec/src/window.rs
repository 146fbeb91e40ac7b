//! What of a long conversation a model still sees.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bounds::{TOKENS, WINDOW};
use crate::node::Node;

/// What of a long conversation a model still sees: the task, and the latest messages that are within
/// both limits. A result of a tool is never parted from its call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["messages"]}, {"required": ["tokens"]}]))]
pub struct Window {
    /// Messages at most, the task not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = *WINDOW.start(), max = *WINDOW.end()))]
    pub messages: Option<u32>,
    /// Tokens at most, estimated at four bytes each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = *TOKENS.start(), max = *TOKENS.end()))]
    pub tokens: Option<u64>,
    /// Whether the model sums up what it will not see any more. Then half of the window is emptied
    /// at once.
    #[serde(default)]
    pub summary: bool,
}

impl Window {
    pub(crate) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["messages", "tokens", "summary"])?;
        let messages = fields.read("messages", |at| at.small_integer(&WINDOW));
        let tokens = fields.read("tokens", |at| at.integer(&TOKENS));
        if !fields.has("messages") && !fields.has("tokens") {
            return at.problem("has no limit", "give `messages`, `tokens`, or both");
        }
        let summary = fields.read("summary", Node::truth).unwrap_or_default();
        Some(Self { messages, tokens, summary })
    }
}
