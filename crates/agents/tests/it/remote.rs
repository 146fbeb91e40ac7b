//! Remote models against a server that speaks their wire formats.

use std::sync::Arc;

use serde_json::{Value, json};
use tenure_agents::model::{Definition, Message, Model, Models, Nobody, Request, ToolCall};
use tenure_agents::{ModelConfig, Secret};
use tenure_spec::Provider;

use crate::double::{Answer, Double, json as answer};

pub(crate) const KEY: &str = "sk-very-secret";

/// A key for everybody, and no host beside the providers' own that may see it.
pub(crate) fn config() -> ModelConfig {
    ModelConfig {
        openai_key: Some(Secret::new(KEY)),
        anthropic_key: Some(Secret::new(KEY)),
        gemini_key: Some(Secret::new(KEY)),
        ..ModelConfig::default()
    }
}

/// A model at the double, which is on the list of hosts that may see the key.
pub(crate) fn open(provider: Provider, base_url: &str, key_hosts: &[&str]) -> Arc<dyn Model> {
    let key_hosts = key_hosts.iter().map(ToString::to_string).collect();
    let config = ModelConfig { key_hosts, ..config() };
    let model = tenure_spec::Model {
        // genai reads an effort out of such a name, which must not happen to compatible servers.
        name: if provider == Provider::Openai { "acme-high" } else { "acme" }.into(),
        base_url: Some(base_url.into()),
        temperature: Some(0.5),
        max_tokens: Some(100),
        ..tenure_spec::Model::of(provider, "")
    };
    Models::new(config).unwrap().open(&model).unwrap()
}

/// A reply in OpenAI's format.
pub(crate) fn completion(message: &Value, finish: &str) -> Answer {
    let usage = json!({
        "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    });
    let choice = json!({"index": 0, "message": message, "finish_reason": finish});
    let (id, model) = ("chatcmpl-1", "acme-high-2026");
    answer(
        200,
        &json!({"id": id, "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}),
    )
}

pub(crate) fn call(id: &str, path: &str) -> ToolCall {
    let arguments = json!({"path": path});
    ToolCall { id: id.into(), name: "read_file".into(), arguments, signatures: vec![] }
}

/// A conversation in the middle: two calls were made and answered.
pub(crate) fn request() -> Request {
    let result = |id: &str, text: &str| Message::Tool {
        call: id.into(),
        name: "read_file".into(),
        text: text.into(),
    };
    Request {
        system: "Be brief.".into(),
        messages: vec![
            Message::user("Read a and b."),
            Message::Assistant {
                text: String::new(),
                calls: vec![call("c1", "a"), call("c2", "b")],
            },
            result("c1", r#"{"text":"A"}"#),
            result("c2", r#"{"error":"gone"}"#),
        ],
        tools: vec![Definition {
            name: "read_file".into(),
            description: "Reads.".into(),
            parameters: json!({"type": "object", "properties": {"path": {"type": "string"}}}),
        }],
        output: None,
    }
}

#[tokio::test]
async fn openai_is_asked_in_its_format() {
    let said = json!({"role": "assistant", "content": "done"});
    let server = Double::start(vec![completion(&said, "stop")]).await;
    let model = open(Provider::Openai, &format!("{}/v1", server.url), &["127.0.0.1"]);
    let reply = model.reply(&request(), &Nobody).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.calls.len(), reply.cut), ("done", 0, false));

    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /v1/chat/completions");
    assert_eq!(asked.headers["authorization"], format!("Bearer {KEY}"));
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!((&body["model"], &body["temperature"]), (&json!("acme-high"), &json!(0.5)));
    assert!(body.get("reasoning_effort").is_none(), "{body}");
    assert!(body["max_tokens"] == 100 || body["max_completion_tokens"] == 100, "{body}");
    assert_eq!(body["tools"][0]["function"]["name"], "read_file");
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);
    assert_eq!(messages[2]["tool_calls"][1]["function"]["arguments"], r#"{"path":"b"}"#);
    assert_eq!(
        (&messages[4]["tool_call_id"], &messages[4]["content"]),
        (&json!("c2"), &json!(r#"{"error":"gone"}"#))
    );
}

#[tokio::test]
async fn openai_answers_with_calls_and_usage() {
    let function =
        |path: &str| json!({"name": "read_file", "arguments": json!({"path": path}).to_string()});
    let said = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "c1", "type": "function", "function": function("a")},
        {"id": "c2", "type": "function", "function": function("b")},
    ]});
    let server = Double::start(vec![completion(&said, "tool_calls")]).await;
    let model = open(Provider::Openai, &server.url, &["127.0.0.1"]);
    let reply = model.reply(&request(), &Nobody).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.calls), ("", vec![call("c1", "a"), call("c2", "b")]));
    let usage = reply.usage;
    assert_eq!(usage.model, "acme-high");
    assert_eq!((usage.input_tokens, usage.output_tokens), (11, 7));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (4, 2));
}

#[tokio::test]
async fn a_reply_at_the_limit_of_tokens_is_marked() {
    let said = json!({"role": "assistant", "content": "and then"});
    let server = Double::start(vec![completion(&said, "length")]).await;
    assert!(open(Provider::Openai, &server.url, &[]).reply(&request(), &Nobody).await.unwrap().cut);
}

#[tokio::test]
async fn anthropic_is_asked_in_its_format() {
    let content = json!([
        {"type": "text", "text": "Reading."},
        {"type": "tool_use", "id": "t1", "name": "read_file", "input": {"path": "a"}},
    ]);
    let server = Double::start(vec![answer(
        200,
        &json!({
            "id": "m1", "type": "message", "role": "assistant", "model": "acme", "content": content,
            "stop_reason": "tool_use", "usage": {"input_tokens": 11, "output_tokens": 7},
        }),
    )])
    .await;
    let model = open(Provider::Anthropic, &format!("{}/v1", server.url), &["127.0.0.1"]);
    let reply = model.reply(&request(), &Nobody).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.calls), ("Reading.", vec![call("t1", "a")]));
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (11, 7));

    let asked = &server.asked()[0];
    assert_eq!(
        (asked.line.as_str(), asked.headers["x-api-key"].as_str()),
        ("POST /v1/messages", KEY)
    );
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3, "all results of a turn are one message: {body}");
    assert_eq!(messages[2]["content"][1]["tool_use_id"], "c2");
}

#[tokio::test]
async fn gemini_gets_back_what_it_signed() {
    let function = json!({"name": "read_file", "args": {"path": "a"}});
    let parts = json!([{"functionCall": function, "thoughtSignature": "signed"}]);
    let candidate = json!({"content": {"role": "model", "parts": parts}, "finishReason": "STOP"});
    let usage = json!({"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18});
    let body = answer(200, &json!({"candidates": [candidate], "usageMetadata": usage}));
    let server = Double::start(vec![body.clone(), body]).await;
    let model = open(Provider::Gemini, &format!("{}/v1beta", server.url), &["127.0.0.1"]);

    let reply = model.reply(&request(), &Nobody).await.unwrap();
    assert_eq!(reply.calls[0].signatures, ["signed"]);
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (11, 7));
    let mut request = request();
    let (id, name) = (reply.calls[0].id.clone(), reply.calls[0].name.clone());
    request.messages.push(Message::Assistant { text: reply.text, calls: reply.calls });
    request.messages.push(Message::Tool { call: id, name, text: "{}".into() });
    model.reply(&request, &Nobody).await.unwrap();
    let asked = &server.asked()[1];
    assert_eq!(asked.line, "POST /v1beta/models/acme:generateContent");
    assert_eq!(asked.headers["x-goog-api-key"], KEY);
    assert_eq!(asked.body.matches(r#""thoughtSignature":"signed""#).count(), 1, "{}", asked.body);
}

#[tokio::test]
async fn ollama_is_asked_in_its_format() {
    let function = json!({"name": "read_file", "arguments": {"path": "a"}});
    let said = json!({"role": "assistant", "content": "", "tool_calls": [{"function": function}]});
    let server = Double::start(vec![answer(
        200,
        &json!({
            "model": "acme", "message": said, "done": true, "done_reason": "stop",
            "prompt_eval_count": 11, "eval_count": 7,
        }),
    )])
    .await;
    let reply = open(Provider::Ollama, &server.url, &[]).reply(&request(), &Nobody).await.unwrap();
    assert_eq!(reply.calls[0].arguments, json!({"path": "a"}));
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (11, 7));
    assert_eq!(server.asked()[0].line, "POST /api/chat");
}

#[tokio::test]
async fn what_may_pass_is_retryable() {
    for (status, retryable) in [
        (400, false),
        (401, false),
        (404, false),
        (408, true),
        (409, true),
        (429, true),
        (500, true),
        (529, true),
    ] {
        let body = json!({"error": {"message": format!("no, {KEY}")}});
        let server = Double::start(vec![answer(status, &body)]).await;
        let model = open(Provider::Openai, &server.url, &["127.0.0.1"]);
        let failure = model.reply(&request(), &Nobody).await.unwrap_err();
        assert_eq!((failure.code, failure.retryable), (format!("model_http_{status}"), retryable));
        assert!(failure.message.contains("no, [key]"), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_provider_that_says_when_to_come_back_is_asked_again_then() {
    let busy = (429, vec![("retry-after", "20".into())], "{}".into());
    let server = Double::start(vec![busy]).await;
    let failure =
        open(Provider::Openai, &server.url, &[]).reply(&request(), &Nobody).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("model_http_429", true));
    assert_eq!(failure.retry_after, Some(std::time::Duration::from_secs(20)));
}

#[tokio::test]
async fn a_connection_that_breaks_is_retryable() {
    let server = Double::start(vec![]).await;
    let failure =
        open(Provider::Openai, &server.url, &[]).reply(&request(), &Nobody).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("model_connection", true));
    let html = (200, vec![("content-type", "text/html".into())], "<html>".into());
    let server = Double::start(vec![html]).await;
    let failure =
        open(Provider::Openai, &server.url, &[]).reply(&request(), &Nobody).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("model_reply_invalid", true));
}

#[tokio::test]
async fn arguments_that_are_no_json_are_a_failure_without_the_request() {
    let function = json!({"name": "read_file", "arguments": "{\"path\": "});
    let calls = json!([{"id": "c1", "type": "function", "function": function}]);
    let said = json!({"role": "assistant", "content": null, "tool_calls": calls});
    let server = Double::start(vec![completion(&said, "tool_calls")]).await;
    let failure =
        open(Provider::Openai, &server.url, &[]).reply(&request(), &Nobody).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("model_reply_invalid", true));
    assert!(!failure.message.contains("Be brief"), "{}", failure.message);
}

#[tokio::test]
async fn the_key_goes_to_no_host_that_is_not_listed() {
    let redirect = (307, vec![("location", "http://127.0.0.1:1/".into())], String::new());
    for provider in [Provider::Openai, Provider::Anthropic, Provider::Gemini, Provider::Ollama] {
        let server = Double::start(vec![redirect.clone()]).await;
        let failure =
            open(provider, &server.url, &["models.example.com"]).reply(&request(), &Nobody).await;
        assert_eq!(failure.unwrap_err().code, "model_http_307");
        let asked = &server.asked()[0];
        assert!(!format!("{asked:?}").contains(KEY), "{asked:?}");
    }
}
