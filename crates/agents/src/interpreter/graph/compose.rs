//! Two values that become one.

use serde_json::{Map, Value};
use tenure_sdk::Failure;
use tenure_spec::DataType;
use tenure_spec::graph::{Compose, Strategy};

use super::chat::{self, Chat};
use super::data::Data;
use super::variables::Variables;

/// Puts a variable together with the output of a node.
pub(super) fn apply(
    compose: &Compose,
    output: Data,
    variables: &Variables,
) -> Result<Data, Failure> {
    let other = variables.get(&compose.with)?;
    let both_chats = is_chat(&output) && is_chat(other);
    let strategy = compose.strategy.unwrap_or(if both_chats {
        Strategy::MergeChatHistories
    } else {
        Strategy::Override
    });
    match strategy {
        Strategy::Override => overridden(output, other),
        Strategy::AppendStringToChatHistory => appended(&output, other),
        Strategy::MergeChatHistories => merged(&output, other),
    }
}

fn is_chat(data: &Data) -> bool {
    data.kind == DataType::ChatHistory
}

fn overridden(output: Data, other: &Data) -> Result<Data, Failure> {
    match (output.value, &other.value) {
        (Value::Object(mut fields), Value::Object(others)) => {
            merge(&mut fields, others);
            Ok(Data::new(DataType::Json, fields))
        }
        _ => Err(unfit("`override` takes two objects")),
    }
}

/// The fields of both, at every depth; where both have one, that of `others`.
fn merge(fields: &mut Map<String, Value>, others: &Map<String, Value>) {
    for (name, other) in others {
        match (fields.get_mut(name), other) {
            (Some(Value::Object(inner)), Value::Object(other)) => merge(inner, other),
            _ => {
                fields.insert(name.clone(), other.clone());
            }
        }
    }
}

fn appended(output: &Data, other: &Data) -> Result<Data, Failure> {
    let pair = |text: &Data, chat: &Data| {
        let text = text.value.as_str()?.to_owned();
        Some((text, Chat::of(chat).filter(|_| is_chat(chat))?))
    };
    let Some((text, mut chat)) = pair(output, other).or_else(|| pair(other, output)) else {
        return Err(unfit("`append_string_to_chat_history` takes a text and a conversation"));
    };
    chat.messages.insert(0, chat::said("system", &text));
    // They no longer hold.
    (chat.input_tokens, chat.output_tokens) = (0, 0);
    Ok(chat.data())
}

fn merged(output: &Data, other: &Data) -> Result<Data, Failure> {
    let chat = |data: &Data| Chat::of(data).filter(|_| is_chat(data));
    let (Some(mut output), Some(other)) = (chat(output), chat(other)) else {
        return Err(unfit("`merge_chat_histories` takes two conversations"));
    };
    output.messages.splice(0..0, other.messages);
    output.input_tokens += other.input_tokens;
    output.output_tokens += other.output_tokens;
    if output.model != other.model {
        output.model.clear();
    }
    Ok(output.data())
}

fn unfit(why: &str) -> Failure {
    Failure::permanent("graph_compose", format!("`compose`: {why}"))
}
