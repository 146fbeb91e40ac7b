//! A conversation as the input of a run, and an assistant's message as its output: what a run has
//! instead of a text when somebody else keeps the conversation.

mod answer;
mod read;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use answer::{Answer, FinishReason};
pub use read::Refusal;

/// Content type of an input that is a [`Conversation`].
pub const CONVERSATION: &str = "application/vnd.tenure.conversation+json";
/// Content type of an output that is an [`Answer`]; what a run with a conversation gives.
pub const MESSAGE: &str = "application/vnd.tenure.message+json";
/// Tools that a client may bring: more than any model can tell apart.
pub const MAX_TOOLS: usize = 128;
/// Messages of a conversation: they are all sent to the model at each turn.
pub const MAX_MESSAGES: usize = 10_000;

/// A conversation that a client keeps, and what it wants next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// What was said, oldest first. Written as OpenAI writes messages, with all content as text.
    pub messages: Vec<Said>,
    /// Tools of the client: a run that calls one ends with the call, and the client's next
    /// conversation has the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ClientTool>,
    /// Whether tools of the client have to be called.
    #[serde(default, skip_serializing_if = "ToolChoice::is_auto")]
    pub tool_choice: ToolChoice,
    /// How freely the model varies its words, 0 to 2, instead of what the agent says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Tokens that the answer may have at most; the agent may allow fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// JSON Schema of the answer, instead of the agent's `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Said {
    /// What the client's system or developer says about the task.
    System {
        /// Its text.
        content: String,
    },
    /// What the client's user says.
    User {
        /// Its text.
        content: String,
    },
    /// What the assistant said.
    Assistant {
        /// Its text, which may be empty beside calls.
        content: String,
        /// The client's tools that it called.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<Call>,
    },
    /// What the client's tool gave.
    Tool {
        /// The [`Call::id`] that it answers.
        tool_call_id: String,
        /// Its text.
        content: String,
    },
}

/// A call of a client's tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its name in the conversation.
    pub id: String,
    /// What kind of tool is called.
    #[serde(rename = "type", default)]
    pub kind: CallKind,
    /// Which one, and with what.
    pub function: Called,
}

/// Kinds of tools that a client may bring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A function.
    #[default]
    Function,
}

/// The function that is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// Its name.
    pub name: String,
    /// Its arguments as the model wrote them: JSON text, unless the model failed at it.
    pub arguments: String,
}

impl Call {
    /// A call of a function.
    pub fn new(id: String, name: String, arguments: String) -> Self {
        Self { id, kind: CallKind::Function, function: Called { name, arguments } }
    }
}

/// A function that the client executes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientTool {
    /// Its name: 1 to 64 letters, digits, underscores and hyphens.
    pub name: String,
    /// What it does and when to use it.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of its arguments, an object.
    pub parameters: Value,
}

/// Whether tools of the client have to be called. The agent's own tools are its own affair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// None is called.
    None,
    /// At least one is called.
    Required,
    /// This one is called.
    Function(String),
}

impl ToolChoice {
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }

    /// Whether an answer without a call will not do.
    pub fn is_forced(&self) -> bool {
        matches!(self, Self::Required | Self::Function(_))
    }
}

impl Conversation {
    /// Reads the body of an OpenAI chat completion request. What it has beside the conversation is
    /// passed over, unless it asks for something that cannot be had.
    pub fn of_openai(body: &Value) -> Result<Self, Refusal> {
        read::conversation(body)
    }

    /// The tools that the model is offered.
    pub fn offered(&self) -> impl Iterator<Item = &ClientTool> {
        self.tools.iter().filter(|tool| match &self.tool_choice {
            ToolChoice::None => false,
            ToolChoice::Function(name) => tool.name == *name,
            ToolChoice::Auto | ToolChoice::Required => true,
        })
    }
}
