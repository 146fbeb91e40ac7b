//! What providers do wrong, and what the journal says about it.

use serde_json::json;
use tenure_agents::model::Nobody;
use tenure_sdk::Failure;
use tenure_spec::Provider;

use crate::double::{Answer, Double, cut, json as answer};
use crate::remote::{KEY, completion, open, request};
use crate::streaming::Heard;

/// What an answer comes to in one piece; statuses must come to the same in a stream.
async fn failure(answered: Answer) -> Failure {
    let server = Double::start(vec![answered.clone(), answered]).await;
    let model = open(Provider::Openai, &server.url, &["127.0.0.1"]);
    let whole = model.reply(&request(), &Nobody).await.unwrap_err();
    let streamed = model.reply(&request(), &Heard::default()).await.unwrap_err();
    if whole.code.starts_with("model_http") {
        assert_eq!(streamed, whole);
    }
    assert!(streamed.code.starts_with("model_"), "{streamed:?}");
    for told in [&whole.message, &streamed.message] {
        assert!(!told.contains(KEY), "{told}");
        assert!(told.len() < 2_000, "{told}");
    }
    whole
}

#[tokio::test]
async fn each_failure_has_a_name_and_says_what_to_do() {
    let error = |text: &str| json!({"error": {"message": format!("{text} {KEY}")}});
    let html = |body: &str| (200, vec![("content-type", "text/html".into())], body.into());
    let text =
        |content: &str| completion(&json!({"role": "assistant", "content": content}), "stop");
    let half = (200, vec![("content-type", "application/json".into())], "{\"choices\": [{".into());
    let filtered = completion(&json!({"role": "assistant", "content": ""}), "content_filter");
    let mut table = Vec::new();
    for (what, answered) in [
        ("401", answer(401, &error("wrong key"))),
        ("404", answer(404, &error("no such model"))),
        ("429", (429, vec![("retry-after", "20".into())], error("slow down").to_string())),
        ("500", answer(500, &error("oops"))),
        ("garbage", html("<html>sorry</html>")),
        ("half a JSON", half),
        ("nothing", text("  ")),
        ("filtered", filtered),
        ("10 MB", text(&"x".repeat(10 << 20))),
        ("cut", cut(text("hello"))),
    ] {
        let Failure { code, message, retryable, retry_after } = failure(answered).await;
        let again = if retryable { "again" } else { "final" };
        let after = retry_after.map(|pause| format!(" after {pause:?}")).unwrap_or_default();
        table.push(format!("{what}: {code}, {again}{after}\n    {message}\n"));
    }
    insta::assert_snapshot!(table.concat());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    rustls::crypto::ring::default_provider().install_default().ok();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let model = open(Provider::Openai, &url, &[]);
    let told = Heard::default();
    for failure in [model.reply(&request(), &Nobody).await, model.reply(&request(), &told).await] {
        let failure = failure.unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.retryable),
            ("model_timeout", true),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn the_schema_of_the_answer_goes_to_the_provider() {
    let schema = json!({
        "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
        "additionalProperties": false,
    });
    let said = completion(&json!({"role": "assistant", "content": "{\"n\": 1}"}), "stop");
    let message = json!({
        "id": "m", "type": "message", "role": "assistant", "model": "acme", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "{\"n\": 1}"}], "usage": {"input_tokens": 1, "output_tokens": 1},
    });
    let candidate = json!({"content": {"role": "model", "parts": [{"text": "{\"n\": 1}"}]}, "finishReason": "STOP"});
    for (provider, answered, line, place) in [
        (
            Provider::Openai,
            said.clone(),
            "POST /chat/completions",
            "/response_format/json_schema/schema",
        ),
        // By the API that takes it.
        (
            Provider::Ollama,
            said,
            "POST /v1/chat/completions",
            "/response_format/json_schema/schema",
        ),
        (
            Provider::Anthropic,
            answer(200, &message),
            "POST /messages",
            "/output_config/format/schema",
        ),
        (
            Provider::Gemini,
            answer(200, &json!({"candidates": [candidate]})),
            "POST /models/acme:generateContent",
            "/generationConfig/responseJsonSchema",
        ),
    ] {
        let server = Double::start(vec![answered]).await;
        let model = open(provider, &server.url, &["127.0.0.1"]);
        let request = tenure_agents::model::Request {
            messages: vec![tenure_agents::model::Message::user("Count.")],
            output: Some(schema.clone()),
            ..tenure_agents::model::Request::default()
        };
        let reply = model.reply(&request, &Nobody).await.unwrap();
        assert_eq!(reply.text, "{\"n\": 1}");
        let asked = &server.asked()[0];
        let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(asked.line, line);
        assert_eq!(body.pointer(place), Some(&schema), "{provider:?}: {body}");
    }
}
