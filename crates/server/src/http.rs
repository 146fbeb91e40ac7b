//! HTTP, beside gRPC on the same port: decode, call, encode. No handler decides anything.
//!
//! The APIs of other systems are *dialects*, each under a prefix and in a module of its own.

pub(crate) mod cors;
mod json;
mod openai;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::service::Service;

/// What every handler has: the use cases, and the sign to let go of held requests.
#[derive(Clone)]
struct Api {
    service: Arc<Service>,
    shutdown: CancellationToken,
    /// The services, as gRPC calls them.
    grpc: Router,
}

/// All of HTTP, and the answer to what is neither that nor gRPC.
pub(crate) fn routes(service: &Arc<Service>, shutdown: &CancellationToken, grpc: Router) -> Router {
    let api = Api { service: service.clone(), shutdown: shutdown.clone(), grpc };
    Router::new().merge(json::routes()).merge(openai::routes()).fallback(nothing).with_state(api)
}

/// gRPC clients cannot read a plain 404, and those of a dialect want its own.
async fn nothing(State(api): State<Api>, request: Request) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type.is_some_and(|value| value.starts_with(b"application/grpc")) {
        return Status::unimplemented("there is no such service or method").into_http();
    }
    if openai::is_ours(request.uri().path()) {
        return openai::nothing(request, &api).await;
    }
    (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
}
