//! What went wrong with a call of a remote model, as a failure that is safe to record.
//!
//! The texts of genai's errors are not used as they are: some hold the whole request.

use std::error::Error as _;

use genai::webc;
use serde_json::Value;
use tenure_sdk::Failure;

use super::keys::Secret;
use super::translate::NoReply;
use crate::patience;
use crate::tools::http_request::deepest;

/// Characters of a provider's answer that a message quotes: the reason, not a page of HTML.
const QUOTED: usize = 500;

/// A stream that ended before its reply did.
pub(super) fn broken(model: &str) -> Failure {
    let message = format!("the reply of model `{model}` broke off before its end");
    Failure::retryable("model_stream_broken", message)
}

/// An answer that is no reply.
pub(super) fn no_reply(model: &str, why: NoReply, key: Option<&Secret>) -> Failure {
    match why {
        NoReply::Invalid(cause) => Told { model, key }.invalid(&cause),
        NoReply::Empty => {
            let message = format!("model `{model}` answered with neither text nor calls");
            Failure::retryable("model_reply_empty", message)
        }
        NoReply::Filtered => {
            let message = format!(
                "the provider of model `{model}` withheld its answer by its content filter; change \
                 what is asked, or ask another model"
            );
            Failure::permanent("model_filtered", message)
        }
    }
}

pub(super) fn of(model: &str, error: &genai::Error, key: Option<&Secret>) -> Failure {
    // In a stream the error is wrapped.
    if let genai::Error::WebStream { error: inner, .. } = error
        && let Some(error) = inner.downcast_ref::<genai::Error>()
    {
        return of(model, error, key);
    }
    let told = Told { model, key };
    let mut failure = match error.status() {
        Some(status) => told.refused(status.as_u16(), &body(error)),
        None => told.unanswered(error),
    };
    failure.message = told.quote(&failure.message, 2 * QUOTED);
    failure.retry_after = error.headers().and_then(patience::asked);
    failure
}

/// Who is told about, and what must not be told.
struct Told<'a> {
    model: &'a str,
    key: Option<&'a Secret>,
}

impl Told<'_> {
    fn refused(&self, status: u16, body: &str) -> Failure {
        let (model, body) = (self.model, self.quote(body, QUOTED));
        let hint = match status {
            401 | 403 => {
                "; give the worker the right key; one is sent to its provider and to the hosts the \
                 worker lists, no other"
            }
            404 => "; is the model's name right, and the address?",
            429 => "; it is asked too often, or the account is out of credit",
            _ => "",
        };
        Failure {
            code: format!("model_http_{status}"),
            message: format!("model `{model}` answered {status}{hint}: {body}"),
            retryable: matches!(status, 408 | 409 | 429 | 500..=599),
            retry_after: None,
        }
    }

    fn unanswered(&self, error: &genai::Error) -> Failure {
        match error {
            genai::Error::WebModelCall { webc_error, .. }
            | genai::Error::WebAdapterCall { webc_error, .. } => self.web(webc_error),
            // The whole request stands in the text of this one, so only the cause is used.
            genai::Error::ChatResponseGeneration { cause, .. } => self.invalid(cause),
            genai::Error::NoChatResponse { .. } => self.invalid("it has no message"),
            genai::Error::InvalidJsonResponseElement { info } => self.invalid(info),
            genai::Error::SerdeJson(error) => self.invalid(&error.to_string()),
            genai::Error::JsonValueExt(error) => self.invalid(&error.to_string()),
            genai::Error::StreamParse { serde_error, .. } => self.invalid(&serde_error.to_string()),
            genai::Error::ChatResponse { body, .. } => self.said(body),
            genai::Error::WebStream { error, .. } => match error.downcast_ref::<reqwest::Error>() {
                Some(error) => self.connection(error),
                None => broken(self.model),
            },
            other => {
                let message = format!("model `{}`: {other}", self.model);
                Failure::permanent("model_request", message)
            }
        }
    }

    /// An error in the middle of a stream, whose status was 200.
    fn said(&self, body: &Value) -> Failure {
        let mut status = ["/code", "/status", "/error/code"].into_iter();
        let status = status.find_map(|place| body.pointer(place)?.as_u64());
        if let Some(status) = status.and_then(|status| u16::try_from(status).ok())
            && (400..600).contains(&status)
        {
            return self.refused(status, &body.to_string());
        }
        let body = self.quote(&body.to_string(), QUOTED);
        let message = format!("model `{}` failed in the middle of its reply: {body}", self.model);
        Failure::retryable("model_stream_failed", message)
    }

    fn web(&self, error: &webc::Error) -> Failure {
        match error {
            webc::Error::Reqwest(error) => self.connection(error),
            webc::Error::ResponseFailedNotJson { content_type, body } => {
                let body = self.quote(body, QUOTED);
                self.invalid(&format!("{content_type} instead of JSON: {body}"))
            }
            webc::Error::ResponseFailedInvalidJson { cause, .. } => self.invalid(cause),
            webc::Error::JsonValueExt(error) => self.invalid(&error.to_string()),
            webc::Error::ResponseFailedStatus { status, body, .. } => {
                self.refused(status.as_u16(), body)
            }
        }
    }

    fn connection(&self, error: &reqwest::Error) -> Failure {
        let (model, cause) = (self.model, cause(error));
        if error.is_builder() {
            let message = format!("model `{model}`: the request cannot be made: {cause}");
            return Failure::permanent("model_request", message);
        }
        if error.is_body() || error.is_decode() {
            return broken(model);
        }
        let (code, what) = if error.is_timeout() {
            ("model_timeout", "did not answer in time")
        } else {
            ("model_connection", "cannot be reached")
        };
        Failure::retryable(code, format!("model `{model}` {what}: {cause}"))
    }

    /// A reply that cannot be read: models break their own format now and then, so once more may
    /// help.
    fn invalid(&self, cause: &str) -> Failure {
        let cause = self.quote(cause, 2 * QUOTED);
        let message = format!("the reply of model `{}` cannot be read: {cause}", self.model);
        Failure::retryable("model_reply_invalid", message)
    }

    /// The beginning of a text, without the key. The key goes first: half of it, left by a cut
    /// through its middle, would not be found any more (NO-SECRET).
    fn quote(&self, text: &str, limit: usize) -> String {
        match self.key {
            Some(key) => quoted(&key.remove_from(text), limit),
            None => quoted(text, limit),
        }
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

/// The innermost reason, which names no address: that may hold a key.
fn cause(error: &reqwest::Error) -> String {
    error.source().map_or_else(|| "no reason given".into(), deepest)
}

fn quoted(text: &str, limit: usize) -> String {
    match text.trim().char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text.trim()[..end]),
        None => text.trim().into(),
    }
}
