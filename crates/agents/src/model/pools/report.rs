//! How the backends are, for people and programs.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde::Serialize;
use tenure_spec::Provider;

use super::Pools;
use super::backend::Backend;
use super::health::State;

/// How a backend is at this moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Its name.
    pub backend: String,
    /// Whose API it speaks.
    pub provider: &'static str,
    /// Where it is, without a key; the error's text if it has no address.
    pub address: String,
    /// The pools that it is in.
    pub pools: Vec<String>,
    /// Whether it answers.
    pub state: State,
    /// Calls that are open.
    pub in_flight: usize,
    /// Milliseconds that it took lately to begin to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u128>,
    /// The code of the last failure of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why it could not be asked for its models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The models that it declares, or else has listed.
    pub models: Vec<String>,
    /// Models that it has been asked for and does not have.
    pub missing: Vec<String>,
    /// Models that are being pulled, with the percentage that is there.
    pub pulling: BTreeMap<String, u8>,
    /// Seconds since it was asked for its models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_seconds_ago: Option<u64>,
}

impl Pools {
    /// Asks every backend for its models; nothing is pulled or removed.
    pub async fn check(&self) -> Vec<Report> {
        let now = self.clock.now();
        let looks = self.backends.iter().map(|one| self.lister.look(one, &self.remotes, now));
        join_all(looks).await;
        self.reports()
    }

    /// How each backend is, by what is known already.
    pub fn reports(&self) -> Vec<Report> {
        self.backends.iter().map(|backend| self.report(backend)).collect()
    }

    fn report(&self, backend: &Backend) -> Report {
        let address = backend.endpoint(&self.remotes);
        let state = backend.standing().into();
        let pools = self
            .groups
            .iter()
            .filter(|group| group.backends.iter().any(|other| other.name() == backend.name()));
        let now = backend.now();
        let listed = || now.listed.iter().flatten();
        let names = match &backend.declared.models {
            Some(declared) => declared.iter().map(|offer| offer.name.clone()).collect(),
            None => listed().map(|offer| offer.name.clone()).collect::<Vec<_>>(),
        };
        let provider: Provider = backend.declared.provider;
        let there = |name: &str| listed().any(|offer| provider.same_model(&offer.name, name));
        let wanted = backend.declared.models.iter().flatten().map(|offer| &offer.name);
        let kept = pools.clone().flat_map(|group| &group.pool.models);
        let kept = kept.filter(|_| provider == Provider::Ollama);
        let missing = wanted.chain(kept).filter(|name| now.listed.is_some() && !there(name));
        let (checked, problem) = match &now.checked {
            Some((at, failure)) => (Some(*at), failure.as_ref()),
            None => (None, None),
        };
        Report {
            backend: backend.name().into(),
            provider: provider.name(),
            address: address.map_or_else(|failure| failure.message, |at| shown(&at.base_url)),
            state,
            in_flight: now.health.in_flight,
            latency_ms: now.health.latency.map(|latency| latency.as_millis()),
            last_error: now.health.error.clone(),
            problem: problem.map(|failure| format!("{}: {}", failure.code, failure.message)),
            models: names,
            missing: missing.cloned().collect(),
            pulling: now.pulling.clone(),
            checked_seconds_ago: checked.map(|at| self.clock.now().saturating_sub(at).as_secs()),
            pools: pools.map(|group| group.pool.name.clone()).collect(),
        }
    }
}

/// An address without user and password, which only the variable of an Ollama server can have.
fn shown(url: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(url) else { return String::new() };
    // Fails for addresses that cannot have one.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        assert_eq!(shown("http://ann:sesame@gpu:11434/"), "http://gpu:11434/");
        assert_eq!(shown("https://h.example/v1/"), "https://h.example/v1/");
    }
}
