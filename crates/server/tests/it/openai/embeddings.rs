//! Embeddings, each text of which is a run.

use serde_json::json;
use tenure_sdk::v1;

use crate::{Hand, end, json as payload, succeed};

#[tokio::test]
async fn each_text_is_a_run_and_vectors_keep_their_order() {
    let hand = Hand::start().await;
    let headers = [("idempotency-key", "k")];
    let body = |format: &str| json!({"model": "hello", "input": ["one", "two"], "encoding_format": format});
    let asked = tokio::spawn(hand.post("/openai/v1/embeddings", &headers, &body("float")));
    for _ in 0..2 {
        let leased = hand.leased().await;
        let vector = match &*leased.input.clone().unwrap().data {
            br#""one""# => "[1, -0.5]",
            br#""two""# => "[2]",
            other => panic!("{other:?}"),
        };
        let succeed = v1::outcome::Outcome::Succeed(payload(vector));
        hand.commit(end(&leased, 1, succeed)).await.unwrap();
    }
    let answered = asked.await.unwrap();
    let embedding = |place: usize, embedding| json!({"object": "embedding", "index": place, "embedding": embedding});
    assert_eq!(
        answered.json(),
        json!({
            "object": "list",
            "data": [embedding(0, json!([1.0, -0.5])), embedding(1, json!([2.0]))],
            "model": "hello",
            "usage": {"prompt_tokens": 0, "total_tokens": 0},
        })
    );
    assert_eq!(answered.run().split(',').count(), 2);
    let again = hand.post("/openai/v1/embeddings", &headers, &body("base64")).await;
    assert_eq!(again.run(), answered.run());
    assert_eq!(again.json()["data"][0]["embedding"], "AACAPwAAAL8=");
}

#[tokio::test]
async fn an_agent_without_vectors_and_wrong_inputs_are_named() {
    let hand = Hand::start().await;
    let body = json!({"model": "hello", "input": "one"});
    let asked = tokio::spawn(hand.post("/openai/v1/embeddings", &[], &body));
    hand.commit(end(&hand.leased().await, 1, succeed())).await.unwrap();
    assert_eq!(asked.await.unwrap().refused(), (400, "no_embeddings".into()));
    for (name, value, code) in [
        ("input", json!(null), "missing"),
        ("input", json!([]), "invalid_value"),
        ("input", json!([[1, 2]]), "invalid_type"),
        ("input", json!(vec!["a"; 2_049]), "invalid_value"),
        ("encoding_format", json!("hex"), "invalid_value"),
        ("dimensions", json!(3), "unsupported"),
        ("model", json!(1), "invalid_type"),
    ] {
        let mut body = json!({"model": "hello", "input": "one"});
        body[name] = value;
        let refused = hand.post("/openai/v1/embeddings", &[], &body).await;
        assert_eq!(refused.refused(), (400, code.into()));
        assert_eq!(refused.json()["error"]["param"], name);
    }
}
