//! The OpenAPI document, made from what routes requests: the same descriptors, with their comments.

mod comments;
mod schema;

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use prost_reflect::MethodDescriptor;
use serde_json::{Map, Value, json};
use tenure_core::ErrorKind;

use super::request;
use crate::transcode::{Binding, Bindings};
use comments::Comments;

/// The document. Made once: the descriptors are a part of the program.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| match Bindings::get() {
    Ok(bindings) => document(bindings),
    Err(_) => Value::Null,
});

static TEXT: LazyLock<String> = LazyLock::new(|| DOCUMENT.to_string());

pub(super) async fn serve() -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")];
    (headers, TEXT.as_str()).into_response()
}

fn document(bindings: &Bindings) -> Value {
    let comments = Comments::read(&bindings.pool);
    let mut paths: Map<String, Value> = Map::new();
    for (number, binding) in bindings.list.iter().enumerate() {
        let again = bindings.list[..number].iter().any(|other| other.method == binding.method);
        let path = paths.entry(binding.template.to_string()).or_insert_with(|| json!({}));
        path[binding.verb.as_str().to_lowercase()] = operation(binding, again, &comments);
    }
    let tags: Vec<_> = bindings
        .pool
        .services()
        .map(|service| {
            let about = comments.of(&service.parent_file(), service.path());
            json!({"name": service.name(), "description": about})
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tenure",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas(bindings, &comments)},
    })
}

const ABOUT: &str = "Every call of Tenure's gRPC services, as HTTP and canonical proto JSON: names \
    in lowerCamelCase, 64-bit integers as strings, bytes in base64, fields left out that have their \
    default. Requests may also use the names of the protos, and numbers for 64-bit integers.";

fn operation(binding: &Binding, again: bool, comments: &Comments) -> Value {
    let method = &binding.method;
    let about = comments.of(&method.parent_file(), method.path());
    let mut operation = json!({
        "operationId": format!("{}{}", method.name(), if again { "2" } else { "" }),
        "tags": [method.parent_service().name()],
        "summary": about.split(['.', ':']).next().unwrap_or_default().replace('\n', " "),
        "description": about,
        "parameters": parameters(binding, comments),
        "responses": {
            "200": {"description": "What was asked for.", "content": answer(method)},
            "default": {
                "description": "Why not.",
                "content": {"application/json": {"schema": schema::reference("Error")}},
            },
        },
    });
    if binding.body {
        operation["requestBody"] = body(binding, comments);
    }
    operation
}

fn answer(method: &MethodDescriptor) -> Value {
    let content = json!({"schema": schema::reference(method.output().name())});
    if method.is_server_streaming() {
        json!({"application/x-ndjson": content, "text/event-stream": content})
    } else {
        json!({"application/json": content})
    }
}

fn body(binding: &Binding, comments: &Comments) -> Value {
    let input = binding.method.input();
    if binding.method.is_client_streaming() {
        let schema = schema::reference(input.name());
        return json!({"required": true, "content": {"application/x-ndjson": {"schema": schema}}});
    }
    let mut schema = schema::message(&input, comments);
    if let Some(properties) = schema["properties"].as_object_mut() {
        for name in binding.template.fields() {
            let name = input.get_field_by_name(name).map(|field| field.json_name().to_owned());
            properties.remove(&name.unwrap_or_default());
        }
    }
    json!({"content": {"application/json": {"schema": schema}}})
}

fn parameters(binding: &Binding, comments: &Comments) -> Vec<Value> {
    let input = binding.method.input();
    let path: Vec<&str> = binding.template.fields().collect();
    let in_path = |name: &str| path.contains(&name);
    let mut parameters = Vec::new();
    for field in input.fields() {
        let place = match in_path(field.name()) {
            true => "path",
            false if binding.body => continue,
            false => "query",
        };
        // What stands in the path is named there as the proto names it.
        let name = if place == "path" { field.name() } else { field.json_name() };
        parameters.push(json!({
            "name": name,
            "in": place,
            "required": place == "path",
            "description": comments.of(&field.parent_file(), field.path()),
            "schema": schema::of(&field),
        }));
    }
    if request::idempotency(&input).is_some() && binding.body {
        parameters.push(text(
            "Idempotency-Key",
            "header",
            "The same request again is the same, once.",
        ));
    }
    if !binding.method.is_client_streaming() {
        let about = "Which fields of the answer to send, such as `id,usage.costMicros`.";
        parameters.push(text("fields", "query", about));
    }
    parameters
}

fn text(name: &str, place: &str, about: &str) -> Value {
    json!({"name": name, "in": place, "description": about, "schema": {"type": "string"}})
}

fn schemas(bindings: &Bindings, comments: &Comments) -> Map<String, Value> {
    let ours = |package: &str| package.starts_with("tenure.");
    let pool = &bindings.pool;
    let messages = pool.all_messages().filter(|message| ours(message.package_name()));
    let messages = messages.filter(|message| !message.is_map_entry());
    let messages =
        messages.map(|message| (message.name().to_owned(), schema::message(&message, comments)));
    let words = pool.all_enums().filter(|words| ours(words.package_name()));
    let words = words.map(|words| (words.name().to_owned(), schema::words(&words, comments)));
    messages.chain(words).chain([("Error".to_owned(), error())]).collect()
}

/// The schema of errors, as AIP-193 has them.
fn error() -> Value {
    let reasons: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.as_str().to_uppercase()).collect();
    let about = format!(
        "Why there is no answer. The first of `details` is an ErrorInfo, whose `reason` is one of {}; \
         others say which fields are wrong, and the id of the request.",
        reasons.join(", ")
    );
    json!({
        "type": "object",
        "description": about,
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "status": {"type": "string", "description": "The name of the gRPC code."},
                "message": {"type": "string", "description": "For people."},
                "details": {"type": "array", "items": {
                    "type": "object",
                    "required": ["@type"],
                    "properties": {"@type": {"type": "string"}},
                }},
            },
        }},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_is_to_something() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(object) => {
                    found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    object.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        references(&DOCUMENT, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(DOCUMENT.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn an_operation_is_described_by_the_comments_of_its_proto() {
        let operation = &DOCUMENT["paths"]["/v1/tenants/{tenant}/runs/{run}:signal"]["post"];
        insta::assert_snapshot!(serde_json::to_string_pretty(operation).unwrap());
    }

    #[test]
    fn every_path_is_listed() {
        let paths = DOCUMENT["paths"].as_object().unwrap().iter().flat_map(|(path, verbs)| {
            verbs.as_object().unwrap().iter().map(move |(verb, operation)| {
                let call = operation["operationId"].as_str().unwrap();
                format!("{:5} {path}  {call}", verb.to_uppercase())
            })
        });
        insta::assert_snapshot!(paths.collect::<Vec<_>>().join("\n"));
    }
}
