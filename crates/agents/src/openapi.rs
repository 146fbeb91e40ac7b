//! OpenAPI: the operations of a service as its document describes them, and requests made of calls.
//!
//! `document` finds the operations, `schema` makes their schemas stand alone, `request` makes a
//! request of the arguments of a call. Nothing here does I/O.

mod document;
mod request;
mod schema;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_spec::Effect;

pub(crate) use document::{base, operations, read};
pub(crate) use request::parts;

/// One operation, as the journal of a run keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// Its `operationId`, else method and path.
    pub(crate) name: String,
    /// The HTTP method.
    pub(crate) method: String,
    /// The path, with `{parameters}`.
    pub(crate) path: String,
    /// What it is good for.
    pub(crate) description: String,
    /// JSON Schema of a call's arguments: parameters and fields of the body side by side.
    pub(crate) schema: Value,
    /// Where the parameters go.
    pub(crate) parameters: Vec<Parameter>,
    /// What becomes of the arguments that are no parameters.
    pub(crate) body: Body,
    /// Those of its arguments that the source hides from the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hidden: Vec<String>,
}

/// Where a parameter goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// How lists and objects are written; the place's default if empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) style: String,
    /// Whether each element is written as a parameter of its own.
    pub(crate) explode: bool,
}

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

/// The body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Body {
    /// There is none.
    None,
    /// The argument `body`, as JSON.
    Whole,
    /// An object of the arguments that are no parameters, as JSON.
    Fields,
}

impl Operation {
    /// What a call does to the world unless the specification says otherwise.
    pub(crate) fn effect(&self) -> Effect {
        match self.method.as_str() {
            "GET" | "HEAD" => Effect::Read,
            "PUT" | "DELETE" => Effect::Idempotent,
            _ => Effect::Once,
        }
    }

    /// Its other name, which a document without `operationId` has alone.
    pub(crate) fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}
