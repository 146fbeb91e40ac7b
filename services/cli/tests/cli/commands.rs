//! One agent through all commands.

use serde_json::{Value, json};

use crate::tenure::{Dev, Ended, Process, command};

const EXAMPLE: &str = include_str!("../../../../examples/document-digest/agent.yaml");
/// An agent that looks, writes and answers.
const AGENT: &str = "
name: sample
tools: [list_files, write_artifact]
model:
  provider: scripted
  name: s
  script:
    turns:
      - calls: [{tool: list_files}]
      - calls: [{tool: write_artifact, arguments: {name: note.md, text: 'about {{ input }}'}}]
      - text: 'done: {{ input }}'
";
/// An agent that never ends by itself.
const SLOW: &str = "
name: slow
model: {provider: scripted, name: s, script: {latency: 1h, turns: [{text: late}]}}
";

#[test]
fn a_specification_is_published_once() {
    let dev = Dev::start();
    let file = dev.file("agent.yaml", AGENT);
    for said in ["sample version 1 published\n", "sample version 1 unchanged\n"] {
        let ended = dev.run(&["apply", "-f", &file]);
        assert_eq!((ended.status, &*ended.out), (0, said), "{}", ended.err);
    }
    let again = dev.json(&["apply", "-f", &file]);
    assert_eq!(again["published"][0]["version"]["number"], 1);
    assert_eq!(dev.json(&["agents", "list"])["agents"][0]["latestVersion"], 1);
}

#[test]
fn allowances_are_set_and_shown() {
    let dev = Dev::start();
    let file = dev.file("agent.yaml", AGENT);
    dev.json(&["apply", "-f", &file]);
    let set = ["allowances", "set", "--per", "day", "--agent", "sample", "--cost", "0.5"];
    let ended = dev.run(&set);
    assert_eq!(ended.out, "allowance of agent sample for each day set\n", "{}", ended.err);
    dev.json(&["allowances", "set", "--per", "month", "--tokens", "3000"]);
    dev.json(&["run", "sample", "--input", "tea", "--wait"]);
    let listed = dev.run(&["allowances", "list"]).out;
    let lines: Vec<Vec<&str>> =
        listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..6], ["the", "tenant", "month", "tokens", "3,000", "20"], "{listed}");
    assert_eq!(lines[2][..5], ["agent", "sample", "day", "money", "$0.5000"], "{listed}");
    let ended = dev.run(&["allowances", "unset", "--per", "month"]);
    assert_eq!(ended.out, "allowance of the tenant for each month removed\n");
    assert_eq!(dev.json(&["allowances", "list"])["allowances"].as_array().unwrap().len(), 1);
    let nothing = dev.run(&["allowances", "set", "--per", "day"]);
    assert!(nothing.status == 2 && nothing.err.contains("--cost"), "{}", nothing.err);
}

#[test]
fn all_problems_of_a_specification_are_told_and_nothing_is_published() {
    let dev = Dev::start();
    let good = dev.file("good.yaml", AGENT);
    let bad = dev.file("bad.yaml", "{name: A, tools: [red_file], model: {provider: openal}}");
    let ended = dev.run(&["apply", "-f", &good, &bad]);
    assert_eq!((ended.status, &*ended.out), (1, ""));
    for part in ["bad.yaml has 4 problems", "name: ", "read_file", "openai", "model.name", "hint:"]
    {
        assert!(ended.err.contains(part), "{part} in {}", ended.err);
    }
    assert_eq!(dev.json(&["agents", "list"]), json!({}));
}

#[test]
fn a_run_can_be_started_waited_for_and_looked_at() {
    let dev = Dev::start();
    let file = dev.file("agent.yaml", AGENT);
    dev.json(&["apply", "-f", &file]);
    let budget = ["--budget-cost", "0.10", "--budget-tokens", "50000", "--budget-tool-calls", "9"];
    let ended = dev.run(&[&["run", "sample", "--input", "tea", "--wait"][..], &budget].concat());
    assert_eq!((ended.status, &*ended.out), (0, "done: tea\n"), "{}", ended.err);

    let runs = dev.json(&["runs", "list", "--agent", "sample", "--state", "succeeded"]);
    let id = runs["runs"][0]["id"].as_str().unwrap().to_owned();
    let run = dev.json(&["runs", "get", &id]);
    assert_eq!((&run["agent"], &run["state"]), (&json!("sample"), &json!("RUN_STATE_SUCCEEDED")));
    assert!(dev.run(&["runs", "list"]).out.contains(&id));
    let shown = dev.run(&["runs", "get", &id]).out;
    assert!(shown.contains("$0.1000, 50,000 tokens, 9 calls of tools\n"), "{shown}");

    let journal = dev.json(&["journal", &id]);
    let entries = journal["entries"].as_array().unwrap().iter();
    let keys: Vec<&Value> = entries.map(|entry| &entry["record"]["key"]).collect();
    let expected = [
        "turn/0/model",
        "turn/0/call/0/tool:list_files",
        "turn/1/model",
        "turn/1/call/0/artifact:note.md",
        "turn/2/model",
    ];
    assert_eq!(keys, expected);
    let told = dev.run(&["journal", &id]).out;
    assert!(expected.iter().all(|key| told.contains(key)), "{told}");
    let followed = dev.run(&["journal", &id, "--follow"]).out;
    assert!(expected.iter().all(|key| followed.contains(key)), "{followed}");

    assert!(dev.run(&["artifacts", "list", &id]).out.contains("note.md"));
    assert_eq!(dev.run(&["artifacts", "get", &id, "note.md"]).out, "about tea");
    assert_eq!(dev.run(&["artifacts", "get", &id, "note.md", "-o", "copy.md"]).status, 0);
    let copy = std::fs::read_to_string(dev.dir.path().join("copy.md")).unwrap();
    assert_eq!(copy, "about tea");
}

#[test]
fn a_run_can_be_cancelled() {
    let dev = Dev::start();
    let file = dev.file("slow.yaml", SLOW);
    dev.json(&["apply", "-f", &file]);
    let follow = dev.command(&["run", "slow", "--follow", "--output", "json"]);
    let mut follow = Process::start(follow);
    let running = follow.until(|event| event["run"]["state"] == "RUN_STATE_RUNNING");
    let id = running["run"]["id"].as_str().unwrap();
    let cancel = dev.run(&["runs", "cancel", id, "--reason", "enough"]);
    assert_eq!(cancel.status, 0, "{}", cancel.err);
    follow.until(|event| event["run"]["state"] == "RUN_STATE_CANCELLED");
    assert_eq!(follow.child.wait().unwrap().code(), Some(1), "it did not succeed");
    let run = dev.json(&["runs", "get", id]);
    assert_eq!(run["steering"]["reason"], "enough");
    assert!(dev.run(&["runs", "cancel", id]).out.contains("is cancelled"));
}

#[test]
fn what_is_not_there_is_said_with_a_hint() {
    let dev = Dev::start();
    for args in [
        ["runs", "get", "run_01h455vb4pex5vsknk084sn02q"],
        ["runs", "cancel", "run_01h455vb4pex5vsknk084sn02q"],
        ["agents", "get", "nobody"],
    ] {
        let ended = dev.run(&args);
        assert_eq!((ended.status, &*ended.out), (1, ""), "{args:?}");
        assert!(ended.err.contains("error: ") && ended.err.contains(args[2]), "{}", ended.err);
        assert!(ended.err.contains("hint: look with"), "{}", ended.err);
    }
    let ended = dev.run(&["runs", "get", "nonsense"]);
    assert!(ended.status == 1 && ended.err.contains("nonsense"), "{}", ended.err);
    let ended = dev.run(&["run", "nobody"]);
    assert!(ended.status == 1 && ended.err.contains("nobody"), "{}", ended.err);
}

#[test]
fn where_no_control_plane_is_one_can_be_started() {
    let ended = Ended::of(command(&["runs", "list", "--url", "http://127.0.0.1:1"]));
    assert_eq!((ended.status, &*ended.out), (1, ""));
    assert!(ended.err.contains("http://127.0.0.1:1 is unavailable"), "{}", ended.err);
    assert!(ended.err.contains("hint: start one with 'tenure dev'"), "{}", ended.err);
}

#[test]
fn the_schema_accepts_the_example_and_no_nonsense() {
    let schema: Value = serde_json::from_str(&Ended::of(command(&["schema"])).out).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    let schema = jsonschema::options().offline().build(&schema).unwrap();
    let example = tenure_spec::parse(EXAMPLE).unwrap().canonical();
    let mut example: Value = serde_json::from_slice(&example).unwrap();
    assert!(schema.is_valid(&example));
    example["modle"] = json!({});
    assert!(!schema.is_valid(&example));
}
