//! Graphs behind a real worker: what they call, what they record, and what a crash costs.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tenure_agents::{Hook, ModelConfig};
use tenure_sdk::v1;

use crate::double::{Answer, Double, json as answer};
use crate::rig::{Nobody, Rig, failure, output};
use crate::takeover::Killed;

const DESK: &str = "
name: desk
kind: graph
model:
  provider: scripted
  name: s
  script:
    turns: [{text: unused}]
    answer: '{% if \"Rate\" in input %}about 8 of 10{% else %}the Rhine{% endif %}'
graph:
  input: {type: string, default: Which river?}
  debug: true
  nodes:
  - {name: ask, do: {prompt: {system: Be brief.}}, next: [{to: rate it}]}
  - name: rate it
    do: {prompt: {parse: number}}
    template: 'Rate {{.ask}}'
    print: 'rated {{index . \"rate it\"}}'
    visits: 3
    next: [{when: {above: 5}, to: tell}, {to: ask}]
  - name: tell
    do: {hook: {name: pager, args: {to: me}}}
    input: ask
    retry: {attempts: 2, backoff: 0s, max_backoff: 0s}
    next: [{when: {equals: sent}, to: end}]
";
const KEYS: [&str; 8] = [
    "ask/0/attempt",
    "ask/0/model",
    "now",
    "rate_it/0/attempt",
    "rate_it/0/log",
    "rate_it/0/model",
    "tell/0/attempt",
    "tell/0/hook:pager",
];

fn sent() -> Answer {
    answer(200, &json!({"output": {"paged": true}, "dataType": "json", "transition": "sent"}))
}

async fn rig(pager: &Double) -> Rig {
    let hook = Hook {
        name: "pager".into(),
        endpoint_url: format!("{}/page", pager.url),
        method: "POST".into(),
        timeout_ms: 5_000,
    };
    let mut rig = Rig::with(&[]).await;
    rig.hooks.push(hook);
    rig
}

fn value(record: &v1::Record) -> Value {
    match &record.status {
        Some(v1::record::Status::Succeeded(payload)) => {
            serde_json::from_slice(&payload.data).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_graph_goes_from_node_to_node_and_calls_hooks_as_contenox_does() {
    let pager = Double::start(vec![sent()]).await;
    let rig = rig(&pager).await;
    rig.publish(DESK).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let request = v1::CreateRunRequest {
        tenant: "default".into(),
        agent: "desk".into(),
        ..v1::CreateRunRequest::default()
    };
    let run = rig.app.client.runs().create_run(request).await.unwrap().into_inner();
    let run = rig.app.ended(&run.id).await;
    assert_eq!(output(&run), json!({"paged": true}));
    assert_eq!(rig.keys(&run).await, KEYS);

    let asked = pager.asked().remove(0);
    assert_eq!(
        (asked.line.as_str(), asked.headers["content-type"].as_str()),
        ("POST /page", "application/json")
    );
    assert!(!asked.headers["idempotency-key"].is_empty());
    let mut body: Value = serde_json::from_str(&asked.body).unwrap();
    assert!(body["startingTime"].take().as_str().unwrap().ends_with('Z'));
    assert_eq!(
        body,
        json!({
            "startingTime": null, "input": "the Rhine", "dataType": "string", "transition": "",
            "args": {"name": "pager", "args": {"to": "me"}},
        })
    );

    let records = rig.records(&run).await;
    assert_eq!(
        value(&records[3]),
        json!({
            "node": "rate it", "attempt": 1, "input_type": "string", "output_type": "int",
            "value": "8", "next": "tell", "input": "Rate the Rhine", "output": "8",
        })
    );
    assert_eq!(value(&records[4]), "rated 8");
}

#[tokio::test]
async fn a_failed_attempt_is_recorded_and_the_node_tried_again() {
    let angry = answer(200, &json!({"output": "", "dataType": "string", "error": "no paper"}));
    let pager = Double::start(vec![answer(500, &json!("down")), angry]).await;
    let rig = rig(&pager).await;
    let run = rig.ended(DESK, Arc::new(Nobody)).await;
    let failure = failure(&run);
    assert_eq!(failure.code, "hook_failed");
    assert_eq!(failure.message, "node `tell`: failed after 2 attempts: hook `pager`: no paper");
    let records = rig.records(&run).await;
    let errors: Vec<_> = records
        .iter()
        .filter(|record| record.key.starts_with("tell/0/attempt"))
        .map(|record| value(record)["error"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        errors,
        ["hook `pager` answered 500 Internal Server Error: \"down\"", "hook `pager`: no paper"]
    );
    let keys: BTreeSet<_> =
        pager.asked().iter().map(|asked| asked.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys.len(), 2, "each attempt is a call of its own");
}

#[tokio::test]
async fn failures_name_the_node_and_what_to_do() {
    let graph = |nodes: &str, run: &str| {
        format!("{{name: {run}, kind: graph, graph: {{nodes: [{nodes}]}}, retry: {{attempts: 1}}}}")
    };
    for (name, nodes, code, part) in [
        (
            "hook",
            "{name: a, do: {hook: {name: b}}, next: [{to: end}]}",
            "hook_unknown",
            "no hook `b`",
        ),
        ("model", "{name: a, do: {prompt: {}}, next: [{to: end}]}", "model_missing", "--model"),
        ("chat", "{name: a, do: {chat: {}}, next: [{to: end}]}", "graph_input", "`string`"),
        (
            "none",
            "{name: a, do: pass, next: [{when: {equals: b}, to: end}]}",
            "graph_transition",
            "`noop`",
        ),
        (
            "late",
            "{name: a, do: pass, input: b, next: [{to: b}]}, {name: b, do: pass, next: [{to: end}]}",
            "graph_variable",
            "`b`",
        ),
        (
            "round",
            "{name: a, do: pass, visits: 2, next: [{to: a}, {to: end}]}",
            "graph_visits",
            "2 times",
        ),
        ("fail", "{name: a, do: fail, template: 'no {{.input}}'}", "graph_failed", "no Begin."),
    ] {
        let rig = Rig::with(&[]).await;
        let run = rig.ended(&graph(nodes, name), Arc::new(Nobody)).await;
        let failure = failure(&run);
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(failure.message.starts_with("node `a`: "), "{failure:?}");
        assert!(failure.message.contains(part), "{failure:?}");
    }
}

#[tokio::test]
async fn a_chain_runs_as_its_users_wrote_it() {
    let chain = json!({
        "input": {"messages": [{"role": "user", "content": "Which river?"}]},
        "inputType": "chat_history",
        "chain": {"id": "Rivers", "tasks": [
            {"id": "bad", "handler": "raise_error", "prompt_template": "{{(index .input.Messages 0).Content}}",
             "transition": {"on_failure": "add", "branches": []}},
            {"id": "add", "handler": "noop", "prompt_template": "Be brief.",
             "compose": {"with_var": "input", "strategy": "append_string_to_chat_history"},
             "transition": {"branches": [{"operator": "default", "goto": "answer"}]}},
            {"id": "answer", "handler": "convert_to_openai_chat_response",
             "transition": {"branches": [{"operator": "equals", "when": "converted", "goto": "end"}]}}
        ]}
    });
    let rig = Rig::with(&[]).await;
    rig.publish(&chain.to_string()).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("rivers", &chain["input"].to_string()).await;
    let run = rig.app.ended(&run).await;
    let answer = output(&run);
    assert_eq!(answer["choices"][0]["message"], json!({"role": "user", "content": "Which river?"}));
    let records = rig.records(&run).await;
    assert_eq!(value(&records[0])["composed_type"], "chat_history");
    assert_eq!(value(&records[3])["error"], "Which river?");
}

#[tokio::test]
async fn after_a_crash_at_any_step_nothing_recorded_happens_again() {
    for crash in 0..KEYS.len() {
        let pager = Double::start(vec![sent(), sent()]).await;
        let rig = rig(&pager).await;
        rig.publish(DESK).await;
        let killed = Killed::at(&rig, "desk", r#""Which river?""#, crash).await;
        assert_eq!(output(&killed.ended), json!({"paged": true}));
        killed.check(&KEYS);
        let hook = "tell/0/hook:pager".to_owned();
        let called =
            usize::from(killed.first.contains(&hook)) + usize::from(killed.after.contains(&hook));
        assert_eq!(pager.asked().len(), called, "crash before step {crash}");
    }
}
