//! Runs whose client keeps the conversation.

use std::sync::Arc;

use serde_json::{Value, json};
use tenure_agents::ModelConfig;
use tenure_sdk::v1;
use tenure_spec::conversation::{CONVERSATION, Conversation, MESSAGE};

use crate::double::Double;
use crate::remote::completion;
use crate::rig::{Nobody, Rig, failure, output};

/// Runs the agent of a document with what a client asks.
async fn asked(rig: &Rig, document: &str, body: &Value) -> v1::Run {
    rig.publish(document).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let conversation = Conversation::of_openai(body).unwrap();
    let request = v1::CreateRunRequest {
        tenant: "default".into(),
        agent: tenure_spec::parse(document).unwrap().name,
        input: Some(v1::Payload {
            content_type: CONVERSATION.into(),
            encoding: String::new(),
            data: serde_json::to_vec(&conversation).unwrap().into(),
        }),
        ..v1::CreateRunRequest::default()
    };
    let created = rig.app.client.runs().create_run(request).await.unwrap().into_inner();
    rig.app.ended(&created.id).await
}

fn answer(run: &v1::Run) -> Value {
    let said = output(run);
    assert_eq!(run.output.as_ref().unwrap().content_type, MESSAGE);
    said
}

const DESK: &str = "
name: desk
instructions: Be brief.
tools: [list_files]
model:
  provider: scripted
  name: s
  script:
    turns:
    - text: looking
      calls: [{tool: list_files}, {tool: weather, arguments: {city: Bonn}}]
    - calls: [{tool: list_files}]
    - text: '{{ system|join }}: {{ input }} {{ results|length }} {{ last }}'
";

fn weather() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}])
}

#[tokio::test]
async fn a_call_of_the_clients_tool_ends_the_run_after_the_agents_own() {
    let rig = Rig::with(&[("a", "A")]).await;
    let question = json!({"role": "user", "content": "Rain?"});
    let body = json!({"messages": [question], "tools": weather()});
    let run = asked(&rig, DESK, &body).await;
    let call = json!({
        "id": "call_0_1",
        "type": "function",
        "function": {"name": "weather", "arguments": r#"{"city":"Bonn"}"#},
    });
    assert_eq!(
        answer(&run),
        json!({"content": "looking", "tool_calls": [call], "finish_reason": "tool_calls"})
    );
    assert_eq!(rig.keys(&run).await, ["turn/0/call/0/tool:list_files", "turn/0/model"]);

    let body = json!({"messages": [
        {"role": "system", "content": "sys"},
        question,
        {"role": "assistant", "content": "looking", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0_1", "content": "no"},
    ]});
    let run = asked(&rig, DESK, &body).await;
    let said = answer(&run);
    assert!(said["content"].as_str().unwrap().starts_with("sys: Rain? 1 {"), "{said}");
    assert_eq!(said["finish_reason"], "stop");
}

#[tokio::test]
async fn a_tool_of_the_agents_own_name_is_refused() {
    let rig = Rig::with(&[]).await;
    let mut tools = weather();
    tools[0]["function"]["name"] = "list_files".into();
    let body = json!({"messages": [{"role": "user", "content": "Rain?"}], "tools": tools});
    let run = asked(&rig, DESK, &body).await;
    assert_eq!(failure(&run).code, "input_unusable");
    assert!(failure(&run).message.contains("`list_files`"), "{run:?}");
}

#[tokio::test]
async fn the_model_is_asked_what_the_client_wants() {
    let said = |text: &str| completion(&json!({"role": "assistant", "content": text}), "stop");
    let cut = completion(&json!({"role": "assistant", "content": "{\"a"}), "length");
    let server = Double::start(vec![said("no json"), cut]).await;
    let rig = Rig::with(&[]).await;
    let document = format!(
        "name: r\ninstructions: Be brief.\nmodel: {{provider: openai, name: m, \
         base_url: '{}', max_tokens: 50, temperature: 0}}",
        server.url
    );
    let body = json!({
        "messages": [
            {"role": "developer", "content": "In German."},
            {"role": "user", "content": "Rain?"},
        ],
        "temperature": 1.5, "max_tokens": 70,
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "x", "schema": {"type": "object", "required": ["a"]}}},
    });
    let run = asked(&rig, &document, &body).await;
    assert_eq!(answer(&run), json!({"content": "{\"a", "finish_reason": "length"}));
    let asked = server.asked();
    let sent: Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!((&sent["temperature"], &sent["max_tokens"]), (&json!(1.5), &json!(50)));
    let system = sent["messages"][0]["content"].as_str().unwrap();
    assert!(system.starts_with("Be brief.") && system.contains("required"), "{system}");
    assert_eq!(sent["messages"][1], json!({"role": "system", "content": "In German."}));
    assert!(asked[1].body.contains("not JSON"), "{}", asked[1].body);
}

#[tokio::test]
async fn a_forced_call_is_asked_for_until_it_is_made() {
    let call = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]});
    let said = completion(&json!({"role": "assistant", "content": "Maybe."}), "stop");
    let server = Double::start(vec![said, completion(&call, "tool_calls")]).await;
    let rig = Rig::with(&[]).await;
    let document =
        format!("name: r\nmodel: {{provider: openai, name: m, base_url: '{}'}}", server.url);
    let body = json!({
        "messages": [{"role": "user", "content": "Rain?"}],
        "tools": weather(), "tool_choice": "required",
    });
    let run = asked(&rig, &document, &body).await;
    assert_eq!(answer(&run)["tool_calls"][0]["function"]["name"], "weather");
    assert!(server.asked()[1].body.contains("Do not answer yet"));
}

#[tokio::test]
async fn a_graph_takes_the_conversation_or_the_last_text_and_says_its_output() {
    let model = "model: {provider: scripted, name: s, script: {turns: [{text: x}], answer: 'to {{ last }}'}}";
    let body = json!({"messages": [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]});
    for (kind, nodes) in [
        (
            "",
            "[{name: a, do: {chat: {}}, next: [{to: b}]}, {name: b, do: {openai_response: {}}, next: [{to: end}]}]",
        ),
        ("", "[{name: a, do: {chat: {}}, next: [{to: end}]}]"),
        ("input: {type: string}, ", "[{name: a, do: {prompt: {}}, next: [{to: end}]}]"),
    ] {
        let rig = Rig::with(&[]).await;
        let document = format!("name: g\nkind: graph\n{model}\ngraph: {{{kind}nodes: {nodes}}}");
        let run = asked(&rig, &document, &body).await;
        assert_eq!(answer(&run), json!({"content": "to three", "finish_reason": "stop"}));
    }
}

#[tokio::test]
async fn a_scripted_model_makes_vectors() {
    let rig = Rig::with(&[]).await;
    let document = "
name: vectors
kind: graph
model: {provider: scripted, name: s, script: {turns: [{text: x}]}}
graph: {nodes: [{name: a, do: {embed: {}}, next: [{to: end}]}]}
";
    let run = rig.ended(document, Arc::new(Nobody)).await;
    assert_eq!(output(&run).as_array().unwrap().len(), 16);
}
