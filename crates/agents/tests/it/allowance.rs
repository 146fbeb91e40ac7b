//! What a tenant or an agent may use in a day or month stops runs before they ask a model.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tenure_agents::ModelConfig;
use tenure_sdk::v1;

use crate::rig::{Nobody, Rig, failure, output};

/// An agent whose every reply costs three cents, and which gives its answer with the fourth.
fn spender(name: &str, rest: &str) -> String {
    let usage = "usage: {input: 20000, output: 1000}";
    let turn = format!("{{calls: [{{tool: list_files}}], {usage}}}, ");
    let turns = format!("[{}{{text: done, {usage}}}]", turn.repeat(3));
    let script = format!("{{price: {{input: 1, output: 10}}, turns: {turns}}}");
    format!(
        "name: {name}\ntools: [list_files]\n{rest}\n\
         model: {{provider: scripted, name: s, script: {script}}}"
    )
}

fn cents(cents: u64) -> v1::Budget {
    v1::Budget { cost_micros: Some(cents * 10_000), ..v1::Budget::default() }
}

async fn allow(rig: &Rig, agent: &str, period: v1::Period, budget: v1::Budget) {
    let request = v1::SetAllowanceRequest {
        tenant: "default".into(),
        agent: agent.into(),
        period: period.into(),
        budget: Some(budget),
    };
    rig.app.client.tenants().set_allowance(request).await.unwrap();
}

async fn allowances(rig: &Rig) -> Vec<v1::Allowance> {
    let request = v1::ListAllowancesRequest { tenant: "default".into() };
    rig.app.client.tenants().list_allowances(request).await.unwrap().into_inner().allowances
}

fn spent(allowance: &v1::Allowance) -> (u64, u64) {
    let (spent, held) = (allowance.spent.as_ref().unwrap(), allowance.held.as_ref().unwrap());
    (spent.cost_micros, held.cost_micros.unwrap())
}

#[tokio::test]
async fn many_runs_stop_where_their_allowance_does() {
    let rig = Rig::with(&[]).await;
    rig.publish(&spender("sample", "")).await;
    allow(&rig, "", v1::Period::Month, cents(20)).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(rig.app.create("sample", "null").await);
    }
    for run in &runs {
        let run = rig.app.ended(run).await;
        if run.output.is_none() {
            assert_eq!(failure(&run).code, "allowance_spent");
            let told = "the tenant may use $0.2000 in a month: $0.";
            assert!(failure(&run).message.starts_with(told), "{run:?}");
        }
    }
    let left = allowances(&rig).await.remove(0);
    assert_eq!(
        spent(&left),
        (180_000, 0),
        "six replies are eighteen cents, and a seventh more than twenty"
    );
}

#[tokio::test]
async fn a_run_waits_until_somebody_has_seen_to_it() {
    let rig = Rig::with(&[]).await;
    rig.publish(&spender("sample", "limits: {then: ask}")).await;
    rig.publish(&spender("other", "")).await;
    allow(&rig, "sample", v1::Period::Day, cents(6)).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "null").await;
    let asked = rig.app.question(&run).await;
    assert_eq!(asked.key, "turn/2/allowance");
    let title = asked.question.clone().unwrap().title;
    let told = "It cannot go on: agent `sample` may use $0.0600 in a day: $0.0600 used, $0.0300 more \
                for this call; the next day begins on ";
    assert!(title.starts_with(told), "{title}");

    // Another agent is not bounded by it.
    let other = rig.app.create("other", "null").await;
    assert_eq!(output(&rig.app.ended(&other).await), json!("done"));

    allow(&rig, "sample", v1::Period::Day, cents(9)).await;
    rig.app.answer(&asked, v1::Decision::Approve, "").await;
    let again = rig.app.until(&run, |run| run.usage.as_ref().unwrap().cost_micros == 90_000).await;
    assert!(again.output.is_none());
    let asked = rig.app.question(&run).await;
    assert_eq!(asked.key, "turn/3/allowance");

    // A new day is a new allowance.
    rig.app.pass(Duration::from_hours(24)).await;
    rig.app.answer(&asked, v1::Decision::Approve, "").await;
    let run = rig.app.ended(&run).await;
    assert_eq!((output(&run), run.usage.unwrap().cost_micros), (json!("done"), 120_000));
    assert_eq!(spent(&allowances(&rig).await[0]), (30_000, 0));
}

#[tokio::test]
async fn who_refuses_ends_the_run() {
    let rig = Rig::with(&[]).await;
    rig.publish(&spender("sample", "limits: {then: ask}")).await;
    let tokens = v1::Budget { tokens: Some(30_000), ..v1::Budget::default() };
    allow(&rig, "", v1::Period::Day, tokens).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "null").await;
    let asked = rig.app.question(&run).await;
    rig.app.answer(&asked, v1::Decision::Reject, "").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(failure(&run).code, "allowance_spent");
    assert!(
        failure(&run)
            .message
            .contains("30000 tokens in a day: 21000 tokens used, 21000 tokens more"),
        "{run:?}"
    );
}

#[tokio::test]
async fn money_needs_a_price() {
    let rig = Rig::with(&[]).await;
    rig.publish("name: sample\nmodel: {provider: ollama, name: qwen3}").await;
    allow(&rig, "", v1::Period::Day, cents(5)).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "\"Hello\"").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(failure(&run).code, "price_unknown");
}

#[tokio::test]
async fn nodes_of_a_graph_are_paid_too() {
    let rig = Rig::with(&[]).await;
    let script =
        "{price: {input: 1, output: 10}, turns: [{text: hi, usage: {input: 1000000, output: 0}}]}";
    rig.publish(&format!(
        "name: sample\nkind: graph\nmodel: {{provider: scripted, name: s, script: {script}}}\n\
         graph:\n  nodes:\n  - {{name: ask, do: {{prompt: {{}}}}, next: [{{to: again}}]}}\n  - {{name: again, do: {{prompt: {{}}}}, next: [{{to: end}}]}}"
    ))
    .await;
    allow(&rig, "sample", v1::Period::Day, cents(150)).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "\"Hello\"").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(failure(&run).code, "allowance_spent", "{run:?}");
    assert_eq!(run.usage.unwrap().cost_micros, 1_000_000);
}
