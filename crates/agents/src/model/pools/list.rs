//! Asking a backend which models it has.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tenure_sdk::Failure;
use tenure_spec::Provider;
use tenure_spec::backends::Offer;

use super::backend::Backend;
use crate::model::endpoint::Endpoint;
use crate::model::remote::{CONNECT, Remotes};

/// How long a list may take: it is asked of a server that has nothing to think about.
const LIST: Duration = Duration::from_secs(15);
/// How long a server may say nothing while a model is pulled. Ollama tells its progress all the time.
const SILENCE: Duration = Duration::from_mins(2);
/// Bytes of a list at most: a hundred times that of the provider with the most models.
const BYTES: usize = 8 << 20;
/// Models of one list that are kept.
const MODELS: usize = 10_000;

/// Speaks to backends about their models.
#[derive(Clone)]
pub(super) struct Lister {
    http: reqwest::Client,
}

impl Lister {
    pub(super) fn new() -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            // A redirect would carry the key to a host that nobody has listed.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tenure/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { http })
    }

    /// Asks for the list, and notes what came of it.
    pub(super) async fn look(&self, backend: &Backend, remotes: &Remotes, now: Duration) {
        let listed = self.list(backend, remotes).await;
        backend.change(|state| match listed {
            Ok(models) => {
                state.health.reached();
                state.not_pulled.clear();
                state.listed = Some(models);
                state.checked = Some((now, None));
            }
            Err(failure) => {
                state.health.not_reached(&failure, now);
                state.checked = Some((now, Some(failure)));
            }
        });
    }

    async fn list(&self, backend: &Backend, remotes: &Remotes) -> Result<Vec<Offer>, Failure> {
        let provider = backend.declared.provider;
        let endpoint = backend.endpoint(remotes)?;
        let path = match provider {
            Provider::Ollama => "api/tags",
            Provider::Anthropic => "models?limit=1000",
            Provider::Gemini => "models?pageSize=1000",
            Provider::Openai | Provider::Scripted => "models",
        };
        let request = self.http.get(format!("{}{path}", endpoint.base_url)).timeout(LIST);
        let response = sent(with_key(request, provider, &endpoint)).await?;
        let body = whole(response).await?;
        let body: Value = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        offers(provider, &body).ok_or_else(unreadable)
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }
}

/// The answer, if its status is good.
pub(super) async fn sent(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.map_err(|error| unreached(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retryable = status.is_server_error() || status.as_u16() == 429;
    let (code, message) = (format!("model_http_{}", status.as_u16()), format!("answered {status}"));
    Err(Failure {
        code,
        message,
        retryable,
        retry_after: crate::patience::asked(response.headers()),
    })
}

pub(super) fn with_key(
    request: RequestBuilder,
    provider: Provider,
    at: &Endpoint,
) -> RequestBuilder {
    let Some(key) = &at.key else { return request };
    match provider {
        Provider::Anthropic => {
            request.header("x-api-key", key.reveal()).header("anthropic-version", "2023-06-01")
        }
        Provider::Gemini => request.header("x-goog-api-key", key.reveal()),
        Provider::Openai | Provider::Ollama | Provider::Scripted => {
            request.bearer_auth(key.reveal())
        }
    }
}

/// The body, as far as it may be large.
async fn whole(response: Response) -> Result<Vec<u8>, Failure> {
    let (mut body, mut pieces) = (Vec::new(), response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|error| unreached(&error))?);
        if body.len() > BYTES {
            return Err(unreadable());
        }
    }
    Ok(body)
}

/// What went wrong, without the address: it may hold a key.
pub(super) fn unreached(error: &reqwest::Error) -> Failure {
    let code = if error.is_timeout() { "model_timeout" } else { "model_connection" };
    let cause = std::error::Error::source(error).map(crate::tools::http_request::deepest);
    Failure::retryable(code, cause.unwrap_or_else(|| "no reason given".into()))
}

fn unreadable() -> Failure {
    Failure::retryable("model_reply_invalid", "its list of models cannot be read")
}

/// The models of a list, in the format of each provider.
fn offers(provider: Provider, body: &Value) -> Option<Vec<Offer>> {
    let list = body.get("data").or_else(|| body.get("models"))?.as_array()?;
    let offer = |model: &Value| {
        let name =
            ["id", "model", "name"].into_iter().find_map(|field| model.get(field)?.as_str())?;
        let name = name.strip_prefix("models/").unwrap_or(name);
        let mut fields = ["max_model_len", "inputTokenLimit"].into_iter();
        let context = fields.find_map(|field| model.get(field)?.as_u64());
        Some(Offer { context, ..Offer::of(name, provider) })
    };
    Some(list.iter().take(MODELS).filter_map(offer).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_provider_lists_in_its_format() {
        for (provider, body, wanted) in [
            (
                Provider::Openai,
                json!({"object": "list", "data": [{"id": "gpt-4o"}]}),
                ("gpt-4o", None),
            ),
            (
                Provider::Openai,
                json!({"data": [{"id": "q", "max_model_len": 8192}]}),
                ("q", Some(8192)),
            ),
            (
                Provider::Anthropic,
                json!({"data": [{"id": "claude", "type": "model"}]}),
                ("claude", None),
            ),
            (
                Provider::Gemini,
                json!({"models": [{"name": "models/g", "inputTokenLimit": 9}]}),
                ("g", Some(9)),
            ),
            (
                Provider::Ollama,
                json!({"models": [{"name": "x:latest", "model": "x:latest"}]}),
                ("x:latest", None),
            ),
        ] {
            let offers = offers(provider, &body).unwrap();
            assert_eq!((offers[0].name.as_str(), offers[0].context), wanted);
        }
        assert_eq!(offers(Provider::Openai, &json!({"data": []})), Some(vec![]));
        assert_eq!(offers(Provider::Openai, &json!({"error": "no"})), None);
    }
}
