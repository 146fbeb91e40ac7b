//! `docs/spec.md` is printed from the descriptions of the schema, and this keeps it so.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

const INTRODUCTION: &str = "# The specification

Printed from the types of `crates/spec` by a test; do not edit. `TENURE_UPDATE=1 cargo test -p tenure-spec` prints it again.

What an agent is stands in one document, YAML or JSON, that `tenure apply -f FILE` publishes as a version. `tenure schema` prints its JSON Schema for editors. Task chains of contenox are documents too: [compatibility.md](compatibility.md).

Required fields are **bold**.
";

/// The page: the document first, then every type that it leads to, in the order of its fields.
fn page() -> String {
    let schema = tenure_spec::schema();
    let types = schema["$defs"].as_object().unwrap();
    let mut text = String::from(INTRODUCTION);
    let (mut open, mut told) = (Vec::new(), BTreeSet::new());
    write(&mut text, "Document", &schema, &mut open);
    while let Some(name) = next(&mut open, &mut told) {
        write(&mut text, &name, &types[&name], &mut open);
    }
    assert_eq!(told.len(), types.len(), "every type is described");
    text
}

/// The first type that is not described yet.
fn next(open: &mut Vec<String>, told: &mut BTreeSet<String>) -> Option<String> {
    while !open.is_empty() {
        let name = open.remove(0);
        if told.insert(name.clone()) {
            return Some(name);
        }
    }
    None
}

fn write(text: &mut String, name: &str, schema: &Value, open: &mut Vec<String>) {
    write!(text, "\n## {name}\n\n{}\n", described(schema)).unwrap();
    if let Some(fields) = schema["properties"].as_object() {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        table(text, fields, &required, open);
    }
    if let Some(cases) = schema["oneOf"].as_array() {
        text.push_str("\n| value | meaning |\n|---|---|\n");
        for case in cases {
            self::case(text, case, open);
        }
    }
}

fn table(
    text: &mut String,
    fields: &Map<String, Value>,
    required: &[Value],
    open: &mut Vec<String>,
) {
    text.push_str("\n| field | value | default | meaning |\n|---|---|---|---|\n");
    for (name, field) in fields {
        let shown = if required.contains(&name.as_str().into()) {
            format!("**`{name}`**")
        } else {
            format!("`{name}`")
        };
        let default = field.get("default").map(|default| format!("`{default}`"));
        let (value, meaning) = (value(field, open), described(field));
        writeln!(text, "| {shown} | {value} | {} | {meaning} |", default.unwrap_or_default())
            .unwrap();
    }
}

/// One of several forms that a value may have.
fn case(text: &mut String, case: &Value, open: &mut Vec<String>) {
    if let Some(words) = case["oneOf"].as_array() {
        for word in words {
            self::case(text, word, open);
        }
        return;
    }
    for word in case["enum"].as_array().into_iter().flatten() {
        writeln!(text, "| `{}` | {} |", word.as_str().unwrap(), described(case)).unwrap();
    }
    if let Some(word) = case["const"].as_str() {
        writeln!(text, "| `{word}` | {} |", described(case)).unwrap();
    }
    if case["type"] == "object" {
        let fields = case["properties"].as_object().unwrap().iter();
        let fields: Vec<_> =
            fields.map(|(name, field)| format!("{name}: {}", value(field, open))).collect();
        writeln!(text, "| {{{}}} | {} |", fields.join(", "), described(case)).unwrap();
    }
}

/// What may stand there: a type of its own, or a kind of JSON.
fn value(field: &Value, open: &mut Vec<String>) -> String {
    if let Some(name) = field["$ref"].as_str().and_then(|link| link.rsplit('/').next()) {
        open.push(name.into());
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let words =
        |list: &Vec<Value>| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    match (&field["type"], &field["items"], &field["additionalProperties"]) {
        (Value::String(kind), items, _) if kind == "array" && items.is_object() => {
            format!("list of {}", value(items, open))
        }
        (Value::String(kind), _, inner) if kind == "object" && inner.is_object() => {
            format!("object of {}", value(inner, open))
        }
        (Value::String(kind), ..) => kind.clone(),
        _ if field["oneOf"].is_array() => "a name".into(),
        _ if field["const"].is_string() => format!("`{}`", field["const"].as_str().unwrap()),
        _ => field["enum"].as_array().map_or("any".into(), words),
    }
}

/// The description, fit for a cell of a table.
fn described(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('|', "\\|")
}

#[test]
fn the_page_is_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec.md");
    let text = page();
    if std::env::var_os("TENURE_UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, text, "docs/spec.md is out of date: run this test with TENURE_UPDATE=1");
}
