//! `POST …/embeddings`: each text is a run of an agent that gives a vector.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Map, Value, json};
use tenure_core::{Payload, Usage, limits};
use tenure_store::FullRun;

use super::super::Api;
use super::caller::Caller;
use super::chat::{bytes, not_an_object, wrong_type};
use super::refusal::Refusal;
use super::run::{self, Call};

/// Runs of one request that are under way at a time.
const AT_ONCE: usize = 32;

struct Asked {
    agent: String,
    model: String,
    texts: Vec<String>,
    base64: bool,
}

pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answered = api.embed(&caller, body).await;
    answered.unwrap_or_else(|refusal| caller.refuse(&refusal))
}

impl Api {
    async fn embed(
        &self,
        caller: &Caller,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Response, Refusal> {
        let asked = read(caller, body)?;
        let calls = asked.texts.iter().enumerate();
        let calls = calls.map(|(place, text)| call(caller, &asked, place, text));
        let calls = calls.collect::<Result<Vec<_>, _>>()?;
        let runs = stream::iter(calls.into_iter().map(|call| self.ask(caller, call)));
        let runs: Vec<(FullRun, Payload)> = runs.buffered(AT_ONCE).try_collect().await?;
        let (mut data, mut used, mut ids) = (Vec::new(), Usage::default(), Vec::new());
        for (place, (full, output)) in runs.iter().enumerate() {
            let vector = vector(full, output)?;
            let embedding = if asked.base64 { packed(&vector) } else { json!(vector) };
            data.push(json!({"object": "embedding", "index": place, "embedding": embedding}));
            used.add(&full.run.usage);
            ids.push(full.run.id);
        }
        let tokens = used.input_tokens;
        let list = json!({
            "object": "list",
            "data": data,
            "model": asked.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        });
        Ok(caller.answer(&ids, &list))
    }
}

fn read(caller: &Caller, body: Result<Bytes, BytesRejection>) -> Result<Asked, Refusal> {
    let Value::Object(body) = Caller::body(&bytes(body)?)? else { return Err(not_an_object()) };
    let (agent, model) = run::model(caller, &body)?;
    if body.get("dimensions").is_some_and(|value| !value.is_null()) {
        let why = "`dimensions` is not supported here: the agent's model decides";
        return Err(Refusal::wrong("dimensions", "unsupported", why));
    }
    Ok(Asked { agent, model, texts: texts(&body)?, base64: is_base64(&body)? })
}

fn is_base64(body: &Map<String, Value>) -> Result<bool, Refusal> {
    match body.get("encoding_format").filter(|value| !value.is_null()).map(Value::as_str) {
        None | Some(Some("float")) => Ok(false),
        Some(Some("base64")) => Ok(true),
        Some(_) => {
            let why = "`encoding_format` must be float or base64";
            Err(Refusal::wrong("encoding_format", "invalid_value", why))
        }
    }
}

fn texts(body: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let list = match body.get("input") {
        None | Some(Value::Null) => {
            return Err(Refusal::wrong("input", "missing", "`input` must be given"));
        }
        Some(text @ Value::String(_)) => std::slice::from_ref(text),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(wrong_type("input", "a text or a list of texts")),
    };
    let limit = limits::EMBEDDINGS;
    if list.is_empty() || list.len() > limit {
        let why = format!("`input` must have 1 to {limit} texts");
        return Err(Refusal::wrong("input", "invalid_value", why));
    }
    let text = |value: &Value| match value.as_str() {
        Some("") => {
            Err(Refusal::wrong("input", "invalid_value", "a text of `input` must not be empty"))
        }
        Some(text) => Ok(text.to_owned()),
        None => Err(wrong_type("input", "a text or a list of texts; tokens are not supported")),
    };
    list.iter().map(text).collect()
}

/// The run of one text: under a key of its own, so that a repetition finds each again.
fn call(caller: &Caller, asked: &Asked, place: usize, text: &str) -> Result<Call, Refusal> {
    let key = caller.idempotency()?.map(|key| format!("{key}/{place}"));
    let input = Payload::json(json!(text).to_string());
    Ok(Call { model: asked.agent.clone(), input, labels: BTreeMap::new(), key })
}

/// The vector that a run gave.
fn vector(full: &FullRun, output: &Payload) -> Result<Vec<f64>, Refusal> {
    serde_json::from_slice(&output.data).map_err(|_| {
        let agent = &full.agent;
        let why = format!("agent `{agent}` gives no vector: name a graph that ends with `embed`");
        Refusal::wrong("model", "no_embeddings", why).about(full.run.id, false)
    })
}

/// 32-bit numbers, little end first, as the official Python client asks for by default.
fn packed(vector: &[f64]) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the format has 32-bit numbers")]
    let bytes = vector.iter().flat_map(|number| (*number as f32).to_le_bytes());
    STANDARD.encode(bytes.collect::<Vec<u8>>()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_packed_as_clients_unpack_them() {
        assert_eq!(packed(&[1.0, -0.5]), json!("AACAPwAAAL8="));
    }
}
