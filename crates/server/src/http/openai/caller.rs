//! Who asks: what the headers and the path of a request say.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Value;
use tenure_core::{Error, Name, RunId, limits, text};

use super::super::Api;
use super::refusal::Refusal;
use crate::log;

const TENANT: &str = "x-tenure-tenant";
const IDEMPOTENCY: &str = "idempotency-key";
const REQUEST: HeaderName = HeaderName::from_static("x-request-id");
const RUN: HeaderName = HeaderName::from_static("x-tenure-run");
/// What the official clients look at before they send a request again.
const RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Seconds that a client should wait if it is to come again.
const PAUSE: u64 = 1;
/// What our keys begin with, so that none is that of a run which was created in another way.
const OURS: &str = "openai/";
/// Ids of runs that a header lists at most: proxies bound their size.
const LISTED: usize = 64;

/// Who asks, and for what. There is no authentication yet: a bearer token is taken and not looked
/// at.
pub(super) struct Caller {
    /// The id of the request: the client's, or one of ours.
    pub(super) request: String,
    /// The tenant, if its name is one.
    tenant: Result<Name, Error>,
    /// The agent of the path, for which the model is only a name.
    pub(super) agent: Option<String>,
    /// The model of the path.
    pub(super) model: Option<String>,
    idempotency: Option<String>,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Response> {
        let path = RawPathParams::from_request_parts(parts, api).await.ok();
        let part = |wanted: &str| {
            let mut parts = path.iter().flatten();
            parts.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
        };
        let given = |name: &str| header(&parts.headers, name);
        let request = given("x-request-id").filter(|id| !id.is_empty() && id.len() <= limits::NAME);
        Ok(Self {
            request: request.unwrap_or_else(|| log::request_id(api.service.entropy())),
            tenant: given(TENANT).as_deref().unwrap_or("default").parse(),
            agent: part("agent"),
            model: part("model"),
            idempotency: given(IDEMPOTENCY).filter(|key| !key.is_empty()),
        })
    }
}

/// The text of a header, if it is one.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

impl Caller {
    pub(super) fn tenant(&self) -> Result<Name, Refusal> {
        self.tenant.clone().map_err(|error| {
            Refusal::wrong("", "invalid_tenant", format!("header `{TENANT}`: {}", error.message()))
        })
    }

    /// The key under which the run is created only once.
    pub(super) fn idempotency(&self) -> Result<Option<String>, Refusal> {
        let Some(key) = &self.idempotency else { return Ok(None) };
        // Room for our prefix and the number of a text.
        text::check("the idempotency key", key, limits::IDEMPOTENCY_KEY - 16)?;
        Ok(Some(format!("{OURS}{key}")))
    }

    /// Whether the same request again comes to the same run.
    pub(super) fn is_repeatable(&self) -> bool {
        self.idempotency.is_some()
    }

    /// Reads the body of a request.
    pub(super) fn body(body: &Bytes) -> Result<Value, Refusal> {
        serde_json::from_slice(body).map_err(|error| {
            Refusal::wrong(
                "",
                "invalid_json",
                format!("the body of the request is no JSON: {error}"),
            )
        })
    }

    /// An answer of JSON.
    pub(super) fn answer(&self, runs: &[RunId], value: &Value) -> Response {
        self.respond(200, "application/json", runs, Body::from(value.to_string()))
    }

    /// An answer that comes bit by bit.
    pub(super) fn stream(&self, run: RunId, body: Body) -> Response {
        let mut response = self.respond(200, "text/event-stream", &[run], body);
        // A proxy that waits for the whole answer would defeat the purpose.
        response.headers_mut().insert("cache-control", HeaderValue::from_static("no-cache"));
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }

    /// An error.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Response {
        refusal.log(&self.request);
        let runs: Vec<RunId> = refusal.run.into_iter().collect();
        let body = Body::from(refusal.body().to_string());
        let mut response = self.respond(refusal.status, "application/json", &runs, body);
        let headers = response.headers_mut();
        if let Some(again) = refusal.again {
            let again = HeaderValue::from_static(if again { "true" } else { "false" });
            headers.insert(RETRY, again);
        }
        if matches!(refusal.status, 429 | 503) {
            headers.insert(RETRY_AFTER, PAUSE.into());
        }
        response
    }

    fn respond(
        &self,
        status: u16,
        content_type: &'static str,
        runs: &[RunId],
        body: Body,
    ) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let ids: Vec<String> = runs.iter().take(LISTED).map(ToString::to_string).collect();
        for (name, value) in [(REQUEST, &self.request), (RUN, &ids.join(","))] {
            if let Ok(value) = HeaderValue::from_str(value)
                && !value.is_empty()
            {
                headers.insert(name, value);
            }
        }
        response
    }
}
