//! Models behind an API, spoken to through the crate `genai`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use genai::adapter::AdapterKind;
use genai::chat::{ChatOptions, ReasoningEffort};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use tenure_sdk::{Failure, Usage};
use tenure_spec::Provider;
use tokio::sync::Semaphore;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::keys::{ModelConfig, Secret};
use super::{Model, Reply, Request, endpoint, failure, translate};

/// Calls of models that one worker has open at a time: a run that digests a thousand files at once
/// would otherwise meet the provider's rate limit with nearly all of them.
const CALLS: usize = 32;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a whole call may take: long replies of reasoning models take minutes.
const CALL: Duration = Duration::from_mins(10);

/// Everything that the remote models of one worker share.
#[derive(Clone)]
pub(super) struct Remotes {
    client: Client,
    config: Arc<ModelConfig>,
    calls: Arc<Semaphore>,
}

impl Remotes {
    pub(super) fn new(config: ModelConfig) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(CALL)
            // A redirect would carry the key to a host that nobody has listed.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tenure/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        let client = Client::builder().with_reqwest(http).build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, config: Arc::new(config), calls: Arc::new(Semaphore::new(CALLS)) })
    }

    pub(super) fn open(&self, model: &tenure_spec::Model) -> Result<Remote, Failure> {
        let endpoint = endpoint::of(model, &self.config)?;
        Ok(Remote {
            client: self.client.clone(),
            calls: self.calls.clone(),
            name: model.name.clone(),
            target: ServiceTarget {
                endpoint: Endpoint::from_owned(endpoint.base_url),
                auth: auth(endpoint.key.as_ref()),
                model: ModelIden::new(adapter(model.provider), model.name.as_str()),
            },
            key: endpoint.key,
            options: options(model),
        })
    }
}

/// A model behind an API.
pub struct Remote {
    client: Client,
    calls: Arc<Semaphore>,
    name: String,
    target: ServiceTarget,
    key: Option<Secret>,
    options: ChatOptions,
}

#[async_trait]
impl Model for Remote {
    async fn reply(&self, request: &Request) -> Result<Reply, Failure> {
        let _permit = self.calls.acquire().await.map_err(|_| closed())?;
        let request = translate::request(request);
        let reply = self.client.exec_chat(self.target.clone(), request, Some(&self.options));
        // genai logs what a provider answers, and providers quote keys (NO-SECRET). What is worth
        // knowing of a call is in its result.
        match reply.with_subscriber(Dispatch::none()).await {
            Ok(response) => Ok(translate::reply(&self.name, response)),
            Err(error) => Err(failure::of(&self.name, &error, self.key.as_ref())),
        }
    }
}

impl Remote {
    /// The vector of a text.
    pub(super) async fn embed(&self, text: &str) -> Result<(Vec<f64>, Usage), Failure> {
        let _permit = self.calls.acquire().await.map_err(|_| closed())?;
        let made = self.client.embed(self.target.clone(), text, None);
        let made = made.with_subscriber(Dispatch::none()).await;
        let made = made.map_err(|error| failure::of(&self.name, &error, self.key.as_ref()))?;
        let usage = translate::usage(&self.name, &made.usage);
        let Some(first) = made.embeddings.into_iter().next() else {
            let message = format!("model `{}` answered no vector", self.name);
            return Err(Failure::retryable("model_reply_invalid", message));
        };
        Ok((first.vector.into_iter().map(f64::from).collect(), usage))
    }
}

fn closed() -> Failure {
    Failure::retryable("model_closed", "the worker is shutting down")
}

fn adapter(provider: Provider) -> AdapterKind {
    match provider {
        Provider::Openai | Provider::Scripted => AdapterKind::OpenAI,
        Provider::Anthropic => AdapterKind::Anthropic,
        Provider::Gemini => AdapterKind::Gemini,
        Provider::Ollama => AdapterKind::Ollama,
    }
}

/// genai refuses to call most providers without a key; servers that need none ignore this one.
fn auth(key: Option<&Secret>) -> AuthData {
    AuthData::from_single(key.map_or("none", Secret::reveal))
}

fn options(model: &tenure_spec::Model) -> ChatOptions {
    // Without an effort genai takes one from names such as `acme-high` and cuts the name; this one
    // is not sent to servers that speak OpenAI's API. Names of the other providers have no such
    // endings of their own.
    let openai = model.provider == Provider::Openai;
    ChatOptions {
        temperature: model.temperature,
        max_tokens: model.max_tokens,
        reasoning_effort: openai.then_some(ReasoningEffort::Budget(0)),
        ..ChatOptions::default()
    }
}
