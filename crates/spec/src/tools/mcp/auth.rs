//! How a worker logs in to an MCP server.

use schemars::JsonSchema;
use serde::Serialize;

use super::identity::McpIdentity;
use crate::bounds::{MAX_LINE, MAX_NAME};
use crate::node::{Fields, Node};
use crate::tools::values::{SECRET, is_variable};

/// Scopes of a login. Servers have a handful.
const MAX_SCOPES: usize = 50;

/// How a worker logs in to an MCP server (OAuth 2.1). Where, the server says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpAuth {
    /// Who the worker acts for.
    pub grant: Grant,
    /// What the authorization server knows the worker by. For `client_credentials` and
    /// `cross_app` it is needed. For `authorization_code` it is the `--client-id` of `tenure-worker mcp-login`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = MAX_LINE))]
    pub client_id: Option<String>,
    /// The client's secret, as `env://NAME`, for `client_credentials` and `cross_app`. The worker has
    /// to grant it to the authorization server's host: `--tool-secret NAME@HOST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = r"^env://[A-Za-z_][A-Za-z0-9_]*$"))]
    pub client_secret: Option<String>,
    /// Instead of a secret the private key that the client signs with, as `env://NAME`: PEM of PKCS #8,
    /// on the curve P-256 (ES256) or RSA (RS256). Granted as `client_secret` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = r"^env://[A-Za-z_][A-Za-z0-9_]*$"))]
    pub private_key: Option<String>,
    /// Who has an identity that the authorization server trusts, for `cross_app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "McpIdentity")]
    pub identity: Option<McpIdentity>,
    /// The scopes to ask for, at most 50, and no others. Without them those that the server says it
    /// needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_SCOPES), inner(length(min = 1, max = MAX_NAME)))]
    pub scopes: Vec<String>,
}

/// Who a worker acts for at an MCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// For itself, with a secret or a key of its own.
    ClientCredentials,
    /// For the person who has run `tenure-worker mcp-login` for this tenant and server.
    AuthorizationCode,
    /// For whom an identity token names: the identity provider of an enterprise decides what it may
    /// do at the server (cross-app access, enterprise-managed authorization).
    CrossApp,
}

const FIELDS: [&str; 6] =
    ["grant", "client_id", "client_secret", "private_key", "identity", "scopes"];
const GRANTS: [(&str, Grant); 3] = [
    ("client_credentials", Grant::ClientCredentials),
    ("authorization_code", Grant::AuthorizationCode),
    ("cross_app", Grant::CrossApp),
];

impl McpAuth {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&FIELDS)?;
        let hint = "say `client_credentials`, `authorization_code` if a person logs in, or \
                    `cross_app` with an identity token";
        let grant = fields.required("grant", hint, |at| at.choice("grant", &GRANTS));
        if let Some(grant) = grant {
            check_client(node, &fields, grant);
            check_identity(node, &fields, grant);
        }
        Some(Self {
            client_id: fields.read("client_id", |at| at.filled_text(MAX_LINE)),
            client_secret: fields.read("client_secret", read_secret),
            private_key: fields.read("private_key", read_secret),
            identity: fields.read("identity", McpIdentity::read),
            scopes: fields.read("scopes", |at| at.few(MAX_SCOPES, read_scope)).unwrap_or_default(),
            grant: grant?,
        })
    }
}

/// An identity is asked for by one grant, which is nothing without it.
fn check_identity(node: &Node<'_>, fields: &Fields<'_>, grant: Grant) {
    if grant == Grant::CrossApp && !fields.has("identity") {
        let hint = "give it an `identity` with `token` and `token_endpoint`";
        node.problem::<()>("does not say who the worker is", hint);
    } else if grant != Grant::CrossApp {
        let hint = "remove it, or say `grant: cross_app`";
        fields.read("identity", |at| at.problem::<()>("goes with `cross_app`", hint));
    }
}

/// A worker that logs in for itself has one way to show that it is itself.
fn check_client(node: &Node<'_>, fields: &Fields<'_>, grant: Grant) {
    let (secret, key) = (fields.has("client_secret"), fields.has("private_key"));
    if grant == Grant::AuthorizationCode {
        for name in ["client_secret", "private_key"] {
            let hint =
                "remove it; `tenure-worker mcp-login` is given the client's secret, if it has one";
            fields.read(name, |at| at.problem::<()>("goes with `client_credentials`", hint));
        }
    } else if !fields.has("client_id") || secret == key {
        let hint =
            "give it a `client_id`, and either `client_secret` or `private_key` as `env://NAME`";
        node.problem::<()>("does not say how the worker logs in", hint);
    }
}

/// A reference and nothing else: whatever stands beside it would be a secret too.
pub(super) fn read_secret(node: &Node<'_>) -> Option<String> {
    let text = node.text(MAX_LINE)?;
    if text.strip_prefix(SECRET).is_some_and(is_variable) {
        return Some(text);
    }
    let hint = "write `env://NAME`, and start the worker with `--tool-secret NAME@HOST`";
    node.problem("names no secret", hint)
}

/// RFC 6749, appendix A.4: visible ASCII without quotes and backslashes.
fn read_scope(node: &Node<'_>) -> Option<String> {
    let scope = node.filled_text(MAX_NAME)?;
    if scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte)) {
        return Some(scope);
    }
    node.problem("is no scope", "write one scope in each element, without spaces")
}
