//! The keys of the providers, and where they may go.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use tenure_spec::{Backends, Provider, Script};

use super::pools::{Clock, SharedLimits};
use super::prices::Prices;

/// A value that is shown to nobody: in no message, log, error or journal (NO-SECRET).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `value`, without the white space that files and terminals leave around it.
    pub fn new(value: &str) -> Self {
        Self(value.trim().into())
    }

    /// The value, for the one who sends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without the value: providers like to quote a wrong key.
    pub(crate) fn remove_from(&self, text: &str) -> String {
        if self.0.is_empty() { text.into() } else { text.replace(&self.0, "[key]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// How a worker reaches the providers of models. The process that runs the interpreter fills it;
/// this crate reads no environment.
#[derive(Clone, Debug, Default)]
pub struct ModelConfig {
    /// Key of OpenAI, and of compatible servers among `key_hosts`.
    pub openai_key: Option<Secret>,
    /// Key of Anthropic.
    pub anthropic_key: Option<Secret>,
    /// Key of Google Gemini.
    pub gemini_key: Option<Secret>,
    /// Address of the Ollama server, such as `127.0.0.1:11434`, which is also the default.
    pub ollama_host: Option<String>,
    /// Hosts beside the providers' own that a key may be sent to. A specification chooses its
    /// `base_url`; without this list its author could have the worker's keys sent anywhere.
    pub key_hosts: Vec<String>,
    /// Backends and pools, with the keys that they have of their own.
    pub backends: BackendConfig,
    /// The model that answers where neither a node nor its graph names one.
    pub default: Option<DefaultModel>,
    /// What calls cost.
    pub prices: Prices,
}

/// The backends that the operator of a worker has named, and their keys.
#[derive(Clone, Debug, Default)]
pub struct BackendConfig {
    /// The backends and pools.
    pub all: Backends,
    /// The keys of those that have one of their own, by the backend's name.
    pub keys: BTreeMap<String, Secret>,
    /// Where all workers count what providers let them have; without it each counts by itself.
    pub limits: Option<SharedLimits>,
    /// What time it is for the health of backends and for limits.
    pub clock: Clock,
}

/// A model and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultModel {
    /// Whose API is spoken.
    pub provider: Provider,
    /// Its name there.
    pub name: String,
    /// What it says, if it is scripted: whatever name a node gives its model.
    pub script: Option<Script>,
}

impl DefaultModel {
    /// A model that plays a script.
    pub fn scripted(name: &str, script: Script) -> Self {
        Self { provider: Provider::Scripted, name: name.into(), script: Some(script) }
    }
}

impl FromStr for DefaultModel {
    type Err = String;

    /// `PROVIDER/NAME`, such as `ollama/qwen3:4b`.
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Provider::REAL.map(Provider::name).join(", ");
        let wrong = || format!("write PROVIDER/NAME, the provider being one of: {}", known());
        let (provider, name) = text.split_once('/').ok_or_else(wrong)?;
        let provider = Provider::REAL.into_iter().find(|known| known.name() == provider);
        match (provider, name) {
            (None, _) | (_, "") => Err(wrong()),
            (Some(provider), name) => Ok(Self { provider, name: name.into(), script: None }),
        }
    }
}
