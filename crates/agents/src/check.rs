//! Checking a value against a JSON Schema, told so that a model can mend it.

use jsonschema::Validator;
use serde_json::Value;

/// Problems that are told at once: a model that made more starts again anyway.
const TOLD: usize = 5;
/// Characters of one problem: it may quote the value.
const LENGTH: usize = 300;

/// What is wrong with `value`, each problem with its place; `None` if nothing is.
pub(crate) fn problems(schema: &Validator, value: &Value) -> Option<String> {
    let problems: Vec<_> =
        schema.iter_errors(value).take(TOLD).map(|error| problem(&error)).collect();
    (!problems.is_empty()).then(|| problems.join("; "))
}

fn problem(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let text: String = error.to_string().chars().take(LENGTH).collect();
    match place.as_str() {
        "" => text,
        place => format!("at {place}: {text}"),
    }
}
