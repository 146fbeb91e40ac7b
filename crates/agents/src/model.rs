//! What the interpreter asks of a language model and what it gets back, in our own words: a
//! provider's library behind them can change without touching a journal.

pub mod keys;
mod listener;
mod prices;
pub mod remote;
pub mod router;
pub mod scripted;

mod document;
mod endpoint;
mod failure;
mod template;
mod translate;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_sdk::{Estimate, Failure, Usage};
use tenure_spec::Provider;

pub use keys::{DefaultModel, ModelConfig, Secret};
pub use listener::{Listener, Nobody};
pub use prices::Prices;
pub use remote::Remote;
pub use router::{Asked, Router, Wanted};
pub use scripted::Scripted;

/// A language model. It keeps nothing between two calls: a request has all it needs.
#[async_trait]
pub trait Model: Send + Sync {
    /// The next message of the assistant. `told` hears it while it comes, if the model can say it in
    /// pieces; what counts is the reply.
    async fn reply(&self, request: &Request, told: &dyn Listener) -> Result<Reply, Failure>;

    /// What the reply to this may come to: more rather than less.
    fn estimate(&self, request: &Request) -> Estimate;
}

/// Tokens that a reply is taken to have where nothing bounds it: most have fewer.
const REPLY_TOKENS: u64 = 1_024;

/// What a reply may consume: what it is asked with, and as much as the model may say.
fn estimated(request: &Request, max_tokens: Option<u32>) -> Usage {
    let said = request.messages.iter().map(Message::size).sum::<usize>();
    let told = request.tools.iter().map(Definition::size).sum::<usize>();
    Usage {
        input_tokens: estimated_tokens(request.system.len() + said + told),
        output_tokens: max_tokens.map_or(REPLY_TOKENS, u64::from),
        ..Usage::default()
    }
}

/// The same, with what it costs where that is known.
fn priced(usage: &Usage) -> Estimate {
    let cost_micros = (!usage.unpriced).then_some(usage.cost_micros);
    Estimate { cost_micros, tokens: usage.input_tokens.saturating_add(usage.output_tokens) }
}

/// Bytes of a reply, its text and the arguments of its calls: with what surrounds them they have to
/// fit into an entry of the journal, which has 1 MiB.
pub const REPLY: usize = 768 << 10;

/// A conversation so far, and what the assistant may do next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// What the assistant is told about its task; empty for nothing. Apart from the messages
    /// because it follows from the version alone, and so is no part of a step's fingerprint.
    pub system: String,
    /// What was said, the first message being a user's.
    pub messages: Vec<Message>,
    /// The tools that the assistant may call.
    pub tools: Vec<Definition>,
    /// JSON Schema of the final answer, for providers that can be held to one. It follows from the
    /// version, like `system`, which should say the same in words.
    pub output: Option<Value>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// What the assistant is told about its task, in the middle of a conversation of others.
    System {
        /// Its text.
        text: String,
    },
    /// What a person or program says to the assistant.
    User {
        /// Its text.
        text: String,
    },
    /// What the assistant said.
    Assistant {
        /// Its text, which may be empty beside calls.
        text: String,
        /// The tools it called, in its order.
        calls: Vec<ToolCall>,
    },
    /// What a called tool gave.
    Tool {
        /// The [`ToolCall::id`] it answers.
        call: String,
        /// The tool's name.
        name: String,
        /// The result as JSON text.
        text: String,
    },
}

impl Message {
    /// A message of a user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into() }
    }

    /// The text of the message, whoever said it.
    pub fn text(&self) -> &str {
        match self {
            Self::System { text }
            | Self::User { text }
            | Self::Assistant { text, .. }
            | Self::Tool { text, .. } => text,
        }
    }

    /// Its bytes, calls included.
    pub(crate) fn size(&self) -> usize {
        let calls = match self {
            Self::Assistant { calls, .. } => {
                calls.iter().map(|call| call.name.len() + call.arguments.to_string().len()).sum()
            }
            Self::System { .. } | Self::User { .. } | Self::Tool { .. } => 0,
        };
        self.text().len() + calls
    }
}

/// A tool that the assistant wants to have called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's name for this call, unique in its message.
    pub id: String,
    /// The tool's name; nobody has checked yet that there is one.
    pub name: String,
    /// What it is called with; nobody has checked it either.
    pub arguments: Value,
    /// What the provider wants to get back with the call, unread (Gemini's thought signatures).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
}

impl ToolCall {
    /// The message that tells a model this result of the call.
    pub(crate) fn result(&self, value: &Value) -> Message {
        Message::Tool { call: self.id.clone(), name: self.name.clone(), text: value.to_string() }
    }

    /// The result of a call that a limit of the run does not let happen.
    pub(crate) fn not_made(&self) -> Message {
        let text = r#"{"error": "not called: a limit of this run is reached"}"#.into();
        Message::Tool { call: self.id.clone(), name: self.name.clone(), text }
    }
}

/// What a model is told about a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON Schema of its arguments, always an object.
    pub parameters: Value,
}

impl Definition {
    fn size(&self) -> usize {
        self.name.len() + self.description.len() + self.parameters.to_string().len()
    }
}

/// The assistant's next message. It is what the journal keeps of a model call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Its text; the final answer if there are no calls.
    pub text: String,
    /// The tools to call before the conversation goes on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ToolCall>,
    /// Whether the provider stopped at the limit of tokens, in the middle of the message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What it consumed.
    #[serde(with = "UsageForm")]
    pub usage: Usage,
}

/// How [`Usage`] is written inside a [`Reply`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "Usage")]
struct UsageForm {
    model: String,
    input_tokens: u64,
    output_tokens: u64,
    cached_tokens: u64,
    reasoning_tokens: u64,
    cost_micros: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unpriced: bool,
    // A reply calls none: whoever sums up counts them.
    #[serde(skip)]
    tool_calls: u64,
}

/// The tokens of a text of so many bytes, more or less: about four bytes each.
pub(crate) fn estimated_tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// Every model that specifications may name; one per worker.
#[derive(Clone)]
pub struct Models {
    remote: remote::Remotes,
    /// What is asked where nothing names a model.
    default: Option<tenure_spec::Model>,
}

impl Models {
    /// The models that can be reached with these keys; the error says why there can be no HTTP
    /// client. A rustls crypto provider must be installed.
    pub fn new(config: ModelConfig) -> Result<Self, String> {
        let default = config.default.as_ref().map(|model| tenure_spec::Model {
            script: model.script.clone(),
            ..router::of(model.provider, &model.name)
        });
        Ok(Self { remote: remote::Remotes::new(config)?, default })
    }

    /// The model that is asked for, or else the worker's own.
    pub fn or_own(&self, model: Option<&tenure_spec::Model>) -> Result<Arc<dyn Model>, Failure> {
        match model.or(self.default.as_ref()) {
            Some(model) => self.open(model),
            None => Ok(Arc::new(router::Nobody)),
        }
    }

    /// The model that a specification asks for.
    pub fn open(&self, model: &tenure_spec::Model) -> Result<Arc<dyn Model>, Failure> {
        match (model.provider, &model.script) {
            (Provider::Scripted, Some(script)) => {
                Ok(Arc::new(Scripted::new(model.name.clone(), script.clone())))
            }
            (Provider::Scripted, None) => {
                Err(Failure::permanent("script_missing", "a scripted model needs `model.script`"))
            }
            (_, _) => Ok(Arc::new(self.remote.open(model)?)),
        }
    }
}
