//! A backend: one endpoint of a provider, with a key and limits.

use std::path::PathBuf;

use crate::bounds::{AT_A_TIME, CONTEXT, MAX_BACKENDS, MAX_LINE, MAX_NAME, PER_MINUTE};
use crate::model::{Provider, read_base_url};
use crate::node::{Fields, Node};
use crate::span::Span;

/// One endpoint of a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// Its name, unique in the file.
    pub name: String,
    /// Whose API it speaks.
    pub provider: Provider,
    /// Its address, instead of the provider's own.
    pub base_url: Option<String>,
    /// Where its key is. Without it, the worker's key of the provider goes to the provider's own
    /// address.
    pub key: Option<KeyPlace>,
    /// The models that it has; without it, it is asked.
    pub models: Option<Vec<Offer>>,
    /// Calls that it takes at a time; any number without it.
    pub max_concurrent: Option<u32>,
    /// Calls that may begin in a minute; any number without it.
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompts and replies in a minute; any number without it.
    pub tokens_per_minute: Option<u64>,
    /// How long one call may take, with the wait for its turn; without it as for other models.
    pub timeout: Option<Span>,
}

/// Where a key is. The file of backends never has the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// `env://NAME`: a variable of the worker's process.
    Variable(String),
    /// `file:///PATH`: a file that the worker may read.
    File(PathBuf),
}

/// A model that a backend has, and what it can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a capability of its own")]
pub struct Offer {
    /// Its name, as the backend knows it.
    pub name: String,
    /// Tokens that prompt and reply may have together; not known without it.
    pub context: Option<u64>,
    /// Whether it calls tools.
    pub tools: bool,
    /// Whether it answers in pieces. One that does not is asked for its reply in one piece.
    pub streaming: bool,
    /// Whether it makes vectors.
    pub embeddings: bool,
    /// Whether its answer can be held to a schema.
    pub output: bool,
}

const FIELDS: [&str; 9] = [
    "name",
    "provider",
    "base_url",
    "key",
    "models",
    "max_concurrent",
    "requests_per_minute",
    "tokens_per_minute",
    "timeout",
];
const OFFER: [&str; 6] = ["name", "context", "tools", "streaming", "embeddings", "output"];
const KEY: &str = "write `env://NAME` or `file:///PATH`; the key itself never stands in a file";

impl Backend {
    /// Always a backend, if only a hole: the pools are checked against its name.
    pub(super) fn read(at: &Node<'_>) -> Self {
        let hole = Self::of(String::new(), Provider::Openai);
        at.fields(&FIELDS).map_or(hole, |fields| Self::read_fields(&fields))
    }

    fn read_fields(fields: &Fields<'_>) -> Self {
        let name =
            fields.required("name", "give the backend a name", |at| at.filled_text(MAX_NAME));
        let real = Provider::REAL.map(|provider| (provider.name(), provider));
        let provider = fields
            .required("provider", "say whose API it speaks", |at| at.choice("provider", &real))
            .unwrap_or(Provider::Openai);
        let of = |at: &Node<'_>| at.few(MAX_BACKENDS, |at| Offer::read(at, provider));
        Self {
            base_url: fields.read("base_url", read_base_url),
            key: fields.read("key", read_key),
            models: fields.read("models", of),
            max_concurrent: fields.read("max_concurrent", |at| at.small_integer(&AT_A_TIME)),
            requests_per_minute: fields.read("requests_per_minute", |at| at.integer(&PER_MINUTE)),
            tokens_per_minute: fields.read("tokens_per_minute", |at| at.integer(&PER_MINUTE)),
            timeout: fields.read("timeout", Span::read_filled),
            ..Self::of(name.unwrap_or_default(), provider)
        }
    }

    /// A backend without limits, at its provider's own address.
    pub fn of(name: String, provider: Provider) -> Self {
        Self {
            name,
            provider,
            base_url: None,
            key: None,
            models: None,
            max_concurrent: None,
            requests_per_minute: None,
            tokens_per_minute: None,
            timeout: None,
        }
    }

    /// What it declares of a model.
    pub fn offer(&self, model: &str) -> Option<&Offer> {
        let same = |offer: &&Offer| self.provider.same_model(&offer.name, model);
        self.models.as_ref()?.iter().find(same)
    }
}

impl Offer {
    /// A model of which nothing but the name is known: it can do what its provider can.
    pub fn of(name: &str, provider: Provider) -> Self {
        let embeddings = provider != Provider::Anthropic;
        let name = name.into();
        Self { name, context: None, tools: true, streaming: true, embeddings, output: true }
    }

    /// A name, or a name with what the model can do.
    fn read(at: &Node<'_>, provider: Provider) -> Option<Self> {
        if at.value.is_string() {
            return Some(Self::of(&at.filled_text(MAX_LINE)?, provider));
        }
        let fields = at.fields(&OFFER)?;
        let name = fields
            .required("name", "name the model as the backend does", |at| at.filled_text(MAX_LINE));
        let can = |field: &str, usual: bool| fields.read(field, Node::truth).unwrap_or(usual);
        let usual = Self::of(name.as_deref().unwrap_or_default(), provider);
        let context = fields.read("context", |at| at.integer(&CONTEXT));
        let offer = Self {
            context,
            tools: can("tools", usual.tools),
            streaming: can("streaming", usual.streaming),
            embeddings: can("embeddings", usual.embeddings),
            output: can("output", usual.output),
            name: usual.name,
        };
        name.map(|_| offer)
    }
}

/// Never quotes what stands there: it may be the key.
fn read_key(at: &Node<'_>) -> Option<KeyPlace> {
    let text = at.text(MAX_LINE)?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match (text.strip_prefix("env://"), text.strip_prefix("file://")) {
        (Some(name), _) if !name.is_empty() && name.chars().all(word) => {
            Some(KeyPlace::Variable(name.into()))
        }
        (_, Some(path)) if path.starts_with('/') => Some(KeyPlace::File(path.into())),
        _ => at.problem("is no place of a key", KEY),
    }
}
