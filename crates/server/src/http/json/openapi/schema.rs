//! JSON Schemas of messages, as canonical proto JSON writes them.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments::Comments;

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The schema of a message.
pub(super) fn message(message: &MessageDescriptor, comments: &Comments) -> Value {
    let mut properties = Map::new();
    for field in message.fields() {
        let mut schema = of(&field);
        let about = comments.of(&field.parent_file(), field.path());
        if !about.is_empty() {
            schema["description"] = about.into();
        }
        properties.insert(field.json_name().to_owned(), schema);
    }
    let about = comments.of(&message.parent_file(), message.path());
    let mut schema =
        json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !about.is_empty() {
        schema["description"] = about.into();
    }
    schema
}

/// The schema of an enumeration: its names.
pub(super) fn words(words: &EnumDescriptor, comments: &Comments) -> Value {
    let mut lines = vec![comments.of(&words.parent_file(), words.path()).to_owned()];
    for value in words.values() {
        let about = comments.of(&value.parent_enum().parent_file(), value.path());
        if !about.is_empty() {
            lines.push(format!("`{}`: {about}", value.name()));
        }
    }
    let names: Vec<_> = words.values().map(|value| value.name().to_owned()).collect();
    json!({"type": "string", "enum": names, "description": lines.join("\n").trim()})
}

/// The schema of a field's value.
pub(super) fn of(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            json!({"type": "object", "additionalProperties": single(&entry.map_entry_value_field().kind())})
        }
        kind if field.is_list() => json!({"type": "array", "items": single(&kind)}),
        kind => single(&kind),
    }
}

fn single(kind: &Kind) -> Value {
    match kind {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::String => json!({"type": "string"}),
        Kind::Bytes => json!({"type": "string", "format": "byte", "contentEncoding": "base64"}),
        Kind::Double | Kind::Float => json!({"type": "number"}),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            json!({"type": "integer", "format": "int32"})
        }
        Kind::Uint32 | Kind::Fixed32 => {
            json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({"type": "string", "format": "int64"}),
        Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64"}),
        Kind::Enum(words) => reference(words.name()),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
            "google.protobuf.Duration" => {
                json!({"type": "string", "pattern": r"^-?\d+(\.\d{1,9})?s$", "examples": ["1.5s"]})
            }
            _ => reference(message.name()),
        },
    }
}
