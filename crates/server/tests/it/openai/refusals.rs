//! What has no answer, and how that is said.

use insta::assert_snapshot;
use serde_json::json;
use tenure_sdk::v1;
use v1::opening::Opening;

use super::text;
use crate::{Hand, block, end, fail, steering};

const CHAT: &str = "/openai/v1/chat/completions";
const HI: &str = r#"{"model": "hello", "messages": [{"role": "user", "content": "hi"}]}"#;

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong() {
    let hand = Hand::start().await;
    let mut said = Vec::new();
    let many = format!("[{}", "x".repeat(4 << 20));
    for (path, tenant, body) in [
        (CHAT, "default", "{"),
        (CHAT, "default", "[]"),
        (CHAT, "default", r#"{"model": "hello"}"#),
        (CHAT, "default", r#"{"messages": [{"role": "user", "content": "hi"}]}"#),
        (CHAT, "default", &HI.replace("hello", "GPT 4")),
        (CHAT, "default", &HI.replace("hello", "hello@gold")),
        (CHAT, "default", &HI.replace("\"hi\"", "7")),
        (CHAT, "default", &HI.replace("{\"model\"", r#"{"n": 2, "model""#)),
        (CHAT, "default", &HI.replace("{\"model\"", r#"{"stream": "yes", "model""#)),
        (CHAT, "default", &HI.replace("\"hi\"", &format!("\"{}\"", "x".repeat(1 << 20)))),
        (CHAT, "default", &many),
        (CHAT, "nobody", HI),
        (CHAT, "No Body", HI),
        ("/openai/bye/v1/chat/completions", "default", HI),
        ("/openai/v1/models", "default", HI),
        ("/openai/v1/completions", "default", HI),
    ] {
        let answered = hand.post(path, &[("x-tenure-tenant", tenant)], &body).await;
        let error = &answered.json()["error"];
        let message: String = error["message"].as_str().unwrap().chars().take(90).collect();
        said.push(format!(
            "{} {} {} {}: {message}",
            answered.status,
            error["type"].as_str().unwrap(),
            error["param"],
            error["code"].as_str().unwrap(),
        ));
    }
    assert_snapshot!(said.join("\n"), @r#"
    400 invalid_request_error null invalid_json: the body of the request is no JSON: EOF while parsing an object at line 1 column 1
    400 invalid_request_error null invalid_type: the body must be a JSON object
    400 invalid_request_error "messages" missing: `messages` must be given
    400 invalid_request_error "model" missing: `model` must name an agent
    404 invalid_request_error "model" model_not_found: there is no agent `GPT 4`
    404 invalid_request_error "model" model_not_found: agent `hello` has no alias `gold`
    400 invalid_request_error "messages[0].content" invalid_type: `messages[0].content` must be a text or a list of parts
    400 invalid_request_error "n" unsupported: `n` is not supported here: leave it out
    400 invalid_request_error "stream" invalid_type: `stream` must be true or false
    413 invalid_request_error null too_large: the input of the run in bytes is 1048619; the limit is 1048576
    413 invalid_request_error null too_large: the body of the request is larger than 4194304 bytes, or broke off
    404 invalid_request_error null not_found: there is no tenant `nobody`
    400 invalid_request_error null invalid_tenant: header `x-tenure-tenant`: `No Body` is not a name: use 1 to 128 of a-z, 0-9, `.`, `_`, `-`
    404 invalid_request_error "model" model_not_found: there is no agent `bye`
    405 invalid_request_error null method_not_allowed: this path takes another method
    404 invalid_request_error null unknown_url: there is nothing here: base URLs are `…/openai/v1` and `…/openai/AGENT/v1`
    "#);
    assert!(hand.poll(0).await.is_none(), "none of them made a run");
}

#[tokio::test]
async fn a_run_that_waits_for_a_person_says_so_and_the_repetition_gets_the_result() {
    let hand = Hand::start().await;
    let asked = hand.chat("k", &json!({}));
    let leased = hand.leased().await;
    let question = v1::Question {
        kind: v1::QuestionKind::Input.into(),
        title: "which one?".into(),
        ..v1::Question::default()
    };
    hand.ask(&leased, 1, "which", Opening::Interrupt(question)).await;
    let waiting = asked.await.unwrap();
    assert_eq!(waiting.refused(), (409, "run_waiting".into()));
    assert_eq!((waiting.run(), waiting.header("x-should-retry")), (&*leased.run, "false"));
    assert!(waiting.text.contains(&format!("tenure inbox list --run {}", leased.run)));

    let list = v1::ListInterruptsRequest {
        tenant: "default".into(),
        ..v1::ListInterruptsRequest::default()
    };
    let open = hand.app.client.inbox().list_interrupts(list).await.unwrap().into_inner();
    let answer = v1::Answer {
        decision: v1::Decision::Respond.into(),
        value: Some(crate::json("\"this\"")),
        actor: "ann".into(),
        ..v1::Answer::default()
    };
    let resolve = v1::ResolveInterruptRequest {
        tenant: "default".into(),
        interrupt: open.interrupts[0].id.clone(),
        answer: Some(answer),
    };
    hand.app.client.inbox().resolve_interrupt(resolve).await.unwrap();
    let again = hand.chat("k", &json!({}));
    let leased = hand.leased().await;
    let output = v1::outcome::Outcome::Succeed(crate::json("\"This.\""));
    hand.commit(end(&leased, leased.next_seq, output)).await.unwrap();
    assert_eq!(again.await.unwrap().json()["choices"][0]["message"]["content"], "This.");
}

#[tokio::test]
async fn runs_that_do_not_succeed_say_how_they_are() {
    let hand = Hand::start().await;
    for (outcome, refused, kind) in [
        (block(), (409, "run_blocked"), "conflict_error"),
        (fail("broken", false), (500, "broken"), "server_error"),
        (fail("input_unusable", false), (400, "input_unusable"), "invalid_request_error"),
    ] {
        let asked = hand.chat("", &json!({}));
        let leased = hand.leased().await;
        hand.commit(end(&leased, 1, outcome)).await.unwrap();
        let answered = asked.await.unwrap();
        assert_eq!(answered.refused(), (refused.0, refused.1.into()));
        assert_eq!(answered.json()["error"]["type"], kind);
        assert_eq!((answered.run(), answered.header("x-should-retry")), (&*leased.run, "false"));
    }
    let asked = hand.chat("", &json!({}));
    let leased = hand.leased().await;
    let cancel = v1::CancelRunRequest {
        tenant: "default".into(),
        run: leased.run.clone(),
        steering: Some(steering("ann", "enough")),
    };
    hand.app.client.runs().cancel_run(cancel).await.unwrap();
    let cancelled = v1::outcome::Outcome::Cancelled(v1::Cancelled::default());
    hand.commit(end(&leased, 1, cancelled)).await.unwrap();
    let answered = asked.await.unwrap();
    assert_eq!(answered.refused(), (409, "run_cancelled".into()));
    assert!(answered.text.contains("ann: enough"), "{}", answered.text);
}

#[tokio::test]
async fn no_tenant_has_the_models_or_keys_of_another() {
    let hand = Hand::start().await;
    let tenant = v1::CreateTenantRequest { name: "other".into() };
    hand.app.client.tenants().create_tenant(tenant).await.unwrap();
    let asked = hand.chat("k", &json!({}));
    hand.say(&hand.leased().await, &text("Hello.")).await;
    assert_eq!(asked.await.unwrap().status, 200);
    let headers = [("x-tenure-tenant", "other"), ("idempotency-key", "k")];
    let answered = hand.post(CHAT, &headers, &HI).await;
    assert_eq!(answered.refused(), (404, "model_not_found".into()));
}
