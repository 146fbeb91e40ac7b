//! Nodes that call a tool.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::texts;
use crate::node::Node;
use crate::tools::{Manner, Tool, read_tool_name};

/// One call of a tool, under the same policy as a model's calls. What it gives is the output; a call
/// that fails fails the node.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolNode {
    /// The tool, as in the `tools` of an agent.
    pub tool: Tool,
    /// Which tool of a source of several. Without it, the one that `tool` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub name: Option<String>,
    /// What it is called with: an object, in which every text is a template over the variables. A text
    /// that is nothing but a variable, such as `{{.rate}}` or `{{.item.path}}`, gives its value as it
    /// is. Without `arguments`, the node's input, which is an object then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    pub arguments: Option<Map<String, Value>>,
}

impl ToolNode {
    pub(super) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["tool", "name", "arguments"])?;
        let hint = "name the tool, such as `{tool: read_file}`";
        let tool = fields.required("tool", hint, |at| {
            let tool = Tool::read(at)?;
            match &tool {
                Tool::Agent(agent) if agent.manner == Manner::Transfer => {
                    at.problem("hands the conversation over, and a node has none", "use `call`")
                }
                _ => Some(tool),
            }
        });
        let arguments = fields.read("arguments", |at| {
            texts::check_all(at)?;
            at.object().cloned()
        });
        Some(Self { tool: tool?, name: fields.read("name", read_tool_name), arguments })
    }

    /// The name of the tool that is called.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.tool.name())
    }
}
