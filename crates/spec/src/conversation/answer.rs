//! What a run says at the end of a conversation.

use serde::{Deserialize, Serialize};

use super::Call;

/// The assistant's message that ends a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its text; JSON if a form was asked for, empty beside calls that say nothing.
    pub content: String,
    /// The client's tools to call before the conversation goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Call>,
    /// Why it ends here.
    pub finish_reason: FinishReason,
}

/// Why a message ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It is complete.
    #[default]
    Stop,
    /// It was cut at a limit of tokens.
    Length,
    /// Tools are to be called.
    ToolCalls,
    /// The provider withheld the rest.
    ContentFilter,
}

impl FinishReason {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

impl Answer {
    /// A text that is complete.
    pub fn text(content: impl Into<String>) -> Self {
        Self { content: content.into(), ..Self::default() }
    }

    /// The message of a chat completion, as OpenAI writes it: what a graph may give. `None` if there
    /// is none.
    pub fn of_completion(completion: &serde_json::Value) -> Option<Self> {
        let choice = completion.get("choices")?.get(0)?;
        let field = |name: &str| choice.get(name).cloned().unwrap_or_default();
        let message = choice.get("message")?;
        let calls = message.get("tool_calls").cloned().unwrap_or_default();
        Some(Self {
            content: message.get("content")?.as_str().unwrap_or_default().to_owned(),
            tool_calls: serde_json::from_value(calls).unwrap_or_default(),
            finish_reason: serde_json::from_value(field("finish_reason")).unwrap_or_default(),
        })
    }
}
