//! Policies: what is asked, what is refused, and that every decision is in the journal.

use std::sync::Arc;

use serde_json::{Value, json};
use tenure_agents::ModelConfig;
use tenure_sdk::v1;

use crate::rig::{Nobody, Rig, failed, output};

/// An agent that reads a file under this policy, and says what it was told.
fn reader(policy: &str) -> String {
    let turns = "[{calls: [{tool: read_file, arguments: {path: a.md}}]}, {text: '{{ last }}'}]";
    format!(
        "name: sample\ntools: [read_file]\npolicy: {policy}\n\
         model: {{provider: scripted, name: s, script: {{turns: {turns}}}}}"
    )
}

const ASK: &str = "{rules: [{tools: [read_file], when: args.path != 'b.md', then: ask, \
                   reason: files are private, assignee: ann}]}";

async fn begun(policy: &str) -> (Rig, String) {
    let rig = Rig::with(&[("a.md", "A"), ("b.md", "B")]).await;
    rig.publish(&reader(policy)).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "null").await;
    (rig, run)
}

fn told(run: &v1::Run) -> Value {
    serde_json::from_str(output(run).as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_person_is_shown_the_arguments_and_may_change_them() {
    let (rig, run) = begun(ASK).await;
    let asked = rig.app.question(&run).await;
    let question = asked.question.clone().unwrap();
    assert_eq!(question.title, "May `sample` call `read_file`: files are private?");
    assert_eq!(question.payload.unwrap().data, r#"{"path":"a.md"}"#);
    assert_eq!((&*question.assignee, &*asked.key), ("ann", "turn/0/call/0/approve:read_file"));

    rig.app.answer(&asked, v1::Decision::Edit, r#"{"path": "b.md"}"#).await;
    let run = rig.app.ended(&run).await;
    assert_eq!(told(&run), json!({"path": "b.md", "text": "B"}));
    assert_eq!(
        rig.keys(&run).await,
        [
            "turn/0/call/0/approve:read_file",
            "turn/0/call/0/approve:read_file",
            "turn/0/call/0/policy",
            "turn/0/call/0/policy#1",
            "turn/0/call/0/tool:read_file",
            "turn/0/model",
            "turn/1/model",
        ]
    );
}

#[tokio::test]
async fn the_arguments_that_a_person_makes_have_to_fit_the_tool() {
    let (rig, run) = begun(ASK).await;
    let asked = rig.app.question(&run).await;
    let value = v1::Payload {
        content_type: "application/json".into(),
        encoding: String::new(),
        data: r#"{"path": 3}"#.into(),
    };
    let decision = v1::Decision::Edit.into();
    let answer = v1::Answer { decision, value: Some(value), ..v1::Answer::default() };
    let request = v1::ResolveInterruptRequest {
        tenant: "default".into(),
        interrupt: asked.id,
        answer: Some(answer),
    };
    let refused = rig.app.client.inbox().resolve_interrupt(request).await.unwrap_err();
    assert!(refused.message().contains("/path"), "{refused}");
}

#[tokio::test]
async fn what_is_refused_is_told_to_the_model() {
    let (rig, run) = begun(ASK).await;
    rig.app.answer(&rig.app.question(&run).await, v1::Decision::Reject, "").await;
    let error = told(&rig.app.ended(&run).await)["error"].to_string();
    assert!(error.contains("rejected by ann@example.com"), "{error}");

    let deny = "{default: deny, rules: [{tools: ['write_*'], then: allow}]}";
    let (rig, run) = begun(deny).await;
    let error = told(&rig.app.ended(&run).await)["error"].to_string();
    assert!(error.contains("`read_file` may not be called so (agent default)"), "{error}");
}

#[tokio::test]
async fn a_policy_that_is_tried_out_only_writes_down_what_it_would_do() {
    let (rig, run) = begun("{mode: dry_run, default: deny}").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(told(&run), json!({"path": "a.md", "text": "A"}));
    let records = rig.records(&run).await;
    let decided = records.iter().find(|record| record.key.ends_with("policy")).unwrap();
    let Some(v1::record::Status::Succeeded(decided)) = &decided.status else { panic!() };
    let decided: Value = serde_json::from_slice(&decided.data).unwrap();
    assert_eq!(
        decided,
        json!({"effect": "read", "verdict": "allow", "by": "agent default", "dry_run": "deny"})
    );
}

#[tokio::test]
async fn an_agent_cannot_allow_what_its_worker_refuses() {
    let mut rig = Rig::with(&[("a.md", "A")]).await;
    let ceiling = tenure_spec::policy("rules: [{tools: [read_file], then: deny, reason: no}]");
    rig.policy = Some(ceiling.unwrap());
    let run = rig.ended(&reader("{default: allow}"), Arc::new(Nobody)).await;
    let error = told(&run)["error"].to_string();
    assert!(error.contains("(worker rule 0): no"), "{error}");
    // It was not even tried: the refusal is the call's only record.
    let records = rig.records(&run).await;
    assert!(records.iter().all(|record| failed(record).is_none()), "{records:?}");
}

#[tokio::test]
async fn a_policy_of_the_tenant_holds_for_all_its_agents() {
    let rig = Rig::with(&[("a.md", "A")]).await;
    let policy = Some("rules: [{tools: ['read_*'], then: deny, reason: closed}]".into());
    let request = v1::SetTenantPolicyRequest { tenant: "default".into(), policy };
    rig.app.client.tenants().set_tenant_policy(request).await.unwrap();
    let without = reader("{}").replace("policy: {}\n", "");
    let run = rig.ended(&without, Arc::new(Nobody)).await;
    let error = told(&run)["error"].to_string();
    assert!(error.contains("(tenant rule 0): closed"), "{error}");

    let wrong = v1::SetTenantPolicyRequest {
        tenant: "default".into(),
        policy: Some("rules: [{then: perhaps}]".into()),
    };
    let refused = rig.app.client.tenants().set_tenant_policy(wrong).await.unwrap_err();
    assert!(refused.message().contains("rules[0].then: unknown verdict"), "{refused}");
}
