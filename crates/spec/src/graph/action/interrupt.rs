//! Nodes that ask people.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::texts;
use crate::bounds::{MAX_CHOICES, MAX_NAME};
use crate::node::{Fields, Node};
use crate::output;
use crate::span::Span;

/// A question to a person or system. The run is parked until somebody answers, and costs nothing
/// meanwhile. The node's value is the decision (`approve`, `edit`, `respond` or `reject`; of a choice,
/// the text that was chosen), its output the value of the answer, or else its input.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InterruptNode {
    /// Template of the line that an inbox shows, of which 512 bytes are kept. Without it the name of
    /// the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub title: Option<String>,
    /// What is asked for.
    #[serde(default)]
    pub kind: Asks,
    /// The values to choose from; given if and only if `kind` is `choice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_CHOICES))]
    pub choices: Vec<Value>,
    /// JSON Schema of the value of an answer; any other is refused. Not of a `choice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    pub schema: Option<Value>,
    /// Who is to answer, such as `ann@example.com` or `role:lead`; anybody unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = MAX_NAME))]
    pub assignee: Option<String>,
    /// How long there is time to answer. Then `default` counts, or else the node fails. Without it, for
    /// ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Span")]
    pub timeout: Option<Span>,
    /// The decision when time is up; `approve` is one of an approval only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DefaultAnswer")]
    pub default: Option<DefaultAnswer>,
}

/// What a person is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// Whether the input may go on; it may be changed.
    #[default]
    Approval,
    /// A value.
    Input,
    /// One of the `choices`.
    Choice,
}

/// What is decided when nobody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAnswer {
    /// Go on as asked.
    Approve,
    /// Do not.
    Reject,
}

const FIELDS: [&str; 7] = ["title", "kind", "choices", "schema", "assignee", "timeout", "default"];
const KINDS: [(&str, Asks); 3] =
    [("approval", Asks::Approval), ("input", Asks::Input), ("choice", Asks::Choice)];
const DEFAULTS: [(&str, DefaultAnswer); 2] =
    [("approve", DefaultAnswer::Approve), ("reject", DefaultAnswer::Reject)];

impl InterruptNode {
    pub(super) fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&FIELDS)?;
        let kind = fields.read("kind", |at| at.choice("kind", &KINDS)).unwrap_or_default();
        Some(Self {
            title: fields.read("title", texts::read),
            kind,
            choices: read_choices(&fields, kind).unwrap_or_default(),
            schema: fields.read("schema", |at| read_schema(at, kind)),
            assignee: fields.read("assignee", |at| at.filled_text(MAX_NAME)),
            timeout: fields.read("timeout", Span::read_filled),
            default: fields.read("default", |at| read_default(at, kind, fields.has("timeout"))),
        })
    }
}

fn read_choices(fields: &Fields<'_>, kind: Asks) -> Option<Vec<Value>> {
    let hint = "list the values, such as `choices: [red, green]`";
    if kind != Asks::Choice {
        return fields
            .read("choices", |at| at.problem("are of a choice only", "set `kind: choice`"));
    }
    let choices: Vec<Value> =
        fields.required("choices", hint, |at| at.list(|at| Some(at.value.clone())))?;
    match choices.len() {
        0 => fields.read("choices", |at| at.problem("is empty", hint)),
        count if count > MAX_CHOICES => {
            let message = format!("has {count} values, more than {MAX_CHOICES}");
            fields.read("choices", |at| at.problem(message, "list fewer"))
        }
        _ => Some(choices),
    }
}

fn read_schema(at: &Node<'_>, kind: Asks) -> Option<Value> {
    match kind {
        Asks::Choice => at.problem("is not of a choice", "remove it: `choices` says it all"),
        Asks::Approval | Asks::Input => output::read(at),
    }
}

fn read_default(at: &Node<'_>, kind: Asks, timed: bool) -> Option<DefaultAnswer> {
    let default = at.choice("decision", &DEFAULTS)?;
    if default == DefaultAnswer::Approve && kind != Asks::Approval {
        return at.problem("needs a value, which nobody gave", "use `default: reject`");
    }
    if !timed {
        return at.problem("never counts without a `timeout`", "give one, such as `timeout: 2d`");
    }
    Some(default)
}
