//! Schemas that stand alone: references are resolved, and what 3.0 writes in another way is
//! written as JSON Schema has it.

use std::cell::Cell;

use serde_json::{Map, Value, json};

/// Schemas inside each other. Those that contain themselves end here.
const DEPTH: usize = 16;
/// Values in all schemas of an operation: references multiply.
const VALUES: usize = 20_000;
/// Fields that say nothing about a value, or nothing to a model.
const OMITTED: [&str; 8] =
    ["example", "examples", "xml", "externalDocs", "discriminator", "deprecated", "$schema", "$id"];

/// Resolves the references of one operation.
pub(super) struct Resolver<'a> {
    document: &'a Value,
    left: Cell<usize>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(document: &'a Value) -> Self {
        Self { document, left: Cell::new(VALUES) }
    }

    /// What a value refers to, or the value itself.
    pub(super) fn referred(&self, value: &'a Value) -> Result<&'a Value, String> {
        let mut value = value;
        for _ in 0..DEPTH {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Ok(value);
            };
            value = self.find(reference)?;
        }
        Err("its references go in a circle".into())
    }

    fn find(&self, reference: &str) -> Result<&'a Value, String> {
        let found = reference.strip_prefix('#').and_then(|pointer| self.document.pointer(pointer));
        found.ok_or_else(|| format!("it refers to `{reference}`, which is not in the document"))
    }

    /// The schema without references.
    pub(super) fn alone(&self, schema: &Value) -> Result<Value, String> {
        self.resolve(schema, 0)
    }

    fn resolve(&self, schema: &Value, depth: usize) -> Result<Value, String> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or("its schemas are too large")?);
        match schema {
            // What contains itself is any value from some depth on.
            Value::Object(_) if depth > DEPTH => Ok(json!({})),
            Value::Object(map) => match map.get("$ref").and_then(Value::as_str) {
                Some(reference) => self.resolve(self.find(reference)?, depth + 1),
                None => self.object(map, depth),
            },
            Value::Array(list) => list.iter().map(|value| self.resolve(value, depth)).collect(),
            plain => Ok(plain.clone()),
        }
    }

    fn object(&self, map: &Map<String, Value>, depth: usize) -> Result<Value, String> {
        let mut schema = Map::new();
        for (name, value) in map {
            let value = match name.as_str() {
                omitted if OMITTED.contains(&omitted) || omitted.starts_with("x-") => continue,
                // Their names are the user's, not words of the schema.
                "properties" | "patternProperties" => self.properties(value, depth)?,
                "enum" | "const" | "default" | "required" => value.clone(),
                _ => self.resolve(value, depth + 1)?,
            };
            schema.insert(name.clone(), value);
        }
        modern(&mut schema);
        Ok(Value::Object(schema))
    }

    fn properties(&self, properties: &Value, depth: usize) -> Result<Value, String> {
        let fields = properties.as_object().into_iter().flatten();
        let resolved =
            fields.map(|(name, value)| Ok((name.clone(), self.resolve(value, depth + 1)?)));
        resolved.collect::<Result<Map<_, _>, String>>().map(Value::Object)
    }
}

/// What 3.0 has beside JSON Schema.
fn modern(schema: &mut Map<String, Value>) {
    if schema.remove("nullable") == Some(Value::Bool(true)) {
        if let Some(Value::String(kind)) = schema.get("type").cloned() {
            schema.insert("type".into(), json!([kind, "null"]));
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
    }
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match schema.get(exclusive) {
            Some(Value::Bool(true)) => {
                let value = schema.remove(bound).unwrap_or_default();
                schema.insert(exclusive.into(), value);
            }
            Some(Value::Bool(false)) => drop(schema.remove(exclusive)),
            _ => {}
        }
    }
}

/// The fields of an object that is nothing more, and those that it needs. What only answers have is
/// left out.
pub(super) fn object(schema: &Value) -> Option<(Map<String, Value>, Vec<String>)> {
    const PLAIN: [&str; 6] =
        ["type", "properties", "required", "description", "title", "additionalProperties"];
    let map = schema.as_object()?;
    let plain = map.keys().all(|name| PLAIN.contains(&name.as_str()));
    let closed = matches!(map.get("additionalProperties"), None | Some(Value::Bool(false)));
    let mut fields =
        map.get("properties").and_then(Value::as_object).filter(|_| plain && closed)?.clone();
    fields.retain(|_, field| field["readOnly"] != true);
    let required = map.get("required").and_then(Value::as_array).into_iter().flatten();
    let required = required.filter_map(Value::as_str).filter(|name| fields.contains_key(*name));
    let required = required.map(str::to_owned).collect();
    Some((fields, required))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contains_itself_ends_somewhere() {
        let document = json!({"node": {
            "type": "object",
            "properties": {"next": {"$ref": "#/node"}, "$ref": {"type": "string", "nullable": true}},
        }});
        let alone = Resolver::new(&document).alone(&json!({"$ref": "#/node"})).unwrap();
        assert_eq!(alone["properties"]["$ref"]["type"], json!(["string", "null"]));
        assert!(!alone["properties"]["next"].to_string().contains("#/node"));
    }

    #[test]
    fn what_multiplies_is_refused() {
        let mut document = json!({});
        for level in 0..15 {
            let next = format!("#/l{}", level + 1);
            let all: Vec<_> = (0..8).map(|_| json!({"$ref": next})).collect();
            document[format!("l{level}")] = json!({"allOf": all});
        }
        document["l15"] = json!({"type": "string"});
        let refused = Resolver::new(&document).alone(&json!({"$ref": "#/l0"}));
        assert_eq!(refused.unwrap_err(), "its schemas are too large");
    }

    #[test]
    fn words_of_version_3_0_are_written_as_json_schema_has_them() {
        let document = json!({});
        let old = json!({"type": "number", "minimum": 1, "exclusiveMinimum": true, "x-a": 1, "example": 2});
        let alone = Resolver::new(&document).alone(&old).unwrap();
        assert_eq!(alone, json!({"type": "number", "exclusiveMinimum": 1}));
        assert!(Resolver::new(&document).alone(&json!({"$ref": "other.json#/a"})).is_err());
    }
}
