//! Completions in chunks.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tenure_sdk::{Attempt, Context, Failure, Payload, Retry, Worker, v1};
use tenure_testkit::app::App;
use tokio::sync::Semaphore;

use super::{Answered, read, text};
use crate::worker::Working;
use crate::{Hand, end, fail};

/// What is left of a chunk without what all have in common.
fn short(event: &Value) -> String {
    if !event.is_object() || event.get("error").is_some() {
        return event.to_string();
    }
    assert_eq!(event["object"], "chat.completion.chunk");
    let mut choice = event["choices"][0].clone();
    // Their order depends on whatever else is built.
    choice.sort_all_objects();
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

/// A worker whose model speaks in two attempts, each when it is told to, and then ends the run with
/// what the second one said.
fn talker(app: &App, go: &Arc<Semaphore>, said: [&'static [&'static str]; 2]) -> Worker {
    let go = go.clone();
    let talk = move |ctx: Context, _: Payload| {
        let go = go.clone();
        async move {
            let turn = ctx.scope("turn/0")?;
            let retry = Retry { attempts: 2, backoff: Duration::ZERO, ..Retry::default() };
            let speak = async |attempt: Attempt| {
                let said = said[usize::try_from(attempt.number).unwrap() - 1];
                for piece in said {
                    go.acquire().await.unwrap().forget();
                    attempt.publisher.text("token", piece);
                }
                go.acquire().await.unwrap().forget();
                let again = Failure::retryable("again", "once more");
                if attempt.number == 1 { Err(again) } else { Ok(said.concat()) }
            };
            let said: String = turn.step("model").retry(retry).run(speak).await?;
            let message = text(&said).to_string().into_bytes().into();
            let content_type = "application/vnd.tenure.message+json".into();
            Ok(Payload { content_type, encoding: String::new(), data: message })
        }
    };
    Worker::new(app.client.clone()).pool("talker".parse().unwrap()).interpreter(talk)
}

/// Asks the talker; it goes on each time that this text has come.
async fn told(said: [&'static [&'static str]; 2], steps: &[&str]) -> Answered {
    let hand = Hand::start().await;
    let document = "name: talker\npool: talker\nmodel: {provider: openai, name: m}".to_owned();
    let publish = v1::PublishVersionRequest { tenant: "default".into(), document };
    hand.app.client.agents().publish_version(publish).await.unwrap();
    let body = json!({
        "model": "talker", "stream": true, "messages": [{"role": "user", "content": "hi"}],
    });
    let request = hand.request("/openai/v1/chat/completions", &[]).body(body.to_string());
    let mut response = request.send().await.unwrap();
    let go = Arc::new(Semaphore::new(0));
    let working = Working::start(talker(&hand.app, &go, said));
    let mut heard = String::new();
    for step in steps {
        while !heard.contains(step) {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            heard.push_str(str::from_utf8(&chunk).unwrap());
        }
        go.add_permits(1);
    }
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let answered = Answered { status, headers, text: heard + &response.text().await.unwrap() };
    working.drain().await;
    answered
}

#[tokio::test]
async fn what_the_model_says_comes_as_it_says_it_and_once() {
    let said: [&[&str]; 2] = [&["Hel", "lo"], &["Hello.", " Bye."]];
    let steps = ["assistant", r#""Hel""#, r#""lo""#, r#""lo""#, r#"".""#, r#"" Bye.""#];
    let answered = told(said, &steps).await;
    let pieces: Vec<_> = answered.events().iter().map(short).collect();
    assert_snapshot!(pieces.join("\n"), @r#"
    {"content":"","refusal":null,"role":"assistant"} null
    {"content":"Hel"} null
    {"content":"lo"} null
    {"content":"."} null
    {"content":" Bye."} null
    {} "stop"
    "[DONE]"
    "#);
}

#[tokio::test]
async fn what_was_sent_and_is_not_said_in_the_end_is_an_error() {
    let said: [&[&str]; 2] = [&["Hello"], &["Good day"]];
    let answered = told(said, &["assistant", r#""Hello""#, "assistant", "assistant"]).await;
    assert_eq!(answered.events().pop().unwrap()["error"]["code"], "stream_restarted");
    assert!(!answered.text.contains("[DONE]") && !answered.text.contains("Good"));
}
