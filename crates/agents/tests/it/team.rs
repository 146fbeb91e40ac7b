//! Teams behind a real worker: who speaks, what is recorded, and what a crash costs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_agents::ModelConfig;
use tenure_sdk::v1;

use crate::rig::{Nobody, Rig, failure, output};
use crate::takeover::Killed;

/// A member that says these things, turn by turn.
fn member(name: &str, turns: &str, rest: &str) -> String {
    format!(
        "  - {{name: {name}, description: The {name}., tools: [list_files], model: {{provider: scripted, \
         name: {name}, script: {{turns: {turns}}}}}{rest}}}\n"
    )
}

fn team(members: &[String], rest: &str) -> String {
    format!("name: desk\nkind: team\nteam:\n  members:\n{}{rest}", members.concat())
}

/// Says what it hears, one message after the other.
const ECHO: &str = "[{text: '{{ last }} a'}, {text: '{{ last }} b'}, {text: '{{ last }} c'}]";

async fn begun(document: &str) -> (Rig, String) {
    let rig = Rig::with(&[("a.md", "A")]).await;
    rig.publish(document).await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("desk", r#""Hello""#).await;
    (rig, run)
}

async fn ended(document: &str) -> (Rig, v1::Run) {
    let (rig, run) = begun(document).await;
    let run = rig.app.ended(&run).await;
    (rig, run)
}

/// Who spoke, in their order.
async fn speakers(rig: &Rig, run: &v1::Run) -> Vec<String> {
    let mut turns: Vec<(u32, String)> = Vec::new();
    for key in rig.keys(run).await {
        let parts: Vec<&str> = key.split('/').collect();
        if parts.last() == Some(&"model") && parts[2] != "select" {
            turns.push((parts[1].parse().expect("a turn"), parts[2].to_owned()));
        }
    }
    turns.sort();
    turns.dedup();
    turns.into_iter().map(|(_, name)| name).collect()
}

#[tokio::test]
async fn in_turn_each_hears_what_the_others_said() {
    let members = [member("ann", ECHO, ""), member("bob", ECHO, "")];
    let rest = "  pattern: round_robin\n  entry: bob\n  turns: 3\n  output: conversation\n";
    let (rig, run) = ended(&team(&members, rest)).await;
    let said = [
        ("person", "Hello"),
        ("bob", "Hello a"),
        ("ann", "bob: Hello a a"),
        ("bob", "ann: bob: Hello a a b"),
    ];
    let said = said.map(|(from, text)| json!({"from": from, "text": text}));
    assert_eq!(output(&run), json!({"messages": said, "variables": {}}));
    assert_eq!(
        rig.keys(&run).await,
        ["turn/0/bob/turn/0/model", "turn/1/ann/turn/0/model", "turn/2/bob/turn/0/model"]
    );
}

#[tokio::test]
async fn rules_look_at_messages_variables_and_turns() {
    let set = "[{calls: [{tool: set_variable, arguments: {name: topic, value: {of: refund}}}]}, {text: it is a refund}]";
    let members = [
        member("triage", set, ", sets: [topic], instructions: 'Topic {{.topic}}.'"),
        member("sales", "[{text: sold}]", ""),
        member("refunds", "[{text: paid}, {text: paid again}]", ""),
    ];
    let rest = "
  pattern: rules
  handoffs:
  - {from: triage, to: sales, when: variables.topic.of == 'sale'}
  - {from: triage, to: refunds, when: \"variables.topic.of == 'refund' && message.text.contains('refund')\"}
  - {from: '*', to: refunds, when: turn == 2 && message.from == 'refunds'}
  variables: {topic: {of: ''}, other: 1}
";
    let (rig, run) = ended(&team(&members, rest)).await;
    assert_eq!(output(&run), "paid again");
    assert_eq!(speakers(&rig, &run).await, ["triage", "refunds", "refunds"]);
}

#[tokio::test]
async fn a_model_hands_over_and_what_it_may_not_do_is_told_to_it() {
    let triage = "[{text: One moment., calls: [{tool: transfer_to_sales}, {tool: list_files}, {tool: transfer_to_sales}]}]";
    let sales = "[{calls: [{tool: transfer_to_triage}, {tool: set_variable, arguments: {name: x, value: 1}}]}, {text: '{{ results|join }}'}]";
    let members = [member("triage", triage, ""), member("sales", sales, ", transfers: [person]")];
    let (rig, run) = ended(&team(&members, "  pattern: model\n  output: conversation\n")).await;
    let messages = &output(&run)["messages"];
    assert_eq!(messages[1], json!({"from": "triage", "text": "One moment."}));
    let told = messages[2]["text"].as_str().unwrap();
    assert!(told.contains("cannot hand over to `triage`"), "{told}");
    assert!(told.contains("there is no tool `set_variable`"), "{told}");
    assert_eq!(
        rig.keys(&run).await,
        [
            "turn/0/triage/turn/0/call/1/tool:list_files",
            "turn/0/triage/turn/0/model",
            "turn/1/sales/turn/0/call/1/tool:unknown",
            "turn/1/sales/turn/0/model",
            "turn/1/sales/turn/1/model",
        ]
    );
}

#[tokio::test]
async fn a_model_chooses_who_speaks_or_that_the_work_is_done() {
    let chosen = "[{text: nobody}, {text: ann or bob}, {text: '?'}]";
    let members = [member("ann", ECHO, ""), member("bob", "[{text: done}]", "")];
    let selector = |turns: &str| {
        format!(
            "  pattern: auto\n  selector: {{model: {{provider: scripted, name: s, script: {{turns: {turns}}}}}}}\n"
        )
    };
    let (rig, run) = ended(&team(&members, &selector(chosen))).await;
    assert_eq!(failure(&run).code, "team_selection");
    assert_eq!(rig.keys(&run).await.len(), 1 + 3);

    let chosen = "[{text: hm}, {text: \"{% if 'done' in input %}end{% else %}bob{% endif %}\"}]";
    let (rig, run) = ended(&team(&members, &selector(chosen))).await;
    assert_eq!(output(&run), "done");
    assert_eq!(
        rig.keys(&run).await,
        [
            "turn/0/ann/turn/0/model",
            "turn/0/select/0/model",
            "turn/0/select/1/model",
            "turn/1/bob/turn/0/model",
            "turn/1/select/0/model",
            "turn/1/select/1/model",
        ]
    );
}

#[tokio::test]
async fn chance_is_recorded() {
    let turns = format!("[{}]", vec!["{text: x}"; 30].join(", "));
    let members = ["a", "b", "c", "d"].map(|name| member(name, &turns, ""));
    let (rig, run) = ended(&team(&members, "  pattern: random\n  turns: 30\n")).await;
    assert!(rig.keys(&run).await.contains(&"random".to_owned()));
    let speakers = speakers(&rig, &run).await;
    assert_eq!(speakers.len(), 30);
    assert!(speakers.windows(2).all(|pair| pair[0] != pair[1]), "{speakers:?}");
    assert_eq!(speakers.iter().collect::<BTreeSet<_>>().len(), 4);
}

const ASKING: &str = "
  pattern: rules
  handoffs:
  - {from: ann, to: person, when: 'message.text.endsWith(\"?\")'}
  - {from: person, to: bob, when: message.text == 'bob'}
  person: {assignee: ann@example.com, timeout: 1h}
";

fn asking() -> String {
    let ann = "[{text: 'Shall I?'}, {text: '{{ last }} it is'}]";
    team(&[member("ann", ann, ""), member("bob", "[{text: '{{ last }} here'}]", "")], ASKING)
}

#[tokio::test]
async fn a_person_answers_and_the_member_that_asked_goes_on() {
    for (answer, said) in [("yes", "yes it is"), ("bob", "bob here")] {
        let (rig, run) = begun(&asking()).await;
        let asked = rig.app.question(&run).await;
        let question = asked.question.clone().unwrap();
        assert_eq!(
            (&*question.title, &*question.assignee, &*asked.key),
            ("Shall I?", "ann@example.com", "turn/0/person")
        );
        assert_eq!(question.payload.unwrap().data, r#"{"from":"ann","text":"Shall I?"}"#);
        rig.app.answer(&asked, v1::Decision::Respond, &Value::from(answer).to_string()).await;
        assert_eq!(output(&rig.app.ended(&run).await), said);
    }
}

#[tokio::test]
async fn a_person_who_rejects_or_is_silent_ends_the_run() {
    for silent in [false, true] {
        let (rig, run) = begun(&asking()).await;
        let asked = rig.app.question(&run).await;
        if silent {
            rig.app.pass(Duration::from_hours(2)).await;
        } else {
            rig.app.answer(&asked, v1::Decision::Reject, "").await;
        }
        assert_eq!(output(&rig.app.ended(&run).await), "Shall I?");
    }
}

#[tokio::test]
async fn a_run_ends_where_it_is_told_to() {
    let members = [member("ann", ECHO, ""), member("bob", ECHO, "")];
    let rest = "  pattern: round_robin\n  until: message.text.endsWith('a a')\n";
    let (_, run) = ended(&team(&members, rest)).await;
    assert_eq!(output(&run), "ann: Hello a a");

    let limited = team(&members, "  pattern: round_robin\nlimits: {turns: 2, then: wrap_up}\n");
    let (rig, run) = ended(&limited).await;
    assert_eq!(rig.keys(&run).await.len(), 3, "{run:?}");
    assert!(output(&run).as_str().unwrap().contains("A limit of this run is reached"));

    let (_, run) =
        ended(&team(&members, "  pattern: round_robin\n  until: variables.x > 1\n")).await;
    assert_eq!(failure(&run).code, "team_condition");
    let (_, run) = ended(&team(&members, "  pattern: round_robin\n")).await;
    let failed = failure(&run);
    assert_eq!(
        (&*failed.code, failed.message.starts_with("member `ann`: ")),
        ("script_exhausted", true)
    );
}

#[tokio::test]
async fn after_a_crash_at_any_step_nothing_recorded_happens_again() {
    let set = "[{calls: [{tool: list_files}, {tool: set_variable, arguments: {name: n, value: 1}}]}, {text: x}, {text: x, calls: [{tool: transfer_to_bob}]}, {text: y}]";
    let bob = "[{text: 'n={{ input }}', calls: [{tool: transfer_to_ann}]}, {text: bye}]";
    let members =
        [member("ann", set, ", sets: [n]"), member("bob", bob, ", instructions: 'n is {{.n}}'")];
    let rest = "
  pattern: model
  handoffs: [{from: ann, to: bob, when: turn == 1 && variables.n == 1}]
  variables: {n: 0}
";
    let document = team(&members, rest);
    let (rig, run) = ended(&document).await;
    let (keys, answer) = (rig.keys(&run).await, output(&run));
    for crash in 0..keys.len() {
        let rig = Rig::with(&[("a.md", "A")]).await;
        rig.publish(&document).await;
        let killed = Killed::at(&rig, "desk", r#""Hello""#, crash).await;
        assert_eq!(output(&killed.ended), answer, "crash before step {crash}");
        killed.check(&keys);
    }
}
