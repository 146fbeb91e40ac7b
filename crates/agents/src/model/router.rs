//! Which model answers a node of a graph.

use async_trait::async_trait;
use tenure_sdk::{Estimate, Failure, Usage};
use tenure_spec::graph::Candidates;
use tenure_spec::{Model as Spec, Provider};

use super::{Listener, Model, Models, Reply, Request, estimated_tokens};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One question.
    Prompt,
    /// The next message of a conversation.
    Chat,
    /// The vector of a text.
    Vector,
}

/// What is asked, and who may answer.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What is asked.
    pub kind: Asked,
    /// What the node says.
    pub candidates: &'a Candidates,
    /// The graph's own model.
    pub default: Option<&'a Spec>,
    /// The attempt, counted from 1: each asks the next candidate.
    pub attempt: u32,
}

/// Finds a model for what a graph asks, and asks it.
#[async_trait]
pub trait Router: Send + Sync {
    /// The reply of one of the candidates; `told` hears it while it comes.
    async fn reply(
        &self,
        wanted: &Wanted<'_>,
        request: &Request,
        told: &dyn Listener,
    ) -> Result<Reply, Failure>;

    /// What the reply to this may come to; of what it costs nothing is known unless it is said.
    fn estimate(&self, _wanted: &Wanted<'_>, request: &Request) -> Result<Estimate, Failure> {
        let tokens = request.messages.iter().map(|message| self.tokens(message.text())).sum();
        Ok(Estimate { cost_micros: None, tokens })
    }

    /// The vector that one of the candidates makes of a text.
    async fn embed(&self, wanted: &Wanted<'_>, text: &str) -> Result<(Vec<f64>, Usage), Failure>;

    /// How many tokens a text has, more or less: about four bytes each.
    fn tokens(&self, text: &str) -> u64 {
        estimated_tokens(text.len())
    }
}

#[async_trait]
impl Router for Models {
    async fn reply(
        &self,
        wanted: &Wanted<'_>,
        request: &Request,
        told: &dyn Listener,
    ) -> Result<Reply, Failure> {
        self.open(&self.choose(wanted)?)?.reply(request, told).await
    }

    fn estimate(&self, wanted: &Wanted<'_>, request: &Request) -> Result<Estimate, Failure> {
        Ok(self.open(&self.choose(wanted)?)?.estimate(request))
    }

    async fn embed(&self, wanted: &Wanted<'_>, text: &str) -> Result<(Vec<f64>, Usage), Failure> {
        let model = self.choose(wanted)?;
        if model.provider == Provider::Scripted {
            return Ok(super::scripted::embed(&model.name, text));
        }
        self.remote.open(&model)?.embed(text).await
    }
}

impl Models {
    /// The candidate whose turn it is.
    fn choose(&self, wanted: &Wanted<'_>) -> Result<Spec, Failure> {
        let Wanted { candidates, default, attempt, .. } = *wanted;
        let default = default.or(self.default.as_ref());
        let mut model = match nth(candidates, default, attempt) {
            // A script speaks for models of every name.
            Some((provider, name))
                if provider != Provider::Scripted
                    && default.is_none_or(|of| of.provider != provider || of.name != name) =>
            {
                of(provider, name)
            }
            _ => default.cloned().ok_or_else(missing)?,
        };
        model.temperature = candidates.temperature.or(model.temperature);
        model.max_tokens = candidates.max_tokens.or(model.max_tokens);
        Ok(model)
    }
}

/// The candidates in turn: each name with each provider.
fn nth<'a>(
    candidates: &'a Candidates,
    default: Option<&'a Spec>,
    attempt: u32,
) -> Option<(Provider, &'a str)> {
    let same = |provider: &Provider| default.filter(|default| default.provider == *provider);
    let named = candidates.names.iter().flat_map(|name| {
        let own = default.map_or_else(|| guess(name), |default| default.provider);
        let one = [own];
        let providers =
            if candidates.providers.is_empty() { &one[..] } else { &candidates.providers };
        providers.iter().map(|provider| (*provider, name.as_str())).collect::<Vec<_>>()
    });
    let unnamed = candidates.providers.iter().filter(|_| candidates.names.is_empty());
    let unnamed = unnamed.filter_map(|provider| Some((*provider, same(provider)?.name.as_str())));
    let all: Vec<_> = named.chain(unnamed).collect();
    let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or_default();
    all.get(place.checked_rem(all.len())?).copied()
}

/// Whose a model of that name is.
fn guess(name: &str) -> Provider {
    let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    match () {
        () if starts(&["gpt", "o1", "o3", "o4", "chatgpt"]) => Provider::Openai,
        () if starts(&["claude"]) => Provider::Anthropic,
        () if starts(&["gemini"]) => Provider::Gemini,
        () => Provider::Ollama,
    }
}

/// A model without options.
pub(super) fn of(provider: Provider, name: &str) -> Spec {
    Spec {
        provider,
        name: name.into(),
        base_url: None,
        temperature: None,
        max_tokens: None,
        script: None,
    }
}

/// No model at all: asking it says how to name one.
pub(super) struct Nobody;

#[async_trait]
impl Model for Nobody {
    async fn reply(&self, _: &Request, _: &dyn Listener) -> Result<Reply, Failure> {
        Err(missing())
    }

    fn estimate(&self, _: &Request) -> Estimate {
        Estimate { cost_micros: Some(0), tokens: 0 }
    }
}

fn missing() -> Failure {
    let message = "no model is named: give the node or the graph a `model`, or start the worker with `--model PROVIDER/NAME`";
    Failure::permanent("model_missing", message)
}
