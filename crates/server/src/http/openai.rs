//! The OpenAI dialect: agents as models. Every call is a durable run.
//!
//! ```text
//! /openai/v1/chat/completions          the model is an agent: NAME, NAME@ALIAS or NAME@VERSION
//! /openai/v1/models, /models/{id}
//! /openai/v1/embeddings                the agent gives a vector
//! /openai/{agent}/v1/…                 the same for one agent, whatever the model is called
//! ```

mod caller;
mod chat;
mod completion;
mod embeddings;
mod models;
mod refusal;
mod run;
mod stream;
mod voice;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts as _, Request};
use axum::response::Response;
use axum::routing::{get, post};
use tenure_core::limits;

use super::Api;
use caller::Caller;
use refusal::Refusal;

pub(super) fn routes() -> Router<Api> {
    let v1 = || {
        Router::new()
            .route("/chat/completions", post(chat::complete))
            .route("/models", get(models::list))
            .route("/models/{model}", get(models::get))
            .route("/embeddings", post(embeddings::create))
            .method_not_allowed_fallback(wrong_method)
    };
    Router::new()
        .nest("/openai/v1", v1())
        .nest("/openai/{agent}/v1", v1())
        .layer(DefaultBodyLimit::max(limits::HTTP_BODY))
}

/// Whether a path is this dialect's.
pub(super) fn is_ours(path: &str) -> bool {
    path.starts_with("/openai/")
}

/// The answer at a path of ours where there is nothing.
pub(super) async fn nothing(request: Request, api: &Api) -> Response {
    let (mut parts, _) = request.into_parts();
    let caller = match Caller::from_request_parts(&mut parts, api).await {
        Ok(caller) => caller,
        Err(refused) => return refused,
    };
    let what = "there is nothing here: base URLs are `…/openai/v1` and `…/openai/AGENT/v1`";
    caller.refuse(&Refusal::not_found("unknown_url", what))
}

async fn wrong_method(caller: Caller) -> Response {
    caller.refuse(&Refusal::wrong_method())
}
