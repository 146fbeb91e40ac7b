//! Agents as tools.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bounds::{MAX_LINE, MAX_NAME};
use crate::node::Node;
use crate::spec::{NAME, read_name};

use super::read_tool_name;

/// Another agent of the tenant, as a tool. It is executed as a run of its own, within its own limits
/// and a share of what is left of those of the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentTool {
    /// Name that the model knows it by: 1 to 64 characters out of A-Z, a-z, 0-9, `_` and `-`.
    /// Without it, the agent's name, dots made underscores.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Name of the agent.
    #[schemars(regex(pattern = NAME))]
    pub agent: String,
    /// Its version: a number or an alias. Without it the newest at the moment of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub version: Option<String>,
    /// What it is good for, told to the model. At most 2000 characters.
    #[schemars(length(max = MAX_LINE))]
    pub description: String,
    /// What becomes of the conversation.
    #[serde(default)]
    pub manner: Manner,
}

/// What becomes of a conversation when another agent is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Manner {
    /// The agent is given a task in words, and its answer is the result of the call.
    #[default]
    Call,
    /// The agent is given the conversation, and its answer is that of the run.
    Transfer,
}

impl AgentTool {
    /// The version as a call names it: empty for the newest.
    pub fn version(&self) -> &str {
        self.version.as_deref().unwrap_or_default()
    }

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["name", "agent", "version", "description", "manner"])?;
        let agent = fields.required("agent", "name the agent", read_name);
        let name = fields.read("name", read_tool_name);
        let hint = "say what the agent is good for: the model chooses by it";
        let description = fields.required("description", hint, |at| at.filled_text(MAX_LINE));
        let manners = [("call", Manner::Call), ("transfer", Manner::Transfer)];
        let agent = agent?;
        Some(Self {
            name: name.unwrap_or_else(|| agent.replace('.', "_").chars().take(64).collect()),
            agent,
            version: fields.read("version", |at| at.filled_text(MAX_NAME)),
            description: description?,
            manner: fields.read("manner", |at| at.choice("manner", &manners)).unwrap_or_default(),
        })
    }
}
