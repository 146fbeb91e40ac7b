//! Pages of other sites: which of them may call, by configuration.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, Method};
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
