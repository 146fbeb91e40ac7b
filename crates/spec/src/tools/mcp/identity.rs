//! How a worker shows whom it acts for, where an identity provider decides what that may do.

use schemars::JsonSchema;
use serde::Serialize;

use super::auth::read_secret;
use super::is_private_way;
use crate::bounds::MAX_LINE;
use crate::model::read_base_url;
use crate::node::Node;

/// An identity, and the identity provider that vouches for it at authorization servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpIdentity {
    /// The identity token (OpenID Connect), as `env://NAME`. The worker has to grant it to the identity
    /// provider's host: `--tool-secret NAME@HOST`, or `--tool-secret-file NAME@HOST=FILE` for a token
    /// that the platform renews.
    #[schemars(regex(pattern = r"^env://[A-Za-z_][A-Za-z0-9_]*$"))]
    pub token: String,
    /// The address where the identity provider exchanges tokens (RFC 8693): `https`, or this machine's.
    #[schemars(length(min = 1, max = MAX_LINE))]
    pub token_endpoint: String,
    /// What the identity provider knows the worker by, if it wants to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = MAX_LINE))]
    pub client_id: Option<String>,
    /// The secret that goes with this `client_id`, as `env://NAME`, granted as `token` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = r"^env://[A-Za-z_][A-Za-z0-9_]*$"))]
    pub client_secret: Option<String>,
}

const FIELDS: [&str; 4] = ["token", "token_endpoint", "client_id", "client_secret"];

impl McpIdentity {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&FIELDS)?;
        let hint = "write `env://NAME` of the worker's identity token";
        let token = fields.required("token", hint, read_secret);
        let hint = "write the address where the identity provider exchanges tokens";
        let token_endpoint = fields.required("token_endpoint", hint, read_endpoint);
        if fields.has("client_secret") && !fields.has("client_id") {
            node.problem::<()>("has a secret of nobody", "give it the `client_id`, too");
        }
        Some(Self {
            client_id: fields.read("client_id", |at| at.filled_text(MAX_LINE)),
            client_secret: fields.read("client_secret", read_secret),
            token: token?,
            token_endpoint: token_endpoint?,
        })
    }
}

/// A way that nobody listens on.
fn read_endpoint(node: &Node<'_>) -> Option<String> {
    let url = read_base_url(node)?;
    if is_private_way(&url) {
        return Some(url);
    }
    let problem = "would send tokens that others can read on their way";
    node.problem(problem, "begin it with `https://`")
}
