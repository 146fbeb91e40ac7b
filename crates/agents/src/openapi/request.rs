//! Requests made of the arguments of a call.

use std::fmt::Write as _;

use reqwest::Url;
use serde_json::{Map, Value};

use super::{Body, Operation, Parameter, Place};

/// The parts of a request.
#[derive(Debug, PartialEq)]
pub(crate) struct Parts {
    pub(crate) url: Url,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

/// The request to the service at `base`, or why there is none.
pub(crate) fn parts(
    operation: &Operation,
    base: &str,
    arguments: &Map<String, Value>,
) -> Result<Parts, String> {
    let mut left = arguments.clone();
    let mut given: Vec<(&Parameter, Value)> = Vec::new();
    for parameter in &operation.parameters {
        if let Some(value) = left.remove(&parameter.name).filter(|value| !value.is_null()) {
            given.push((parameter, value));
        }
    }
    let at = |place: Place| given.iter().filter(move |(parameter, _)| parameter.place == place);
    let mut path = operation.path.clone();
    for (parameter, value) in at(Place::Path) {
        path = path.replace(&format!("{{{}}}", parameter.name), &segment(&parameter.name, value)?);
    }
    if path.contains('{') {
        return Err(format!("the path `{path}` lacks a parameter"));
    }
    let mut url = Url::parse(&format!("{base}{path}")).map_err(|error| error.to_string())?;
    let query: Vec<_> =
        at(Place::Query).flat_map(|(parameter, value)| pairs(parameter, value)).collect();
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let mut headers: Vec<_> = at(Place::Header)
        .map(|(parameter, value)| (parameter.name.clone(), joined(value, ",")))
        .collect();
    let cookies: Vec<_> = at(Place::Cookie)
        .map(|(parameter, value)| format!("{}={}", parameter.name, encoded(&joined(value, ","))))
        .collect();
    if !cookies.is_empty() {
        headers.push(("cookie".into(), cookies.join("; ")));
    }
    let body = match operation.body {
        Body::None => None,
        Body::Whole => left.remove("body"),
        Body::Fields => Some(Value::Object(left)),
    };
    Ok(Parts { url, headers, body })
}

/// A value as one segment of a path: it must not lead to another operation.
fn segment(name: &str, value: &Value) -> Result<String, String> {
    let text = joined(value, ",");
    if matches!(text.as_str(), "" | "." | "..") {
        return Err(format!("`{text}` cannot stand in a path; give another `{name}`"));
    }
    Ok(encoded(&text))
}

/// A value as parameters of a query.
fn pairs(parameter: &Parameter, value: &Value) -> Vec<(String, String)> {
    let name = &parameter.name;
    let separator = match parameter.style.as_str() {
        "spaceDelimited" => " ",
        "pipeDelimited" => "|",
        _ => ",",
    };
    match value {
        Value::Array(list) if parameter.explode => {
            list.iter().map(|value| (name.clone(), plain(value))).collect()
        }
        Value::Object(map) if parameter.style == "deepObject" => {
            map.iter().map(|(field, value)| (format!("{name}[{field}]"), plain(value))).collect()
        }
        Value::Object(map) if parameter.explode => {
            map.iter().map(|(field, value)| (field.clone(), plain(value))).collect()
        }
        value => vec![(name.clone(), joined(value, separator))],
    }
}

/// A value in one text.
fn joined(value: &Value, separator: &str) -> String {
    match value {
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(separator),
        Value::Object(map) => {
            let fields = map.iter().flat_map(|(name, value)| [name.clone(), plain(value)]);
            fields.collect::<Vec<_>>().join(separator)
        }
        value => plain(value),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Everything but what RFC 3986 calls unreserved, by its bytes.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(path: &str, parameters: &[(&str, Place, &str, bool)], body: Body) -> Operation {
        let parameter = |(name, place, style, explode): &(&str, Place, &str, bool)| Parameter {
            name: (*name).into(),
            place: *place,
            style: (*style).into(),
            explode: *explode,
        };
        Operation {
            name: "o".into(),
            method: "POST".into(),
            path: path.into(),
            description: String::new(),
            schema: json!({}),
            parameters: parameters.iter().map(parameter).collect(),
            body,
            hidden: Vec::new(),
        }
    }

    fn made(operation: &Operation, arguments: &Value) -> Result<Parts, String> {
        parts(operation, "https://pets.example.com/v1", arguments.as_object().unwrap())
    }

    #[test]
    fn each_argument_goes_to_its_place() {
        let parameters = [
            ("id", Place::Path, "", false),
            ("tag", Place::Query, "", true),
            ("near", Place::Query, "deepObject", true),
            ("sort", Place::Query, "pipeDelimited", false),
            ("X-Trace", Place::Header, "", false),
            ("who", Place::Cookie, "", true),
        ];
        let operation = operation("/pets/{id}", &parameters, Body::Fields);
        let made = made(
            &operation,
            &json!({
                "id": "a/b é", "tag": ["x", "y z"], "near": {"lat": 1}, "sort": ["a", "b"],
                "X-Trace": 7, "who": "me;x", "name": "Rex", "age": null,
            }),
        );
        let Parts { url, headers, body } = made.unwrap();
        assert_eq!(
            url.as_str(),
            "https://pets.example.com/v1/pets/a%2Fb%20%C3%A9?tag=x&tag=y+z&near%5Blat%5D=1&sort=a%7Cb"
        );
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers, [header("X-Trace", "7"), header("cookie", "who=me%3Bx")]);
        assert_eq!(body, Some(json!({"name": "Rex", "age": null})));
    }

    #[test]
    fn a_path_leads_to_its_own_operation_only() {
        let operation = operation("/pets/{id}/toys", &[("id", Place::Path, "", false)], Body::None);
        for id in [json!(".."), json!("."), json!(""), json!([])] {
            assert!(made(&operation, &json!({"id": id})).is_err(), "{id}");
        }
        assert!(made(&operation, &json!({})).is_err());
        let url = made(&operation, &json!({"id": "../x?y#z"})).unwrap().url;
        assert_eq!(url.path(), "/v1/pets/..%2Fx%3Fy%23z/toys");
    }
}
