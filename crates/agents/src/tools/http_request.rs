//! `http_request`: requests to hosts that the specification lists, and to no other.
//!
//! A worker that dies between a request and the record of its answer leaves the request to be made
//! again. Every request that may change something therefore carries an `Idempotency-Key`, which is
//! the same both times.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::{self, Policy};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::{Map, Value, json};
use tenure_sdk::{Context, EntryKind, Failure, Retry, Stop};
use tenure_spec::Effect;

use super::{Output, Tool, step_name, text};
use crate::model::Definition;
use crate::patience;

const NAME: &str = "http_request";
/// How long a request may take, redirects and answer included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read; the rest is left out and said to be.
const BODY: usize = 256 << 10;
/// Redirects that are followed.
const REDIRECTS: usize = 5;
/// The header by which a server recognises a repeated request.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Makes requests to the hosts of a list.
pub struct HttpRequest {
    hosts: Vec<String>,
    client: reqwest::Client,
    retry: Retry,
}

/// The client that [`HttpRequest`] needs; one per worker. It keeps no cookies.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(redirects())
        .user_agent(concat!("tenure/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Stays on the host that was asked.
pub(crate) fn redirects() -> Policy {
    Policy::custom(follow)
}

/// Stays on the host that was asked, and never goes from https to http. Any other redirect is the
/// answer, so that the model may ask the new host itself, if that is listed.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let stays = attempt.previous().last().is_some_and(|last| {
        let safe = last.scheme() == attempt.url().scheme() || attempt.url().scheme() == "https";
        safe && last.host_str() == attempt.url().host_str()
    });
    if stays && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}

impl HttpRequest {
    /// The tool for these hosts (lower case), with a [`client`].
    pub fn new(hosts: Vec<String>, client: reqwest::Client, retry: Retry) -> Self {
        Self { hosts, client, retry }
    }

    /// Sends the request that the arguments describe. `idempotency_key` goes with every method
    /// that may change something.
    pub async fn send(&self, arguments: &Value, idempotency_key: &str) -> Result<Value, Failure> {
        let url = self.url(text(arguments, "url"))?;
        let method = method(text(arguments, "method"))?;
        let mut headers = headers(arguments.get("headers"))?;
        if !method.is_safe() {
            let key = HeaderValue::from_str(idempotency_key);
            headers.insert(IDEMPOTENCY_KEY, key.map_err(|error| wrong(&error.to_string()))?);
        }
        let request = self.client.request(method.clone(), url).headers(headers);
        let request = match arguments.get("body").and_then(Value::as_str) {
            Some(body) => request.body(body.to_owned()),
            None => request,
        };
        match request.send().await {
            Ok(response) => match later(&response) {
                Some(failure) => Err(failure),
                None => read(response).await.map_err(|error| failed(&method, &error)),
            },
            Err(error) => Err(failed(&method, &error)),
        }
    }

    fn url(&self, text: &str) -> Result<Url, Failure> {
        let url = Url::parse(text).map_err(|error| wrong(&format!("the url: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("the url must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("the url must not have a user or password"));
        }
        let host = url.host_str().unwrap_or_default();
        if self.hosts.iter().any(|listed| listed == host) {
            return Ok(url);
        }
        let hosts = self.hosts.join(", ");
        let message = format!("host `{host}` may not be asked; the agent may ask: {hosts}");
        Err(Failure::permanent("http_host", message))
    }
}

#[async_trait]
impl Tool for HttpRequest {
    fn definition(&self) -> Definition {
        Definition {
            name: NAME.into(),
            description: format!(
                "Makes an HTTP request and gives status, headers and text of the answer (at most \
                 256 KiB). It can ask these hosts: {}.",
                self.hosts.join(", ")
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "method": {
                        "type": "string",
                        "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
                    },
                    "url": {"type": "string", "minLength": 1, "maxLength": 8192},
                    "headers": {
                        "type": "object",
                        "additionalProperties": {"type": "string", "maxLength": 8192},
                        "maxProperties": 50,
                    },
                    "body": {"type": "string"},
                },
                "required": ["method", "url"],
                "additionalProperties": false,
            }),
        }
    }

    fn effect_of(&self, arguments: &Value) -> Effect {
        match method(text(arguments, "method")) {
            Ok(method) if method.is_safe() => Effect::Read,
            _ => self.effect(),
        }
    }

    async fn call(&self, ctx: &Context, arguments: &Value) -> Result<Output, Stop> {
        let step = ctx.step(&step_name(NAME)).kind(EntryKind::Tool).input(arguments);
        let send = async |key: String| self.send(arguments, &key).await;
        let answer = step.retry(self.retry).run(|attempt| send(attempt.idempotency_key)).await?;
        Ok(answer.into())
    }
}

fn method(name: &str) -> Result<Method, Failure> {
    Method::from_bytes(name.as_bytes()).map_err(|_| wrong(&format!("method `{name}`")))
}

/// Headers that frame the request belong to the client: a wrong one would smuggle a second request.
fn headers(given: Option<&Value>) -> Result<HeaderMap, Failure> {
    const FRAMING: [&str; 6] =
        ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];
    let mut headers = HeaderMap::new();
    for (name, value) in given.and_then(Value::as_object).into_iter().flatten() {
        let bad = || wrong(&format!("header `{name}` or its value cannot be sent"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        if FRAMING.contains(&key.as_str()) {
            return Err(wrong(&format!("header `{name}` is set by the tool itself")));
        }
        let value = value.as_str().unwrap_or_default();
        headers.insert(key, HeaderValue::from_str(value).map_err(|_| bad())?);
    }
    Ok(headers)
}

/// The failure of a request that its server refuses for now and says when it will not: it has done
/// nothing, so it is asked again.
pub(super) fn later(response: &Response) -> Option<Failure> {
    let status = response.status();
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    let pause = patience::asked(response.headers()).filter(|_| busy.contains(&status))?;
    let (code, seconds) = (status.as_u16(), pause.as_secs());
    let message = format!("the server answered {code} and asks to wait for {seconds} s");
    Some(Failure::retryable(format!("http_{code}"), message).after(pause))
}

/// What the model is told of an answer. Any other status is one: what a 404 means is for the model.
pub(super) async fn read(mut response: Response) -> Result<Value, reqwest::Error> {
    let status = response.status().as_u16();
    let headers = told(response.headers());
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > BODY {
            break;
        }
    }
    let cut = bytes.len() > BODY;
    bytes.truncate(BODY);
    let mut answer = json!({"status": status, "headers": headers, "body": body(bytes, cut)});
    if cut {
        answer["cut"] = json!(format!("the body is longer than {BODY} bytes; this is its start"));
    }
    Ok(answer)
}

/// The text of a body; a number of bytes for anything that is no text.
fn body(bytes: Vec<u8>, cut: bool) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let good = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        // A cut may have gone through the last character, which is no more than four bytes.
        if cut && bytes.len() - good < 4 {
            String::from_utf8_lossy(&bytes[..good]).into_owned()
        } else {
            format!("({} bytes that are not text)", bytes.len())
        }
    })
}

/// Headers that say how to go on; the rest would only cost tokens.
fn told(headers: &HeaderMap) -> Map<String, Value> {
    let names = [CONTENT_TYPE, LOCATION, RETRY_AFTER];
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(Value::from);
    names.iter().filter_map(|name| Some((name.to_string(), text(name)?))).collect()
}

/// A request that may have reached its server is repeated only where that does no harm by HTTP's
/// own rules: the key in the header helps with servers that know it, and not all do.
fn failed(method: &Method, error: &reqwest::Error) -> Failure {
    let cause = deepest(error);
    let code = if error.is_timeout() { "http_timeout" } else { "http_connection" };
    let message = format!("the request got no answer: {cause}");
    let retryable = error.is_connect() || method.is_idempotent();
    Failure { retryable, ..Failure::permanent(code, message) }
}

/// The cause behind the causes, which says most and does not repeat the URL.
pub(crate) fn deepest(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => deepest(cause),
        None => error.to_string(),
    }
}

fn wrong(why: &str) -> Failure {
    Failure::permanent("http_request", format!("the request cannot be made: {why}"))
}
