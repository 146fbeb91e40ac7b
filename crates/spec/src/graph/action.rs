//! What a node does.

mod agent;
mod call;
mod fan;
mod interrupt;
mod tool;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::bounds::{MAX_LINE, MAX_NAME, REPLY_TOKENS, TEMPERATURE};
use crate::model::Provider;
use crate::node::{Fields, Node};

pub use agent::AgentNode;
pub use call::CallNode;
pub use fan::{Branch, MapNode, ParallelNode};
pub use interrupt::{Asks, DefaultAnswer, InterruptNode};
pub use tool::ToolNode;

/// What a node does with its input: a word, or an object of one field where it has options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Hands its input on.
    #[default]
    Pass,
    /// Hands its input on; its value is the command that the text begins with: `send` for `/send
    /// it`, `pass` for a text without.
    Command,
    /// Fails with its input as the message.
    Fail,
    /// Asks a model one question, and parses the reply.
    Prompt(Prompt),
    /// Sends a conversation to a model, and adds the reply to it.
    Chat(Chat),
    /// Makes a vector of a text.
    Embed(Embed),
    /// Calls a hook: a service outside that the worker knows by name.
    Hook(Hook),
    /// Makes an OpenAI chat completion of a conversation.
    OpenaiResponse(OpenaiResponse),
    /// Calls a tool.
    Tool(Box<ToolNode>),
    /// Has another agent do it, as a run of its own.
    Call(CallNode),
    /// Lets a model use tools until it has an answer.
    Agent(Box<AgentNode>),
    /// Asks a person.
    Interrupt(Box<InterruptNode>),
    /// Does the same with each element of a list.
    Map(Box<MapNode>),
    /// Does several things at the same time.
    Parallel(ParallelNode),
}

/// A question to a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prompt {
    /// What the model is told about its task.
    pub system: String,
    /// Which models may answer.
    pub model: Candidates,
    /// What is made of the reply. A reply that does not fit fails the attempt.
    pub parse: Parse,
}

/// A conversation with a model. Its input is a `chat_history` or an `openai_chat`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Chat {
    /// What the model is told about its task: put in front of the conversation as a system message,
    /// unless it stands there already.
    pub system: String,
    /// Which models may answer.
    pub model: Candidates,
}

/// A text's vector.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Embed {
    /// Which models may make it.
    pub model: Candidates,
}

/// A call of a hook.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Name that the worker knows the hook by.
    #[schemars(length(min = 1, max = MAX_NAME))]
    pub name: String,
    /// What the hook is given beside the input.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
}

/// An OpenAI chat completion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpenaiResponse {
    /// Name of the model that it names; without it that of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub model: Option<String>,
}

/// The models that may answer, in the order in which attempts ask them. Without names and providers
/// it is the graph's `model`, or else the worker's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Candidates {
    /// Names of models as their providers know them.
    pub names: Vec<String>,
    /// Providers of these models.
    pub providers: Vec<Provider>,
    /// How freely the model varies its words, 0 to 2. Without it the provider decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = *TEMPERATURE.start(), max = *TEMPERATURE.end()))]
    pub temperature: Option<f64>,
    /// Tokens of one reply at most. Without it the provider decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = *REPLY_TOKENS.start(), max = *REPLY_TOKENS.end()))]
    pub max_tokens: Option<u32>,
}

/// What is made of a reply, without white space at its ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parse {
    /// The text as it is.
    #[default]
    Text,
    /// The first number in it, which must be whole.
    Number,
    /// The first number in it.
    Score,
    /// A range such as `6-8`; a single number is both of its bounds.
    Range,
    /// What stands here under the text of the reply, true or false.
    Condition(BTreeMap<String, bool>),
}

const ACTIONS: [&str; 14] = [
    "pass",
    "command",
    "fail",
    "prompt",
    "chat",
    "embed",
    "hook",
    "openai_response",
    "tool",
    "call",
    "agent",
    "interrupt",
    "map",
    "parallel",
];

impl Action {
    pub(in crate::graph) fn read(at: &Node<'_>) -> Option<Self> {
        let Value::Object(map) = at.value else {
            let words = ACTIONS.map(|name| (name, name));
            return Self::read_word(at, at.choice("action", &words)?);
        };
        let fields = at.fields(&ACTIONS)?;
        if map.len() != 1 {
            let hint = "write one action, such as `do: pass` or `do: {prompt: {}}`";
            return at.problem("must be exactly one action", hint);
        }
        Self::read_object(&fields)
    }

    fn read_word(at: &Node<'_>, word: &str) -> Option<Self> {
        match word {
            "pass" => Some(Self::Pass),
            "command" => Some(Self::Command),
            "fail" => Some(Self::Fail),
            _ => at.problem("needs an object of its options", format!("write `{{{word}: {{}}}}`")),
        }
    }

    fn read_object(fields: &Fields<'_>) -> Option<Self> {
        for word in ["pass", "command", "fail"] {
            fields
                .read(word, |at| at.problem::<()>("has no options", format!("write `do: {word}`")));
        }
        let read = |at: &Node<'_>| {
            let fields = at.fields(&["model"])?;
            let model = fields.read("model", |at| at.filled_text(MAX_LINE));
            Some(OpenaiResponse { model })
        };
        fields
            .read("prompt", Prompt::read)
            .map(Self::Prompt)
            .or_else(|| fields.read("chat", Chat::read).map(Self::Chat))
            .or_else(|| fields.read("embed", Embed::read).map(Self::Embed))
            .or_else(|| fields.read("hook", Hook::read).map(Self::Hook))
            .or_else(|| fields.read("openai_response", read).map(Self::OpenaiResponse))
            .or_else(|| fields.read("tool", ToolNode::read).map(|tool| Self::Tool(Box::new(tool))))
            .or_else(|| fields.read("call", CallNode::read).map(Self::Call))
            .or_else(|| fields.read("agent", AgentNode::read).map(|it| Self::Agent(Box::new(it))))
            .or_else(|| {
                fields
                    .read("interrupt", InterruptNode::read)
                    .map(|it| Self::Interrupt(Box::new(it)))
            })
            .or_else(|| fields.read("map", MapNode::read).map(|map| Self::Map(Box::new(map))))
            .or_else(|| fields.read("parallel", ParallelNode::read).map(Self::Parallel))
    }

    /// The actions inside this one, each with the fields that lead to it.
    pub fn inner(&self) -> Vec<(Vec<&str>, &Self)> {
        match self {
            Self::Map(map) => vec![(vec!["map", "do"], &map.action)],
            Self::Parallel(fan) => {
                let names = fan.branches.iter();
                names.map(|(name, branch)| (branch_way(name), &branch.action)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether this or an action inside is one of those.
    pub fn any(&self, one: &impl Fn(&Self) -> bool) -> bool {
        one(self) || self.inner().into_iter().any(|(_, inner)| inner.any(one))
    }

    /// How many `map` and `parallel` are inside each other.
    pub(super) fn depth(&self) -> usize {
        let inner = self.inner();
        let deepest = inner.iter().map(|(_, inner)| inner.depth()).max();
        deepest.map_or(0, |deepest| deepest + 1)
    }

    /// The field by which this has a bound of time of its own, if a node's `timeout` does not hold for
    /// it.
    pub(super) fn own_time(&self) -> Option<&'static str> {
        match self {
            Self::Tool(_) => Some("its own options, if it has one"),
            Self::Call(_) => Some("`limits.time` of the agent that it calls"),
            Self::Agent(_) => Some("`limits.time` of the node"),
            Self::Interrupt(_) => Some("the `timeout` inside it"),
            Self::Map(_) | Self::Parallel(_) => {
                self.inner().into_iter().find_map(|(_, inner)| inner.own_time())
            }
            _ => None,
        }
    }
}

fn branch_way(name: &str) -> Vec<&str> {
    vec!["parallel", "branches", name, "do"]
}

impl Prompt {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["system", "model", "parse"])?;
        Some(Self {
            system: read_system(&fields),
            model: fields.read("model", Candidates::read).unwrap_or_default(),
            parse: fields.read("parse", Parse::read).unwrap_or_default(),
        })
    }
}

impl Chat {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["system", "model"])?;
        let model = fields.read("model", Candidates::read).unwrap_or_default();
        Some(Self { system: read_system(&fields), model })
    }
}

impl Embed {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["model"])?;
        Some(Self { model: fields.read("model", Candidates::read).unwrap_or_default() })
    }
}

fn read_system(fields: &Fields<'_>) -> String {
    fields.read("system", |at| at.text(usize::MAX)).unwrap_or_default()
}

impl Hook {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["name", "args"])?;
        let name = fields.required("name", "name the hook", |at| at.filled_text(MAX_NAME))?;
        let args = fields.read("args", |at| at.map(|at| at.text(usize::MAX)));
        Some(Self { name, args: args.unwrap_or_default() })
    }
}

impl Candidates {
    fn read(at: &Node<'_>) -> Option<Self> {
        let fields = at.fields(&["names", "providers", "temperature", "max_tokens"])?;
        let providers = Provider::REAL.map(|provider| (provider.name(), provider));
        let names = fields.read("names", |at| at.list(|at| at.filled_text(MAX_LINE)));
        let listed = |at: &Node<'_>| at.list(|at| at.choice("provider", &providers));
        Some(Self {
            names: names.unwrap_or_default(),
            providers: fields.read("providers", listed).unwrap_or_default(),
            temperature: fields.read("temperature", |at| at.float(&TEMPERATURE)),
            max_tokens: fields.read("max_tokens", |at| at.small_integer(&REPLY_TOKENS)),
        })
    }
}

impl Parse {
    fn read(at: &Node<'_>) -> Option<Self> {
        if at.value.is_object() {
            let fields = at.fields(&["condition"])?;
            return fields.required("condition", HINT, read_condition).map(Self::Condition);
        }
        let words = [
            ("text", Self::Text),
            ("number", Self::Number),
            ("score", Self::Score),
            ("range", Self::Range),
        ];
        let place = at.choice("parser", &[0, 1, 2, 3].map(|place| (words[place].0, place)))?;
        words.into_iter().nth(place).map(|(_, parse)| parse)
    }
}

const HINT: &str = "list the replies, such as `{condition: {\"yes\": true, \"no\": false}}`";

/// What each reply means; at least one.
pub(crate) fn read_condition(at: &Node<'_>) -> Option<BTreeMap<String, bool>> {
    let replies = at.map(Node::truth)?;
    if replies.is_empty() { at.problem("is empty", HINT) } else { Some(replies) }
}
