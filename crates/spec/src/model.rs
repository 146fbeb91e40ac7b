//! The language model of an agent.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bounds::{MAX_LINE, REPLY_TOKENS, TEMPERATURE};
use crate::node::{Fields, Node};
use crate::script::Script;

/// Which language model to ask, and how. Keys never stand here: the worker reads them from its
/// environment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "if" = {"properties": {"provider": {"const": "scripted"}}},
    "then" = {"required": ["script"]},
    "else" = {"properties": {"script": false}}
))]
pub struct Model {
    /// Whose API is spoken.
    pub provider: Provider,
    /// Name of the model as the provider knows it. At most 2000 characters, not empty.
    #[schemars(length(min = 1, max = MAX_LINE))]
    pub name: String,
    /// Address of the API, `http://…` or `https://…`, instead of the provider's own; with
    /// `openai` any compatible server. Without user, password and query: keys do not belong here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(max = MAX_LINE), regex(pattern = BASE_URL))]
    pub base_url: Option<String>,
    /// How freely the model varies its words, 0 to 2. Without it the provider decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = *TEMPERATURE.start(), max = *TEMPERATURE.end()))]
    pub temperature: Option<f64>,
    /// Tokens of one reply at most. Without it the provider decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = *REPLY_TOKENS.start(), max = *REPLY_TOKENS.end()))]
    pub max_tokens: Option<u32>,
    /// What to say; given if and only if `provider` is `scripted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Script")]
    pub script: Option<Script>,
}

/// Whose API a model speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// OpenAI, or with `base_url` any server that speaks its API.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Google Gemini.
    Gemini,
    /// Ollama, a server for local models.
    Ollama,
    /// No model at all: the `script` is played, for tests and offline samples.
    Scripted,
}

impl Provider {
    /// All providers.
    pub const ALL: [Self; 5] =
        [Self::Openai, Self::Anthropic, Self::Gemini, Self::Ollama, Self::Scripted];

    /// Those that ask a model.
    pub const REAL: [Self; 4] = [Self::Openai, Self::Anthropic, Self::Gemini, Self::Ollama];

    /// The provider's name as it stands in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Scripted => "scripted",
        }
    }
}

const BASE_URL: &str = r"^https?://[^\s@?#/]+(/[^\s@?#]*)?$";
const FIELDS: [&str; 6] = ["provider", "name", "base_url", "temperature", "max_tokens", "script"];

impl Model {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&FIELDS)?;
        let provider = fields.required("provider", "say whose API to use", |node| {
            node.choice("provider", &Provider::ALL.map(|provider| (provider.name(), provider)))
        });
        let name = fields.required("name", "name the model as its provider does", |node| {
            node.filled_text(MAX_LINE)
        });
        let base_url = fields.read("base_url", read_base_url);
        let temperature = fields.read("temperature", |node| node.float(&TEMPERATURE));
        let max_tokens = fields.read("max_tokens", |node| node.small_integer(&REPLY_TOKENS));
        let script = read_script(&fields, provider);
        Some(Self { provider: provider?, name: name?, base_url, temperature, max_tokens, script })
    }
}

fn read_script(fields: &Fields<'_>, provider: Option<Provider>) -> Option<Script> {
    match provider {
        Some(Provider::Scripted) => {
            fields.required("script", "write what the scripted model says", Script::read)
        }
        Some(_) => fields.read("script", |node| {
            node.problem(
                "only a scripted model plays a script",
                "remove it, or set `provider: scripted`",
            )
        }),
        // One slip in `provider` is one problem; the script is checked all the same.
        None => fields.read("script", Script::read),
    }
}

/// A web address of host, port and path.
pub(crate) fn read_base_url(node: &Node<'_>) -> Option<String> {
    let text = node.text(MAX_LINE)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else {
        return node.problem("is not a web address", "begin it with `https://` or `http://`");
    };
    if rest.contains(['@', '?', '#']) {
        let hint =
            "remove user, password, query and fragment; keys come from the worker's environment";
        return node.problem("has more than host, port and path", hint);
    }
    if rest.is_empty() || rest.starts_with('/') || rest.contains(char::is_whitespace) {
        return node.problem("names no host", "write it like `https://models.example.com/v1`");
    }
    Some(text)
}
