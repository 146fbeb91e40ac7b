//! The nodes of graphs that are tools, agents, people and several things at a time.

use std::sync::Arc;

use serde_json::{Value, json};
use tenure_agents::ModelConfig;
use tenure_sdk::v1;

use crate::rig::{Nobody, Rig, failure, output};
use crate::takeover::Killed;

const MODEL: &str = "
kind: graph
model:
  provider: scripted
  name: s
  script:
    answer: '<{{ last }}>'
    turns:
    - calls: [{tool: read_file, arguments: {path: a.md}}]
    - text: 'read {{ (last|fromjson).text }} for {{ input }}'
";

/// Looks for files, rates each, reads one beside a summary, lets an agent write, and asks.
const DESK: &str = "
  - name: look
    do: {tool: {tool: list_files, arguments: {}}}
    next: [{when: {expression: 'size(output.files) > 1'}, to: rate}, {to: end}]
  - name: rate
    do: {map: {over: look.files, template: 'rate {{.index}} {{.item.path}}', at_once: 2, do: {prompt: {}}}}
    next: [{to: both}]
  - name: both
    do:
      parallel:
        branches:
          first: {do: {tool: {tool: read_file, arguments: {path: '{{(index .look.files 0).path}}'}}}}
          words: {do: {prompt: {}}, template: '{{range .rate}}{{.}} {{end}}'}
    next: [{to: write}]
  - name: write
    do: {agent: {instructions: 'Write about {{.input}}.', tools: [read_file]}}
    template: 'the {{.both.words}}'
    next: [{to: end}]
";
const KEYS: [&str; 15] = [
    "both/0/attempt",
    "both/0/branch/first/policy",
    "both/0/branch/first/tool:read_file",
    "both/0/branch/words/model",
    "look/0/attempt",
    "look/0/policy",
    "look/0/tool:list_files",
    "rate/0/attempt",
    "rate/0/item/0/model",
    "rate/0/item/1/model",
    "rate/0/item/2/model",
    "write/0/attempt",
    "write/0/turn/0/call/0/tool:read_file",
    "write/0/turn/0/model",
    "write/0/turn/1/model",
];
const FILES: [(&str, &str); 3] = [("a.md", "A"), ("b.md", "B"), ("c.md", "C")];
const ANSWER: &str = "read A for the <<rate 0 a.md> <rate 1 b.md> <rate 2 c.md> >";

fn graph(name: &str, nodes: &str) -> String {
    format!("name: {name}{MODEL}graph:\n  nodes:\n{nodes}")
}

async fn begun(nodes: &str, input: &str) -> (Rig, String) {
    let rig = Rig::with(&FILES).await;
    rig.publish(&graph("desk", nodes)).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("desk", input).await;
    (rig, run)
}

async fn ended(nodes: &str, input: &str) -> v1::Run {
    let (rig, run) = begun(nodes, input).await;
    rig.app.ended(&run).await
}

#[tokio::test]
async fn tools_agents_and_several_things_at_a_time_are_steps_of_one_run() {
    let (rig, run) = begun(DESK, r#""rivers""#).await;
    let run = rig.app.ended(&run).await;
    assert_eq!(output(&run), ANSWER);
    assert_eq!(rig.keys(&run).await, KEYS);
}

#[tokio::test]
async fn after_a_crash_at_any_step_nothing_recorded_happens_again() {
    for crash in 0..KEYS.len() {
        let rig = Rig::with(&FILES).await;
        rig.publish(&graph("desk", DESK)).await;
        let killed = Killed::at(&rig, "desk", r#""rivers""#, crash).await;
        assert_eq!(output(&killed.ended), ANSWER, "crash before step {crash}");
        killed.check(&KEYS);
    }
}

#[tokio::test]
async fn a_person_decides_where_the_run_goes() {
    let nodes = "
  - name: ask
    do: {interrupt: {title: 'Send {{.input.text}}?', assignee: ann}}
    next: [{when: {equals: edit}, to: pick}, {when: {equals: approve}, to: end}, {to: no}]
  - name: pick
    do: {interrupt: {kind: choice, choices: [red, green]}}
    next: [{when: {equals: green}, to: end}]
  - {name: no, do: fail, template: 'nobody wants {{.ask.text}}'}
";
    let (rig, run) = begun(nodes, r#"{"text": "it"}"#).await;
    let asked = rig.app.question(&run).await;
    let question = asked.question.clone().unwrap();
    assert_eq!(
        (&*question.title, &*question.assignee, &*asked.key),
        ("Send it?", "ann", "ask/0/ask")
    );
    assert_eq!(question.payload.unwrap().data, r#"{"text":"it"}"#);
    rig.app.answer(&asked, v1::Decision::Edit, r#"{"text": "that"}"#).await;
    let picks = |run: &v1::Run| run.open_interrupts > 0;
    rig.app.until(&run, picks).await;
    let asked = rig.app.question(&run).await;
    assert_eq!(asked.question.clone().unwrap().title, "pick");
    rig.app.answer(&asked, v1::Decision::Respond, r#""green""#).await;
    assert_eq!(output(&rig.app.ended(&run).await), "green");

    let run = rig.app.create("desk", r#"{"text": "it"}"#).await;
    rig.app.answer(&rig.app.question(&run).await, v1::Decision::Reject, "").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(failure(&run).message, "node `no`: failed after 3 attempts: nobody wants it");
}

#[tokio::test]
async fn a_question_that_nobody_answers_has_a_default_or_fails_the_node() {
    for (default, end) in [(", default: reject", "reject"), ("", "timed_out")] {
        let nodes = format!(
            "
  - name: ask
    do: {{interrupt: {{timeout: 1h{default}}}}}
    next: [{{when: {{equals: reject}}, to: no}}]
    on_failure: late
  - {{name: no, do: fail, template: reject}}
  - {{name: late, do: fail, template: timed_out}}
retry: {{attempts: 1}}
"
        );
        let (rig, run) = begun(&nodes, "1").await;
        rig.app.question(&run).await;
        rig.app.pass(std::time::Duration::from_hours(2)).await;
        let run = rig.app.ended(&run).await;
        assert!(failure(&run).message.ends_with(end), "{run:?}");
    }
}

#[tokio::test]
async fn a_call_is_a_run_of_its_own_with_the_node_s_input() {
    let rig = Rig::with(&FILES).await;
    rig.publish(&graph(
        "child",
        "  - {name: a, do: prompt: {}}"
            .replace("do: prompt: {}", "do: {prompt: {}}, next: [{to: end}]")
            .as_str(),
    ))
    .await;
    rig.publish(&graph("broken", "  - {name: a, do: fail, template: no}")).await;
    let nodes = "
  - name: all
    do:
      map:
        keep_failures: true
        do: {parallel: {keep_failures: true, branches: {child: {do: {call: {agent: child, version: '1'}}}, broken: {do: {call: {agent: broken}}}}}}
    next: [{to: end}]
";
    rig.publish(&graph("desk", nodes)).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("desk", r#"["a", "b"]"#).await;
    let run = rig.app.ended(&run).await;
    let broken = json!({"error": {
        "code": "graph_failed",
        "message": "agent `broken`: node `a`: failed after 3 attempts: no",
    }});
    let of = |text: &str| json!({"child": text, "broken": broken});
    assert_eq!(output(&run), json!([of("<a>"), of("<b>")]));
    let keys = rig.keys(&run).await;
    assert!(keys.contains(&"all/0/item/1/branch/broken/child:broken".to_owned()), "{keys:?}");
}

#[tokio::test]
async fn an_element_that_fails_is_tried_again_and_then_fails_the_node_or_stays() {
    let nodes = |keep: bool| {
        format!(
            "
  - name: all
    do: {{map: {{keep_failures: {keep}, at_once: 1, do: {{prompt: {{parse: number}}}}}}}}
    retry: {{attempts: 2, backoff: 0s, max_backoff: 0s}}
    next: [{{to: end}}]
"
        )
    };
    let input = r#"["1", "two", "3"]"#;
    let run = ended(&nodes(false), input).await;
    assert_eq!(
        failure(&run).message,
        "node `all`: failed after 1 attempts: `1`: there is no number in `<two>`"
    );
    let (rig, run) = begun(&nodes(true), input).await;
    let run = rig.app.ended(&run).await;
    let error = json!({"code": "graph_reply", "message": "there is no number in `<two>`"});
    assert_eq!(output(&run), json!([1, {"error": error}, 3]));
    let keys = rig.keys(&run).await;
    assert_eq!(keys.iter().filter(|key| key.starts_with("all/0/item/1/model")).count(), 2);
}

#[tokio::test]
async fn what_goes_wrong_is_named() {
    let tool = |arguments: &str| {
        format!(
            "  - {{name: a, do: {{tool: {{tool: read_file, arguments: {arguments}}}}}, next: [{{to: end}}]}}"
        )
    };
    let map = |over: &str| {
        format!("  - {{name: a, do: {{map: {{over: {over}, do: pass}}}}, next: [{{to: end}}]}}")
    };
    let many: Vec<u32> = (0..1_001).collect();
    for (nodes, input, code, part) in [
        (tool("{path: gone.md}"), "1".into(), "file_not_found", "no file `gone.md`"),
        (tool("{path: 3}"), "1".into(), "tool_arguments", "wrong arguments for tool `read_file`"),
        (map("input"), "{}".into(), "graph_list", "this is none: {}"),
        (map("input.list"), "{}".into(), "graph_variable", "no `input.list`"),
        (map("input"), json!(many).to_string(), "graph_list", "1001 elements"),
        (
            "  - {name: a, do: pass, next: [{when: {expression: output.n > 1}, to: end}]}".into(),
            "{}".into(),
            "graph_transition",
            "the condition `output.n > 1`",
        ),
    ] {
        let run = ended(&nodes, &input).await;
        let failure = failure(&run);
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(failure.message.starts_with("node `a`: "), "{failure:?}");
        assert!(failure.message.contains(part), "{failure:?}");
    }
}

#[tokio::test]
async fn a_text_that_is_a_list_is_gone_through_and_variables_keep_their_types() {
    let nodes = "
  - name: ask
    do: pass
    template: '```json\n[{\"path\": \"a.md\"}, {\"path\": \"b.md\"}]\n```'
    next: [{to: read}]
  - name: read
    do: {map: {do: {tool: {tool: read_file, arguments: {path: '{{.item.path}}'}}}}}
    next: [{to: end}]
";
    let nodes = nodes
        .replace("'```json\n", "\"```json\\n")
        .replace("\n```'", "\\n```\"")
        .replace("\"path\"", "\\\"path\\\"")
        .replace("\"a.md\"", "\\\"a.md\\\"")
        .replace("\"b.md\"", "\\\"b.md\\\"");
    let run = ended(&nodes, "1").await;
    let texts: Vec<Value> =
        output(&run).as_array().unwrap().iter().map(|read| read["text"].clone()).collect();
    assert_eq!(texts, ["A", "B"]);
}

#[tokio::test]
async fn a_limit_holds_for_what_is_done_at_the_same_time() {
    let nodes = "
  - {name: all, do: {map: {at_once: 2, do: {prompt: {}}}}, next: [{to: end}]}
limits: {turns: 3}
";
    let (rig, run) = begun(nodes, r#"["a", "b", "c", "d", "e"]"#).await;
    let run = rig.app.ended(&run).await;
    assert_eq!(failure(&run).code, "limit_turns");
    // The first two and the next two, whose share was free when they began.
    assert_eq!(rig.keys(&run).await.len(), 4);
}

#[tokio::test]
async fn an_agent_has_limits_inside_those_of_the_run() {
    let nodes = |of_node: u32, of_run: u32| {
        format!(
            "
  - name: write
    do: {{agent: {{tools: [read_file], limits: {{turns: {of_node}}}}}}}
    next: [{{to: end}}]
    on_failure: late
  - {{name: late, do: pass, template: too late, next: [{{to: end}}]}}
limits: {{turns: {of_run}}}
"
        )
    };
    let run = ended(&nodes(1, 20), "1").await;
    assert_eq!(output(&run), "too late", "the node's limit fails the node");
    let run = ended(&nodes(20, 1), "1").await;
    assert_eq!(failure(&run).code, "limit_turns", "the run's limit ends the run");
    let run = ended(&nodes(2, 2), "1").await;
    assert_eq!(output(&run), "read A for 1");
}
