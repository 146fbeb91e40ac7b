//! Errors as HTTP/JSON says them: AIP-193, made from the one table of errors.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tenure_core::{ErrorKind, limits};
use tenure_proto::status;
use tonic::{Code, Status};

use super::explain::Problem;

/// Seconds that a client should wait if it is to come again.
const PAUSE: u64 = 1;
/// Who defines the words in `reason`.
const DOMAIN: &str = "tenure";

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    http: u16,
    code: Code,
    kind: ErrorKind,
    message: String,
    /// What is wrong, field by field, if that is known.
    problems: Vec<Problem>,
    /// The methods that the path takes.
    allow: Option<HeaderValue>,
}

impl Refusal {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            http: status::http(kind),
            code: status::code(kind),
            kind,
            message: message.into(),
            problems: Vec::new(),
            allow: None,
        }
    }

    /// The request itself is wrong.
    pub(super) fn invalid(problems: Vec<Problem>) -> Self {
        let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Self { problems, ..Self::new(ErrorKind::Invalid, all.join("; ")) }
    }

    pub(super) fn too_large() -> Self {
        let most = limits::HTTP_JSON;
        Self::new(ErrorKind::TooLarge, format!("the body in bytes is over the limit of {most}"))
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        let what = format!("there is nothing at `{path}`; GET /docs lists what there is");
        Self::new(ErrorKind::NotFound, what)
    }

    pub(super) fn wrong_method(method: &Method, allowed: &str) -> Self {
        let what = format!("{method} is not for this path, which takes {allowed}");
        let allow = HeaderValue::from_str(allowed).ok();
        Self { http: 405, allow, ..Self::new(ErrorKind::Invalid, what) }
    }

    pub(super) fn not_acceptable(types: &str) -> Self {
        let what = format!("the answer is {types}, and the header `accept` excludes that");
        Self { http: 406, ..Self::new(ErrorKind::Invalid, what) }
    }

    pub(super) fn not_json(what: &str) -> Self {
        Self { http: 415, ..Self::new(ErrorKind::Invalid, what) }
    }

    /// A bug; what is known about it goes to the log.
    pub(super) fn internal(context: &str) -> Self {
        tracing::error!("HTTP/JSON: {context}");
        Self::new(ErrorKind::Internal, "internal error")
    }

    /// The object that says this.
    pub(super) fn body(&self, request: Option<&HeaderValue>) -> Value {
        let reason = self.kind.as_str().to_uppercase();
        let mut details = vec![json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": DOMAIN,
        })];
        if !self.problems.is_empty() {
            let violation =
                |problem: &Problem| json!({"field": problem.field, "description": problem.what});
            let violations: Vec<_> = self.problems.iter().map(violation).collect();
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": violations,
            }));
        }
        if let Some(id) = request.and_then(|id| id.to_str().ok()) {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.RequestInfo",
                "requestId": id,
            }));
        }
        json!({"error": {
            "code": self.http,
            "status": status::name(self.code),
            "message": self.message,
            "details": details,
        }})
    }

    /// The answer that says this.
    pub(super) fn response(self, request: &HeaderValue) -> Response {
        let body = self.body(Some(request)).to_string();
        let code = StatusCode::from_u16(self.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (code, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.allow.map(|allow| (ALLOW, allow)));
        if self.kind.retryable() {
            headers.insert(RETRY_AFTER, PAUSE.into());
        }
        response
    }
}

impl From<&Status> for Refusal {
    fn from(said: &Status) -> Self {
        let word = said.metadata().get(status::KIND).and_then(|word| word.to_str().ok());
        let kind =
            word.and_then(|word| ErrorKind::ALL.into_iter().find(|kind| kind.as_str() == word));
        let kind = kind.unwrap_or_else(|| status::kind(said.code()));
        Self { code: said.code(), ..Self::new(kind, said.message()) }
    }
}
