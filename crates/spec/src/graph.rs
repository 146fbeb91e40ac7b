//! Graphs: agents that are state machines. A run visits one node after the other, from the first
//! node of the list to [`END`].

mod action;
mod check;
mod node;
mod paths;
mod texts;
mod transition;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::bounds::{MAX_NODES, TOKENS};
use crate::data::DataType;
use crate::node::Node;

pub(crate) use action::read_condition;
pub use action::{
    Action, AgentNode, Asks, Branch, CallNode, Candidates, Chat, DefaultAnswer, Embed, Hook,
    InterruptNode, MapNode, OpenaiResponse, ParallelNode, Parse, Prompt, ToolNode,
};
pub use node::{Compose, GraphNode, Strategy};
pub use transition::{Condition, Transition};

pub(crate) use check::{Finding, Place, check};
pub(crate) use paths::in_loops;

/// Where a transition leads when the run has done its work; no node can have this name.
pub const END: &str = "end";

/// A state machine. A run begins with the first node and goes from node to node along the
/// transitions; its output is that of the last node.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// What a run is given.
    #[serde(default)]
    pub input: Input,
    /// The nodes, the one that a run begins with first.
    #[schemars(length(min = 1, max = MAX_NODES))]
    pub nodes: Vec<GraphNode>,
    /// Tokens that a conversation may have when a `chat` node sends it. Without it the model's own
    /// limit holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = *TOKENS.start(), max = *TOKENS.end()))]
    pub token_limit: Option<u64>,
    /// Whether the journal keeps what each attempt of a node was given and gave, as text.
    #[serde(default)]
    pub debug: bool,
}

/// What a run of a graph is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Input {
    /// What it is. Without it, it is what it looks like.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DataType")]
    pub kind: Option<DataType>,
    /// What a run without input is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub default: Option<Value>,
}

impl Graph {
    pub(crate) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["input", "nodes", "token_limit", "debug"])?;
        let hint =
            "write at least one node, such as `{name: ask, do: {prompt: {}}, next: [{to: end}]}`";
        let graph = Self {
            input: fields.read("input", Input::read).unwrap_or_default(),
            nodes: fields.required("nodes", hint, |at| at.list(|at| Some(GraphNode::read(at))))?,
            token_limit: fields.read("token_limit", |at| at.integer(&TOKENS)),
            debug: fields.read("debug", Node::truth).unwrap_or_default(),
        };
        for finding in check(&graph) {
            finding.note(&finding.place(&at.field("nodes", at.value)));
        }
        Some(graph)
    }
}

impl Input {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["type", "default"])?;
        let kinds = DataType::ALL.map(|kind| (kind.name(), kind));
        let kind = fields.read("type", |at| at.choice("type", &kinds));
        Some(Self { kind, default: fields.read("default", |at| Some(at.value.clone())) })
    }
}
