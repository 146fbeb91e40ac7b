//! `POST …/chat/completions`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use serde_json::{Map, Value};
use tenure_core::agent::Version;
use tenure_core::{Payload, limits};
use tenure_spec::conversation::{CONVERSATION, Conversation};
use tenure_store::FullRun;

use super::super::Api;
use super::caller::Caller;
use super::completion::{self, Completion};
use super::refusal::Refusal;
use super::run::{self, Call};

/// What a client asks for.
pub(super) struct Asked {
    /// The agent, as its runs are created.
    agent: String,
    /// The agent, as the client calls it.
    pub(super) model: String,
    pub(super) conversation: Conversation,
    labels: BTreeMap<String, String>,
    stream: bool,
    /// Whether the end of a stream says what was used.
    pub(super) include_usage: bool,
}

pub(super) async fn complete(
    State(api): State<Api>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answered = api.complete(&caller, body).await;
    answered.unwrap_or_else(|refusal| caller.refuse(&refusal))
}

impl Api {
    async fn complete(
        &self,
        caller: &Caller,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Response, Refusal> {
        let asked = read(caller, body)?;
        let call = call(caller, &asked)?;
        if asked.stream {
            let full = self.start(caller, call, Duration::ZERO).await?;
            return Ok(caller.stream(full.run.id, self.tell(caller, asked, &full).await?));
        }
        let (full, output) = self.ask(caller, call).await?;
        let version = self.version(caller, &full).await?;
        let completion = Completion::of(&full, &version, asked.model);
        let whole = completion.whole(&completion::answer(&output), &full.run.usage);
        Ok(caller.answer(&[full.run.id], &whole))
    }

    /// The version that a run is pinned to.
    pub(super) async fn version(
        &self,
        caller: &Caller,
        full: &FullRun,
    ) -> Result<Arc<Version>, Refusal> {
        let number = full.run.version.to_string();
        Ok(self.service.get_version(&caller.tenant()?, &full.agent, &number).await?)
    }
}

/// Reads the body of a request as far as axum got it.
pub(super) fn bytes(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Refusal> {
    body.map_err(|_| {
        let limit = limits::HTTP_BODY;
        let message = format!("the body of the request is larger than {limit} bytes, or broke off");
        tenure_core::Error::new(tenure_core::ErrorKind::TooLarge, message).into()
    })
}

fn read(caller: &Caller, body: Result<Bytes, BytesRejection>) -> Result<Asked, Refusal> {
    let body = Caller::body(&bytes(body)?)?;
    let conversation = Conversation::of_openai(&body)?;
    let Value::Object(fields) = body else { return Err(not_an_object()) };
    let (agent, model) = run::model(caller, &fields)?;
    let options = match fields.get("stream_options") {
        None | Some(Value::Null) => None,
        Some(Value::Object(options)) => Some(options),
        Some(_) => return Err(wrong_type("stream_options", "an object")),
    };
    let include_usage = options.map(|options| flag(options, "include_usage")).transpose()?;
    Ok(Asked {
        agent,
        model,
        conversation,
        labels: labels(&fields)?,
        stream: flag(&fields, "stream")?,
        include_usage: include_usage.unwrap_or_default(),
    })
}

fn call(caller: &Caller, asked: &Asked) -> Result<Call, Refusal> {
    let data = serde_json::to_vec(&asked.conversation).map_err(tenure_core::Error::internal)?;
    let content_type = CONVERSATION.to_owned();
    Ok(Call {
        model: asked.agent.clone(),
        input: Payload { content_type, encoding: String::new(), data: data.into() },
        labels: asked.labels.clone(),
        key: caller.idempotency()?,
    })
}

pub(super) fn not_an_object() -> Refusal {
    Refusal::wrong("", "invalid_type", "the body must be a JSON object")
}

pub(super) fn wrong_type(param: &str, wanted: &str) -> Refusal {
    Refusal::wrong(param, "invalid_type", format!("`{param}` must be {wanted}"))
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<bool, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong_type(name, "true or false")),
    }
}

/// The request's `metadata`, which are the run's labels.
fn labels(fields: &Map<String, Value>) -> Result<BTreeMap<String, String>, Refusal> {
    let metadata = match fields.get("metadata") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(metadata)) => metadata,
        Some(_) => return Err(wrong_type("metadata", "an object")),
    };
    let label = |(name, value): (&String, &Value)| {
        let text = value.as_str().ok_or_else(|| wrong_type("metadata", "an object of texts"))?;
        Ok((name.clone(), text.to_owned()))
    };
    metadata.iter().map(label).collect()
}
