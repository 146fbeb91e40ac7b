//! One node of a graph.

use schemars::JsonSchema;
use serde::Serialize;

use super::action::Action;
use super::transition::Transition;
use crate::bounds::{MAX_FANS, MAX_LINE, MAX_NAME, MAX_TRANSITIONS, VISITS};
use crate::limits::Retry;
use crate::node::{Fields, Node};
use crate::span::Span;

/// One node of a graph. It is given the output of the node before, or what `input` or `template`
/// make of it; what it gives is a variable with the node's name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphNode {
    /// Name of the node, unique in the graph and not `end`: 1 to 128 characters.
    #[schemars(length(min = 1, max = MAX_NAME))]
    pub name: String,
    /// What the node is for, shown to people. At most 2000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_LINE))]
    pub description: Option<String>,
    /// What the node does.
    #[serde(rename = "do")]
    pub action: Action,
    /// Variable that is its input: `input` (that of the run), `previous_output`, the name of a node,
    /// or that name with `_composed`. Without it, the output of the node before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub input: Option<String>,
    /// Template (Go's `text/template`) of its input, which is a text then. It knows the variables
    /// as `{{.input}}`, `{{.previous_output}}`, `{{.NODE}}` and `{{.NODE_composed}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub template: Option<String>,
    /// What is put together with its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Compose")]
    pub compose: Option<Compose>,
    /// Template of a line that is written to the journal after the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub print: Option<String>,
    /// How long each attempt may take. Not of a `tool`, `call`, `agent` or `interrupt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub timeout: Option<Span>,
    /// How the node is tried again when it failed; without it, as the agent's `retry` says. A `call`,
    /// `agent` and `interrupt` are tried again only if it is written here, and the step of a `tool`
    /// is tried again under one idempotency key, as often as its failure may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Retry")]
    pub retry: Option<Retry>,
    /// How often a run may come here. Every loop needs a node that has it. One visit more fails the
    /// node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = *VISITS.start(), max = *VISITS.end()))]
    pub visits: Option<u32>,
    /// Where the run goes from here, in the order in which the ways are tried.
    #[serde(default)]
    #[schemars(length(max = MAX_TRANSITIONS))]
    pub next: Vec<Transition>,
    /// Where the run goes when the node failed for good: a node or `end`, given the last output
    /// there was. Without it the run fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub on_failure: Option<String>,
}

/// A variable that is put together with the output of a node. The result is the node's output, and
/// the variable `NODE_composed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The variable.
    pub with: String,
    /// How the two become one. Without it, conversations are merged and objects overridden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Strategy")]
    pub strategy: Option<Strategy>,
}

/// How two values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Two objects: the fields of both, at every depth; where both have one, the variable's.
    Override,
    /// A text and a conversation: the text becomes a system message in front.
    AppendStringToChatHistory,
    /// Two conversations: the variable's messages, then the output's.
    MergeChatHistories,
}

impl Strategy {
    /// All strategies with their names in documents.
    pub(crate) const ALL: [(&str, Self); 3] = [
        ("override", Self::Override),
        ("append_string_to_chat_history", Self::AppendStringToChatHistory),
        ("merge_chat_histories", Self::MergeChatHistories),
    ];
}

const FIELDS: [&str; 12] = [
    "name",
    "description",
    "do",
    "input",
    "template",
    "compose",
    "print",
    "timeout",
    "retry",
    "visits",
    "next",
    "on_failure",
];

impl GraphNode {
    /// Always a node, if only a hole: the others are checked against its place in the list.
    pub(super) fn read(at: &Node<'_>) -> Self {
        at.fields(&FIELDS).map(|fields| Self::read_fields(&fields)).unwrap_or_default()
    }

    fn read_fields(fields: &Fields<'_>) -> Self {
        let text = |name| fields.read(name, |at| at.text(usize::MAX));
        let name = |name| fields.read(name, |at| at.filled_text(MAX_NAME));
        let named = fields.required("name", "give the node a name", |at| at.filled_text(MAX_NAME));
        let hint = "say what the node does, such as `do: pass` or `do: {prompt: {}}`";
        let action = fields.required("do", hint, read_action).unwrap_or_default();
        Self {
            name: named.unwrap_or_default(),
            description: fields.read("description", |at| at.text(MAX_LINE)),
            input: name("input"),
            template: text("template"),
            compose: fields.read("compose", Compose::read),
            print: text("print"),
            timeout: fields.read("timeout", |at| read_timeout(at, &action)),
            retry: fields.read("retry", Retry::read),
            visits: fields.read("visits", |at| at.small_integer(&VISITS)),
            next: fields
                .read("next", |at| at.list(|at| Some(Transition::read(at))))
                .unwrap_or_default(),
            on_failure: name("on_failure"),
            action,
        }
    }
}

fn read_action(at: &Node<'_>) -> Option<Action> {
    let action = Action::read(at)?;
    if action.depth() > MAX_FANS {
        let message = format!("has more than {MAX_FANS} of `map` and `parallel` inside each other");
        return at.problem(message, "let a `call` do the inner work");
    }
    Some(action)
}

/// What is no single step cannot be cut off where it is: what it did would not be known.
fn read_timeout(at: &Node<'_>, action: &Action) -> Option<Span> {
    match action.own_time() {
        Some(own) => at.problem("does not hold for this action", format!("use {own}")),
        None => Span::read_filled(at),
    }
}

impl Compose {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["with", "strategy"])?;
        let with = fields.required("with", "name a variable", |at| at.filled_text(MAX_NAME));
        let strategy = fields.read("strategy", |at| at.choice("strategy", &Strategy::ALL));
        Some(Self { with: with?, strategy })
    }
}
