//! How a request wants its answer.

use serde_json::{Map, Value, json};

use super::{Read, given, refusal, text_of, wrong_type};

pub(super) fn temperature(body: &Map<String, Value>) -> Read<Option<f64>> {
    let Some(value) = given(body, "temperature") else { return Ok(None) };
    let number = value.as_f64().ok_or_else(|| wrong_type("temperature", "a number"))?;
    if !(0.0..=2.0).contains(&number) {
        return Err(refusal("temperature", "invalid_value", "`temperature` must be 0 to 2"));
    }
    Ok(Some(number))
}

/// The limit under its new name or its old one.
pub(super) fn max_tokens(body: &Map<String, Value>) -> Read<Option<u32>> {
    let names = ["max_completion_tokens", "max_tokens"];
    let Some((name, value)) = names.iter().find_map(|name| Some((*name, given(body, name)?)))
    else {
        return Ok(None);
    };
    let number = value.as_u64().ok_or_else(|| wrong_type(name, "a whole number"))?;
    if number == 0 {
        return Err(refusal(name, "invalid_value", format!("`{name}` must be at least 1")));
    }
    Ok(Some(u32::try_from(number).unwrap_or(u32::MAX)))
}

pub(super) fn response_format(body: &Map<String, Value>) -> Read<Option<Value>> {
    let Some(value) = given(body, "response_format") else { return Ok(None) };
    let at = "response_format";
    let fields = value.as_object().ok_or_else(|| wrong_type(at, "an object"))?;
    match text_of(fields, "type", at)?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(json!({"type": "object"}))),
        "json_schema" => {
            let at = "response_format.json_schema";
            let form = given(fields, "json_schema").and_then(Value::as_object);
            let form = form.ok_or_else(|| wrong_type(at, "an object"))?;
            let schema = given(form, "schema").filter(|schema| schema.is_object());
            schema
                .cloned()
                .map(Some)
                .ok_or_else(|| wrong_type(&format!("{at}.schema"), "a JSON Schema"))
        }
        _ => {
            let why = "`response_format.type` must be text, json_object or json_schema";
            Err(refusal("response_format.type", "invalid_value", why))
        }
    }
}
