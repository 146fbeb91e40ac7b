//! What went wrong with a call of a remote model, as a failure that is safe to record.
//!
//! The texts of genai's errors are not used as they are: some hold the whole request.

use std::error::Error as _;

use genai::webc;
use tenure_core::Failure;

use super::keys::Secret;

/// Characters of a provider's answer that a message quotes: the reason, not a page of HTML.
const QUOTED: usize = 500;

pub(super) fn of(model: &str, error: &genai::Error, key: Option<&Secret>) -> Failure {
    let mut failure = match error.status() {
        Some(status) => refused(model, status.as_u16(), &body(error)),
        None => unanswered(model, error),
    };
    if let Some(key) = key {
        failure.message = key.remove_from(&failure.message);
    }
    failure.message = quoted(&failure.message, 2 * QUOTED);
    failure
}

fn refused(model: &str, status: u16, body: &str) -> Failure {
    let hint = match status {
        401 | 403 => "; a key is sent to its provider and to the hosts the worker lists, no other",
        _ => "",
    };
    Failure {
        code: format!("model_http_{status}"),
        message: format!("model `{model}` answered {status}{hint}: {}", quoted(body, QUOTED)),
        retryable: matches!(status, 408 | 409 | 429 | 500..=599),
    }
}

fn body(error: &genai::Error) -> String {
    match error {
        genai::Error::HttpError { body, .. }
        | genai::Error::WebModelCall {
            webc_error: webc::Error::ResponseFailedStatus { body, .. },
            ..
        }
        | genai::Error::WebAdapterCall {
            webc_error: webc::Error::ResponseFailedStatus { body, .. },
            ..
        } => body.clone(),
        _ => String::new(),
    }
}

fn unanswered(model: &str, error: &genai::Error) -> Failure {
    match error {
        genai::Error::WebModelCall { webc_error, .. }
        | genai::Error::WebAdapterCall { webc_error, .. } => web(model, webc_error),
        // The whole request stands in the text of this one, so only the cause is used.
        genai::Error::ChatResponseGeneration { cause, .. } => invalid(model, cause),
        genai::Error::NoChatResponse { .. } => invalid(model, "it has no message"),
        genai::Error::InvalidJsonResponseElement { info } => invalid(model, info),
        genai::Error::SerdeJson(error) => invalid(model, &error.to_string()),
        genai::Error::JsonValueExt(error) => invalid(model, &error.to_string()),
        other => Failure::permanent("model_request", format!("model `{model}`: {other}")),
    }
}

fn web(model: &str, error: &webc::Error) -> Failure {
    match error {
        webc::Error::Reqwest(error) => connection(model, error),
        webc::Error::ResponseFailedNotJson { content_type, body } => {
            invalid(model, &format!("{content_type} instead of JSON: {}", quoted(body, QUOTED)))
        }
        webc::Error::ResponseFailedInvalidJson { cause, .. } => invalid(model, cause),
        webc::Error::JsonValueExt(error) => invalid(model, &error.to_string()),
        webc::Error::ResponseFailedStatus { status, body, .. } => {
            refused(model, status.as_u16(), body)
        }
    }
}

fn connection(model: &str, error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        let message = format!("model `{model}`: the request cannot be made: {}", cause(error));
        return Failure::permanent("model_request", message);
    }
    let (code, what) = if error.is_timeout() {
        ("model_timeout", "did not answer in time")
    } else {
        ("model_connection", "cannot be reached")
    };
    Failure::retryable(code, format!("model `{model}` {what}: {}", cause(error)))
}

/// The innermost reason, which names no address: that may hold a key.
fn cause(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else {
        return "no reason given".into();
    };
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A reply that cannot be read: models break their own format now and then, so once more may help.
fn invalid(model: &str, cause: &str) -> Failure {
    let message = format!("the reply of model `{model}` cannot be read: {}", quoted(cause, QUOTED));
    Failure::retryable("model_reply_invalid", message)
}

fn quoted(text: &str, limit: usize) -> String {
    match text.trim().char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text.trim()[..end]),
        None => text.trim().into(),
    }
}
