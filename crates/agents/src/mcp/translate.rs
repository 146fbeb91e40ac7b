//! Our words of what servers say: the tools that they list, and the results of calls.
//!
//! What a server says is data. Its texts are cleaned of what people do not see, and everything has a
//! bound.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents, Tool};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tenure_spec::{Effect, McpTools};

use super::trouble::Trouble;
use crate::tools::offer::{self, Offer, Skipped};

/// Bytes of a result; a conversation carries it from then on.
const RESULT: usize = 256 << 10;
/// Bytes of the start of a result that is longer.
const START: usize = 16 << 10;

/// A tool as a server lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name at the server.
    pub name: String,
    /// What it is good for.
    pub description: String,
    /// JSON Schema of its arguments, an object.
    pub parameters: Value,
    /// What the server says that it does to the world.
    pub effect: Effect,
}

/// The tools that the source asks for, with reasons for those that cannot be offered.
pub(super) fn listed(tools: Vec<Tool>, server: &McpTools) -> Result<Offer<Listed>, Trouble> {
    let wanted = |name: &str| {
        server.tools.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
    };
    let tools: Vec<_> = tools.into_iter().filter(|tool| wanted(&tool.name)).collect();
    if tools.len() > offer::TOOLS {
        let message = format!("has {} tools, more than the {} allowed", tools.len(), offer::TOOLS);
        return Err(Trouble::TooMany(message));
    }
    let mut offer = Offer::default();
    for name in server.tools.iter().flatten() {
        if !tools.iter().any(|tool| tool.name == name.as_str()) {
            offer.skipped.push(Skipped::new(name, "the server has no such tool"));
        }
    }
    for tool in tools {
        match one(&tool) {
            Ok(tool) => offer.tools.push(tool),
            Err(why) => offer.skipped.push(Skipped::new(&tool.name, why)),
        }
    }
    offer.check_size().map_err(Trouble::TooMany)?;
    Ok(offer)
}

fn one(tool: &Tool) -> Result<Listed, String> {
    let mut parameters = Value::Object(tool.input_schema.as_ref().clone());
    offer::clean_schema(&mut parameters)?;
    let told = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
    Ok(Listed {
        name: tool.name.to_string(),
        description: offer::clean(told),
        parameters,
        effect: effect(tool),
    })
}

/// What the server says of a tool; what it does not say is as MCP has it, which is the worst.
fn effect(tool: &Tool) -> Effect {
    match &tool.annotations {
        Some(hints) if hints.read_only_hint == Some(true) => Effect::Read,
        Some(hints) if hints.idempotent_hint == Some(true) => Effect::Idempotent,
        _ => Effect::Once,
    }
}

/// The result of a call, or what the tool says is wrong.
pub(super) fn result(result: CallToolResult) -> Result<Value, Trouble> {
    if result.is_error == Some(true) {
        let said = match told(&result.content) {
            Value::String(text) if !text.is_empty() => text,
            Value::Null => result.structured_content.unwrap_or_default().to_string(),
            other => other.to_string(),
        };
        return Err(Trouble::Refused(said));
    }
    // By the protocol the content repeats in words what is structured.
    Ok(result.structured_content.unwrap_or_else(|| told(&result.content)))
}

/// One text as it is, several parts as a list.
fn told(content: &[ContentBlock]) -> Value {
    match content {
        [] => Value::Null,
        [one] => part(one),
        many => many.iter().map(part).collect(),
    }
}

fn part(block: &ContentBlock) -> Value {
    match block {
        ContentBlock::Text(text) => text.text.clone().into(),
        ContentBlock::Image(image) => omitted("image", &image.mime_type, &image.data),
        ContentBlock::Audio(audio) => omitted("audio", &audio.mime_type, &audio.data),
        ContentBlock::Resource(resource) => embedded(&resource.resource),
        ContentBlock::ResourceLink(link) => reference(&[
            ("resource", Some(&link.uri)),
            ("name", Some(&link.name)),
            ("description", link.description.as_ref()),
            ("type", link.mime_type.as_ref()),
        ]),
        _ => json!({"omitted": "content of a kind that is not known"}),
    }
}

fn embedded(contents: &ResourceContents) -> Value {
    match contents {
        ResourceContents::TextResourceContents { uri, mime_type, text, .. } => reference(&[
            ("resource", Some(uri)),
            ("type", mime_type.as_ref()),
            ("text", Some(text)),
        ]),
        ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
            let kind = mime_type.as_deref().unwrap_or("application/octet-stream");
            let mut omitted = omitted("resource", kind, blob);
            omitted["resource"] = json!(uri);
            omitted
        }
        _ => json!({"omitted": "a resource of a kind that is not known"}),
    }
}

fn reference(fields: &[(&str, Option<&String>)]) -> Value {
    let field = |(name, value): &(&str, Option<&String>)| {
        value.map(|value| ((*name).to_owned(), Value::from(value.as_str())))
    };
    Value::Object(fields.iter().filter_map(field).collect::<Map<_, _>>())
}

/// What is no text cannot be told: its kind and size are.
fn omitted(what: &str, kind: &str, base64: &str) -> Value {
    let bytes = base64.trim_end_matches('=').len() * 3 / 4;
    json!({"omitted": format!("{what} of {bytes} bytes, {kind}: not text")})
}

/// A result as it is, or the start of one that is too long.
pub(super) fn bounded(value: Value) -> Value {
    let text = match &value {
        Value::String(text) if text.len() <= RESULT => return value,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.len() <= RESULT {
        return value;
    }
    let end = (0..=START).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let cut = format!("the result has {} bytes, more than {RESULT}; this is its start", text.len());
    json!({"cut": cut, "start": &text[..end]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result_of(result: Value) -> Result<Value, Trouble> {
        super::result(serde_json::from_value(result).unwrap())
    }

    #[test]
    fn what_is_structured_is_the_result_and_else_the_text() {
        let text = json!({"type": "text", "text": "3"});
        let both = json!({"content": [text], "structuredContent": {"n": 3}});
        assert_eq!(result_of(both).unwrap(), json!({"n": 3}));
        assert_eq!(result_of(json!({"content": [text]})).unwrap(), json!("3"));
        assert_eq!(result_of(json!({"content": [text, text]})).unwrap(), json!(["3", "3"]));
        assert_eq!(result_of(json!({"content": []})).unwrap(), json!(null));
    }

    #[test]
    fn what_is_no_text_is_said_to_be_there() {
        let content = json!([
            {"type": "image", "data": "QUJD", "mimeType": "image/png"},
            {"type": "resource_link", "uri": "file:///a", "name": "a"},
            {"type": "resource", "resource": {"uri": "file:///b", "blob": "QUI="}},
            {"type": "resource", "resource": {"uri": "file:///c", "text": "C"}},
        ]);
        let told = result_of(json!({"content": content})).unwrap();
        assert_eq!(
            told,
            json!([
                {"omitted": "image of 3 bytes, image/png: not text"},
                {"resource": "file:///a", "name": "a"},
                {
                    "omitted": "resource of 2 bytes, application/octet-stream: not text",
                    "resource": "file:///b",
                },
                {"resource": "file:///c", "text": "C"},
            ])
        );
    }

    #[test]
    fn an_error_is_told_in_its_words() {
        let error = json!({"content": [{"type": "text", "text": "no paper"}], "isError": true});
        let Err(Trouble::Refused(said)) = result_of(error) else { panic!("it is an error") };
        assert_eq!(said, "no paper");
    }

    #[test]
    fn a_long_result_is_cut_and_says_so() {
        assert_eq!(bounded(json!("é".repeat(RESULT / 2))), json!("é".repeat(RESULT / 2)));
        let cut = bounded(json!(["é".repeat(RESULT)]));
        assert!(cut["cut"].as_str().unwrap().contains("more than 262144"), "{cut}");
        assert!(cut["start"].as_str().unwrap().len() <= START);
    }
}
