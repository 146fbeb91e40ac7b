//! The tools that a model may use.

use std::borrow::Cow;
use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::bounds::{MAX_HOST, MAX_HOSTS};
use crate::node::{Fields, Node};

/// One tool. In a document it is a name (`read_file`) or an object (`{name: http_request, hosts:
/// […]}`) where it has options.
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
    /// Reads one file and asks the model a question about it, outside the conversation.
    DigestFile,
    /// Writes an artifact.
    WriteArtifact,
}

const HTTP_REQUEST: &str = "http_request";
/// The tools without options, with their descriptions.
const PLAIN: [(Tool, &str); 4] = [
    (Tool::ListFiles, "Lists the files that the run was given."),
    (Tool::ReadFile, "Reads one file."),
    (
        Tool::DigestFile,
        "Reads one file and asks the model a question about it, outside the conversation.",
    ),
    (Tool::WriteArtifact, "Writes an artifact."),
];
const HOSTS_HINT: &str =
    "list the hosts it may reach: `{name: http_request, hosts: [api.example.com]}`";
const HOST: &str = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";

impl Tool {
    /// The name of the tool, in documents and for the model.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HttpRequest { .. } => HTTP_REQUEST,
            Self::ListFiles => "list_files",
            Self::ReadFile => "read_file",
            Self::DigestFile => "digest_file",
            Self::WriteArtifact => "write_artifact",
        }
    }

    fn read(node: &Node<'_>) -> Option<Self> {
        match node.value {
            Value::Object(_) => Self::read_object(node),
            _ => match read_name(node)? {
                HTTP_REQUEST => node.problem("http_request needs `hosts`", HOSTS_HINT),
                name => plain(name),
            },
        }
    }

    fn read_object(node: &Node<'_>) -> Option<Self> {
        let object = node.object()?;
        let options: &[&str] = match object.get("name").and_then(Value::as_str).and_then(plain) {
            Some(_) => &["name"],
            None => &["name", "hosts"],
        };
        let fields = node.fields(options)?;
        match fields.required("name", "name the tool", read_name)? {
            HTTP_REQUEST => read_http_request(&fields),
            name => plain(name),
        }
    }
}

/// The tools of an agent, each at most once.
pub(crate) fn read(node: &Node<'_>) -> Option<Vec<Tool>> {
    let mut seen = BTreeSet::new();
    node.list(|node| {
        let tool = Tool::read(node)?;
        if seen.insert(tool.name()) {
            return Some(tool);
        }
        node.problem(format!("tool `{}` is listed twice", tool.name()), "remove one of the two")
    })
}

fn plain(name: &str) -> Option<Tool> {
    PLAIN.into_iter().map(|(tool, _)| tool).find(|tool| tool.name() == name)
}

fn read_name(node: &Node<'_>) -> Option<&'static str> {
    let names = PLAIN.iter().map(|(tool, _)| tool.name()).chain([HTTP_REQUEST]);
    let choices: Vec<_> = names.map(|name| (name, name)).collect();
    node.choice("tool", &choices)
}

fn read_http_request(fields: &Fields<'_>) -> Option<Tool> {
    let mut hosts = fields.required("hosts", HOSTS_HINT, read_hosts)?;
    // The list is a set: its order means nothing, so it must not change the digest.
    hosts.sort_unstable();
    Some(Tool::HttpRequest { hosts })
}

fn read_hosts(node: &Node<'_>) -> Option<Vec<String>> {
    match node.value.as_array().map_or(1, Vec::len) {
        0 => return node.problem("is empty", HOSTS_HINT),
        count if count > MAX_HOSTS => {
            let message = format!("has {count} hosts, more than the {MAX_HOSTS} allowed");
            return node.problem(message, "list fewer, or split the agent");
        }
        _ => {}
    }
    let mut seen = BTreeSet::new();
    node.list(|node| {
        let host = read_host(node)?;
        if seen.insert(host.clone()) {
            return Some(host);
        }
        node.problem(format!("host `{host}` is listed twice"), "remove one of the two")
    })
}

fn read_host(node: &Node<'_>) -> Option<String> {
    let host = node.text(MAX_HOST)?.to_ascii_lowercase();
    if host.split('.').all(is_label) {
        return Some(host);
    }
    let hint = "write the name alone, such as `api.example.com`: no scheme, port, path or wildcard";
    node.problem("is not a host name", hint)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl Serialize for Tool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::HttpRequest { hosts } => {
                json!({"name": self.name(), "hosts": hosts}).serialize(serializer)
            }
            plain => serializer.serialize_str(plain.name()),
        }
    }
}

impl JsonSchema for Tool {
    fn schema_name() -> Cow<'static, str> {
        "Tool".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<Value> = PLAIN
            .iter()
            .map(|(tool, description)| json!({"const": tool.name(), "description": description}))
            .collect();
        json_schema!({
            "description": "A tool: its name, or an object with its name and options.",
            "oneOf": [
                {"type": "string", "oneOf": names},
                {
                    "type": "object",
                    "properties": {"name": {"description": "Name of the tool.", "oneOf": names}},
                    "required": ["name"],
                    "additionalProperties": false,
                },
                http_request_schema(),
            ],
        })
    }
}

fn http_request_schema() -> Value {
    json!({
        "description": "Makes HTTP requests to listed hosts and to no other.",
        "type": "object",
        "properties": {
            "name": {"description": "Name of the tool.", "const": HTTP_REQUEST},
            "hosts": {
                "description": "Names of the hosts that may be reached: no scheme, port, path or wildcard.",
                "type": "array",
                "items": {"type": "string", "maxLength": MAX_HOST, "pattern": HOST},
                "minItems": 1,
                "maxItems": MAX_HOSTS,
                "uniqueItems": true,
            },
        },
        "required": ["name", "hosts"],
        "additionalProperties": false,
    })
}
