//! What is wrong with a JSON object that is to be a message: every problem, each with its field.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

/// Problems that one answer lists: as many as somebody reads.
const PROBLEMS: usize = 20;

/// One thing that is wrong with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where: `records[2].key`; empty for the whole.
    pub(super) field: String,
    /// What, for people.
    pub(super) what: String,
}

impl Problem {
    pub(super) fn at(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), what: what.into() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.field.is_empty() {
            return f.write_str(&self.what);
        }
        write!(f, "{}: {}", self.field, self.what)
    }
}

/// The message that a JSON value is.
pub(super) fn message(
    descriptor: &MessageDescriptor,
    value: &Value,
) -> Result<DynamicMessage, Vec<Problem>> {
    DynamicMessage::deserialize(descriptor.clone(), value).map_err(|error| {
        let mut problems = Vec::new();
        object(descriptor, value, "", &mut problems);
        problems.truncate(PROBLEMS);
        if problems.is_empty() {
            problems.push(Problem::at("", error.to_string()));
        }
        problems
    })
}

/// The field of this name, as the proto or as JSON writes it.
pub(super) fn field(message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, String> {
    let field = message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name));
    field.ok_or_else(|| {
        let names: Vec<_> = message.fields().map(|field| field.json_name().to_owned()).collect();
        unknown(name, &names)
    })
}

/// The value of a field in an object, under either of its names.
pub(super) fn given<'a>(
    object: &'a Map<String, Value>,
    field: &FieldDescriptor,
) -> Option<&'a Value> {
    object.get(field.json_name()).or_else(|| object.get(field.name()))
}

fn object(message: &MessageDescriptor, value: &Value, at: &str, problems: &mut Vec<Problem>) {
    let Value::Object(object) = value else {
        return problems.push(Problem::at(at, "this is to be an object"));
    };
    for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        match field(message, name) {
            Err(what) => problems.push(Problem::at(at, what)),
            Ok(field) => values(message, &field, value, &at, problems),
        }
    }
}

/// A field with all of its values: the items of a list, those of a map, or the one.
fn values(
    message: &MessageDescriptor,
    field: &FieldDescriptor,
    value: &Value,
    at: &str,
    problems: &mut Vec<Problem>,
) {
    match (value, one(field)) {
        (Value::Array(items), Some(inner)) if field.is_list() => {
            for (index, item) in items.iter().enumerate() {
                object(&inner, item, &format!("{at}[{index}]"), problems);
            }
        }
        (Value::Array(items), None) if field.is_list() => {
            for (index, item) in items.iter().enumerate() {
                leaf(message, field, &json!([item]), &format!("{at}[{index}]"), problems);
            }
        }
        (value, Some(inner)) if !field.is_list() && !field.is_map() => {
            object(&inner, value, at, problems);
        }
        (value, _) => leaf(message, field, value, at, problems),
    }
}

/// The message that a field holds, if it is one that JSON writes as an object.
fn one(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let Kind::Message(inner) = field.kind() else { return None };
    (!inner.is_map_entry() && inner.package_name() != "google.protobuf").then_some(inner)
}

/// A value that is read whole: whoever reads messages says what is wrong with it.
fn leaf(
    message: &MessageDescriptor,
    field: &FieldDescriptor,
    value: &Value,
    at: &str,
    problems: &mut Vec<Problem>,
) {
    let alone = json!({field.json_name(): value});
    if DynamicMessage::deserialize(message.clone(), &alone).is_ok() {
        return;
    }
    let (items, kind) = match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            ("an object, each value of it ", entry.map_entry_value_field().kind())
        }
        kind if field.is_list() && !value.is_array() => ("a list, each item of it ", kind),
        kind => ("", kind),
    };
    problems.push(Problem::at(
        at,
        word(&kind, value).unwrap_or_else(|| format!("this is to be {items}{}", wanted(&kind))),
    ));
}

/// What is wrong with a word that is none of an enumeration.
fn word(kind: &Kind, value: &Value) -> Option<String> {
    let Kind::Enum(words) = kind else { return None };
    let names: Vec<_> = words.values().map(|value| value.name().to_owned()).collect();
    Some(unknown(value.as_str().or_else(|| value.get(0)?.as_str())?, &names))
}

/// What a value of this kind is, for people.
fn wanted(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "true or false".into(),
        Kind::String => "a text".into(),
        Kind::Bytes => "bytes in base64".into(),
        Kind::Double | Kind::Float => "a number".into(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer(i32::MIN, i32::MAX),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => integer(i64::MIN, i64::MAX),
        Kind::Uint32 | Kind::Fixed32 => integer(0, u32::MAX),
        Kind::Uint64 | Kind::Fixed64 => integer(0, u64::MAX),
        Kind::Enum(words) => {
            let names: Vec<_> = words.values().map(|value| value.name().to_owned()).collect();
            format!("one of {}", names.join(", "))
        }
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Duration" => "a time in seconds, such as \"1.5s\"".into(),
            "google.protobuf.Timestamp" => "a moment, such as \"2026-01-31T12:00:00Z\"".into(),
            _ => "an object".into(),
        },
    }
}

fn integer(least: impl std::fmt::Display, most: impl std::fmt::Display) -> String {
    format!("a whole number from {least} to {most}")
}

/// Says that there is no such name, and which one may have been meant.
pub(super) fn unknown(name: &str, known: &[String]) -> String {
    let near = known.iter().map(|other| (strsim::damerau_levenshtein(name, other), other)).min();
    match near {
        Some((far, other)) if far <= (name.chars().count() / 3).max(1) => {
            format!("there is no `{name}`; did you mean `{other}`?")
        }
        _ => format!("there is no `{name}`; there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcode::Bindings;

    fn problems(name: &str, value: &Value) -> Vec<String> {
        let pool = &Bindings::get().unwrap().pool;
        let descriptor = pool.get_message_by_name(&format!("tenure.v1.{name}")).unwrap();
        let problems = message(&descriptor, value).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_problems_are_listed_with_their_fields() {
        let value = json!({"agnet": "a", "input": {"data": "?", "contentType": 3}, "labels": {"a": 1},
            "priority": "much", "maxAttempts": 4_294_967_296_u64, "timeout": "1h",
            "concurrency": {"policy": "CONCURRENCY_POLICY_QUEU"}});
        insta::assert_snapshot!(problems("CreateRunRequest", &value).join("\n"));
    }

    #[test]
    fn items_of_lists_are_counted() {
        let value = json!({"records": [{"key": "a"}, {"kee": "b"}], "expectedSeq": -1});
        insta::assert_snapshot!(problems("CommitRequest", &value).join("\n"));
    }

    #[test]
    fn what_is_no_object_is_said() {
        assert_eq!(problems("Run", &json!([])), ["this is to be an object"]);
    }

    #[test]
    fn numbers_of_64_bits_survive() {
        let pool = &Bindings::get().unwrap().pool;
        let descriptor = pool.get_message_by_name("tenure.v1.WatchRunRequest").unwrap();
        for given in [json!(u64::MAX), json!(u64::MAX.to_string())] {
            let read = message(&descriptor, &json!({"after_seq": given})).unwrap();
            assert_eq!(
                serde_json::to_value(&read).unwrap(),
                json!({"afterSeq": u64::MAX.to_string()})
            );
        }
    }
}
