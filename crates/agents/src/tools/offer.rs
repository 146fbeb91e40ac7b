//! What a source of tools has to offer: names, texts and schemas that somebody else has written.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Tools of one source: a model chooses badly among more, and pays for each in every turn.
pub const TOOLS: usize = 200;
/// Bytes of all that is told about them.
const OFFER: usize = 256 << 10;
/// Characters of a description.
const DESCRIPTION: usize = 4_000;
/// Bytes of a schema.
const SCHEMA: usize = 32 << 10;
/// Characters of a name, as all providers take it.
const NAME: usize = 64;

/// What a source offers, as its listing is recorded: a run keeps it whatever becomes of the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer<T> {
    /// Its tools.
    pub tools: Vec<T>,
    /// What cannot be offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

/// Something that cannot be offered, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name at the source.
    pub name: String,
    /// Why not.
    pub why: String,
}

impl<T> Default for Offer<T> {
    fn default() -> Self {
        Self { tools: Vec::new(), skipped: Vec::new() }
    }
}

impl<T: Serialize> Offer<T> {
    /// Says so if there is more to tell than a model should have to read.
    pub(crate) fn check_size(&self) -> Result<(), String> {
        let size = serde_json::to_vec(self).map_or(0, |json| json.len());
        if size > OFFER {
            return Err(format!("describes its tools in {size} bytes, more than {OFFER}"));
        }
        Ok(())
    }
}

impl Skipped {
    pub(crate) fn new(name: &str, why: impl Into<String>) -> Self {
        Self { name: name.chars().take(NAME).collect(), why: why.into() }
    }
}

/// The names that a model knows the tools of a source by, in their order: `SOURCE__TOOL`, with `_`
/// for what providers do not take. A name that would be too long or taken ends in a number.
pub(crate) fn names<'a>(source: &str, tools: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for tool in tools {
        let fit = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let plain: String =
            source.chars().chain("__".chars()).chain(tool.chars().map(fit)).collect();
        let mut name: String = plain.chars().take(NAME).collect();
        let mut number = 2;
        while names.contains(&name) {
            let end = format!("_{number}");
            name = plain.chars().take(NAME - end.len()).chain(end.chars()).collect();
            number += 1;
        }
        names.push(name);
    }
    names
}

/// A text without what people do not see, and not too long: instructions hide there.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|c| is_seen(*c)).take(DESCRIPTION).collect()
}

fn is_seen(c: char) -> bool {
    let hidden = matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    );
    !hidden && (!c.is_control() || c == '\n' || c == '\t')
}

/// Cleans the schema of a tool's arguments, or says why it is of no use.
pub(crate) fn clean_schema(schema: &mut Value) -> Result<(), String> {
    clean_texts(schema);
    let Some(object) = schema.as_object_mut() else { return Err("its schema is no object".into()) };
    object.remove("$schema");
    // Providers insist on it, and tools without arguments leave it out.
    if *object.entry("type").or_insert(json!("object")) != "object" {
        return Err("its arguments are no object".into());
    }
    object.entry("properties").or_insert(json!({}));
    let size = schema.to_string().len();
    if size > SCHEMA {
        return Err(format!("its schema has {size} bytes, more than {SCHEMA}"));
    }
    let built = jsonschema::options().offline().build(schema);
    built.map(|_| ()).map_err(|error| format!("its schema cannot be used: {error}"))
}

fn clean_texts(value: &mut Value) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(list) => list.iter_mut().for_each(clean_texts),
        Value::Object(map) => map.values_mut().for_each(clean_texts),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_each_is_given_once() {
        let long = "l".repeat(100);
        let tools = ["search", "a.b", "a/b", "é", &long, &long];
        let names = names("docs", tools.into_iter());
        assert_eq!(names[..4], ["docs__search", "docs__a_b", "docs__a_b_2", "docs___"]);
        assert!(names.iter().all(|name| name.len() <= NAME), "{names:?}");
        assert!(names[5].ends_with("_2"));
    }

    #[test]
    fn what_people_do_not_see_is_removed() {
        let text = "Adds\u{200b} two\n numbers\u{202e}.\u{e0041}\u{7}\u{1b}[31m";
        assert_eq!(clean(text), "Adds two\n numbers.[31m");
        assert_eq!(clean(&"x".repeat(10_000)).len(), DESCRIPTION);
    }

    #[test]
    fn a_schema_is_made_fit_or_refused() {
        let mut empty = json!({});
        clean_schema(&mut empty).unwrap();
        assert_eq!(empty, json!({"type": "object", "properties": {}}));
        for bad in [
            json!([]),
            json!({"type": "string"}),
            json!({"properties": {"a": {"$ref": "https://example.com/a.json"}}}),
            json!({"properties": {"a": {"type": "no type"}}}),
            json!({"description": "x", "enum": vec!["y".repeat(1_000); 100]}),
        ] {
            assert!(clean_schema(&mut bad.clone()).is_err(), "{bad}");
        }
    }
}
