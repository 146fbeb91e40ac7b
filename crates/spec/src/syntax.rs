//! From text to a value. JSON is read as JSON, everything else as YAML 1.2; both into the same
//! value under the same rules: no duplicate keys, bounded nesting, no aliases, no merge keys.

use std::fmt::{self, Display};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::MergeKeyPolicy;
use serde_saphyr::{Error as YamlError, Options, SnippetMode, UserMessageFormatter};

use crate::bounds::{MAX_DOCUMENT_BYTES, MAX_NESTING};
use crate::problems::Problems;
use crate::suggest;

/// The value that a text stands for.
pub(crate) fn read(text: &str) -> Result<Value, Problems> {
    check_size(text.len())?;
    match read_json(text) {
        Ok(value) => Ok(value),
        // JSON by its form, and wrong: the YAML reader would only say the same less well.
        Err(error) if error.is_data() => Err(json_problem(&error)),
        Err(_) => read_yaml(text).map_err(|error| yaml_problem(&error)),
    }
}

/// The same value, after the checks that reading from text would have made.
pub(crate) fn recheck(value: &Value) -> Result<Value, Problems> {
    Strict { depth: 0 }
        .deserialize(value)
        .map_err(|error| Problems::of_document(error.to_string(), HINT))
}

/// Refuses a document of too many bytes.
pub(crate) fn check_size(bytes: usize) -> Result<(), Problems> {
    if bytes <= MAX_DOCUMENT_BYTES {
        return Ok(());
    }
    Err(Problems::of_document(
        format!("document has {bytes} bytes, more than the {MAX_DOCUMENT_BYTES} allowed"),
        "move long texts into files that the agent reads",
    ))
}

const HINT: &str = "correct the document here";

fn read_json(text: &str) -> serde_json::Result<Value> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

fn read_yaml(text: &str) -> Result<Value, YamlError> {
    serde_saphyr::with_deserializer_from_str_with_options(text, yaml_options(), |yaml| {
        Strict { depth: 0 }.deserialize(yaml)
    })
}

fn yaml_options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 0, max_anchors: 0, max_depth: MAX_NESTING },
        merge_keys: MergeKeyPolicy::Error,
        // `no` is a text, as in JSON and YAML 1.2: a country code must not become false.
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn json_problem(error: &serde_json::Error) -> Problems {
    let message = error.to_string();
    let own = format!(" at line {} column {}", error.line(), error.column());
    let message = message.strip_suffix(own.as_str()).unwrap_or(&message);
    located(error.line(), error.column(), message, HINT)
}

fn yaml_problem(error: &YamlError) -> Problems {
    let (message, hint) = explained(error);
    match error.location() {
        Some(place) => located(place.line(), place.column(), &message, hint),
        None => Problems::of_document(message, hint),
    }
}

/// What is wrong, and what to do.
fn explained(error: &YamlError) -> (String, &'static str) {
    match error {
        YamlError::Budget { breach, .. } => exceeded(breach, error),
        YamlError::MergeKeyNotAllowed { .. } => {
            ("merge keys (`<<`) are refused".into(), "write the merged fields out")
        }
        YamlError::DuplicateMappingKey { key: Some(key), .. } => (duplicate(key), HINT),
        YamlError::MultipleDocuments { .. } => {
            ("a second document begins here".into(), "put each document into a file of its own")
        }
        other => (rendered(other), HINT),
    }
}

fn exceeded(breach: &BudgetBreach, error: &YamlError) -> (String, &'static str) {
    match breach {
        BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => (
            "anchors and aliases (`&name`, `*name`) are refused".into(),
            "write the value out at each place",
        ),
        BudgetBreach::Depth { .. } => (too_deep(), HINT),
        _ => (rendered(error), "make the document smaller"),
    }
}

/// The crate's own words, without the place that it puts at their end.
fn rendered(error: &YamlError) -> String {
    let message = error.render_with_options(serde_saphyr::render_options! {
        formatter: &UserMessageFormatter,
        snippets: SnippetMode::Off,
    });
    let Some(place) = error.location() else {
        return message;
    };
    let own = format!(" at line {}, column {}", place.line(), place.column());
    message.strip_suffix(own.as_str()).unwrap_or(&message).into()
}

fn located(line: impl Display, column: impl Display, message: &str, hint: &str) -> Problems {
    Problems::of_document(format!("line {line}, column {column}: {message}"), hint)
}

fn duplicate(key: &str) -> String {
    format!("duplicate key `{}`", suggest::shown(key))
}

fn too_deep() -> String {
    format!("document is nested more than {MAX_NESTING} deep")
}

/// Reads any value, `depth` containers below the root, from any format.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > MAX_NESTING { Err(E::custom(too_deep())) } else { Ok(Self { depth }) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can express")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        number(value).map(Value::Number).ok_or_else(|| E::custom("number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(inside)? {
            list.push(element);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(duplicate(&key)));
            }
            map.insert(key, entries.next_value_seed(inside)?);
        }
        Ok(map.into())
    }
}

/// One number, however it is written: `1.0`, `1e0` and `1` are equal, so they get equal digests.
fn number(value: f64) -> Option<Number> {
    // 2^63: below it every whole float is exactly one `i64`.
    const WHOLE: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() == 0.0 && value.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}
