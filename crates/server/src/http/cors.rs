//! Pages of other sites: which of them may call, by configuration.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tower_http::cors::{Any, CorsLayer};

/// How long a browser remembers what it was told: an hour, as long as the most cautious of them.
const REMEMBERED: Duration = Duration::from_hours(1);

/// What answers browsers that ask first; nothing if no site may call.
pub(crate) fn layer(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let read = ["grpc-message", "grpc-status", "tenure-error-kind", "x-request-id", "x-tenure-run"];
    let read = read.map(HeaderName::from_static).into_iter().chain([CONTENT_TYPE, RETRY_AFTER]);
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT])
        .allow_headers(Any)
        .expose_headers(read.collect::<Vec<_>>())
        .max_age(REMEMBERED);
    Some(layer)
}

/// Refuses what the pages of other sites ask for. A browser keeps an answer from them, but a request
/// without a body it sends without asking first, and a cancel needs none.
pub(crate) async fn guard(
    State(allowed): State<Arc<[String]>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(origin) = request.headers().get(ORIGIN) else { return next.run(request).await };
    let origin = origin.to_str().unwrap_or_default();
    if is_own(origin, &request) || allowed.iter().any(|site| site == origin) {
        return next.run(request).await;
    }
    let why = "pages of this origin may not call; allow it with --cors-origin\n";
    (StatusCode::FORBIDDEN, why).into_response()
}

/// Whether a page comes from where the request goes to.
fn is_own(origin: &str, request: &Request) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(axum::http::uri::Authority::as_str).or(host);
    origin.split_once("://").is_some_and(|(_, from)| Some(from) == host)
}
