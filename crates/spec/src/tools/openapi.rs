//! Operations of a service that an OpenAPI document describes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::mcp::read_effects;
use super::values::{read_headers, read_parameters};
use super::{Effect, read_source_name, read_words};
use crate::bounds::{MAX_LINE, MAX_LISTED};
use crate::model::read_base_url;
use crate::node::Node;
use crate::span::Span;

/// The operations of a service that an OpenAPI document (3.0 or 3.1) describes, each as a tool. The
/// operation `listPets` of the source `pets` is called `pets__listPets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenApiTools {
    /// What the names of its tools begin with: 1 to 32 characters out of A-Z, a-z, 0-9, `_` and `-`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,32}$"))]
    pub name: String,
    /// The document: its address (JSON or YAML), or the document itself. It is fetched once in each
    /// run, with `headers` if it is at the service's own host.
    pub spec: Value,
    /// Address of the service. Without it the first of the document's `servers`, which must be a whole
    /// address then, or a path at the host that the document came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_LINE))]
    pub base_url: Option<String>,
    /// The operations that the model is offered, by `operationId` or as `GET /pets/{id}`: at most 200.
    /// Without it all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(min = 1, max = MAX_LISTED))]
    pub operations: Option<Vec<String>>,
    /// Headers of each request. `env://NAME` in a value stands for a secret of the worker.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Parameters that the model does not see, with the values that they always have. `env://NAME` in
    /// a value stands for a secret of the worker.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden: BTreeMap<String, String>,
    /// What calls do to the world, by the operations' names. Without an entry GET and HEAD are `read`,
    /// PUT and DELETE `idempotent`, all others `once`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub effects: BTreeMap<String, Effect>,
    /// How long a request may take.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

const FIELDS: [&str; 8] =
    ["name", "spec", "base_url", "operations", "headers", "hidden", "effects", "timeout"];

impl OpenApiTools {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&FIELDS)?;
        let name_hint = "name the service: its tools' names begin with it";
        let name = fields.required("name", name_hint, read_source_name);
        let hint = "give the address of its OpenAPI document, or the document itself";
        let spec = fields.required("spec", hint, read_spec);
        Some(Self {
            base_url: fields.read("base_url", read_base_url),
            operations: fields.read("operations", |at| read_words(at, "operations")),
            headers: fields.read("headers", read_headers).unwrap_or_default(),
            hidden: fields.read("hidden", read_parameters).unwrap_or_default(),
            effects: fields.read("effects", read_effects).unwrap_or_default(),
            timeout: fields.read("timeout", Span::read_filled).unwrap_or(timeout()),
            name: name?,
            spec: spec?,
        })
    }
}

fn timeout() -> Span {
    Span::seconds(30)
}

fn read_spec(node: &Node<'_>) -> Option<Value> {
    match node.value {
        Value::Object(_) => Some(node.value.clone()),
        _ => read_base_url(node).map(Value::String),
    }
}
