//! Nodes that have another agent do something.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bounds::MAX_NAME;
use crate::node::Node;
use crate::spec::{NAME, read_name};

/// A call of another agent of the tenant, which is executed as a run of its own, within what is left
/// of the limits of this one. Its input is the node's, its output the node's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallNode {
    /// Name of the agent.
    #[schemars(regex(pattern = NAME))]
    pub agent: String,
    /// Its version: a number or an alias. Without it the newest at the moment of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = MAX_NAME))]
    pub version: Option<String>,
}

impl CallNode {
    pub(super) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["agent", "version"])?;
        let agent = fields.required("agent", "name the agent", read_name);
        let version = fields.read("version", |at| at.filled_text(MAX_NAME));
        Some(Self { agent: agent?, version })
    }
}
