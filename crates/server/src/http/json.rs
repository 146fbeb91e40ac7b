//! HTTP/JSON: every call of the protos, at the path that its annotation says.
//!
//! ```text
//!   request ──► binding ──► message ──► gRPC, in this process ──► messages ──► JSON
//! ```
//!
//! A request becomes the gRPC call that it stands for and goes through the same handlers, so there is
//! nothing here that knows a call by name.

mod accept;
mod explain;
mod fields;
mod openapi;
mod page;
mod query;
mod refusal;
mod request;
mod stream;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use futures::TryStreamExt as _;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use serde_json::Value;
use tower::ServiceExt as _;

use super::Api;
use crate::log;
use crate::transcode::{Binding, Bindings, frames};
use accept::Form;
use fields::Fields;
use refusal::Refusal;

/// What names a request in the log, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers that are about one connection or body, and not about the call.
const OURS: [&str; 16] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-timeout",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/v1/{*path}", any(serve))
        .route("/openapi.json", get(openapi::serve))
        .route("/docs", get(page::serve))
        .route("/docs/style.css", get(page::style))
}

/// A request that was understood, before its body is read.
struct Call<'a> {
    binding: &'a Binding,
    /// The fields that stand in the path.
    path: Vec<(&'a str, String)>,
    parts: &'a Parts,
    /// What the answer is written in.
    form: Form,
    /// What of the answer is wanted.
    fields: Fields,
}

async fn serve(State(api): State<Api>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let id = request_id(&api, &parts.headers);
    parts.headers.insert(REQUEST_ID, id.clone());
    let answer = answer(&api, &parts, body).await;
    let mut response = answer.unwrap_or_else(|refusal| refusal.response(&id));
    response.headers_mut().insert(REQUEST_ID, id);
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if parts.method == Method::HEAD {
        return without_body(response);
    }
    response
}

/// The answer to HEAD: what GET would say of its body, and nothing of it.
fn without_body(mut response: Response) -> Response {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// The client's id, or one of ours.
fn request_id(api: &Api, headers: &HeaderMap) -> HeaderValue {
    if let Some(id) = headers.get(REQUEST_ID).filter(|id| log::is_request_id(id)) {
        return id.clone();
    }
    let id = log::request_id(api.service.entropy());
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("unknown"))
}

async fn answer(api: &Api, parts: &Parts, body: Body) -> Result<Response, Refusal> {
    let bindings = Bindings::get().map_err(|error| Refusal::internal(&error.to_string()))?;
    let found = bindings.at(parts.uri.path());
    let verb = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    let allowed = allowed(&found);
    if let Some((binding, path)) = found.into_iter().find(|(binding, _)| binding.verb == *verb) {
        let form = Form::of(&parts.headers, &binding.method)?;
        let fields = query::fields(parts.uri.query(), &binding.method.output())?;
        return Call { binding, path, parts, form, fields }.answer(api, body).await;
    }
    if allowed.is_empty() {
        return Err(Refusal::no_such_path(parts.uri.path()));
    }
    if parts.method == Method::OPTIONS {
        return Ok((StatusCode::NO_CONTENT, [(ALLOW, allowed)]).into_response());
    }
    Err(Refusal::wrong_method(&parts.method, &allowed))
}

/// The methods that a path takes, as the header `allow` says them; empty for a path of nobody.
fn allowed(found: &[(&Binding, Vec<(&str, String)>)]) -> String {
    let mut verbs: Vec<&str> = found.iter().map(|(binding, _)| binding.verb.as_str()).collect();
    if verbs.contains(&"GET") {
        verbs.push("HEAD");
    }
    if !verbs.is_empty() {
        verbs.push("OPTIONS");
    }
    verbs.join(", ")
}

impl Call<'_> {
    async fn answer(self, api: &Api, body: Body) -> Result<Response, Refusal> {
        let (message, problem) = if self.method().is_client_streaming() {
            request::lines(&self, body)?
        } else {
            (Body::from(frames::frame(&request::whole(&self, body).await?)), None)
        };
        let response = self.send(api, message).await;
        let answered = match frames::failure(response.headers()) {
            Some(status) => Err(Refusal::from(&status)),
            None if self.method().is_server_streaming() => Ok(stream::respond(self, api, response)),
            None => self.only(response).await,
        };
        // A line that cannot be read ends the call; that it did says less than why.
        match problem.and_then(|mut problem| problem.try_recv().ok()) {
            Some(refusal) => Err(refusal),
            None => answered,
        }
    }

    fn method(&self) -> &MethodDescriptor {
        &self.binding.method
    }

    /// Makes the call, through the same handlers as gRPC.
    async fn send(&self, api: &Api, message: Body) -> axum::http::Response<Body> {
        let mut request = Request::new(message);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.binding.path().parse().unwrap_or_default();
        for (name, value) in &self.parts.headers {
            if !OURS.contains(&name.as_str()) {
                request.headers_mut().append(name, value.clone());
            }
        }
        let grpc = HeaderValue::from_static("application/grpc");
        request.headers_mut().insert(CONTENT_TYPE, grpc);
        request.extensions_mut().clone_from(&self.parts.extensions);
        let Ok(response) = api.grpc.clone().oneshot(request).await;
        response
    }

    /// The one message of an answer.
    async fn only(&self, response: axum::http::Response<Body>) -> Result<Response, Refusal> {
        let mut messages = std::pin::pin!(frames::messages(response));
        let message = messages.try_next().await.map_err(|status| Refusal::from(&status))?;
        // What comes behind the message may say that the call failed all the same.
        messages.try_next().await.map_err(|status| Refusal::from(&status))?;
        let message = message.ok_or_else(|| Refusal::internal("a call gave no message"))?;
        let (_, value) = json(self.method(), &self.fields, &message)?;
        let json = HeaderValue::from_static("application/json");
        Ok(([(CONTENT_TYPE, json)], value.to_string()).into_response())
    }
}

/// A message of an answer, as canonical JSON with the fields that are wanted.
fn json(
    method: &MethodDescriptor,
    fields: &Fields,
    message: &[u8],
) -> Result<(DynamicMessage, Value), Refusal> {
    let message = DynamicMessage::decode(method.output(), message);
    let message = message.map_err(|error| Refusal::internal(&error.to_string()))?;
    let value = serde_json::to_value(&message);
    let mut value = value.map_err(|error| Refusal::internal(&error.to_string()))?;
    fields.keep(&mut value);
    Ok((message, value))
}
