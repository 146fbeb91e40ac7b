//! Hooks of the worker as tools.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Effect, read_tool_name};
use crate::bounds::{MAX_LINE, MAX_LISTED, MAX_NAME, MAX_VALUE};
use crate::node::Node;

/// A hook of the worker (`--hooks`), as a tool that is given a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookTool {
    /// Name that the model knows it by: 1 to 64 characters out of A-Z, a-z, 0-9, `_` and `-`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub name: String,
    /// The hook's name at the worker, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub hook: Option<String>,
    /// What it is good for and what it is to be given, told to the model. At most 2000 characters.
    #[schemars(length(max = MAX_LINE))]
    pub description: String,
    /// What the hook is given beside the text, unseen by the model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
    /// What a call does to the world.
    #[serde(default = "once")]
    pub effect: Effect,
}

impl HookTool {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&["name", "hook", "description", "args", "effect"])?;
        let name = fields.required("name", "name the hook", read_tool_name);
        let hint = "say what the hook is good for: the model chooses by it";
        let description = fields.required("description", hint, |at| at.filled_text(MAX_LINE));
        Some(Self {
            hook: fields.read("hook", |at| at.filled_text(MAX_NAME)),
            args: fields.read("args", read_args).unwrap_or_default(),
            effect: fields.read("effect", |at| at.choice("effect", &Effect::ALL)).unwrap_or(once()),
            name: name?,
            description: description?,
        })
    }

    /// The name that the worker knows the hook by.
    pub fn hook(&self) -> &str {
        self.hook.as_ref().unwrap_or(&self.name)
    }
}

/// What a hook does nobody has said, so it is not done twice.
fn once() -> Effect {
    Effect::Once
}

fn read_args(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    if node.object()?.len() > MAX_LISTED {
        return node.problem(format!("has more than {MAX_LISTED} entries"), "give fewer");
    }
    node.map(|at| at.text(MAX_VALUE))
}
