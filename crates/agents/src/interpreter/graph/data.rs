//! Values that pass through a graph, each with its kind.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenure_sdk::{Failure, Payload};
use tenure_spec::conversation::{Answer, Conversation};
use tenure_spec::graph::Input;
use tenure_spec::{DataType, template};

use super::super::conversation;
use super::chat;

/// A value and what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Data {
    pub(super) kind: DataType,
    pub(super) value: Value,
}

impl Data {
    pub(super) fn new(kind: DataType, value: impl Into<Value>) -> Self {
        Self { kind, value: value.into() }
    }

    /// Nothing.
    pub(super) fn nothing() -> Self {
        Self::new(DataType::Any, Value::Null)
    }

    /// What a run is given.
    pub(super) fn of_run(wanted: &Input, payload: &Payload) -> Result<Self, Failure> {
        let unusable = |why: String| {
            let message = format!("the input of the run cannot be read: {why}");
            Failure::permanent("input_unusable", message)
        };
        if let Some(conversation) = conversation::read(payload)? {
            return Self::of_conversation(wanted.kind, &conversation).map_err(unusable);
        }
        let value = match &wanted.default {
            Some(default) if payload.is_empty() => default.clone(),
            _ => read(payload).map_err(unusable)?,
        };
        match wanted.kind {
            None => Ok(Self::guess(value)),
            Some(kind) => Self::convert(kind, value).map_err(unusable),
        }
    }

    /// What a client's conversation is for a graph: the conversation itself, or the last thing
    /// that was said where a graph takes something else. The model it names is the agent, and so
    /// is none for a node to ask.
    fn of_conversation(
        wanted: Option<DataType>,
        conversation: &Conversation,
    ) -> Result<Self, String> {
        let mut value = json!({"messages": conversation.messages, "model": ""});
        if let Some(temperature) = conversation.temperature {
            value["temperature"] = temperature.into();
        }
        if let Some(tokens) = conversation.max_tokens {
            value["max_tokens"] = tokens.into();
        }
        let chat = Self::convert(DataType::OpenaiChat, value)?;
        match wanted {
            None | Some(DataType::OpenaiChat | DataType::Any) => Ok(chat),
            Some(kind @ (DataType::ChatHistory | DataType::Json)) => {
                Self::convert(kind, chat.value)
            }
            Some(kind) => {
                let text = chat::last_text(&chat.value).unwrap_or_default();
                Self::convert(kind, text.into())
            }
        }
    }

    /// What a client that keeps the conversation is told of this, the output of a graph.
    pub(super) fn answer(&self) -> Answer {
        let completion = || Answer::of_completion(&self.value);
        match self.kind {
            DataType::OpenaiChatResponse => completion().unwrap_or_default(),
            DataType::ChatHistory | DataType::OpenaiChat => {
                Answer::text(chat::last_text(&self.value).unwrap_or_default())
            }
            _ => Answer::text(self.text().unwrap_or_else(|_| self.shown())),
        }
    }

    /// The value as what it looks like.
    fn guess(value: Value) -> Self {
        let kind = match &value {
            Value::Null => DataType::Any,
            Value::Bool(_) => DataType::Bool,
            Value::Number(number) if number.is_f64() => DataType::Float,
            Value::Number(_) => DataType::Int,
            Value::String(_) => DataType::String,
            Value::Object(map) if map.get("messages").is_some_and(Value::is_array) => {
                DataType::ChatHistory
            }
            _ => DataType::Json,
        };
        Self::convert(kind, value.clone()).unwrap_or(Self { kind: DataType::Json, value })
    }

    /// The value as that kind, if it can be read so.
    pub(super) fn convert(kind: DataType, value: Value) -> Result<Self, String> {
        let name = kind.name();
        let unfit = || format!("it is no `{name}`: {}", start(&value.to_string()));
        let value = match kind {
            DataType::Any | DataType::Json => value,
            DataType::String => template::printed(&value).into(),
            DataType::Bool => truth(&value).ok_or_else(unfit)?.into(),
            DataType::Int => whole(&value).ok_or_else(unfit)?.into(),
            DataType::Float => number(&value).ok_or_else(unfit)?.into(),
            DataType::Vector => numbers(&value).ok_or_else(unfit)?.into(),
            DataType::SearchResults if value.is_array() => value,
            DataType::ChatHistory => chat::normal(&value, true).ok_or_else(unfit)?,
            DataType::OpenaiChat => chat::normal(&value, false).ok_or_else(unfit)?,
            DataType::OpenaiChatResponse if value.is_object() => value,
            DataType::SearchResults | DataType::OpenaiChatResponse => return Err(unfit()),
        };
        Ok(Self { kind, value })
    }

    /// The text of a question.
    pub(super) fn text(&self) -> Result<String, Failure> {
        let text = match self.kind {
            DataType::String => self.value.as_str().map(ToOwned::to_owned),
            DataType::Int | DataType::Bool => Some(self.value.to_string()),
            DataType::Float => self.value.as_f64().map(|number| format!("{number:.6}")),
            DataType::ChatHistory | DataType::OpenaiChat => chat::last_text(&self.value),
            _ => None,
        };
        text.ok_or_else(|| {
            let kind = self.kind.name();
            let message = format!("its input is a `{kind}`, which has no text; use `template`");
            Failure::permanent("graph_input", message)
        })
    }

    /// The value as people are shown it.
    pub(super) fn shown(&self) -> String {
        match self.kind {
            DataType::ChatHistory | DataType::OpenaiChat | DataType::OpenaiChatResponse => {
                self.value.to_string()
            }
            _ => template::printed(&self.value),
        }
    }
}

fn read(payload: &Payload) -> Result<Value, String> {
    if !payload.encoding.is_empty() {
        return Err(format!("it is encoded as `{}`", payload.encoding));
    }
    let text = str::from_utf8(&payload.data).map_err(|_| "it is not text in UTF-8".to_owned())?;
    match payload.content_type.split(';').next().unwrap_or_default().trim() {
        _ if payload.is_empty() => Ok(Value::Null),
        kind if kind.ends_with("json") => {
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))
        }
        _ => Ok(text.into()),
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        #[expect(clippy::cast_possible_truncation, reason = "as the reference reads numbers")]
        _ => value.as_i64().or_else(|| value.as_f64().map(|number| number as i64)),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => value.as_f64(),
    }
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

fn start(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A vector as a value.
pub(super) fn vector(numbers: &[f64]) -> Data {
    Data { kind: DataType::Vector, value: json!(numbers) }
}
