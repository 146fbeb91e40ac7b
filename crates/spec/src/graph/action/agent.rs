//! Nodes that are agents.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::texts;
use crate::limits::Limits;
use crate::model::Model;
use crate::node::Node;
use crate::output;
use crate::tools::{self, Tool};

/// A model and its tools in a loop, inside this run: what an `agent` is, as a node. A conversation as
/// its input is gone on with; any other input is the first message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentNode {
    /// Template of what the model is told about its task.
    #[serde(default)]
    pub instructions: String,
    /// The language model. Without it the graph's, or else the worker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Model")]
    pub model: Option<Model>,
    /// What the model may use, each tool once.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// JSON Schema that the answer must satisfy. Without it the answer is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    pub output: Option<Value>,
    /// Where the node ends at the latest. Those of the run hold as well.
    #[serde(default)]
    pub limits: Limits,
}

impl AgentNode {
    pub(super) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["instructions", "model", "tools", "output", "limits"])?;
        Some(Self {
            instructions: fields.read("instructions", texts::read).unwrap_or_default(),
            model: fields.read("model", Model::read),
            tools: fields.read("tools", tools::read).unwrap_or_default(),
            output: fields.read("output", output::read),
            limits: fields.read("limits", Limits::read).unwrap_or_default(),
        })
    }
}
