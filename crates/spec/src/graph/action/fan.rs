//! Nodes that do several things at the same time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::texts;
use super::Action;
use crate::bounds::{AT_ONCE, MAX_BRANCH_NAME, MAX_BRANCHES, MAX_NAME};
use crate::node::Node;

/// Does the same with each element of a list, of at most 1000. The output is the list of the outputs,
/// in the order of the elements.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapNode {
    /// Variable that is the list, or a field in it: `search`, `search.found`. Without it the node's input
    /// is. A text that is a list in JSON counts as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub over: Option<String>,
    /// Template of the input of each element, which is a text then. Beside the variables it knows
    /// `{{.item}}`, the element, and `{{.index}}`, its place counted from 0. Without it the element is
    /// the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub template: Option<String>,
    /// What is done with each element. Each is tried again by itself, as the node's `retry` says.
    #[serde(rename = "do")]
    pub action: Action,
    /// How many elements are worked on at the same time: the next ones begin when all of these have
    /// ended.
    #[schemars(range(min = *AT_ONCE.start(), max = *AT_ONCE.end()))]
    #[serde(default = "default_at_once")]
    pub at_once: u32,
    /// Whether an element that fails leaves `{error: {code, message}}` in its place, instead of failing
    /// the node.
    #[serde(default)]
    pub keep_failures: bool,
}

/// Does several things at the same time. The output is an object with the output of each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParallelNode {
    /// What is done, each under a name of its own of at most 64 bytes: 1 to 32 of them.
    pub branches: BTreeMap<String, Branch>,
    /// Whether a branch that fails leaves `{error: {code, message}}` in its place, instead of failing
    /// the node.
    #[serde(default)]
    pub keep_failures: bool,
}

/// One of several things that are done at the same time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// What is done. It is tried again by itself, as the node's `retry` says.
    #[serde(rename = "do")]
    pub action: Action,
    /// Variable that is its input. Without it, the node's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub input: Option<String>,
    /// Template of its input, which is a text then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub template: Option<String>,
}

const DO_HINT: &str = "say what is done, such as `do: {prompt: {}}`";
const BRANCHES_HINT: &str =
    "write at least one, such as `branches: {short: {do: {prompt: {system: Be brief.}}}}`";

fn default_at_once() -> u32 {
    4
}

impl MapNode {
    pub(super) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["over", "template", "do", "at_once", "keep_failures"])?;
        Some(Self {
            over: fields.read("over", |at| at.filled_text(MAX_NAME)),
            template: fields.read("template", texts::read),
            action: fields.required("do", DO_HINT, Action::read).unwrap_or_default(),
            at_once: fields
                .read("at_once", |at| at.small_integer(&AT_ONCE))
                .unwrap_or_else(default_at_once),
            keep_failures: fields.read("keep_failures", Node::truth).unwrap_or_default(),
        })
    }
}

impl ParallelNode {
    pub(super) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["branches", "keep_failures"])?;
        let keep_failures = fields.read("keep_failures", Node::truth).unwrap_or_default();
        let branches = fields.required("branches", BRANCHES_HINT, read_branches)?;
        Some(Self { branches, keep_failures })
    }
}

fn read_branches(at: &Node<'_>) -> Option<BTreeMap<String, Branch>> {
    let branches = at.map(Branch::read)?;
    match at.object()?.len() {
        0 => at.problem("is empty", BRANCHES_HINT),
        count if count > MAX_BRANCHES => {
            let message = format!("has {count} branches, more than {MAX_BRANCHES}");
            at.problem(message, "use `map` for many things of one kind")
        }
        _ if at.object()?.keys().any(|name| name.is_empty() || name.len() > MAX_BRANCH_NAME) => {
            at.problem("has a branch without a name, or with a long one", "name each in short")
        }
        _ => Some(branches),
    }
}

impl Branch {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["do", "input", "template"])?;
        Some(Self {
            action: fields.required("do", DO_HINT, Action::read).unwrap_or_default(),
            input: fields.read("input", |at| at.filled_text(MAX_NAME)),
            template: fields.read("template", texts::read),
        })
    }
}
