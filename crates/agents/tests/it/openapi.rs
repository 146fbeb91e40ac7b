//! Operations of a service and hooks, as tools.

use std::sync::Arc;

use serde_json::{Value, json};
use tenure_agents::{Hook, ModelConfig};

use crate::double::{Double, json as answer};
use crate::rig::{Nobody, Rig, output};

const CANARY: &str = "canary-0123456789";

fn pets() -> Value {
    json!({
        "openapi": "3.1.0",
        "paths": {
            "/pets/{id}": {"get": {
                "operationId": "getPet",
                "parameters": [
                    {"name": "id", "in": "path", "schema": {"type": "integer"}},
                    {"name": "key", "in": "query", "required": true, "schema": {"type": "string"}},
                ],
            }},
            "/pets": {"post": {
                "operationId": "addPet",
                "requestBody": {"required": true, "content": {"application/json": {"schema": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}},
                    "required": ["name"],
                }}}},
            }},
        },
    })
}

fn agent(tool: &str, calls: &str) -> String {
    format!(
        "{{name: sample, retry: {{attempts: 2, backoff: 0s}}, tools: [{tool}],
        model: {{provider: scripted, name: s, script:
            {{turns: [{{calls: [{calls}]}}, {{text: done}}]}}}}}}"
    )
}

#[tokio::test]
async fn operations_are_called_with_what_the_model_gives_and_what_it_does_not_see() {
    let pet = answer(200, &json!({"id": 7, "seen": CANARY}));
    let added = (201, vec![], "made".into());
    let service = Double::start(vec![answer(200, &pets()), pet, added]).await;
    let url = &service.url;
    let tool = format!(
        "{{openapi: {{name: pets, spec: '{url}/openapi.json',
            headers: {{Authorization: 'Bearer env://CANARY'}}, hidden: {{key: 'env://CANARY'}}}}}}"
    );
    let mut rig = Rig::with(&[]).await;
    rig.base.secrets.grant("CANARY", Some("127.0.0.1"), CANARY).unwrap();
    let calls = [
        "{calls: [{tool: pets__getPet, arguments: {id: 7}}]}",
        "{calls: [{tool: pets__addPet, arguments: {name: Rex}}, {tool: pets__getPet, arguments: {id: 7, key: x}}]}",
        "{text: done}",
    ];
    let spec = agent(&tool, "").replace("{calls: []}, {text: done}", &calls.join(", "));
    let run = rig.ended(&spec, Arc::new(Nobody)).await;
    assert_eq!(output(&run), "done");
    let got = rig.result(&run, "turn/0/call/0/tool:pets__getPet").await;
    assert_eq!(got, json!({"status": 200, "body": {"id": 7, "seen": "[key]"}}));
    let added = rig.result(&run, "turn/1/call/0/tool:pets__addPet").await;
    assert_eq!(added, json!({"status": 201, "body": "made"}));
    let unknown = rig.result(&run, "turn/1/call/1/tool:pets__getPet").await;
    assert_eq!(unknown[0], "tool_arguments", "what is hidden cannot be given: {unknown}");

    let asked = service.asked();
    let lines: Vec<_> = asked.iter().map(|asked| asked.line.as_str()).collect();
    assert_eq!(lines, ["GET /openapi.json", &format!("GET /pets/7?key={CANARY}"), "POST /pets"]);
    assert!(asked.iter().all(|asked| asked.headers["authorization"] == format!("Bearer {CANARY}")));
    assert!(!asked[1].headers.contains_key("idempotency-key"));
    let key = format!("{}/turn/1/call/0/tool:pets__addPet", run.id);
    assert_eq!(
        (asked[2].headers["idempotency-key"].as_str(), asked[2].body.as_str()),
        (&*key, r#"{"name":"Rex"}"#)
    );
    assert!(!format!("{run:?}{:?}", rig.app.journal(&run.id).await).contains(CANARY));
}

#[tokio::test]
async fn a_request_without_an_answer_is_repeated_or_in_doubt() {
    // A double without answers closes the connection after the request.
    let service = Double::start(vec![]).await;
    let (url, spec) = (&service.url, pets());
    let tool = format!("{{openapi: {{name: pets, base_url: '{url}', spec: {spec}}}}}");
    let rig = Rig::with(&[]).await;
    let call = "{tool: pets__getPet, arguments: {id: 7, key: k}}";
    let run = rig.ended(&agent(&tool, call), Arc::new(Nobody)).await;
    let got = rig.result(&run, "turn/0/call/0/tool:pets__getPet").await;
    assert_eq!((&got[0], service.asked().len()), (&json!("openapi_unreachable"), 2), "{got}");

    rig.publish(&agent(&tool, "{tool: pets__addPet, arguments: {name: Rex}}")).await;
    let run = rig.app.create("sample", "null").await;
    rig.app.until(&run, |run| run.open_interrupts == 1).await;
    assert_eq!(service.asked().len(), 3, "nobody has said that it may be done again");
}

#[tokio::test]
async fn a_hook_is_a_tool_that_is_given_a_text() {
    let paged = answer(200, &json!({"output": {"paged": true}, "dataType": "json"}));
    let pager = Double::start(vec![paged]).await;
    let mut rig = Rig::with(&[]).await;
    rig.hooks.push(Hook {
        name: "pager".into(),
        endpoint_url: format!("{}/page", pager.url),
        method: "POST".into(),
        timeout_ms: 5_000,
    });
    let tool = "{hook: {name: page, hook: pager, description: Pages somebody., args: {to: me}}}";
    let calls = "{tool: page, arguments: {input: 'Fire!'}}";
    let run = rig.ended(&agent(tool, calls), Arc::new(Nobody)).await;
    assert_eq!(rig.result(&run, "turn/0/call/0/tool:page").await["output"], json!({"paged": true}));
    let asked = pager.asked().remove(0);
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["args"], json!({"name": "pager", "args": {"to": "me"}}));
    assert_eq!((&body["input"], &body["dataType"]), (&json!("Fire!"), &json!("string")));

    // The double answers no more: whether somebody was paged is not known.
    rig.publish(&agent(tool, calls)).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "null").await;
    let run = rig.app.until(&run, |run| run.open_interrupts == 1).await;
    assert_eq!(rig.keys(&run).await.last().unwrap(), "turn/0/model");
}
