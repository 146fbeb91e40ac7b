//! Parameters of a query as fields of a message: `?agent=a&states=RUN_STATE_FAILED&wait=10s`.

use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Map, Value};
use tenure_core::limits;

use super::explain::{self, Problem};
use super::fields::Fields;
use super::refusal::Refusal;

/// The parameter that is about the answer.
const FIELDS: &str = "fields";

/// What of the answer is wanted.
pub(super) fn fields(query: Option<&str>, message: &MessageDescriptor) -> Result<Fields, Refusal> {
    let mut given = pairs(query).filter(|(name, _)| name == FIELDS);
    let Some((_, text)) = given.next() else { return Ok(Fields::default()) };
    Fields::read(&text, message).map_err(|problem| Refusal::invalid(vec![problem]))
}

/// Puts the parameters into an object that is to be a message.
pub(super) fn add(
    query: Option<&str>,
    message: &MessageDescriptor,
    object: &mut Map<String, Value>,
    problems: &mut Vec<Problem>,
) {
    for (number, (name, text)) in pairs(query).enumerate() {
        if number == limits::QUERY_PARAMETERS {
            let most = limits::QUERY_PARAMETERS;
            return problems
                .push(Problem::at("", format!("a query has at most {most} parameters")));
        }
        if name != FIELDS
            && let Err(what) = put(&name, text.into_owned(), message, object)
        {
            problems.push(Problem::at(name, what));
        }
    }
}

/// Says of each parameter that it belongs into the body.
pub(super) fn refuse(query: Option<&str>, problems: &mut Vec<Problem>) {
    let others = pairs(query).filter(|(name, _)| name != FIELDS);
    for (name, _) in others.take(limits::QUERY_PARAMETERS) {
        problems.push(Problem::at(name, "the fields of this call go into its body, as JSON"));
    }
}

fn pairs(query: Option<&str>) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
}

fn put(
    name: &str,
    text: String,
    message: &MessageDescriptor,
    object: &mut Map<String, Value>,
) -> Result<(), String> {
    let field = explain::field(message, name)?;
    let value = value(&field.kind(), text);
    match object.entry(field.json_name()) {
        serde_json::map::Entry::Vacant(place) => {
            place.insert(if field.is_list() { Value::Array(vec![value]) } else { value });
            Ok(())
        }
        serde_json::map::Entry::Occupied(mut place) => match place.get_mut() {
            Value::Array(list) => {
                list.push(value);
                Ok(())
            }
            _ => Err("this is given twice".into()),
        },
    }
}

/// A text as JSON would have it. What is wrong with it is said when the message is read.
fn value(kind: &Kind, text: String) -> Value {
    match (kind, text.as_str()) {
        (Kind::Bool, "true") => Value::Bool(true),
        (Kind::Bool, "false") => Value::Bool(false),
        (Kind::Enum(_), number) if number.parse::<i32>().is_ok() => {
            number.parse::<i32>().map_or(Value::Null, Value::from)
        }
        _ => Value::String(text),
    }
}
