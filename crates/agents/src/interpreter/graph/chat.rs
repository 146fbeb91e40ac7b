//! Conversations as values: `chat_history` and `openai_chat`.

use serde_json::{Map, Value, json};
use tenure_spec::graph::Candidates;

use super::data::Data;
use crate::model::Message;
use tenure_spec::DataType;

/// A conversation on its way through a `chat` node.
pub(super) struct Chat {
    /// Objects with `role` and `content`.
    pub(super) messages: Vec<Value>,
    pub(super) model: String,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
}

impl Chat {
    /// The conversation of a value that is one.
    pub(super) fn of(data: &Data) -> Option<Self> {
        if !matches!(data.kind, DataType::ChatHistory | DataType::OpenaiChat) {
            return None;
        }
        let count = |name: &str| data.value.get(name).and_then(Value::as_u64).unwrap_or_default();
        let model = data.value.get("model").and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            messages: data.value.get("messages")?.as_array()?.clone(),
            model: model.into(),
            input_tokens: count("inputTokens"),
            output_tokens: count("outputTokens"),
        })
    }

    /// Puts a system message in front, unless it stands somewhere already.
    pub(super) fn instruct(&mut self, system: &str) {
        let message = said("system", system);
        let same =
            |other: &Value| other.get("role") == message.get("role") && content(other) == system;
        if !system.is_empty() && !self.messages.iter().any(same) {
            self.messages.insert(0, message);
        }
    }

    /// The messages for a model.
    pub(super) fn request(&self) -> Vec<Message> {
        self.messages.iter().map(message).collect()
    }

    pub(super) fn data(self) -> Data {
        let value = json!({
            "messages": self.messages,
            "model": self.model,
            "inputTokens": self.input_tokens,
            "outputTokens": self.output_tokens,
        });
        Data { kind: DataType::ChatHistory, value }
    }
}

/// The candidates for a conversation: the node's, and where it says nothing the request's.
pub(super) fn candidates(node: &Candidates, data: &Data) -> Candidates {
    let mut candidates = node.clone();
    if data.kind == DataType::OpenaiChat {
        let model = data.value.get("model").and_then(Value::as_str).unwrap_or_default();
        if candidates.names.is_empty() && !model.is_empty() {
            candidates.names.push(model.into());
        }
        let temperature = data.value.get("temperature").and_then(Value::as_f64);
        candidates.temperature = candidates.temperature.or(temperature);
    }
    candidates
}

/// A message.
pub(super) fn said(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

/// The text of a message: as it is, or the texts among its parts.
pub(super) fn content(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()
        }
        _ => String::new(),
    }
}

/// The text of the last message; `None` if there is none.
pub(super) fn last_text(chat: &Value) -> Option<String> {
    chat.get("messages")?.as_array()?.last().map(content)
}

fn message(message: &Value) -> Message {
    let text = content(message);
    match message.get("role").and_then(Value::as_str).unwrap_or_default() {
        "system" => Message::System { text },
        "assistant" => Message::Assistant { text, calls: Vec::new() },
        _ => Message::User { text },
    }
}

/// A conversation with the fields that it always has; a history has counts of tokens too.
pub(super) fn normal(value: &Value, history: bool) -> Option<Value> {
    let mut chat: Map<String, Value> = value.as_object()?.clone();
    let messages = chat.entry("messages").or_insert_with(|| json!([]));
    if messages.is_null() {
        *messages = json!([]);
    }
    if !messages.as_array()?.iter().all(Value::is_object) {
        return None;
    }
    chat.entry("model").or_insert_with(|| json!(""));
    if history {
        chat.entry("inputTokens").or_insert_with(|| json!(0));
        chat.entry("outputTokens").or_insert_with(|| json!(0));
    }
    Some(chat.into())
}
