//! Replies that come in pieces, as each provider sends them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use tenure_agents::ModelConfig;
use tenure_agents::model::{Listener, Reply};
use tenure_sdk::{Failure, Key, Observer, RunId, v1};
use tenure_spec::Provider;
use tokio::sync::Notify;

use crate::double::{Answer, Asked, Double, cut, events};
use crate::remote::{KEY, call, open, request};
use crate::rig::Rig;

/// Writes down what it hears.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<String>>);

impl Listener for Heard {
    fn text(&self, piece: &str) {
        self.0.lock().unwrap().push(piece.into());
    }

    fn reasoning(&self, piece: &str) {
        self.0.lock().unwrap().push(format!("({piece})"));
    }
}

impl Heard {
    pub(crate) fn all(&self) -> String {
        self.0.lock().unwrap().join("|")
    }
}

/// What becomes of an answer, what is heard of it, and what the provider was asked.
async fn reply(provider: Provider, answer: Answer) -> (Result<Reply, Failure>, String, Asked) {
    let server = Double::start(vec![answer]).await;
    let path = match provider {
        Provider::Openai | Provider::Anthropic => "/v1",
        Provider::Gemini => "/v1beta",
        Provider::Ollama | Provider::Scripted => "",
    };
    let model = open(provider, &format!("{}{path}", server.url), &["127.0.0.1"]);
    let heard = Heard::default();
    let reply = model.reply(&request(), &heard).await;
    (reply, heard.all(), server.asked()[0].clone())
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap()
}

fn openai() -> Vec<Value> {
    let delta = |delta: Value| json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let called = |index: u32, id: &str| {
        let function = json!({"name": "read_file", "arguments": ""});
        delta(
            json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": function}]}),
        )
    };
    let argument = |index: u32, text: &str| {
        delta(json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]}))
    };
    vec![
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning_content": "Hm."})),
        delta(json!({"content": "Read"})),
        delta(json!({"content": "ing."})),
        called(0, "c1"),
        argument(0, "{\"pa"),
        argument(0, "th\":\"a\"}"),
        called(1, "c2"),
        argument(1, "{\"path\":\"b\"}"),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        json!({"choices": [], "usage": {
            "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        }}),
        json!("[DONE]"),
    ]
}

#[tokio::test]
async fn openai_streams_text_calls_and_usage() {
    let (reply, heard, asked) = reply(Provider::Openai, events(&openai())).await;
    let reply = reply.unwrap();
    assert_eq!(heard, "(Hm.)|Read|ing.");
    assert_eq!((reply.text.as_str(), reply.cut), ("Reading.", false));
    assert_eq!(reply.calls, [call("c1", "a"), call("c2", "b")]);
    let usage = &reply.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (11, 7));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (4, 2));
    assert_eq!(asked.line, "POST /v1/chat/completions");
    assert_eq!(asked.headers["authorization"], format!("Bearer {KEY}"));
    let body = body(&asked);
    assert_eq!(
        (&body["stream"], &body["stream_options"]["include_usage"]),
        (&json!(true), &json!(true))
    );
}

fn anthropic(events: &[Value]) -> Answer {
    let event =
        |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let body = events.iter().map(event).collect::<Vec<_>>().concat();
    (200, vec![("content-type", "text/event-stream".into())], body)
}

fn anthropic_events() -> Vec<Value> {
    let start = |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
    vec![
        json!({"type": "message_start", "message": {
            "id": "m1", "type": "message", "role": "assistant", "model": "acme", "content": [],
            "usage": {"input_tokens": 11, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 1},
        }}),
        json!({"type": "ping"}),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm."})),
        stop(0),
        start(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Read"})),
        delta(1, json!({"type": "text_delta", "text": "ing."})),
        stop(1),
        start(2, json!({"type": "tool_use", "id": "t1", "name": "read_file", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"path\":"})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "\"a\"}"})),
        stop(2),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ]
}

#[tokio::test]
async fn anthropic_streams_text_calls_and_usage() {
    let (reply, heard, asked) = reply(Provider::Anthropic, anthropic(&anthropic_events())).await;
    let reply = reply.unwrap();
    assert_eq!(heard, "(Hm.)|Read|ing.");
    assert_eq!((reply.text.as_str(), reply.calls), ("Reading.", vec![call("t1", "a")]));
    // What was read from the cache is a part of the input.
    let usage = &reply.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.cached_tokens), (15, 7, 4));
    assert_eq!(asked.line, "POST /v1/messages");
    assert_eq!(
        (asked.headers["x-api-key"].as_str(), body(&asked)["stream"].clone()),
        (KEY, json!(true))
    );
    assert!(asked.headers.contains_key("anthropic-version"));
}

fn gemini() -> Vec<Value> {
    let parts =
        |parts: Value| json!({"candidates": [{"content": {"role": "model", "parts": parts}}]});
    let function = json!({"name": "read_file", "args": {"path": "a"}});
    let usage = json!({
        "promptTokenCount": 11, "candidatesTokenCount": 5, "thoughtsTokenCount": 2,
        "cachedContentTokenCount": 4, "totalTokenCount": 18,
    });
    let mut last = parts(json!([{"functionCall": function, "thoughtSignature": "signed"}]));
    last["candidates"][0]["finishReason"] = json!("STOP");
    last["usageMetadata"] = usage;
    vec![
        parts(json!([{"text": "Hm.", "thought": true}])),
        parts(json!([{"text": "Read"}])),
        parts(json!([{"text": "ing."}])),
        last,
    ]
}

#[tokio::test]
async fn gemini_streams_text_calls_and_usage() {
    let (reply, heard, asked) = reply(Provider::Gemini, events(&gemini())).await;
    let reply = reply.unwrap();
    assert_eq!(heard, "(Hm.)|Read|ing.");
    assert_eq!(reply.text, "Reading.");
    assert_eq!(reply.calls[0].arguments, json!({"path": "a"}));
    assert_eq!(reply.calls[0].signatures, ["signed"]);
    let usage = &reply.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (11, 7));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (4, 2));
    assert_eq!(asked.line, "POST /v1beta/models/acme:streamGenerateContent?alt=sse");
    assert_eq!(asked.headers["x-goog-api-key"], KEY);
}

fn lines(values: &[Value]) -> Answer {
    let body = values.iter().map(|value| format!("{value}\n")).collect::<Vec<_>>().concat();
    (200, vec![("content-type", "application/x-ndjson".into())], body)
}

fn ollama() -> Vec<Value> {
    let said = |message: Value| json!({"model": "acme", "message": message, "done": false});
    let function = json!({"name": "read_file", "arguments": {"path": "a"}});
    vec![
        said(json!({"role": "assistant", "content": "", "thinking": "Hm."})),
        said(json!({"role": "assistant", "content": "Read"})),
        said(json!({"role": "assistant", "content": "ing."})),
        said(json!({"role": "assistant", "content": "", "tool_calls": [{"function": function}]})),
        json!({
            "model": "acme", "message": {"role": "assistant", "content": ""}, "done": true,
            "done_reason": "stop", "prompt_eval_count": 11, "prompt_eval_cached_count": 4, "eval_count": 7,
        }),
    ]
}

#[tokio::test]
async fn ollama_streams_text_calls_and_usage() {
    let (reply, heard, asked) = reply(Provider::Ollama, lines(&ollama())).await;
    let reply = reply.unwrap();
    assert_eq!(heard, "(Hm.)|Read|ing.");
    assert_eq!(
        (reply.text.as_str(), &reply.calls[0].arguments),
        ("Reading.", &json!({"path": "a"}))
    );
    let usage = &reply.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.cached_tokens), (11, 7, 4));
    assert_eq!(asked.line, "POST /api/chat");
    assert!(
        !asked.headers.contains_key("authorization")
            || !asked.headers["authorization"].contains(KEY)
    );
    assert_eq!(body(&asked)["stream"], json!(true));
}

#[tokio::test]
async fn a_stream_without_its_end_is_no_reply() {
    let without_end = |mut all: Vec<Value>, last: usize| {
        all.truncate(all.len() - last);
        all
    };
    for (provider, answer) in [
        (Provider::Openai, events(&without_end(openai(), 1))),
        (Provider::Openai, cut(events(&without_end(openai(), 4)))),
        (Provider::Anthropic, anthropic(&without_end(anthropic_events(), 1))),
        (Provider::Anthropic, cut(anthropic(&without_end(anthropic_events(), 3)))),
        (Provider::Gemini, events(&without_end(gemini(), 1))),
        (Provider::Gemini, cut(events(&without_end(gemini(), 1)))),
        (Provider::Ollama, lines(&without_end(ollama(), 1))),
        (Provider::Ollama, cut(lines(&without_end(ollama(), 1)))),
    ] {
        let (reply, heard, _) = reply(provider, answer).await;
        let failure = reply.unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.retryable),
            ("model_stream_broken", true),
            "{provider:?}: {failure:?}"
        );
        assert_eq!(heard, "(Hm.)|Read|ing.", "{provider:?}");
    }
}

#[tokio::test]
async fn errors_in_a_stream_are_those_of_a_whole_reply() {
    let told = json!({"error": {"message": format!("overloaded, {KEY}"), "code": 503}});
    for (provider, answer, code) in [
        (Provider::Openai, events(std::slice::from_ref(&told)), "model_http_503"),
        (
            Provider::Anthropic,
            anthropic(&[
                json!({"type": "error", "error": {"type": "overloaded_error", "message": KEY}}),
            ]),
            "model_stream_failed",
        ),
        (Provider::Openai, events(&[json!("{\"choices\": [")]), "model_reply_invalid"),
        (Provider::Gemini, events(&[json!("<html>")]), "model_reply_invalid"),
        (Provider::Ollama, lines(&[json!("no object")]), "model_stream_broken"),
    ] {
        let (reply, _, _) = reply(provider, answer).await;
        let failure = reply.unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.retryable),
            (code, true),
            "{provider:?}: {failure:?}"
        );
        assert!(!failure.message.contains(KEY), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_reply_that_never_ends_is_left() {
    let piece = "x".repeat(64 << 10);
    let delta = json!({"choices": [{"index": 0, "delta": {"content": piece}}]});
    let (reply, heard, _) = reply(Provider::Openai, events(&vec![delta; 160])).await;
    let failure = reply.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("model_reply_too_large", false));
    assert!(heard.len() < 1 << 20, "{} bytes were read", heard.len());
}

const AGENT: &str = "
name: talker
pool: default
model:
  provider: scripted
  name: sample-1
  script:
    turns:
      - text: 'one two three four five six'
        calls: [{tool: list_files}]
      - text: done
tools: [list_files]
";

/// Holds the tool until it may go on.
struct Gate(Arc<Notify>);

#[async_trait]
impl Observer for Gate {
    async fn before_step(&self, _: RunId, key: &Key, _: u64) {
        if key.name() == "tool:list_files" {
            self.0.notified().await;
        }
    }
}

#[tokio::test]
async fn who_watches_a_run_hears_the_model() {
    let rig = Rig::with(&[]).await;
    rig.publish(AGENT).await;
    let run = rig.app.create("talker", r#""Begin.""#).await;
    let request = v1::WatchRunRequest { tenant: "default".into(), run, after_seq: 0, stream: true };
    let mut watched = rig.app.client.runs().watch_run(request).await.unwrap().into_inner();
    let gate = Arc::new(Notify::new());
    rig.work(ModelConfig::default(), Arc::new(Gate(gate.clone())));
    let mut heard = Vec::new();
    while let Some(event) = watched.message().await.unwrap() {
        if let Some(v1::watch_run_response::Event::Published(event)) = event.event {
            let text = String::from_utf8(event.data.to_vec()).unwrap();
            heard.push((event.key, event.kind, event.index, text));
        }
        // What comes last may be lost, so the run goes on when all of the first turn was heard.
        if heard.len() == 2 {
            gate.notify_one();
        }
    }
    let piece = |index, text: &str| ("turn/0/model".into(), "token".into(), index, text.into());
    assert_eq!(heard[..2], [piece(0, "one two three four "), piece(1, "five six")]);
}
