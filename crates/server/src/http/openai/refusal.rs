//! Errors as OpenAI's clients read them.

use serde_json::{Value, json};
use tenure_core::{Error, ErrorKind, RunId};
use tenure_proto::status;
use tenure_spec::conversation;

use crate::log;

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// OpenAI's word for the kind of error.
    kind: &'static str,
    pub(super) message: String,
    pub(super) param: Option<String>,
    pub(super) code: String,
    /// Whether the client should send the same request again; `None` leaves it to the client.
    pub(super) again: Option<bool>,
    /// The run that there is all the same.
    pub(super) run: Option<RunId>,
    /// What the log should know.
    cause: Option<Box<Error>>,
}

const WRONG: &str = "invalid_request_error";

impl Refusal {
    fn new(status: u16, kind: &'static str, code: impl Into<String>, message: String) -> Self {
        let code = code.into();
        Self { status, kind, message, param: None, code, again: None, run: None, cause: None }
    }

    /// The request is wrong in this parameter.
    pub(super) fn wrong(param: &str, code: &str, message: impl Into<String>) -> Self {
        let param = Some(param.to_owned()).filter(|param| !param.is_empty());
        Self { param, ..Self::new(400, WRONG, code, message.into()) }
    }

    /// There is no such thing.
    pub(super) fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self::new(404, WRONG, code, message.into())
    }

    /// There is no such model.
    pub(super) fn no_model(message: impl Into<String>) -> Self {
        Self { param: Some("model".into()), ..Self::not_found("model_not_found", message) }
    }

    /// The path is known, its method is another.
    pub(super) fn wrong_method() -> Self {
        let message = "this path takes another method".to_owned();
        Self::new(405, WRONG, "method_not_allowed", message)
    }

    /// The run cannot go on by itself. Sending the request again would not mend that.
    pub(super) fn stuck(run: RunId, code: &str, message: String) -> Self {
        Self::new(409, "conflict_error", code, message).about(run, false)
    }

    /// The run has failed.
    pub(super) fn failed(run: RunId, code: &str, message: &str) -> Self {
        let message = format!("run {run} failed: {message}");
        let failed = match code {
            "input_unusable" => Self::wrong("", code, message),
            "output_schema" => Self::wrong("response_format", code, message),
            _ => Self::new(500, "server_error", code, message),
        };
        failed.about(run, false)
    }

    /// The refusal of somebody who has a run all the same, and may or may not ask again.
    pub(super) fn about(self, run: RunId, again: bool) -> Self {
        Self { run: Some(run), again: Some(again), ..self }
    }

    /// Logs what it keeps from the client.
    pub(super) fn log(&self, request: &str) {
        if let Some(cause) = &self.cause {
            log::error(request, cause);
        }
    }

    /// The error as JSON: what a body holds, and a stream that breaks off.
    pub(super) fn body(&self) -> Value {
        json!({"error": {
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
        }})
    }
}

/// A refused parameter.
impl From<conversation::Refusal> for Refusal {
    fn from(refusal: conversation::Refusal) -> Self {
        Self::wrong(&refusal.param, refusal.code, refusal.message)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Invalid
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::WrongState
            | ErrorKind::LeaseLost
            | ErrorKind::TooLarge => WRONG,
            ErrorKind::Unauthenticated => "authentication_error",
            ErrorKind::Forbidden => "permission_error",
            ErrorKind::TooMany => "rate_limit_error",
            ErrorKind::Unavailable | ErrorKind::Internal => "server_error",
        };
        let (code, message) = (error.kind().as_str(), error.message().to_owned());
        let again = Some(error.retryable());
        let refusal = Self::new(status::http(error.kind()), kind, code, message);
        Self { again, cause: Some(Box::new(error)), ..refusal }
    }
}
