//! The scripted model: a dialogue that is played instead of asking a model.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::bounds::{MAX_NAME, PRICE, USED};
use crate::node::Node;
use crate::span::Span;

/// A dialogue that is played instead of asking a model, for tests and offline samples. Texts are
/// templates (`{{ … }}`).
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// How long each reply takes.
    #[serde(default)]
    pub latency: Span,
    /// The replies: the n-th is given at the n-th turn of a conversation with tools.
    #[schemars(length(min = 1))]
    pub turns: Vec<Turn>,
    /// Template of the reply to a question asked outside the conversation, as the tool
    /// `digest_file` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub answer: Option<String>,
    /// What its tokens cost, so that limits of money can be tried without paying. Without it they
    /// cost nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ScriptedPrice")]
    pub price: Option<ScriptedPrice>,
}

/// What the tokens of a scripted model cost, in dollars for a million.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedPrice {
    /// Of the prompt.
    #[schemars(range(min = *PRICE.start(), max = *PRICE.end()))]
    pub input: f64,
    /// Of the reply.
    #[schemars(range(min = *PRICE.start(), max = *PRICE.end()))]
    pub output: f64,
}

/// What a scripted reply says that it has consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedUsage {
    /// Tokens of the prompt.
    #[schemars(range(min = *USED.start(), max = *USED.end()))]
    pub input: u64,
    /// Tokens of the reply.
    #[schemars(range(min = *USED.start(), max = *USED.end()))]
    pub output: u64,
}

/// One reply of a scripted model: a text, calls of tools, or both.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    {"required": ["text"]},
    {"required": ["calls"], "properties": {"calls": {"minItems": 1}}}
]))]
pub struct Turn {
    /// Template of what the model says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub text: Option<String>,
    /// The tools that the model calls.
    #[serde(default)]
    pub calls: Vec<ScriptedCall>,
    /// What it has consumed. Without it, words are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ScriptedUsage")]
    pub usage: Option<ScriptedUsage>,
}

/// One call of a tool, or one for each element of the previous result.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCall {
    /// Name of the tool.
    #[schemars(length(min = 1, max = MAX_NAME))]
    pub tool: String,
    /// Arguments of the call: an object in which every text is a template.
    #[serde(default = "no_arguments")]
    #[schemars(with = "Map<String, Value>")]
    pub arguments: Value,
    /// JSON pointer (`/files`, or empty for the whole) to a list in the previous tool result: one
    /// call is made for each element, which templates know as `{{ item }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = POINTER))]
    pub each: Option<String>,
}

const POINTER: &str = "^(/([^~/]|~[01])*)*$";

fn no_arguments() -> Value {
    Map::new().into()
}

impl Script {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["latency", "turns", "answer", "price"])?;
        let latency = fields.read("latency", Span::read).unwrap_or_default();
        let turns = fields.required("turns", "write at least one turn", read_turns);
        let answer = fields.read("answer", |node| node.text(usize::MAX));
        let price = fields.read("price", ScriptedPrice::read);
        Some(Self { latency, turns: turns?, answer, price })
    }
}

impl ScriptedPrice {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["input", "output"])?;
        let hint = "say what a million tokens cost, in dollars";
        let input = fields.required("input", hint, |node| node.float(&PRICE));
        let output = fields.required("output", hint, |node| node.float(&PRICE));
        Some(Self { input: input?, output: output? })
    }
}

impl ScriptedUsage {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["input", "output"])?;
        let input = fields.required("input", "say how many tokens", |node| node.integer(&USED));
        let output = fields.required("output", "say how many tokens", |node| node.integer(&USED));
        Some(Self { input: input?, output: output? })
    }
}

fn read_turns(node: &Node<'_>) -> Option<Vec<Turn>> {
    if node.value.as_array().is_some_and(Vec::is_empty) {
        return node.problem("is empty", "write at least one turn");
    }
    node.list(Turn::read)
}

impl Turn {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["text", "calls", "usage"])?;
        let no_calls = node.value.get("calls").is_none_or(|calls| calls == &json!([]));
        if !fields.has("text") && no_calls {
            return node.problem("neither says nor calls anything", "give `text`, `calls` or both");
        }
        let text = fields.read("text", |node| node.text(usize::MAX));
        let calls = fields.read("calls", |node| node.list(ScriptedCall::read));
        let usage = fields.read("usage", ScriptedUsage::read);
        Some(Self { text, calls: calls.unwrap_or_default(), usage })
    }
}

impl ScriptedCall {
    fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["tool", "arguments", "each"])?;
        let tool = fields.required("tool", "name the tool to call", |n| n.filled_text(MAX_NAME));
        let arguments = fields.read("arguments", |node| node.object().cloned().map(Value::Object));
        let each = fields.read("each", read_pointer);
        Some(Self { tool: tool?, arguments: arguments.unwrap_or_else(no_arguments), each })
    }
}

fn read_pointer(node: &Node<'_>) -> Option<String> {
    let text = node.text(usize::MAX)?;
    if is_pointer(&text) {
        return Some(text);
    }
    let hint = "write it like `/files` (`~0` stands for `~` and `~1` for `/`)";
    node.problem("is not a JSON pointer", hint)
}

fn is_pointer(text: &str) -> bool {
    let escaped = |rest: &str| rest.starts_with(['0', '1']);
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers() {
        for text in ["", "/", "/a/0/b", "/a~1b/~0", "//"] {
            assert!(is_pointer(text), "{text}");
        }
        for text in ["a", "/~", "/~2", "#/a"] {
            assert!(!is_pointer(text), "{text}");
        }
    }
}
