//! Operations of services that OpenAPI documents describe.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tenure_sdk::{Context, EntryKind, Failure, IN_DOUBT, Retry, Stop};
use tenure_spec::{Effect, OpenApiTools};

use super::http_request::{self, IDEMPOTENCY_KEY};
use super::offer::{self, Offer};
use super::{Output, Tool, step};
use crate::mcp::header;
use crate::model::Definition;
use crate::openapi::{self, Operation, parts};
use crate::secrets::{Receiver, ToolSecrets};

/// Bytes of a document: those of the largest public services have a few.
const DOCUMENT: usize = 8 << 20;

/// What services are reached with.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) client: reqwest::Client,
    pub(super) secrets: ToolSecrets,
    pub(super) retry: Retry,
}

/// One operation.
struct Service {
    source: OpenApiTools,
    /// Where the service is.
    base: String,
    reach: Reach,
}

struct OpenApiTool {
    name: String,
    operation: Operation,
    effect: Effect,
    service: Arc<Service>,
}

/// What the journal keeps of a document.
#[derive(Serialize, Deserialize)]
struct Described {
    base: String,
    offer: Offer<Operation>,
}

/// The operations of a service as its document describes them now, in the step `tools:SERVICE`.
pub(super) async fn open(
    ctx: &Context,
    source: &OpenApiTools,
    reach: Reach,
) -> Result<Vec<Box<dyn Tool>>, Stop> {
    let step = ctx.step(&format!("tools:{}", source.name)).kind(EntryKind::Tool);
    let input = (&source.spec, &source.base_url, &source.operations);
    let step = step.input(&input).retry(reach.retry);
    let Described { base, offer } = step.run(|_| describe(source, &reach)).await?;
    let names = offer::names(&source.name, offer.tools.iter().map(|tool| tool.name.as_str()));
    let service = Arc::new(Service { source: source.clone(), base, reach });
    let tool = |(name, operation): (String, Operation)| {
        let effects = &service.source.effects;
        let effect = effects.get(&operation.name).or_else(|| effects.get(&operation.route()));
        let effect = effect.copied().unwrap_or(operation.effect());
        let service = service.clone();
        Box::new(OpenApiTool { name, operation, effect, service }) as Box<dyn Tool>
    };
    Ok(names.into_iter().zip(offer.tools).map(tool).collect())
}

async fn describe(source: &OpenApiTools, reach: &Reach) -> Result<Described, Failure> {
    let described = describe_now(source, reach).await;
    described.map_err(|failure| {
        let message = format!("service `{}`: {}", source.name, failure.message);
        reach.secrets.clean_failure(Failure { message, ..failure })
    })
}

async fn describe_now(source: &OpenApiTools, reach: &Reach) -> Result<Described, Failure> {
    let (document, origin) = match source.spec.as_str() {
        None => (openapi::read(&source.spec.to_string())?, None),
        Some(address) => {
            let url = Url::parse(address).map_err(|error| unreachable(&error.to_string()))?;
            (openapi::read(&fetch(source, &url, reach).await?)?, Some(url))
        }
    };
    let base = match &source.base_url {
        Some(base) => base.trim_end_matches('/').to_owned(),
        None => openapi::base(&document, origin.as_ref())?,
    };
    Ok(Described { base, offer: openapi::operations(&document, source)? })
}

async fn fetch(source: &OpenApiTools, url: &Url, reach: &Reach) -> Result<String, Failure> {
    let base = source.base_url.as_ref().and_then(|base| Url::parse(base).ok());
    // Headers are for the service, and its document may lie elsewhere.
    let own = base.is_none_or(|base| base.host_str() == url.host_str());
    let headers = if own { headers(source, &reach.secrets, url)? } else { HeaderMap::new() };
    let request = reach.client.get(url.clone()).headers(headers).timeout(source.timeout.0);
    let failed = |error: reqwest::Error| unreachable(&http_request::deepest(&error));
    let mut response = request.send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(unreachable(&format!("`{url}` answers {}", response.status())));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > DOCUMENT {
            let message = format!("its OpenAPI document has more than {DOCUMENT} bytes");
            return Err(Failure::permanent("openapi_document", message));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The headers of the source, with secrets for the host of `url`.
fn headers(source: &OpenApiTools, secrets: &ToolSecrets, url: &Url) -> Result<HeaderMap, Failure> {
    let receiver = Receiver::Host(url.host_str().unwrap_or_default());
    let filled = secrets.fill_all(&source.headers, receiver)?;
    filled.iter().map(|(name, value)| header(name, value)).collect()
}

#[async_trait]
impl Tool for OpenApiTool {
    fn definition(&self) -> Definition {
        Definition {
            name: self.name.clone(),
            description: self.operation.description.clone(),
            parameters: self.operation.schema.clone(),
        }
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let step = step(ctx, &self.name, arguments, self.effect, self.service.reach.retry);
        let answer = step.run(|attempt| self.ask(arguments, attempt.idempotency_key)).await?;
        Ok(answer.into())
    }
}

impl OpenApiTool {
    async fn ask(&self, arguments: &Value, key: String) -> Result<Value, Failure> {
        let secrets = &self.service.reach.secrets;
        match self.send(arguments, &key).await {
            Ok(answer) => Ok(secrets.clean(answer)),
            Err(failure) => Err(secrets.clean_failure(failure)),
        }
    }

    async fn send(&self, arguments: &Value, key: &str) -> Result<Value, Failure> {
        let Service { source, base, reach } = &*self.service;
        let wrong = |why: String| Failure::permanent("openapi_request", why);
        let url = Url::parse(base).map_err(|error| wrong(error.to_string()))?;
        let receiver = Receiver::Host(url.host_str().unwrap_or_default());
        let mut arguments = arguments.as_object().cloned().unwrap_or_default();
        self.hide(&mut arguments, receiver)?;
        let parts = parts(&self.operation, base, &arguments).map_err(wrong)?;
        if parts.url.host_str() != url.host_str() {
            return Err(wrong(format!("the path of `{}` leads to another host", self.name)));
        }
        let mut headers = headers(source, &reach.secrets, &url)?;
        for (name, value) in &parts.headers {
            let (name, value) = header(name, value)?;
            headers.insert(name, value);
        }
        if self.effect != Effect::Read {
            let key = HeaderValue::from_str(key).map_err(|error| wrong(error.to_string()))?;
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        let method = Method::from_bytes(self.operation.method.as_bytes());
        let method = method.map_err(|error| wrong(error.to_string()))?;
        let request = reach.client.request(method, parts.url).headers(headers);
        let request = request.timeout(source.timeout.0);
        let request = match &parts.body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        if let Some(failure) = http_request::later(&response) {
            return Err(failure);
        }
        self.read(response).await
    }

    /// Gives what the model does not see.
    fn hide(
        &self,
        arguments: &mut Map<String, Value>,
        receiver: Receiver<'_>,
    ) -> Result<(), Failure> {
        let Service { source, reach, .. } = &*self.service;
        for name in &self.operation.hidden {
            if let Some(value) = source.hidden.get(name) {
                arguments.insert(name.clone(), reach.secrets.fill(value, receiver)?.into());
            }
        }
        Ok(())
    }

    async fn read(&self, response: Response) -> Result<Value, Failure> {
        let answer = http_request::read(response).await.map_err(|error| self.lost(&error))?;
        let text = answer["body"].as_str().unwrap_or_default();
        let kind = answer["headers"]["content-type"].as_str().unwrap_or_default();
        let json = kind.contains("json").then(|| serde_json::from_str(text).ok()).flatten();
        let body = json.unwrap_or_else(|| Value::from(text));
        let mut told = json!({"status": answer["status"], "body": body});
        if let Some(cut) = answer.get("cut") {
            told["cut"] = cut.clone();
        }
        Ok(told)
    }

    /// A request without an answer. One that was not sent has done nothing.
    fn lost(&self, error: &reqwest::Error) -> Failure {
        let why = http_request::deepest(error);
        let message = format!("service `{}` gave no answer: {why}", self.service.source.name);
        match self.effect {
            Effect::Once if !error.is_connect() => Failure::permanent(IN_DOUBT, message),
            _ if error.is_timeout() => Failure::retryable("openapi_timeout", message),
            _ => Failure::retryable("openapi_unreachable", message),
        }
    }
}

fn unreachable(why: &str) -> Failure {
    let message = format!("its OpenAPI document cannot be fetched: {why}; check `spec`");
    Failure::retryable("openapi_unreachable", message)
}
