//! One text for one meaning.

use serde::Serialize;
use serde_json::Value;

/// Compact JSON with sorted keys.
pub(crate) fn bytes(value: &impl Serialize) -> Vec<u8> {
    let value = serde_json::to_value(value);
    // Specifications consist of texts, numbers, lists and maps keyed by texts, all of which JSON
    // can express; the fallback keeps this total without a panic.
    sorted(value.unwrap_or_default()).to_string().into_bytes()
}

/// The value with the keys of all objects in order. `serde_json` keeps maps in insertion order when
/// any crate of a build asks it to, and a digest must not depend on that.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.into_iter().map(|(key, value)| (key, sorted(value))).collect()
        }
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": null}], "a": {"é": 1, "e": 2}});
        let text = String::from_utf8(bytes(&value)).unwrap();
        insta::assert_snapshot!(text, @r#"{"a":{"e":2,"é":1},"b":[{"a":null,"z":1}]}"#);
    }
}
