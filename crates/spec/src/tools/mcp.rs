//! Tools of an MCP server.

mod auth;
mod identity;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::values::{read_headers, read_variables};
use super::{Effect, read_source_name, read_words};
use crate::bounds::{MAX_ARGUMENT, MAX_ARGUMENTS, MAX_LINE, MAX_LISTED, MAX_NAME};
use crate::model::read_base_url;
use crate::node::{Fields, Node};
use crate::span::Span;

pub use auth::{Grant, McpAuth};
pub use identity::McpIdentity;

/// The tools of an MCP server, which is reached over HTTP (`url`) or started as a program (`command`).
/// A tool `search` of the server `docs` is called `docs__search`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpTools {
    /// What the names of its tools begin with: 1 to 32 characters out of A-Z, a-z, 0-9, `_` and `-`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,32}$"))]
    pub name: String,
    /// Address of the server (streamable HTTP), without query and fragment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_LINE))]
    pub url: Option<String>,
    /// Headers of each request. `env://NAME` in a value stands for a secret of the worker.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How the worker logs in, if the server asks for it. `url` begins with `https://`, or is on the
    /// worker's own machine. Without it a server that wants a login is a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "McpAuth")]
    pub auth: Option<McpAuth>,
    /// Program to start (stdio), which the worker has to allow. It ends with the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_LINE))]
    pub command: Option<String>,
    /// Arguments of the program: at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_ARGUMENTS), inner(length(max = MAX_ARGUMENT)))]
    pub args: Vec<String>,
    /// Variables of the program, beside those that the worker allows (`--allow-env`) and PATH.
    /// `env://NAME` in a value stands for a secret of the worker.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The server's tools that the model is offered, at most 200. Without it all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(min = 1, max = MAX_LISTED))]
    pub tools: Option<Vec<String>>,
    /// What calls do to the world, by the server's names of its tools. Without an entry, what the
    /// server says: read-only tools are `read`, idempotent ones `idempotent`, all others `once`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub effects: BTreeMap<String, Effect>,
    /// How long a call may go without an answer or a sign of progress.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How long a call may take whatever its progress. Not shorter than `timeout`, which it is if that
    /// is longer than the default.
    #[serde(default = "max_timeout")]
    pub max_timeout: Span,
    /// What the server is told when it asks a question in the middle of a call.
    #[serde(default)]
    pub elicitation: Elicitation,
}

/// What an MCP server is told when it asks a question in the middle of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Elicitation {
    /// That nobody answers questions here.
    #[default]
    Off,
    /// The defaults that the question brings. A question without one for each required field is
    /// declined.
    Defaults,
}

const FIELDS: [&str; 12] = [
    "name",
    "url",
    "headers",
    "auth",
    "command",
    "args",
    "env",
    "tools",
    "effects",
    "timeout",
    "max_timeout",
    "elicitation",
];

impl McpTools {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&FIELDS)?;
        let hint = "name the server: its tools' names begin with it";
        let name = fields.required("name", hint, read_source_name);
        check_place(node, &fields);
        let elicitations = [("off", Elicitation::Off), ("defaults", Elicitation::Defaults)];
        let (timeout, max_timeout) = read_times(&fields);
        let url = fields.read("url", read_base_url);
        let headers = fields.read("headers", read_headers).unwrap_or_default();
        check_login(&fields, url.as_deref(), &headers);
        Some(Self {
            url,
            headers,
            auth: fields.read("auth", McpAuth::read),
            command: fields.read("command", |at| at.filled_text(MAX_LINE)),
            args: fields.read("args", read_arguments).unwrap_or_default(),
            env: fields.read("env", read_variables).unwrap_or_default(),
            tools: fields.read("tools", |at| read_words(at, "tools")),
            effects: fields.read("effects", read_effects).unwrap_or_default(),
            timeout,
            max_timeout,
            elicitation: fields
                .read("elicitation", |at| at.choice("answer", &elicitations))
                .unwrap_or_default(),
            name: name?,
        })
    }
}

/// A server is at an address or is a program, and each has fields of its own.
fn check_place(node: &Node<'_>, fields: &Fields<'_>) {
    let (stray, of) = match (fields.has("url"), fields.has("command")) {
        (true, false) => (["args", "env"].as_slice(), "`command`"),
        (false, true) => (["headers", "auth"].as_slice(), "`url`"),
        (both, _) => {
            let problem = if both { "has two places" } else { "says not where the server is" };
            let hint = "give it `url: https://…`, or a `command` that starts it";
            return node.problem::<()>(problem, hint).unwrap_or_default();
        }
    };
    for name in stray {
        fields.read(name, |at| at.problem::<()>(format!("goes with {of}"), "remove it"));
    }
}

/// A login goes over a way that nobody listens on, and there is one.
fn check_login(fields: &Fields<'_>, url: Option<&str>, headers: &BTreeMap<String, String>) {
    let (problem, hint) = if url.is_some_and(|url| !is_private_way(url)) {
        ("would send tokens that others can read on their way", "begin `url` with `https://`")
    } else if headers.contains_key("authorization") {
        ("and a header `authorization` are two logins", "remove one of them")
    } else {
        return;
    };
    fields.read("auth", |at| at.problem::<()>(problem, hint));
}

/// Whether nobody can listen on the way to an address.
fn is_private_way(url: &str) -> bool {
    let rest = url.strip_prefix("http://").unwrap_or_default();
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let local = ["localhost", "127.0.0.1"].contains(&host) || rest.starts_with("[::1]");
    url.starts_with("https://") || local
}

fn timeout() -> Span {
    Span::seconds(60)
}

fn max_timeout() -> Span {
    Span::seconds(600)
}

/// How long a call may be silent, and how long it may take.
fn read_times(fields: &Fields<'_>) -> (Span, Span) {
    let timeout = fields.read("timeout", Span::read_filled).unwrap_or(self::timeout());
    let longest = self::max_timeout().max(timeout);
    let max_timeout = fields.read("max_timeout", |at| match Span::read_filled(at)? {
        max if max < timeout => {
            let hint = format!("give at least {timeout}, or a shorter `timeout`");
            at.problem(format!("is shorter than the timeout of {timeout}"), hint)
        }
        max => Some(max),
    });
    (timeout, max_timeout.unwrap_or(longest))
}

fn read_arguments(node: &Node<'_>) -> Option<Vec<String>> {
    let arguments = node.list(|node| node.text(MAX_ARGUMENT))?;
    if arguments.len() > MAX_ARGUMENTS {
        return node.problem(format!("has more than {MAX_ARGUMENTS} arguments"), "give fewer");
    }
    Some(arguments)
}

/// The effects of a source's tools, by their names there.
pub(super) fn read_effects(node: &Node<'_>) -> Option<BTreeMap<String, Effect>> {
    if node.object()?.len() > MAX_LISTED {
        return node.problem(format!("has more than {MAX_LISTED} entries"), "give fewer");
    }
    let effects = node.map(|at| at.choice("effect", &Effect::ALL))?;
    match effects.keys().find(|name| name.chars().count() > MAX_NAME) {
        Some(_) => node.problem("has a name that is too long", "use the source's own names"),
        None => Some(effects),
    }
}
