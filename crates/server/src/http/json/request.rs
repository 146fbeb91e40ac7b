//! The message that a request stands for: its path, query, headers and body.

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost::Message as _;
use prost_reflect::{FieldDescriptor, MessageDescriptor};
use serde_json::{Map, Value};
use tenure_core::limits;
use tokio::sync::oneshot;

use super::explain::{self, Problem};
use super::refusal::Refusal;
use super::{Call, query};
use crate::transcode::frames;

/// The fields that `Idempotency-Key` stands for, in calls that have one of them.
pub(super) const IDEMPOTENCY: [&str; 2] = ["idempotency_key", "request_id"];
/// The field that `Last-Event-ID` stands for.
const CURSOR: &str = "after_seq";

/// The one message of a request, encoded.
pub(super) async fn whole(call: &Call<'_>, body: Body) -> Result<Vec<u8>, Refusal> {
    let body = collect(body).await?;
    let mut problems = Vec::new();
    let mut object = if call.binding.body {
        query::refuse(call.parts.uri.query(), &mut problems);
        parse(&call.parts.headers, &body)?
    } else {
        if !body.is_empty() {
            problems.push(Problem::at("", "this call has no body: its fields go into the query"));
        }
        let mut object = Map::new();
        let input = call.method().input();
        query::add(call.parts.uri.query(), &input, &mut object, &mut problems);
        object
    };
    path(call, &mut object, &mut problems);
    headers(call, &mut object, &mut problems);
    match explain::message(&call.method().input(), &Value::Object(object)) {
        Ok(message) if problems.is_empty() => Ok(message.encode_to_vec()),
        read => {
            problems.extend(read.err().unwrap_or_default());
            Err(Refusal::invalid(problems))
        }
    }
}

async fn collect(body: Body) -> Result<Bytes, Refusal> {
    match Limited::new(body, limits::HTTP_JSON).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::too_large()),
        Err(error) => {
            Err(Refusal::invalid(vec![Problem::at("", format!("the body broke off: {error}"))]))
        }
    }
}

/// The object in a body; an empty one is one without fields.
fn parse(headers: &HeaderMap, body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    content(headers, "application/json")?;
    let no_json = |what| Refusal::invalid(vec![Problem::at("", what)]);
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(no_json("the body is to be an object".into())),
        Err(error) => Err(no_json(format!("the body is no JSON: {error}"))),
    }
}

/// Whether a body is what it has to be. A browser sends other types to other sites unasked.
fn content(headers: &HeaderMap, wanted: &str) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(encoding) = text(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        return Err(Refusal::not_json(&format!(
            "bodies in `{encoding}` are not taken: send it plain"
        )));
    }
    let given = text(CONTENT_TYPE).unwrap_or_default();
    let name = given.split(';').next().unwrap_or_default().trim();
    if name.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(Refusal::not_json(&format!("the body is to be {wanted}: send `content-type: {wanted}`")))
}

/// Puts in what stands in the path. The body may say the same.
fn path(call: &Call<'_>, object: &mut Map<String, Value>, problems: &mut Vec<Problem>) {
    let input = call.method().input();
    for (name, value) in &call.path {
        if let Some(field) = input.get_field_by_name(name) {
            let at = format!("the path has `{value}`");
            same(&field, value, &at, object, problems);
        }
    }
}

/// Puts in what headers say that other systems' clients send.
fn headers(call: &Call<'_>, object: &mut Map<String, Value>, problems: &mut Vec<Problem>) {
    let text = |name: &str| call.parts.headers.get(name).and_then(|value| value.to_str().ok());
    let input = call.method().input();
    let key = text("idempotency-key").filter(|_| call.binding.body);
    if let (Some(key), Some(field)) = (key, idempotency(&input)) {
        same(&field, key, "the header `Idempotency-Key` says another", object, problems);
    }
    let cursor = text("last-event-id").filter(|_| call.method().is_server_streaming());
    if let (Some(seq), Some(field)) = (cursor, input.get_field_by_name(CURSOR)) {
        // An `EventSource` that comes again has the query that it first had.
        object.insert(field.json_name().to_owned(), seq.into());
    }
}

/// The field of a call that makes it safe to repeat.
pub(super) fn idempotency(input: &MessageDescriptor) -> Option<FieldDescriptor> {
    IDEMPOTENCY.iter().find_map(|name| input.get_field_by_name(name))
}

/// Sets a field that may be there already, and then has to be the same.
fn same(
    field: &FieldDescriptor,
    value: &str,
    otherwise: &str,
    object: &mut Map<String, Value>,
    problems: &mut Vec<Problem>,
) {
    match explain::given(object, field) {
        Some(given) if given != value => problems.push(Problem::at(field.json_name(), otherwise)),
        Some(_) => {}
        None => {
            object.insert(field.json_name().to_owned(), value.into());
        }
    }
}

/// The messages of a request, one a line, each sent on as it comes; and why one could not be read.
pub(super) fn lines(
    call: &Call<'_>,
    body: Body,
) -> Result<(Body, Option<oneshot::Receiver<Refusal>>), Refusal> {
    content(&call.parts.headers, "application/x-ndjson")?;
    let input = call.method().input();
    let (sender, receiver) = oneshot::channel();
    let mut sender = Some(sender);
    let mut number = 0;
    let messages = split(body).map(move |line| {
        number += 1;
        let message = line.and_then(|line| read_line(&input, &line, number));
        message.map_err(|refusal| {
            // Whoever made the request may have gone.
            let _ = sender.take().map(|sender| sender.send(refusal));
            std::io::Error::other("a line could not be read")
        })
    });
    Ok((Body::from_stream(messages), Some(receiver)))
}

fn read_line(input: &MessageDescriptor, line: &Bytes, number: u64) -> Result<Bytes, Refusal> {
    let at =
        |problem: Problem| Problem { field: format!("line {number}"), what: problem.to_string() };
    let value = serde_json::from_slice::<Value>(line)
        .map_err(|error| vec![Problem::at("", format!("this is no JSON: {error}"))]);
    let message = value.and_then(|value| explain::message(input, &value));
    let message =
        message.map_err(|problems| Refusal::invalid(problems.into_iter().map(at).collect()))?;
    Ok(frames::frame(&message.encode_to_vec()))
}

/// The lines of a body, without empty ones.
fn split(body: Body) -> impl Stream<Item = Result<Bytes, Refusal>> {
    let state = Some((body.into_data_stream(), BytesMut::new()));
    stream::unfold(state, |state| async move {
        let (mut body, mut buffer) = state?;
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end + 1).freeze();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Some((Ok(line), Some((body, buffer))));
            }
            if buffer.len() > limits::HTTP_JSON {
                return Some((Err(Refusal::too_large()), None));
            }
            match body.next().await {
                Some(Ok(bytes)) => buffer.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    let problem = Problem::at("", format!("the body broke off: {error}"));
                    return Some((Err(Refusal::invalid(vec![problem])), None));
                }
                None if buffer.trim_ascii().is_empty() => return None,
                None => return Some((Ok(buffer.split().freeze()), None)),
            }
        }
    })
}
