//! What is handed down to the agents that a run calls: in parts of what is left, and settled when
//! they have ended.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tenure_agents::ModelConfig;
use tenure_sdk::v1;

use crate::rig::{Nobody, Rig, failure, output};
use crate::takeover::Counter;

/// Longer than a lease lasts.
const LEASE: Duration = Duration::from_mins(1);
/// Longer than it takes to go on, on a machine that is not slow.
const ROUND: Duration = Duration::from_secs(2);
/// What each reply of a priced model uses: one cent, and a thousand tokens.
const REPLY: &str = "usage: {input: 900, output: 100}";
const CENT: u64 = 10_000;
const PRICE: &str = "price: {input: 10, output: 10}";

/// An agent with a script; `rest` is what it has besides.
fn agent(name: &str, rest: &str, script: &str) -> String {
    let model = format!("{{provider: scripted, name: s, script: {{{script}}}}}");
    format!("name: {name}\nmodel: {model}\n{rest}")
}

fn helps(who: &str) -> String {
    format!("tools: [{{agent: {{agent: {who}, description: Helps.}}}}]")
}

fn calls(who: &str, times: usize) -> String {
    let call = format!("{{tool: {who}, arguments: {{task: Go on.}}}}");
    format!("calls: [{}]", vec![call; times].join(", "))
}

/// An agent whose every reply costs a cent and lists files, so often, before it is done.
fn spender(name: &str, turns: usize) -> String {
    let turn = format!("{{calls: [{{tool: list_files}}], {REPLY}}}, ").repeat(turns);
    agent(name, "tools: [list_files]", &format!("{PRICE}, turns: [{turn}{{text: done, {REPLY}}}]"))
}

async fn published(documents: &[String]) -> Rig {
    let rig = Rig::with(&[]).await;
    for document in documents {
        rig.publish(document).await;
    }
    rig
}

/// Has a run of `lead`, of these agents.
async fn ended(documents: &[String]) -> (Rig, v1::Run) {
    let rig = published(documents).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("lead", "\"Go.\"").await;
    let run = rig.app.ended(&run).await;
    (rig, run)
}

/// Leads, whose helpers have helpers that never end by themselves: none has a limit but the lead.
fn family(limits: &str, price: &str, reply: &str) -> [String; 3] {
    let script = |turn: &str, turns: usize| {
        let turns = format!("{{{turn}{reply}}}, ").repeat(turns);
        format!("{price}answer: so far, turns: [{turns}{{text: done{reply}}}]")
    };
    let lead = format!("{}\nlimits: {limits}", helps("middle"));
    [
        agent("leaf", "tools: [list_files]", &script("calls: [{tool: list_files}]", 15)),
        agent("middle", &helps("leaf"), &script(&calls("leaf", 2), 6)),
        agent("lead", &lead, &script(&calls("middle", 2), 6)),
    ]
}

/// All runs there are.
async fn runs(rig: &Rig) -> Vec<v1::Run> {
    let request = v1::ListRunsRequest {
        tenant: "default".into(),
        page_size: 200,
        ..v1::ListRunsRequest::default()
    };
    rig.app.client.runs().list_runs(request).await.unwrap().into_inner().runs
}

/// Tokens, money and calls of tools.
type Used = (u64, u64, u64);

fn sum(usages: impl IntoIterator<Item = Option<v1::Usage>>) -> Used {
    usages.into_iter().flatten().fold((0, 0, 0), |(tokens, cost, calls), usage| {
        let all = usage.input_tokens + usage.output_tokens;
        (tokens + all, cost + usage.cost_micros, calls + usage.tool_calls)
    })
}

/// What a run says that it and those that it called have used.
fn total(run: &v1::Run) -> Used {
    sum([run.usage.clone(), run.called.clone()])
}

/// What all runs there are have used themselves, and how many there are.
async fn used(rig: &Rig) -> (Used, usize) {
    let runs = runs(rig).await;
    (sum(runs.iter().map(|run| run.usage.clone())), runs.len())
}

/// What the runs of `helper` were given, the most money first.
async fn given(rig: &Rig) -> Vec<v1::Budget> {
    let runs = runs(rig).await.into_iter().filter(|run| run.agent == "helper");
    let mut given: Vec<_> = runs.map(|run| run.budget.unwrap_or_default()).collect();
    given.sort_by_key(|budget| Reverse(budget.cost_micros));
    given
}

fn money(cents: u64) -> v1::Budget {
    v1::Budget { cost_micros: Some(cents * CENT), ..v1::Budget::default() }
}

#[tokio::test]
async fn helpers_of_helpers_use_no_more_tokens_than_their_lead_may() {
    let (rig, run) = ended(&family("{tokens: 400, then: wrap_up}", "", "")).await;
    let (used, runs) = used(&rig).await;
    assert!(runs > 4, "{runs} runs");
    assert_eq!(total(&run), used, "everything was settled, once");
    // The last turn may come on top, which is the size of its conversation.
    let (last, _, _) = sum([run.usage]);
    assert!((200..=400 + last).contains(&used.0), "{used:?} of 400, and the last turn {last}");
}

#[tokio::test]
async fn helpers_of_helpers_cost_no_more_than_their_lead_may() {
    let priced =
        family("{cost: 0.40, then: wrap_up}", &format!("{PRICE}, "), &format!(", {REPLY}"));
    let (rig, run) = ended(&priced).await;
    let (used, runs) = used(&rig).await;
    assert!(runs > 4, "{runs} runs");
    assert_eq!(total(&run), used, "everything was settled, once");
    // Only the lead wraps up, with one reply that costs a cent.
    assert!((30 * CENT..=41 * CENT).contains(&used.1), "{used:?} of 40 cents");
}

#[tokio::test]
async fn helpers_of_helpers_call_no_more_tools_than_their_lead_may() {
    let (rig, run) = ended(&family("{tool_calls: 25, then: wrap_up}", "", "")).await;
    let (used, _) = used(&rig).await;
    assert_eq!(total(&run), used);
    assert!((12..=25).contains(&used.2), "{used:?} of 25 calls");
}

#[tokio::test]
async fn nobody_is_asked_for_more_than_was_given() {
    let turns = "{calls: [{tool: list_files}]}, ".repeat(6);
    let rest = "tools: [list_files]\nlimits: {tool_calls: 1, then: ask}";
    let script = format!("turns: [{turns}{{text: done}}]");
    let rig = published(&[agent("lead", rest, &script)]).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let request = v1::CreateRunRequest {
        tenant: "default".into(),
        agent: "lead".into(),
        budget: Some(v1::Budget { tool_calls: Some(3), ..v1::Budget::default() }),
        ..v1::CreateRunRequest::default()
    };
    let run = rig.app.client.runs().create_run(request).await.unwrap().into_inner().id;
    let asked = rig.app.question(&run).await;
    let question = asked.question.clone().unwrap();
    assert!(question.title.contains("no more is possible here"), "{}", question.title);
    assert!(question.schema.contains(r#""maximum":3"#), "{}", question.schema);
    rig.app.answer(&asked, v1::Decision::Edit, r#"{"raise_to": 3}"#).await;
    let run = rig.app.ended(&run).await;
    assert_eq!(failure(&run).code, "limit_tool_calls");
    assert!(failure(&run).message.contains("that it was given"), "{run:?}");
}

#[tokio::test]
async fn what_a_helper_leaves_is_free_again_also_if_it_fails() {
    // The first two helpers have 9 cents together, use 6, and fail: 3 are left after the next reply.
    let failing = agent(
        "helper",
        "tools: [list_files]\noutput: {type: number}\nlimits: {turns: 3}",
        &format!("{PRICE}, turns: [{}]", vec![format!("{{text: none, {REPLY}}}"); 3].join(", ")),
    );
    let turns = format!(
        "{{{}, {REPLY}}}, {{{}, {REPLY}}}, {{text: done, {REPLY}}}",
        calls("helper", 2),
        calls("helper", 1)
    );
    let rest = format!("{}\nlimits: {{cost: 0.12}}", helps("helper"));
    let lead = agent("lead", &rest, &format!("{PRICE}, turns: [{turns}]"));
    let (rig, run) = ended(&[failing, lead]).await;
    let half = v1::Budget { cost_micros: Some(55_000), ..v1::Budget::default() };
    assert_eq!(given(&rig).await, [half, half, money(4)]);
    assert_eq!(total(&run).1, 12 * CENT);
    assert_eq!(output(&run), json!("done"));
}

#[tokio::test]
async fn who_takes_a_conversation_over_is_given_all_that_is_left() {
    let tools = "tools: [{agent: {agent: helper, description: Helps., manner: transfer}}]";
    let turns = format!("turns: [{{calls: [{{tool: helper}}], {REPLY}}}]");
    let rest = format!("{tools}\nlimits: {{cost: 0.10, tool_calls: 7}}");
    let lead = agent("lead", &rest, &format!("{PRICE}, {turns}"));
    let (rig, run) = ended(&[spender("helper", 2), lead]).await;
    let left = v1::Budget { tool_calls: Some(6), ..money(9) };
    assert_eq!(given(&rig).await, [left]);
    // Its script goes on behind the reply that handed over.
    assert_eq!(total(&run), (3_000, 3 * CENT, 2));
}

/// Calls a helper in every way there is.
const GRAPH: &str = "
name: lead
kind: graph
limits: {cost: 0.30, tool_calls: 50}
graph:
  nodes:
  - {name: first, do: {call: HELPER}, next: [{to: tool}]}
  - name: tool
    do: {tool: {tool: {agent: {agent: helper, description: Helps.}}, arguments: {task: Go on.}}}
    next: [{to: all}]
  - {name: all, do: {map: {over: input.list, at_once: 2, do: {call: HELPER}}}, next: [{to: both}]}
  - name: both
    do:
      parallel:
        branches:
          one: {do: {call: HELPER}}
          two:
            do:
              agent:
                instructions: Go.
                tools: [{agent: {agent: helper, description: Helps.}}]
                model: MODEL
    next: [{to: end}]
";

#[tokio::test]
async fn the_calls_of_a_graph_share_its_budget() {
    let turns = format!("turns: [{{{}, {REPLY}}}, {{text: done, {REPLY}}}]", calls("helper", 1));
    let model = format!("{{provider: scripted, name: s, script: {{{PRICE}, {turns}}}}}");
    let graph = GRAPH.replace("MODEL", &model).replace("HELPER", "{agent: helper}");
    let rig = published(&[spender("helper", 1), graph]).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("lead", r#"{"list": [1, 2, 3]}"#).await;
    let run = rig.app.ended(&run).await;
    let of = |cents: u64, calls| v1::Budget { tool_calls: Some(calls), ..money(cents) };
    // Each helper uses 2 cents and a call; the model of the last branch uses one before it calls.
    let (first, tool, two_of_map, last_of_map) = (of(30, 49), of(28, 47), of(13, 22), of(22, 41));
    let (branch, in_branch) = (of(10, 19), of(9, 19));
    let all = [first, tool, last_of_map, two_of_map, two_of_map, branch, in_branch];
    assert_eq!(given(&rig).await, all);
    assert_eq!(total(&run).1, 16 * CENT);
}

#[tokio::test]
async fn members_of_a_team_share_its_budget() {
    let member = |name: &str| {
        let turns =
            format!("turns: [{{{}, {REPLY}}}, {{text: done, {REPLY}}}]", calls("helper", 1));
        format!(
            "{{name: {name}, description: Helps., {}, model: {{provider: scripted, name: s, \
             script: {{{PRICE}, {turns}}}}}}}",
            helps("helper")
        )
    };
    let team = format!(
        "name: lead\nkind: team\nlimits: {{cost: 0.20}}\nteam:\n  pattern: round_robin\n  turns: 2\n  \
         members: [{}, {}]",
        member("one"),
        member("two")
    );
    let (rig, run) = ended(&[spender("helper", 2), team]).await;
    // The first member has used a cent when it calls; its helper uses 3.
    assert_eq!(given(&rig).await, [money(19), money(14)], "{run:?}");
    assert_eq!(total(&run).1, 10 * CENT);
}

#[tokio::test]
async fn a_crash_in_the_middle_changes_no_share() {
    let priced =
        family("{cost: 0.40, then: wrap_up}", &format!("{PRICE}, "), &format!(", {REPLY}"));
    let (calm, _) = ended(&priced).await;
    let calm = shares(&calm).await;
    for crash in [1, 6, 14, 23, 35] {
        let rig = published(&priced).await;
        let first = Counter::holding(crash);
        let process = rig.process(ModelConfig::default(), first.clone());
        let run = rig.app.create("lead", "\"Go.\"").await;
        first.held.notified().await;
        process.kill();
        let _second = rig.process(ModelConfig::default(), Arc::new(Nobody));
        // What the dead worker had sent is still heard: time has to pass again then.
        while tokio::time::timeout(ROUND, rig.app.ended(&run)).await.is_err() {
            rig.app.pass(LEASE).await;
        }
        assert_eq!(shares(&rig).await, calm, "crash before step {crash}");
    }
}

/// Each run with what it was given and has used.
async fn shares(rig: &Rig) -> Vec<(String, Option<v1::Budget>, Used)> {
    let runs = runs(rig).await.into_iter();
    let mut shares: Vec<_> = runs.map(|run| (run.agent.clone(), run.budget, total(&run))).collect();
    shares.sort_by_key(|(agent, budget, used)| {
        let cost = budget.and_then(|budget| budget.cost_micros);
        (agent.clone(), cost, *used)
    });
    shares
}
