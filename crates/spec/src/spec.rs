//! The specification itself.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::bounds::{MAX_LINE, MAX_NAME};
use crate::canonical;
use crate::graph::Graph;
use crate::limits::{Limits, Retry};
use crate::model::Model;
use crate::node::{Fields, Node};
use crate::output;
use crate::policy::Policy;
use crate::tools::{self, Tool};
use crate::window::Window;

/// What one version of an agent is: a document that a user writes, checked. A value that came out
/// of [`crate::parse`] or [`crate::from_json`] keeps every rule written here.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    title = "Tenure agent",
    description = "The specification of one agent.",
    extend(
        "if" = {"properties": {"kind": {"enum": ["external", "graph"]}}, "required": ["kind"]},
        "then" = {
            "if": {"properties": {"kind": {"const": "graph"}}},
            "then": {
                "required": ["graph"],
                "properties": {"instructions": {"const": ""}, "tools": {"maxItems": 0}, "output": false, "window": false}
            },
            "else": {"properties": {"graph": false}}
        },
        "else" = {"required": ["model"], "properties": {"graph": false}}
    )
)]
pub struct Spec {
    /// Name of the agent: 1 to 128 characters out of a-z, 0-9, dot, underscore and hyphen, with a
    /// letter or digit at both ends.
    #[schemars(regex(pattern = NAME))]
    pub name: String,
    /// Who executes the agent.
    #[serde(default)]
    pub kind: Kind,
    /// What the agent is for, shown to people. At most 2000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_LINE))]
    pub description: Option<String>,
    /// Name of the queue of workers that execute the agent; written like `name`.
    #[serde(default = "default_pool")]
    #[schemars(regex(pattern = NAME))]
    pub pool: String,
    /// The language model. Must be given if `kind` is `agent`; the nodes of a `graph` that name no
    /// model of their own ask this one, or else the worker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Model")]
    pub model: Option<Model>,
    /// What the model is told about its task before every conversation. Not of a `graph`.
    #[serde(default)]
    pub instructions: String,
    /// What the model may use, each tool once, in the order in which the model is shown them. Not of
    /// a `graph`.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// JSON Schema that the final answer must satisfy. Remote references are refused. Without it
    /// the answer is text. Not of a `graph`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub output: Option<Value>,
    /// What of a long conversation the model still sees. Without it, all. Not of a `graph`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Window")]
    pub window: Option<Window>,
    /// The state machine; given if and only if `kind` is `graph`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Graph")]
    pub graph: Option<Graph>,
    /// Which calls of tools may be made. Without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Policy")]
    pub policy: Option<Policy>,
    /// Where a run ends at the latest.
    #[serde(default)]
    pub limits: Limits,
    /// How steps that failed are tried again.
    #[serde(default)]
    pub retry: Retry,
}

/// Who executes an agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The stock worker interprets the document: a model and its tools in a loop.
    #[default]
    Agent,
    /// The stock worker interprets the document: a state machine, which is its `graph`.
    Graph,
    /// A worker of the user's own, built with an SDK. Needs no model.
    External,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Agent, Self::Graph, Self::External];

    /// The kind's name as it stands in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Graph => "graph",
            Self::External => "external",
        }
    }
}

pub(crate) const NAME: &str = "^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$";
const FIELDS: [&str; 13] = [
    "name",
    "kind",
    "description",
    "pool",
    "model",
    "instructions",
    "tools",
    "output",
    "window",
    "graph",
    "policy",
    "limits",
    "retry",
];

fn default_pool() -> String {
    "default".into()
}

impl Spec {
    /// The document in its one canonical form: JSON without spaces, keys sorted, every default
    /// written out, absent options left out. Documents of equal meaning have equal bytes, and
    /// [`crate::parse`] gives back an equal value. The SHA-256 of these bytes addresses a version.
    ///
    /// Defaults are written out so that a version keeps its meaning when a default changes.
    pub fn canonical(&self) -> Vec<u8> {
        canonical::bytes(self)
    }

    /// A graph with its defaults.
    pub(crate) fn of_graph(name: String, graph: Graph) -> Self {
        Self {
            name,
            kind: Kind::Graph,
            description: None,
            pool: default_pool(),
            model: None,
            instructions: String::new(),
            tools: Vec::new(),
            output: None,
            window: None,
            graph: Some(graph),
            policy: None,
            limits: Limits::default(),
            retry: Retry::default(),
        }
    }

    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&FIELDS)?;
        let kind = fields
            .read("kind", |node| node.choice("kind", &Kind::ALL.map(|kind| (kind.name(), kind))));
        let name =
            fields.required("name", "give the agent a name, such as `name: my-agent`", read_name);
        let description = fields.read("description", |node| node.text(MAX_LINE));
        let pool = fields.read("pool", read_name).unwrap_or_else(default_pool);
        // A `kind` that could not be read asks for nothing: one slip is one problem.
        let unread = kind.is_none() && fields.has("kind");
        let model = if unread || kind.is_some_and(|kind| kind != Kind::Agent) {
            fields.read("model", Model::read)
        } else {
            fields.required("model", "say which model to ask, or set `kind: external`", Model::read)
        };
        let graph = read_graph(&fields, kind, unread);
        if kind == Some(Kind::Graph) {
            refuse_conversation(&fields);
        }
        Some(Self {
            name: name.unwrap_or_default(),
            kind: kind.unwrap_or_default(),
            description,
            pool,
            model,
            instructions: fields.read("instructions", |n| n.text(usize::MAX)).unwrap_or_default(),
            tools: fields.read("tools", tools::read).unwrap_or_default(),
            output: fields.read("output", output::read),
            window: fields.read("window", Window::read),
            graph,
            policy: fields.read("policy", Policy::read),
            limits: fields.read("limits", Limits::read).unwrap_or_default(),
            retry: fields.read("retry", Retry::read).unwrap_or_default(),
        })
    }
}

fn read_graph(fields: &Fields<'_>, kind: Option<Kind>, unread: bool) -> Option<Graph> {
    if kind == Some(Kind::Graph) {
        return fields.required(
            "graph",
            "write the nodes, such as `graph: {nodes: […]}`",
            Graph::read,
        );
    }
    fields.read("graph", |node| {
        if unread {
            return Graph::read(node);
        }
        node.problem("only a graph has nodes", "remove it, or set `kind: graph`")
    })
}

/// What nothing in a graph would look at must not stand there as if it counted.
fn refuse_conversation(fields: &Fields<'_>) {
    let nothing = |value: &Value| value == "" || value.as_array().is_some_and(Vec::is_empty);
    for name in ["instructions", "tools", "output", "window"] {
        fields.read(name, |node| {
            let hint = "remove it; a node says what its model is told";
            if nothing(node.value) { None } else { node.problem::<()>("is not of a graph", hint) }
        });
    }
}

pub(crate) fn read_name(node: &Node<'_>) -> Option<String> {
    let text = node.text(MAX_NAME)?;
    if text.parse::<tenure_core::Name>().is_ok() {
        return Some(text);
    }
    node.problem(
        "is not a name",
        "use a-z, 0-9, `.`, `_` and `-`, with a letter or digit at both ends",
    )
}
