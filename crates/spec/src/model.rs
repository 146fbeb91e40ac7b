//! The language model of an agent.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bounds::{MAX_LINE, MAX_NAME, REPLY_TOKENS, TEMPERATURE};
use crate::node::{Fields, Node};
use crate::script::Script;

/// Which language model to ask, and how: a model of a `provider`, or any backend of a `pool`. Keys
/// never stand here: the worker reads them from its environment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "anyOf" = [
        {"required": ["provider", "name"], "properties": {"pool": false}},
        {"required": ["pool"], "properties": {"provider": false, "base_url": false}}
    ],
    "if" = {"required": ["provider"], "properties": {"provider": {"const": "scripted"}}},
    "then" = {"required": ["script"]},
    "else" = {"properties": {"script": false}}
))]
pub struct Model {
    /// Name of a pool of backends that the worker was given with `--models`; one of them answers.
    /// Either this or `provider` is given. Not to be confused with the pool of workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = MAX_NAME))]
    pub pool: Option<String>,
    /// Whose API is spoken. Given together with `name`, unless there is a `pool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Provider")]
    pub provider: Option<Provider>,
    /// Name of the model as the provider knows it. At most 2000 characters, not empty. With a `pool`
    /// it may be left out: then each backend answers with the first model that its pool or it
    /// declares.
    #[serde(default, skip_serializing_if = "String::is_empty")]
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

    /// Whether two names are of one model: Ollama leaves out the tag `latest`.
    pub fn same_model(self, one: &str, other: &str) -> bool {
        let short = |name: &str| match self {
            Self::Ollama => name.strip_suffix(":latest").unwrap_or(name).to_owned(),
            _ => name.to_owned(),
        };
        short(one) == short(other)
    }

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
const FIELDS: [&str; 7] =
    ["pool", "provider", "name", "base_url", "temperature", "max_tokens", "script"];

impl Model {
    /// A model without options.
    pub fn of(provider: Provider, name: &str) -> Self {
        Self { provider: Some(provider), name: name.into(), ..Self::default() }
    }

    /// A model of a pool, without options.
    pub fn in_pool(pool: &str, name: &str) -> Self {
        Self { pool: Some(pool.into()), name: name.into(), ..Self::default() }
    }

    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let fields = node.fields(&FIELDS)?;
        let place = if fields.has("pool") { of_pool(&fields) } else { of_provider(&fields) };
        let temperature = fields.read("temperature", |node| node.float(&TEMPERATURE));
        let max_tokens = fields.read("max_tokens", |node| node.small_integer(&REPLY_TOKENS));
        Some(Self { temperature, max_tokens, ..place? })
    }
}

fn of_provider(fields: &Fields<'_>) -> Option<Model> {
    let provider = fields.required("provider", "say whose API to use", |node| {
        node.choice("provider", &Provider::ALL.map(|provider| (provider.name(), provider)))
    });
    let name = fields
        .required("name", "name the model as its provider does", |node| node.filled_text(MAX_LINE));
    let base_url = fields.read("base_url", read_base_url);
    let script = read_script(fields, provider);
    Some(Model { base_url, script, ..Model::of(provider?, &name?) })
}

/// The backends of a pool have what is left out here.
fn of_pool(fields: &Fields<'_>) -> Option<Model> {
    for field in ["provider", "base_url", "script"] {
        fields.read(field, |node| {
            node.problem::<()>(
                "does not go with `pool`",
                "remove one of them: a pool names backends",
            )
        });
    }
    let pool = fields.read("pool", |node| node.filled_text(MAX_NAME));
    let name = fields.read("name", |node| node.filled_text(MAX_LINE)).unwrap_or_default();
    Some(Model::in_pool(&pool?, &name))
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
