//! Chats, each of which is a run.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use tenure_sdk::v1;

use super::text;
use crate::{Hand, end, succeed};

#[tokio::test]
async fn a_chat_is_a_run_and_the_answer_its_output() {
    let hand = Hand::start().await;
    let asked = hand.chat("", &json!({"metadata": {"ticket": "7"}, "temperature": 0.5}));
    let leased = hand.leased().await;
    let input = leased.input.clone().unwrap();
    assert_snapshot!(
        format!("{} {}", input.content_type, str::from_utf8(&input.data).unwrap()),
        @r#"application/vnd.tenure.conversation+json {"messages":[{"role":"user","content":"hi"}],"temperature":0.5}"#
    );
    hand.say(&leased, &text("Hello.")).await;
    let answered = asked.await.unwrap();
    assert_eq!((answered.status, answered.run()), (200, &*leased.run));
    assert!(!answered.header("x-request-id").is_empty());
    let run = hand.app.run(&leased.run).await;
    assert_eq!(run.labels["ticket"], "7");
    let created = run.created_at.unwrap().seconds;
    assert_eq!(
        answered.json(),
        json!({
            "id": format!("chatcmpl-{}", leased.run),
            "object": "chat.completion",
            "created": created,
            "model": "hello",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "Hello.", "refusal": null},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": {
                "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
            "system_fingerprint": format!("fp_{}", &leased.spec_digest[..10]),
        })
    );
}

#[tokio::test]
async fn calls_of_the_clients_tools_come_back_as_a_message_without_content() {
    let hand = Hand::start().await;
    let asked = hand.chat("", &json!({}));
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let message = json!({"content": "", "tool_calls": [call], "finish_reason": "tool_calls"});
    hand.say(&hand.leased().await, &message).await;
    let choice = asked.await.unwrap().json()["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], json!(null));
    assert_eq!(choice["message"]["tool_calls"], json!([call]));
}

#[tokio::test]
async fn an_output_that_is_no_message_is_its_text() {
    let hand = Hand::start().await;
    for (content_type, data, said) in [
        ("application/json", r#""a text""#, "a text"),
        ("application/json", "42", "42"),
        ("text/plain", "\"quoted\"", "\"quoted\""),
    ] {
        let asked = hand.chat("", &json!({}));
        let leased = hand.leased().await;
        let output = v1::Payload {
            content_type: content_type.into(),
            encoding: String::new(),
            data: data.into(),
        };
        hand.commit(end(&leased, 1, v1::outcome::Outcome::Succeed(output))).await.unwrap();
        assert_eq!(asked.await.unwrap().json()["choices"][0]["message"]["content"], said);
    }
}

#[tokio::test]
async fn the_same_key_is_the_same_run_streamed_or_not() {
    let hand = Hand::start().await;
    let first = hand.chat("k1", &json!({}));
    let leased = hand.leased().await;
    // The client goes; the run does not.
    first.abort();
    let again = hand.chat("k1", &json!({}));
    let streamed = hand.chat("k1", &json!({"stream": true}));
    assert!(hand.poll(50).await.is_none(), "there is one run");
    hand.say(&leased, &text("Hello.")).await;
    let (again, streamed) = (again.await.unwrap(), streamed.await.unwrap());
    let later = hand.chat("k1", &json!({})).await.unwrap();
    assert_eq!(again.json(), later.json());
    for answered in [&again, &streamed, &later] {
        assert_eq!((answered.status, answered.run()), (200, &*leased.run));
    }
    let said: String = streamed
        .events()
        .iter()
        .filter_map(|e| e["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, "Hello.");

    let other = hand.chat("k1", &json!({"temperature": 1})).await.unwrap();
    assert_eq!(other.refused(), (409, "already_exists".into()));
    assert_eq!(other.header("x-should-retry"), "false");
}

#[tokio::test]
async fn a_run_outlives_its_client() {
    let hand = Hand::start().await;
    let request = hand
        .request("/openai/v1/chat/completions", &[])
        .body(r#"{"model": "hello", "messages": [{"role": "user", "content": "hi"}]}"#)
        .timeout(Duration::from_millis(300));
    request.send().await.unwrap_err();
    let leased = hand.leased().await;
    hand.say(&leased, &text("Hello.")).await;
    assert_eq!(hand.app.run(&leased.run).await.state(), v1::RunState::Succeeded);
}

#[tokio::test]
async fn models_are_agents_their_aliases_and_their_versions() {
    let hand = Hand::start().await;
    let document = "{name: hello, kind: external, pool: hello, description: two}".into();
    let publish = v1::PublishVersionRequest { tenant: "default".into(), document };
    hand.app.client.agents().publish_version(publish).await.unwrap();
    let alias = v1::SetAliasRequest {
        tenant: "default".into(),
        agent: "hello".into(),
        alias: "old".into(),
        targets: vec![v1::AliasTarget { version: 1, weight: 1 }],
    };
    hand.app.client.agents().set_alias(alias).await.unwrap();
    for (model, version) in [("hello", 2), ("hello@old", 1), ("hello@1", 1)] {
        let asked = hand.chat("", &json!({"model": model}));
        let leased = hand.leased().await;
        assert_eq!(leased.version, version, "{model}");
        hand.commit(end(&leased, 1, succeed())).await.unwrap();
        assert_eq!(asked.await.unwrap().json()["model"], model);
        let found = hand.get(&format!("/openai/v1/models/{model}")).await;
        assert_eq!(found.json()["id"], model);
    }
    let listed = hand.get("/openai/v1/models").await.json();
    assert_eq!((&listed["object"], &listed["data"][0]["id"]), (&json!("list"), &json!("hello")));
    assert_eq!(listed["data"][0]["owned_by"], "default");
}

#[tokio::test]
async fn where_the_path_names_the_agent_the_model_is_only_a_name() {
    let hand = Hand::start().await;
    let body = json!({"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]});
    let asked = tokio::spawn(hand.post("/openai/hello@1/v1/chat/completions", &[], &body));
    hand.commit(end(&hand.leased().await, 1, succeed())).await.unwrap();
    assert_eq!(asked.await.unwrap().json()["model"], "gpt-5");
    let listed = hand.get("/openai/hello/v1/models").await.json();
    assert_eq!(listed["data"][0]["id"], "hello");
    assert_eq!(hand.get("/openai/hello/v1/models/gpt-5").await.json()["id"], "gpt-5");
    assert_eq!(hand.get("/openai/bye/v1/models").await.refused(), (404, "model_not_found".into()));
}
