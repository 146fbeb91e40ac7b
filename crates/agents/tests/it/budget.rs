//! Limits that ask, and limits that let a model wrap up.

use std::sync::Arc;

use serde_json::{Value, json};
use tenure_agents::ModelConfig;
use tenure_sdk::v1;

use crate::rig::{Nobody, Rig, failure, output};

/// An agent that lists the files again and again, and has an answer when it may not.
fn runaway(limits: &str) -> String {
    let turn = "{calls: [{tool: list_files}]}, ";
    let turns = format!("[{}{{text: done}}]", turn.repeat(6));
    format!(
        "name: sample\ntools: [list_files]\nlimits: {limits}\n\
         model: {{provider: scripted, name: s, script: {{answer: so far, turns: {turns}}}}}"
    )
}

fn model_calls(keys: &[String]) -> usize {
    keys.iter().filter(|key| key.ends_with("/model")).count()
}

#[tokio::test]
async fn at_a_limit_a_person_may_allow_more() {
    let rig = Rig::with(&[]).await;
    rig.publish(&runaway("{turns: 2, then: ask}")).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "null").await;

    let asked = rig.app.question(&run).await;
    let question = asked.question.clone().unwrap();
    let about: Value = serde_json::from_slice(&question.payload.unwrap().data).unwrap();
    assert_eq!(about, json!({"limit": "turns", "used": 2, "allowed": 2, "raise_to": 4}));
    assert_eq!(asked.key, "turn/2/limit:turns");
    rig.app.answer(&asked, v1::Decision::Approve, "").await;

    // What is allowed may be edited, and is asked about again when it is used up.
    let asked = rig.app.until(&run, |run| run.open_interrupts > 0).await;
    assert_eq!(model_calls(&rig.keys(&asked).await), 4);
    let asked = rig.app.question(&run).await;
    rig.app.answer(&asked, v1::Decision::Edit, r#"{"raise_to": 7}"#).await;
    let run = rig.app.ended(&run).await;
    assert_eq!((output(&run), model_calls(&rig.keys(&run).await)), (json!("done"), 7));
}

#[tokio::test]
async fn who_does_not_allow_more_ends_the_run() {
    let rig = Rig::with(&[]).await;
    rig.publish(&runaway("{tool_calls: 3, then: ask}")).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "null").await;
    let asked = rig.app.question(&run).await;
    assert_eq!(asked.key, "turn/3/limit:tool_calls");
    rig.app.answer(&asked, v1::Decision::Reject, "").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(failure(&run).code, "limit_tool_calls");
    assert!(failure(&run).message.contains("ann@example.com did not raise it"), "{run:?}");
}

#[tokio::test]
async fn a_model_may_answer_with_what_it_has() {
    for (limits, calls) in [
        ("{turns: 2, then: wrap_up}", 2),
        ("{tool_calls: 3, then: wrap_up}", 3),
        ("{tokens: 12, then: wrap_up}", 2),
    ] {
        let rig = Rig::with(&[]).await;
        let run = rig.ended(&runaway(limits), Arc::new(Nobody)).await;
        assert_eq!(output(&run), json!("so far"), "{limits}");
        let keys = rig.keys(&run).await;
        let made = keys.iter().filter(|key| key.ends_with("tool:list_files")).count();
        assert_eq!(made, calls, "{limits}: {keys:?}");
    }
}

/// An agent whose every reply costs three cents and asks for more.
fn spender(turns: usize) -> String {
    let usage = "usage: {input: 20000, output: 1000}";
    let turn = format!("{{calls: [{{tool: list_files}}], {usage}}}, ");
    let turns = format!("[{}{{text: done, {usage}}}]", turn.repeat(turns));
    let script = format!("{{price: {{input: 1, output: 10}}, turns: {turns}}}");
    format!(
        "name: sample\ntools: [list_files]\nlimits: {{cost: 0.10, then: ask}}\n\
         model: {{provider: scripted, name: s, script: {script}}}"
    )
}

#[tokio::test]
async fn ten_cents_stop_a_runaway_loop_until_a_person_raises_them() {
    let rig = Rig::with(&[]).await;
    rig.publish(&spender(6)).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "null").await;

    // Three replies are nine cents, and a fourth would be twelve.
    let asked = rig.app.question(&run).await;
    let question = asked.question.clone().unwrap();
    assert_eq!(question.title, "It has used $0.09 of $0.1. May it go on, up to $0.2?");
    assert_eq!(rig.app.run(&run).await.usage.unwrap().cost_micros, 90_000);
    rig.app.answer(&asked, v1::Decision::Edit, r#"{"raise_to": 0.15}"#).await;

    let asked = rig.app.until(&run, |run| run.open_interrupts > 0).await;
    assert_eq!(asked.usage.unwrap().cost_micros, 150_000);
    let asked = rig.app.question(&run).await;
    rig.app.answer(&asked, v1::Decision::Approve, "").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(output(&run), json!("done"));
    assert_eq!(run.usage.unwrap().cost_micros, 210_000);
}
