//! Kinds of the values that pass through a graph.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a value in a graph is. It decides how a node reads the value: a question takes texts,
/// numbers and the last message of a conversation; a `chat` takes conversations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// Anything, taken as it is: it has no text.
    #[default]
    Any,
    /// A text.
    String,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A list of numbers, as embeddings are.
    Vector,
    /// A list of what a search found.
    SearchResults,
    /// Any JSON.
    Json,
    /// A conversation: `{messages: [{role, content}], model, inputTokens, outputTokens}`.
    ChatHistory,
    /// The body of an OpenAI chat completion request.
    OpenaiChat,
    /// An OpenAI chat completion.
    OpenaiChatResponse,
}

impl DataType {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Any,
        Self::String,
        Self::Bool,
        Self::Int,
        Self::Float,
        Self::Vector,
        Self::SearchResults,
        Self::Json,
        Self::ChatHistory,
        Self::OpenaiChat,
        Self::OpenaiChatResponse,
    ];

    /// The name as it stands in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Vector => "vector",
            Self::SearchResults => "search_results",
            Self::Json => "json",
            Self::ChatHistory => "chat_history",
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiChatResponse => "openai_chat_response",
        }
    }

    /// The kind of that name, in whatever case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}
