//! Answers that come bit by bit: one object a line, or server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use prost_reflect::{DynamicMessage, MethodDescriptor};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::accept::Form;
use super::fields::Fields;
use super::refusal::Refusal;
use super::{Api, Call, REQUEST_ID, json};
use crate::transcode::frames;

/// How long a stream of events is silent before it says that it is there: proxies end connections
/// that are silent for half a minute or more.
const SILENCE: Duration = Duration::from_secs(15);

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

struct Answer {
    messages: Messages,
    method: MethodDescriptor,
    fields: Fields,
    form: Form,
    request: Option<HeaderValue>,
    shutdown: CancellationToken,
    over: bool,
}

/// The messages of a call, written as they come. The call has begun well.
pub(super) fn respond(call: Call<'_>, api: &Api, response: axum::http::Response<Body>) -> Response {
    let form = call.form;
    let answer = Answer {
        messages: Box::pin(frames::messages(response)),
        method: call.method().clone(),
        fields: call.fields,
        form,
        request: call.parts.headers.get(REQUEST_ID).cloned(),
        shutdown: api.shutdown.clone(),
        over: false,
    };
    let body = stream::unfold(answer, Answer::next).map(Ok::<_, Infallible>);
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(form.content_type())),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // A proxy that waits for the whole answer would defeat the purpose.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ]);
    (headers, Body::from_stream(body)).into_response()
}

impl Answer {
    async fn next(mut self) -> Option<(String, Self)> {
        if self.over {
            return None;
        }
        let text = match tokio::time::timeout(SILENCE, self.messages.next()).await {
            Err(_) if self.form == Form::Events => ": still here\n\n".to_owned(),
            // An empty line says as much.
            Err(_) => "\n".to_owned(),
            Ok(Some(Ok(message))) => match json(&self.method, &self.fields, &message) {
                Ok((message, value)) => self.say(&message, &value),
                Err(refusal) => self.refuse(&refusal),
            },
            Ok(Some(Err(status))) => self.refuse(&Refusal::from(&status)),
            Ok(None) => {
                self.over = true;
                // Whoever is to come again, because we go, must not be told that this was all.
                if self.form != Form::Events || self.shutdown.is_cancelled() {
                    return None;
                }
                "event: end\ndata: {}\n\n".to_owned()
            }
        };
        Some((text, self))
    }

    fn say(&self, message: &DynamicMessage, value: &Value) -> String {
        if self.form != Form::Events {
            return format!("{value}\n");
        }
        let id = cursor(message).map(|seq| format!("id: {seq}\n")).unwrap_or_default();
        let name =
            message.fields().next().map(|(field, _)| format!("event: {}\n", field.json_name()));
        format!("{id}{}data: {value}\n\n", name.unwrap_or_default())
    }

    fn refuse(&mut self, refusal: &Refusal) -> String {
        self.over = true;
        let body = refusal.body(self.request.as_ref());
        if self.form == Form::Events {
            format!("event: error\ndata: {body}\n\n")
        } else {
            format!("{body}\n")
        }
    }
}

/// From where a stream goes on: the `seq` of what the message brings.
fn cursor(message: &DynamicMessage) -> Option<u64> {
    let brought = message.fields().find_map(|(_, value)| value.as_message().cloned())?;
    brought.get_field_by_name("seq")?.as_u64()
}
