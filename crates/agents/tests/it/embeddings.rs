//! Vectors of texts, from the providers that make them.

use serde_json::{Value, json};
use tenure_agents::ModelConfig;
use tenure_agents::model::{Asked, Models, Router as _, Wanted};
use tenure_sdk::{Failure, Usage};
use tenure_spec::graph::Candidates;
use tenure_spec::{Model, Provider};

use crate::double::{Double, json as answer};
use crate::remote::{KEY, config};

async fn embed(
    provider: Provider,
    answered: &Value,
) -> (Result<(Vec<f64>, Usage), Failure>, Double) {
    let server = Double::start(vec![answer(200, answered)]).await;
    let config = ModelConfig { key_hosts: vec!["127.0.0.1".into()], ..config() };
    let model = Model { base_url: Some(server.url.clone()), ..Model::of(provider, "acme") };
    let candidates = Candidates::default();
    let wanted =
        Wanted { kind: Asked::Vector, candidates: &candidates, default: Some(&model), attempt: 1 };
    let made = Models::new(config).unwrap().embed(&wanted, "hello").await;
    (made, server)
}

#[tokio::test]
async fn each_provider_that_has_vectors_is_asked_in_its_format() {
    let openai = json!({
        "object": "list", "model": "acme", "usage": {"prompt_tokens": 2, "total_tokens": 2},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
    });
    let gemini = json!({"embedding": {"values": [0.5, -1.0]}});
    let ollama = json!({"model": "acme", "embeddings": [[0.5, -1.0]], "prompt_eval_count": 2});
    for (provider, answered, line, place, header) in [
        (
            Provider::Openai,
            openai,
            "POST /embeddings",
            "/input",
            Some(("authorization", format!("Bearer {KEY}"))),
        ),
        (
            Provider::Gemini,
            gemini,
            "POST /models/acme:embedContent",
            "/content/parts/0/text",
            Some(("x-goog-api-key", KEY.into())),
        ),
        (Provider::Ollama, ollama, "POST /api/embed", "/input", None),
    ] {
        let (made, server) = embed(provider, &answered).await;
        let (vector, usage) = made.unwrap();
        assert_eq!(vector, [0.5, -1.0], "{provider:?}");
        assert_eq!(usage.model, "acme");
        let asked = &server.asked()[0];
        assert_eq!(asked.line, line);
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let input = body.pointer(place).unwrap_or(&body);
        assert!(input == "hello" || input[0] == "hello", "{body}");
        if let Some((name, value)) = header {
            assert_eq!(asked.headers[name], value);
        }
    }
    let (made, _) = embed(Provider::Anthropic, &json!({})).await;
    assert_eq!(made.unwrap_err().message, "model `acme`: Anthropic has no embeddings; ask another");
}
