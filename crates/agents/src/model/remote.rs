//! Models behind an API, spoken to through the crate `genai`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use genai::adapter::AdapterKind;
use genai::chat::{
    ChatOptions, ChatRequest, ChatStreamEvent, JsonSpec, ReasoningEffort, StreamEnd,
};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use serde_json::Value;
use tenure_sdk::{Estimate, Failure, Usage};
use tenure_spec::Provider;
use tokio::sync::Semaphore;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::keys::{ModelConfig, Secret};
use super::prices::Payee;
use super::translate::Answered;
use super::{Listener, Model, REPLY, Reply, Request, endpoint, failure, translate};

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
            provider: model.provider,
            name: model.name.clone(),
            target: ServiceTarget {
                endpoint: Endpoint::from_owned(endpoint.base_url),
                auth: auth(endpoint.key.as_ref()),
                model: ModelIden::new(adapter(model.provider), model.name.as_str()),
            },
            key: endpoint.key,
            options: options(model),
            config: self.config.clone(),
            payee: Payee {
                provider: model.provider,
                model: model.name.clone(),
                host: endpoint.elsewhere,
            },
        })
    }
}

/// A model behind an API.
pub struct Remote {
    client: Client,
    calls: Arc<Semaphore>,
    provider: Provider,
    name: String,
    target: ServiceTarget,
    key: Option<Secret>,
    options: ChatOptions,
    config: Arc<ModelConfig>,
    payee: Payee,
}

#[async_trait]
impl Model for Remote {
    async fn reply(&self, request: &Request, told: &dyn Listener) -> Result<Reply, Failure> {
        let _permit = self.calls.acquire().await.map_err(|_| closed())?;
        let chat = translate::request(request);
        let answered = async {
            if told.listens() {
                self.streamed(chat, request.output.as_ref(), told).await
            } else {
                self.whole(chat, request.output.as_ref()).await
            }
        };
        // genai logs what a provider answers, and providers quote keys (NO-SECRET). What is worth
        // knowing of a call is in its result.
        let answered = answered.with_subscriber(Dispatch::none()).await?;
        let reply = translate::reply(&self.name, answered);
        let mut reply =
            reply.map_err(|why| failure::no_reply(&self.name, why, self.key.as_ref()))?;
        self.config.prices.charge(&self.payee, &mut reply.usage);
        self.bounded(size(&reply)).map(|()| reply)
    }

    fn estimate(&self, request: &Request) -> Estimate {
        let mut usage = super::estimated(request, self.options.max_tokens);
        self.config.prices.charge(&self.payee, &mut usage);
        super::priced(&usage)
    }
}

impl Remote {
    /// The reply in one piece.
    async fn whole(&self, chat: ChatRequest, output: Option<&Value>) -> Result<Answered, Failure> {
        let options = with_output(&self.options, self.provider, &chat, output);
        let target = self.target(output);
        let response = self.client.exec_chat(target, chat, Some(&options)).await;
        response.map(Answered::from).map_err(|error| self.failed(&error))
    }

    /// The reply in the pieces that it comes in. Only an end says that it is complete.
    async fn streamed(
        &self,
        chat: ChatRequest,
        output: Option<&Value>,
        told: &dyn Listener,
    ) -> Result<Answered, Failure> {
        let options = ChatOptions {
            capture_usage: Some(true),
            capture_content: Some(true),
            capture_tool_calls: Some(true),
            ..with_output(&self.options, self.provider, &chat, output)
        };
        let target = self.target(output);
        let response = self.client.exec_chat_stream(target, chat, Some(&options)).await;
        let mut stream = response.map_err(|error| self.failed(&error))?.stream;
        let mut heard = 0;
        while let Some(event) = stream.next().await {
            match event.map_err(|error| self.failed(&error))? {
                ChatStreamEvent::Chunk(chunk) => {
                    heard += chunk.content.len();
                    told.text(&chunk.content);
                }
                ChatStreamEvent::ReasoningChunk(chunk) => {
                    heard += chunk.content.len();
                    told.reasoning(&chunk.content);
                }
                ChatStreamEvent::End(end) => return self.ended(end),
                // A chunk of a call has all of the call until then.
                ChatStreamEvent::ToolCallChunk(chunk) => {
                    let arguments = chunk.tool_call.fn_arguments;
                    self.bounded(heard + arguments.as_str().map_or(0, str::len))?;
                }
                ChatStreamEvent::Start
                | ChatStreamEvent::ThoughtSignatureChunk(_)
                | ChatStreamEvent::Heartbeat => {}
            }
            self.bounded(heard)?;
        }
        Err(failure::broken(&self.name))
    }

    /// The end of a stream. genai makes one up for Gemini and Ollama when the connection ends, which
    /// has no reason.
    fn ended(&self, end: StreamEnd) -> Result<Answered, Failure> {
        if end.captured_stop_reason.is_none() && self.provider != Provider::Openai {
            return Err(failure::broken(&self.name));
        }
        Ok(Answered {
            content: end.captured_content.unwrap_or_default(),
            usage: end.captured_usage.unwrap_or_default(),
            stop: end.captured_stop_reason,
        })
    }

    /// Whom to ask. Ollama takes a schema by its OpenAI-compatible API; genai sends none by the other.
    fn target(&self, output: Option<&Value>) -> ServiceTarget {
        let mut target = self.target.clone();
        if let (Provider::Ollama, Some(_)) = (self.provider, output) {
            target.endpoint = Endpoint::from_owned(format!("{}v1/", target.endpoint.base_url()));
            target.model = ModelIden::new(AdapterKind::OpenAI, self.name.as_str());
        }
        target
    }

    fn failed(&self, error: &genai::Error) -> Failure {
        failure::of(&self.name, error, self.key.as_ref())
    }

    /// Refuses a reply of more bytes than the journal takes.
    fn bounded(&self, bytes: usize) -> Result<(), Failure> {
        if bytes <= REPLY {
            return Ok(());
        }
        let message = format!(
            "the reply of model `{}` has more than {REPLY} bytes; set or lower `max_tokens`",
            self.name
        );
        Err(Failure::permanent("model_reply_too_large", message))
    }

    /// The vector of a text.
    pub(super) async fn embed(&self, text: &str) -> Result<(Vec<f64>, Usage), Failure> {
        if self.provider == Provider::Anthropic {
            let message =
                format!("model `{}`: Anthropic has no embeddings; ask another", self.name);
            return Err(Failure::permanent("model_request", message));
        }
        let _permit = self.calls.acquire().await.map_err(|_| closed())?;
        let made = self.client.embed(self.target.clone(), text, None);
        let made = made.with_subscriber(Dispatch::none()).await;
        let made = made.map_err(|error| self.failed(&error))?;
        let mut usage = translate::usage(&self.name, &made.usage);
        self.config.prices.charge(&self.payee, &mut usage);
        let Some(first) = made.embeddings.into_iter().next() else {
            let message = format!("model `{}` answered no vector", self.name);
            return Err(Failure::retryable("model_reply_invalid", message));
        };
        Ok((first.vector.into_iter().map(f64::from).collect(), usage))
    }
}

fn size(reply: &Reply) -> usize {
    let calls = reply.calls.iter().map(|call| call.arguments.to_string().len()).sum::<usize>();
    reply.text.len() + calls
}

/// The options of a request. Only an object can be asked for everywhere, and Gemini takes a schema or
/// tools, not both.
fn with_output(
    options: &ChatOptions,
    provider: Provider,
    chat: &ChatRequest,
    output: Option<&Value>,
) -> ChatOptions {
    let taken = |schema: &&Value| {
        schema["type"] == "object" && (provider != Provider::Gemini || chat.tools.is_none())
    };
    let format = output.filter(taken).map(|schema| JsonSpec::new("answer", schema.clone()));
    ChatOptions { response_format: format.map(Into::into), ..options.clone() }
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
