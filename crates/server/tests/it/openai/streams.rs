//! Completions in chunks.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::{read, text};
use crate::{Hand, end, fail};

/// What is left of a chunk without what all have in common.
fn short(event: &Value) -> String {
    if !event.is_object() || event.get("error").is_some() {
        return event.to_string();
    }
    assert_eq!(event["object"], "chat.completion.chunk");
    let choice = &event["choices"][0];
    let usage =
        event.get("usage").map_or(String::new(), |usage| format!(" {}", usage["total_tokens"]));
    format!("{} {}{usage}", choice["delta"], choice["finish_reason"])
}

#[tokio::test]
async fn a_stream_is_the_message_in_parts() {
    let hand = Hand::start().await;
    let asked = hand.chat("", &json!({"stream": true}));
    hand.say(&hand.leased().await, &text("Hello.")).await;
    let answered = asked.await.unwrap();
    assert_eq!(answered.header("content-type"), "text/event-stream");
    let events: Vec<_> = answered.events().iter().map(short).collect();
    assert_snapshot!(events.join("\n"), @r#"
    {"content":"","refusal":null,"role":"assistant"} null
    {"content":"Hello."} null
    {} "stop"
    "[DONE]"
    "#);
}

#[tokio::test]
async fn calls_are_told_in_parts_and_usage_comes_last() {
    let hand = Hand::start().await;
    let asked = hand.chat("", &json!({"stream": true, "stream_options": {"include_usage": true}}));
    let call = json!({"id": "c1", "type": "function",
        "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let message = json!({"content": "", "tool_calls": [call], "finish_reason": "tool_calls"});
    hand.say(&hand.leased().await, &message).await;
    let events: Vec<_> = asked.await.unwrap().events().iter().map(short).collect();
    assert_snapshot!(events.join("\n"), @r#"
    {"content":"","refusal":null,"role":"assistant"} null null
    {"tool_calls":[{"function":{"arguments":"","name":"f"},"id":"c1","index":0,"type":"function"}]} null null
    {"tool_calls":[{"function":{"arguments":"{\"a\":1}"},"index":0}]} null null
    {} "tool_calls" null
    null null 15
    "[DONE]"
    "#);
}

#[tokio::test]
async fn a_run_that_fails_ends_its_stream_with_an_error() {
    let hand = Hand::start().await;
    let asked = hand.chat("", &json!({"stream": true}));
    hand.commit(end(&hand.leased().await, 1, fail("broken", false))).await.unwrap();
    let answered = asked.await.unwrap();
    assert_eq!(answered.status, 200, "it had begun");
    let last = answered.events().pop().unwrap();
    let message = last["error"]["message"].as_str().unwrap().replace(answered.run(), "run_…");
    assert_snapshot!(message, @"run run_… failed: it broke");
    assert_eq!(last["error"]["code"], "broken");
}

#[tokio::test]
async fn a_control_plane_that_stops_lets_go() {
    let hand = Hand::start().await;
    let whole = hand.chat("k", &json!({}));
    let leased = hand.leased().await;
    let streamed = hand.request("/openai/v1/chat/completions", &[]);
    let body = json!({
        "model": "hello", "stream": true, "messages": [{"role": "user", "content": "hi"}],
    });
    let streamed = streamed.body(body.to_string()).send().await.unwrap();
    hand.app.stop();
    let (whole, streamed) = (whole.await.unwrap(), read(streamed).await);
    assert_eq!(whole.refused(), (503, "unavailable".into()));
    assert_eq!((whole.run(), whole.header("x-should-retry")), (&*leased.run, "true"));
    assert_eq!(streamed.events().pop().unwrap()["error"]["code"], "unavailable");
}
