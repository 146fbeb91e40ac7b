//! The user's own JSON Schema for the final answer.

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{ReferencingError, ValidationError};
use serde_json::Value;

use crate::bounds::MAX_SCHEMA_PROBLEMS;
use crate::node::Node;
use crate::suggest;

const HINT: &str = "see https://json-schema.org/understanding-json-schema";
const REFERENCE_HINT: &str =
    "nothing is fetched: copy the schema into `$defs` and refer to it as `#/$defs/…`";

/// An object that is a valid JSON Schema and needs no other document.
pub(crate) fn read(node: &Node<'_>) -> Option<Value> {
    let schema = Value::Object(node.object()?.clone());
    let keeps_grammar = follows_meta_schema(node, &schema);
    (keeps_grammar && compiles(node, &schema)).then_some(schema)
}

/// Notes everything that the meta-schema says about the schema, each at its place.
fn follows_meta_schema(node: &Node<'_>, schema: &Value) -> bool {
    let Ok(meta) = jsonschema::meta::validator_for(schema) else {
        let hint = "use `https://json-schema.org/draft/2020-12/schema`, or remove `$schema`";
        node.field("$schema", node.value).problem::<()>("is not a known dialect", hint);
        return false;
    };
    let mut valid = true;
    for error in meta.iter_errors(schema).take(MAX_SCHEMA_PROBLEMS) {
        valid = false;
        note(node, &error);
    }
    valid
}

fn note(node: &Node<'_>, error: &ValidationError<'_>) {
    let place =
        error.instance_path().into_iter().fold(node.clone(), |place, segment| match segment {
            LocationSegment::Property(name) => place.field(&suggest::shown(&name), node.value),
            LocationSegment::Index(index) => place.element(index, node.value),
        });
    place.problem::<()>(format!("is not valid JSON Schema: {}", error.masked()), HINT);
}

/// Resolves every reference, which the meta-schema cannot.
fn compiles(node: &Node<'_>, schema: &Value) -> bool {
    let Err(error) = jsonschema::options().offline().build(schema) else {
        return true;
    };
    if let ValidationErrorKind::Referencing(ReferencingError::Unretrievable { uri, .. }) =
        error.kind()
    {
        let message = format!("refers to another document, `{}`", suggest::shown(uri));
        node.problem::<()>(message, REFERENCE_HINT);
    } else {
        node.problem::<()>(format!("is not valid JSON Schema: {error}"), HINT);
    }
    false
}
