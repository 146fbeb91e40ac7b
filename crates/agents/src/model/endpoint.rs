//! Which address a model is asked at, and with which key.

use reqwest::Url;
use tenure_sdk::Failure;
use tenure_spec::{Model, Provider};

use super::keys::{ModelConfig, Secret};

const OPENAI: &str = "https://api.openai.com/v1/";
const ANTHROPIC: &str = "https://api.anthropic.com/v1/";
const GEMINI: &str = "https://generativelanguage.googleapis.com/v1beta/";
const OLLAMA: &str = "http://localhost:11434/";

/// Where to send a request.
#[derive(Debug, PartialEq)]
pub(super) struct Endpoint {
    /// The address that paths are joined to; ends in `/`.
    pub(super) base_url: String,
    /// The key, if one may be sent there.
    pub(super) key: Option<Secret>,
    /// The host, where it is not the provider's own.
    pub(super) elsewhere: Option<String>,
}

/// The address and key for a model.
pub(super) fn of(model: &Model, config: &ModelConfig) -> Result<Endpoint, Failure> {
    let provider = model.provider.unwrap_or(Provider::Openai);
    at(provider, model.base_url.as_deref(), None, config)
}

/// The address and key for a backend, whose own key goes wherever its operator says.
pub(super) fn at(
    provider: Provider,
    base_url: Option<&str>,
    own_key: Option<&Secret>,
    config: &ModelConfig,
) -> Result<Endpoint, Failure> {
    let default = default_url(provider, config);
    let elsewhere = base_url.is_some();
    let base_url = with_slash(base_url.unwrap_or(&default));
    let url = Url::parse(&base_url).map_err(|error| {
        Failure::permanent("model_address", format!("`{base_url}` is no web address: {error}"))
    })?;
    let shared = || key(provider, config).filter(|_| may_have_key(&url, &default, config));
    let key = own_key.cloned().or_else(shared);
    if key.is_none() && !elsewhere && variable(provider).is_some() {
        return Err(missing(provider));
    }
    let own = Url::parse(&default).is_ok_and(|default| default.host_str() == url.host_str());
    let elsewhere = url.host_str().filter(|_| !own).map(Into::into);
    Ok(Endpoint { base_url, key, elsewhere })
}

fn default_url(provider: Provider, config: &ModelConfig) -> String {
    match provider {
        Provider::Openai | Provider::Scripted => OPENAI.into(),
        Provider::Anthropic => ANTHROPIC.into(),
        Provider::Gemini => GEMINI.into(),
        Provider::Ollama => config.ollama_host.as_deref().map_or_else(|| OLLAMA.into(), ollama_url),
    }
}

/// Ollama's own variable may leave out scheme and port.
fn ollama_url(host: &str) -> String {
    let host = host.trim();
    match (host.contains("://"), host.contains(':')) {
        (true, _) => with_slash(host),
        (false, true) => with_slash(&format!("http://{host}")),
        (false, false) => format!("http://{}:11434/", host.trim_end_matches('/')),
    }
}

/// Joining a path to `…/v1` would replace `v1`; joining to `…/v1/` adds to it.
fn with_slash(url: &str) -> String {
    format!("{}/", url.trim_end_matches('/'))
}

/// The variable that holds a provider's key, for the hint; `None` for providers without keys.
pub(super) fn variable(provider: Provider) -> Option<&'static str> {
    match provider {
        Provider::Openai => Some("OPENAI_API_KEY"),
        Provider::Anthropic => Some("ANTHROPIC_API_KEY"),
        Provider::Gemini => Some("GEMINI_API_KEY"),
        Provider::Ollama | Provider::Scripted => None,
    }
}

fn key(provider: Provider, config: &ModelConfig) -> Option<Secret> {
    match provider {
        Provider::Openai => config.openai_key.clone(),
        Provider::Anthropic => config.anthropic_key.clone(),
        Provider::Gemini => config.gemini_key.clone(),
        Provider::Ollama | Provider::Scripted => None,
    }
}

fn may_have_key(url: &Url, default: &str, config: &ModelConfig) -> bool {
    let own = Url::parse(default).is_ok_and(|default| default.origin() == url.origin());
    let host = url.host_str().unwrap_or_default();
    own || config.key_hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
}

fn missing(provider: Provider) -> Failure {
    let variable = variable(provider).unwrap_or_default();
    Failure::permanent(
        "model_key_missing",
        format!("the worker has no key for {}: set {variable} and restart it", provider.name()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(provider: Provider, base_url: Option<&str>) -> Model {
        Model { base_url: base_url.map(Into::into), ..Model::of(provider, "m") }
    }

    fn config() -> ModelConfig {
        ModelConfig {
            openai_key: Some(Secret::new("sk-1\n")),
            key_hosts: vec!["models.example.com".into()],
            ..ModelConfig::default()
        }
    }

    #[test]
    fn the_address_always_ends_in_a_slash() {
        for url in ["https://h.example/v1", "https://h.example/v1/", "https://h.example/v1//"] {
            let endpoint = of(&model(Provider::Openai, Some(url)), &config()).unwrap();
            assert_eq!(endpoint.base_url, "https://h.example/v1/");
        }
    }

    #[test]
    fn a_key_goes_to_its_provider_and_to_listed_hosts_only() {
        for (url, sent) in [
            (None, true),
            (Some("https://api.openai.com/v1"), true),
            (Some("https://MODELS.example.com/v1"), true),
            (Some("https://evil.example/v1"), false),
            (Some("https://api.openai.com.evil.example/"), false),
            (Some("http://api.openai.com/v1"), false),
        ] {
            let endpoint = of(&model(Provider::Openai, url), &config()).unwrap();
            assert_eq!(endpoint.key.is_some(), sent, "{url:?}");
        }
    }

    #[test]
    fn a_missing_key_names_its_variable() {
        let failure = of(&model(Provider::Anthropic, None), &config()).unwrap_err();
        assert_eq!(failure.code, "model_key_missing");
        assert!(failure.message.contains("ANTHROPIC_API_KEY"), "{}", failure.message);
        assert!(of(&model(Provider::Anthropic, Some("http://localhost:1/")), &config()).is_ok());
    }

    #[test]
    fn ollama_takes_its_host_in_every_form() {
        for (host, url) in [
            ("10.0.0.5", "http://10.0.0.5:11434/"),
            ("10.0.0.5:9", "http://10.0.0.5:9/"),
            ("https://o.example/api", "https://o.example/api/"),
        ] {
            let config = ModelConfig { ollama_host: Some(host.into()), ..ModelConfig::default() };
            assert_eq!(of(&model(Provider::Ollama, None), &config).unwrap().base_url, url);
        }
    }

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let key = config().openai_key.unwrap();
        assert_eq!(format!("{:?} {key:?}", config()).matches("sk-1").count(), 0);
        assert_eq!(key.remove_from("wrong key sk-1."), "wrong key [key].");
    }
}
