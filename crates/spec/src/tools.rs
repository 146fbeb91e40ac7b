//! The tools that a model may use.
//!
//! A tool without options is its name. One with options is an object: `{name: http_request, …}`, or
//! an object with one field that names the source, `{agent: {…}}`. To add a source: a file below with
//! its type, `read` and schema, a variant here, and a line in [`SOURCES`].

mod agent;
mod command;
mod effect;
mod hook;
mod http_request;
mod mcp;
mod openapi;
mod values;

use std::borrow::Cow;
use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::bounds::{MAX_LISTED, MAX_NAME, MAX_SOURCE_NAME, MAX_TOOL_NAME};
use crate::node::Node;

pub use agent::{AgentTool, Manner};
pub use command::{CommandTool, Isolation};
pub use effect::Effect;
pub use hook::HookTool;
pub use mcp::{Elicitation, Grant, McpAuth, McpIdentity, McpTools};
pub use openapi::OpenApiTools;
pub use values::SECRET;

/// One tool, or a source of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// Makes HTTP requests to listed hosts and to no other.
    HttpRequest {
        /// Names of the hosts: lower case, sorted, each once, 1 to 100 of them.
        hosts: Vec<String>,
    },
    /// Lists the files that the run was given.
    ListFiles,
    /// Reads one file.
    ReadFile,
    /// Finds lines in files.
    SearchFiles,
    /// Writes one file.
    WriteFile,
    /// Replaces a text in one file.
    EditFile,
    /// Reads one file and asks the model a question about it, outside the conversation.
    DigestFile,
    /// Keeps a list of tasks.
    Todo,
    /// Tells the time.
    Time,
    /// Writes an artifact.
    WriteArtifact,
    /// Lists the artifacts of the run.
    ListArtifacts,
    /// Reads an artifact of the run.
    ReadArtifact,
    /// Has another agent do something.
    Agent(AgentTool),
    /// Executes a program.
    Command(Box<CommandTool>),
    /// Has a hook of the worker do something.
    Hook(HookTool),
    /// The tools of an MCP server.
    Mcp(Box<McpTools>),
    /// The operations of a service.
    OpenApi(Box<OpenApiTools>),
}

/// The tools without options, with their descriptions.
const PLAIN: [(Tool, &str); 11] = [
    (Tool::ListFiles, "Lists the files that the run was given."),
    (Tool::ReadFile, "Reads one file."),
    (Tool::SearchFiles, "Finds the lines of files that contain a text."),
    (Tool::WriteFile, "Writes one file, if the worker's operator permits it."),
    (
        Tool::EditFile,
        "Replaces an exact text in one file by another, if the worker's operator permits it.",
    ),
    (
        Tool::DigestFile,
        "Reads one file and asks the model a question about it, outside the conversation.",
    ),
    (Tool::Todo, "Keeps the model's list of tasks in the conversation."),
    (Tool::Time, "Tells the date and time, in UTC and in a zone."),
    (Tool::WriteArtifact, "Writes an artifact."),
    (Tool::ListArtifacts, "Lists the artifacts that the run has written."),
    (Tool::ReadArtifact, "Reads an artifact that the run has written."),
];

/// The fields that name a source with options of its own.
const SOURCES: [&str; 5] = ["agent", "command", "hook", "mcp", "openapi"];

impl Tool {
    /// The name of the tool, in documents and for the model; of a source of several, its own name.
    pub fn name(&self) -> &str {
        match self {
            Self::HttpRequest { .. } => http_request::NAME,
            Self::ListFiles => "list_files",
            Self::ReadFile => "read_file",
            Self::SearchFiles => "search_files",
            Self::WriteFile => "write_file",
            Self::EditFile => "edit_file",
            Self::DigestFile => "digest_file",
            Self::Todo => "todo",
            Self::Time => "time",
            Self::WriteArtifact => "write_artifact",
            Self::ListArtifacts => "list_artifacts",
            Self::ReadArtifact => "read_artifact",
            Self::Agent(agent) => &agent.name,
            Self::Command(command) => &command.name,
            Self::Hook(hook) => &hook.name,
            Self::Mcp(server) => &server.name,
            Self::OpenApi(service) => &service.name,
        }
    }

    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        match node.value {
            Value::Object(fields) if fields.contains_key("name") => Self::read_named(node),
            Value::Object(_) => Self::read_source(node),
            _ => match read_name(node)? {
                http_request::NAME => {
                    node.problem("http_request needs `hosts`", http_request::HOSTS_HINT)
                }
                name => plain(name),
            },
        }
    }

    fn read_named(node: &Node<'_>) -> Option<Self> {
        let object = node.object()?;
        let options: &[&str] = match object.get("name").and_then(Value::as_str).and_then(plain) {
            Some(_) => &["name"],
            None => &["name", "hosts"],
        };
        let fields = node.fields(options)?;
        match fields.required("name", "name the tool", read_name)? {
            http_request::NAME => http_request::read(&fields),
            name => plain(name),
        }
    }

    fn read_source(node: &Node<'_>) -> Option<Self> {
        let named = node.object()?.keys().filter(|field| SOURCES.contains(&field.as_str()));
        if named.count() != 1 {
            let hint = "give it a `name`, or one source, such as `{agent: {agent: researcher, …}}`";
            return node.problem("names no tool", hint);
        }
        let fields = node.fields(&SOURCES)?;
        let agent = fields.read("agent", AgentTool::read).map(Self::Agent);
        let hook = || fields.read("hook", HookTool::read).map(Self::Hook);
        let mcp = || fields.read("mcp", McpTools::read).map(Box::new);
        let openapi = || fields.read("openapi", OpenApiTools::read).map(Box::new);
        let command = || fields.read("command", CommandTool::read).map(Box::new);
        let agent = agent.or_else(|| command().map(Self::Command));
        agent
            .or_else(hook)
            .or_else(|| mcp().map(Self::Mcp))
            .or_else(|| openapi().map(Self::OpenApi))
    }
}

/// The tools of an agent, each at most once.
pub(crate) fn read(node: &Node<'_>) -> Option<Vec<Tool>> {
    let mut seen = BTreeSet::new();
    node.list(|node| {
        let tool = Tool::read(node)?;
        if seen.insert(tool.name().to_owned()) {
            return Some(tool);
        }
        node.problem(format!("tool `{}` is listed twice", tool.name()), "remove one of the two")
    })
}

fn plain(name: &str) -> Option<Tool> {
    PLAIN.into_iter().map(|(tool, _)| tool).find(|tool| tool.name() == name)
}

fn read_name(node: &Node<'_>) -> Option<&'static str> {
    const NAMES: [&str; PLAIN.len() + 1] = [
        "list_files",
        "read_file",
        "search_files",
        "write_file",
        "edit_file",
        "digest_file",
        "todo",
        "time",
        "write_artifact",
        "list_artifacts",
        "read_artifact",
        http_request::NAME,
    ];
    node.choice("tool", &NAMES.map(|name| (name, name)))
}

/// The name that a model knows a tool by, as all providers take it: 1 to 64 of `A-Z a-z 0-9 _ -`.
pub(crate) fn read_tool_name(node: &Node<'_>) -> Option<String> {
    let text = node.text(MAX_TOOL_NAME)?;
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) {
        return Some(text);
    }
    node.problem("is not a tool's name", "use A-Z, a-z, 0-9, `_` and `-`, at most 64 characters")
}

/// The name of a source, which its tools' names begin with.
pub(crate) fn read_source_name(node: &Node<'_>) -> Option<String> {
    let name = read_tool_name(node)?;
    if name.len() > MAX_SOURCE_NAME {
        return node.problem(format!("is longer than {MAX_SOURCE_NAME} characters"), "shorten it");
    }
    Some(name)
}

/// A list of names that somebody else has given.
fn read_words(node: &Node<'_>, what: &str) -> Option<Vec<String>> {
    let words = node.list(|at| at.filled_text(MAX_NAME))?;
    match words.len() {
        0 => node.problem(format!("lists no {what}"), "list some, or remove the field"),
        1..=MAX_LISTED => Some(words),
        _ => node.problem(format!("lists more than {MAX_LISTED} {what}"), "list fewer"),
    }
}

impl Serialize for Tool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::HttpRequest { hosts } => {
                json!({"name": self.name(), "hosts": hosts}).serialize(serializer)
            }
            Self::Agent(agent) => json!({"agent": agent}).serialize(serializer),
            Self::Command(command) => json!({"command": command}).serialize(serializer),
            Self::Hook(hook) => json!({"hook": hook}).serialize(serializer),
            Self::Mcp(server) => json!({"mcp": server}).serialize(serializer),
            Self::OpenApi(service) => json!({"openapi": service}).serialize(serializer),
            plain => serializer.serialize_str(plain.name()),
        }
    }
}

impl JsonSchema for Tool {
    fn schema_name() -> Cow<'static, str> {
        "Tool".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<Value> = PLAIN
            .iter()
            .map(|(tool, description)| json!({"const": tool.name(), "description": description}))
            .collect();
        json_schema!({
            "description": "A tool: its name, or an object with its name or source and options.",
            "oneOf": [
                {"type": "string", "oneOf": names},
                {
                    "type": "object",
                    "properties": {"name": {"description": "Name of the tool.", "oneOf": names}},
                    "required": ["name"],
                    "additionalProperties": false,
                },
                http_request::schema(),
                source::<AgentTool>(generator, "agent", "Has another agent do something."),
                source::<CommandTool>(generator, "command", "Executes a program."),
                source::<HookTool>(generator, "hook", "Has a hook of the worker do something."),
                source::<McpTools>(generator, "mcp", "The tools of an MCP server."),
                source::<OpenApiTools>(generator, "openapi", "The operations of a service."),
            ],
        })
    }
}

/// The schema of a source: an object with this field alone.
fn source<T: JsonSchema>(generator: &mut SchemaGenerator, name: &str, description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "properties": {name: generator.subschema_for::<T>()},
        "required": [name],
        "additionalProperties": false,
    })
}
