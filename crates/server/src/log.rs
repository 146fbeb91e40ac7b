//! What only the log may hold of an error, under the id that the client gets.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tenure_core::{Error, ErrorKind, limits};

use crate::entropy::Entropy;

tokio::task_local! {
    /// The id that the request has which is being answered, if it brought one.
    static REQUEST: String;
}

/// The id of this request: its own, or a new one.
pub(crate) fn request_id(entropy: &dyn Entropy) -> String {
    REQUEST.try_with(Clone::clone).unwrap_or_else(|_| format!("{:016x}", entropy.random()))
}

/// Whether a log can hold it.
pub(crate) fn is_request_id(id: &HeaderValue) -> bool {
    let visible = id.as_bytes().iter().all(u8::is_ascii_graphic);
    visible && (1..=limits::NAME).contains(&id.len())
}

/// Answers a request under the id that it brings in `x-request-id`.
pub(crate) async fn under_its_id(request: Request, next: Next) -> Response {
    let id = request.headers().get("x-request-id").filter(|id| is_request_id(id));
    match id.and_then(|id| id.to_str().ok()).map(str::to_owned) {
        Some(id) => REQUEST.scope(id, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// Logs what an error keeps from the client, if it does.
pub(crate) fn error(request: &str, error: &Error) {
    let Some(context) = error.context() else { return };
    if error.kind() == ErrorKind::Internal {
        tracing::error!(request, "internal error: {context}");
    } else {
        tracing::warn!(request, "{}: {context}", error.message());
    }
}
