//! Agents that have other agents do something, and windows on long conversations.

use std::sync::Arc;

use serde_json::json;
use tenure_agents::ModelConfig;
use tenure_sdk::v1;

use crate::double::Double;
use crate::remote::completion;
use crate::rig::{Nobody, Rig, output};

fn scripted(name: &str, rest: &str, turns: &str) -> String {
    let model = format!("{{provider: scripted, name: s, script: {{turns: {turns}}}}}");
    format!("name: {name}\nmodel: {model}\n{rest}")
}

async fn ended(rig: &Rig, agents: &[String]) -> v1::Run {
    for agent in agents {
        rig.publish(agent).await;
    }
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("lead", "\"Go.\"").await;
    rig.app.ended(&run).await
}

#[tokio::test]
async fn an_agent_is_given_a_task_and_its_answer_is_the_result() {
    let helper = scripted("helper", "", "[{text: 'did: {{ input }}'}]");
    let tools = "tools: [{agent: {agent: helper, description: Helps.}}]";
    let call = |task: &str| format!("{{tool: helper, arguments: {{task: {task}}}}}");
    let (one, two) = (call("one"), call("two"));
    let turns = format!("[{{calls: [{one}, {two}]}}, {{text: '{{{{ results|join }}}}'}}]");
    let lead = scripted("lead", tools, &turns);
    let rig = Rig::with(&[]).await;
    let run = ended(&rig, &[helper, lead]).await;
    assert_eq!(output(&run), json!(r#""did: one""did: two""#));
}

#[tokio::test]
async fn a_conversation_that_is_handed_over_is_gone_on_with_by_the_other() {
    let helper = scripted("helper", "", "[{text: never}, {text: 'I take over: {{ input }}'}]");
    let tools = "tools: [{agent: {agent: helper, name: transfer, description: Helps., \
                 manner: transfer}}]";
    let lead = |policy| {
        let rest = format!("{tools}\n{policy}");
        scripted("lead", &rest, "[{calls: [{tool: transfer}]}, {text: 'alone: {{ last }}'}]")
    };
    let rig = Rig::with(&[]).await;
    let run = ended(&rig, &[helper.clone(), lead("")]).await;
    assert_eq!(output(&run), json!("I take over: Go."));

    // What the policy refuses does not happen.
    let rig = Rig::with(&[]).await;
    let run = ended(&rig, &[helper, lead("policy: {default: deny}")]).await;
    let alone = output(&run).to_string();
    assert!(alone.contains("alone: ") && alone.contains("may not be called"), "{alone}");
}

#[tokio::test]
async fn a_model_sees_the_task_a_summary_and_what_came_last() {
    let call = |id: &str| {
        let function = json!({"name": "list_files", "arguments": "{}"});
        let calls = json!([{"id": id, "type": "function", "function": function}]);
        completion(
            &json!({"role": "assistant", "content": null, "tool_calls": calls}),
            "tool_calls",
        )
    };
    let said = |text: &str| completion(&json!({"role": "assistant", "content": text}), "stop");
    let answers = vec![call("a"), call("b"), said("listed once"), said("done")];
    let server = Double::start(answers).await;
    let url = &server.url;
    let agent = format!(
        "name: lead\ntools: [list_files]\nwindow: {{messages: 3, summary: true}}\n\
         model: {{provider: openai, name: acme, base_url: '{url}'}}"
    );
    let rig = Rig::with(&[]).await;
    let run = ended(&rig, &[agent]).await;
    assert_eq!(output(&run), json!("done"));
    let keys = rig.keys(&run).await;
    assert!(keys.contains(&"turn/2/summary".into()), "{keys:?}");
    let asked = server.asked();
    let third: serde_json::Value = serde_json::from_str(&asked[3].body).unwrap();
    let seen: Vec<_> = third["messages"].as_array().unwrap().iter().collect();
    assert_eq!(seen[0]["content"], "Go.");
    assert!(seen[1]["content"].as_str().unwrap().ends_with("listed once"), "{seen:?}");
    assert_eq!(seen[2]["tool_calls"][0]["id"], "b");
    assert_eq!((seen[3]["tool_call_id"].as_str(), seen.len()), (Some("b"), 4));
}
