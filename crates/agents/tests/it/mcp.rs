//! Tools of a real MCP server, over HTTP and as a program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tenure_agents::ModelConfig;
use tenure_sdk::v1;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::double::Double;
use crate::rig::{Nobody, Rig, failed, failure, output};
use crate::takeover::Killed;

const CANARY: &str = "canary-0123456789";

/// The example `mcp_server`, which `cargo test` builds.
fn program() -> String {
    let exe = std::env::current_exe().unwrap();
    let target = exe.parent().and_then(Path::parent).unwrap();
    let program = target.join("examples/mcp_server");
    assert!(program.exists(), "run `cargo build -p tenure-agents --examples` first");
    program.to_str().unwrap().into()
}

/// The memory of a server.
struct Desk {
    folder: TempDir,
    /// Where it is, as the source's field says it.
    place: String,
    _process: Option<Child>,
}

impl Desk {
    /// A server that workers start.
    fn program() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let place = format!("command: '{}', args: ['{path}']", program());
        Self { folder, place, _process: None }
    }

    /// A server that is there.
    async fn http() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        let command = command.arg(folder.path()).arg("http");
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let place = format!("url: '{}'", lines.next_line().await.unwrap().unwrap());
        Self { folder, place, _process: Some(child) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The calls that it was asked for: tools and keys.
    fn calls(&self) -> Vec<(String, String)> {
        let calls = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        let calls = calls.lines().filter_map(|line| line.split_once(' '));
        calls.map(|(tool, key)| (tool.into(), key.into())).collect()
    }

    fn tools(&self) -> Vec<String> {
        self.calls().into_iter().map(|(tool, _)| tool).collect()
    }

    /// An agent whose model makes these calls, all in one turn.
    fn agent(&self, more: &str, calls: &str) -> String {
        let place = &self.place;
        format!(
            "{{name: sample, retry: {{attempts: 2, backoff: 0s}},
            tools: [{{mcp: {{name: desk, {place}{more}}}}}],
            model: {{provider: scripted, name: s, script:
                {{turns: [{{calls: [{calls}]}}, {{text: done}}]}}}}}}"
        )
    }

    async fn rig(&self) -> Rig {
        let mut rig = Rig::with(&[]).await;
        rig.base.programs.push(program());
        rig
    }
}

fn call(tool: &str) -> String {
    format!("{{tool: desk__{tool}, arguments: {{}}}}")
}

#[tokio::test]
async fn tools_are_listed_and_called_over_http_and_in_a_program() {
    for desk in [Desk::program(), Desk::http().await] {
        let rig = desk.rig().await;
        let calls =
            "{tool: desk__add, arguments: {a: 1, b: 2}}, {tool: desk__add, arguments: {a: x}}";
        let calls = [calls.into(), call("note"), call("put"), call("fail"), call("picture")];
        let run = rig.ended(&desk.agent("", &calls.join(", ")), Arc::new(Nobody)).await;
        assert_eq!(output(&run), "done");
        let results = [
            "0/tool:desk__add",
            "2/tool:desk__note",
            "3/tool:desk__put",
            "4/tool:desk__fail",
            "5/tool:desk__picture",
        ];
        let mut told = Vec::new();
        for key in results {
            told.push(rig.result(&run, &format!("turn/0/call/{key}")).await.to_string());
        }
        insta::allow_duplicates! {
            insta::assert_snapshot!(told.join("\n"), @r#"
            {"sum":3.0}
            "noted"
            "noted"
            ["mcp_tool","no paper"]
            ["a dot",{"omitted":"image of 3 bytes, image/png: not text"}]
            "#);
        }
        let listed = rig.result(&run, "tools:desk").await;
        assert_eq!(listed["tools"][0]["description"], "Adds two numbers.");
        assert_eq!(listed["tools"][0]["effect"], "read");
        assert_eq!(listed["tools"][1]["effect"], "once");
        assert_eq!(listed["tools"][2]["effect"], "idempotent");
        assert_eq!(
            listed["skipped"],
            json!([{"name": "odd", "why": "its arguments are no object"}])
        );
        let keys: Vec<_> = desk.calls().into_iter().filter(|(tool, _)| tool == "note").collect();
        assert_eq!(keys[0].1, format!("{}/turn/0/call/2/tool:desk__note", run.id));
    }
}

#[tokio::test]
async fn a_server_that_dies_in_mid_call_is_started_again_for_what_may_be_repeated() {
    let desk = Desk::program();
    let rig = desk.rig().await;
    let run = rig.ended(&desk.agent("", &call("die_read")), Arc::new(Nobody)).await;
    let told = rig.result(&run, "turn/0/call/0/tool:desk__die_read").await;
    assert_eq!((told, output(&run)), (json!("back again"), json!("done")));
    let calls = desk.calls();
    assert_eq!((calls.len(), &calls[0]), (2, &calls[1]), "the same call, with the same key");
}

#[tokio::test]
async fn what_must_not_happen_twice_is_in_doubt_when_its_server_dies() {
    for (desk, said) in [(Desk::program(), "back again"), (Desk::http().await, "")] {
        let rig = desk.rig().await;
        rig.publish(&desk.agent("", &call("die"))).await;
        rig.work(ModelConfig::default(), Arc::new(Nobody));
        let run = rig.app.create("sample", "null").await;
        let doubt = asked(&rig, &run).await;
        assert_eq!(doubt.key, "turn/0/call/0/doubt:tool:desk__die");
        assert_eq!(desk.tools(), ["die"], "nobody has said that it may be done again");
        // Whoever looked has found that it may be done again, if there is a server.
        answer(&rig, &doubt, v1::Decision::Approve).await;
        let run = rig.app.ended(&run).await;
        let told = rig.result(&run, "turn/0/call/0/tool:desk__die").await;
        match said {
            "" => assert_eq!(told[0], "mcp_unreachable", "{told}"),
            said => assert_eq!(told, said),
        }
    }
}

/// The question that a run waits for.
async fn asked(rig: &Rig, run: &str) -> v1::Interrupt {
    rig.app.until(run, |run| run.open_interrupts == 1).await;
    let request = v1::ListInterruptsRequest {
        tenant: "default".into(),
        run: run.into(),
        ..v1::ListInterruptsRequest::default()
    };
    rig.app.client.inbox().list_interrupts(request).await.unwrap().into_inner().interrupts.remove(0)
}

async fn answer(rig: &Rig, interrupt: &v1::Interrupt, decision: v1::Decision) {
    let answer = v1::Answer { decision: decision.into(), ..v1::Answer::default() };
    let request = v1::ResolveInterruptRequest {
        tenant: "default".into(),
        interrupt: interrupt.id.clone(),
        answer: Some(answer),
    };
    rig.app.client.inbox().resolve_interrupt(request).await.unwrap();
}

#[tokio::test]
async fn silence_ends_a_call_and_cancels_it_and_progress_keeps_it_alive() {
    for desk in [Desk::program(), Desk::http().await] {
        let rig = desk.rig().await;
        let calls = [call("silent"), call("slow")].join(", ");
        // The slow one takes a second.
        let run = rig.ended(&desk.agent(", timeout: 600ms", &calls), Arc::new(Nobody)).await;
        let told = rig.result(&run, "turn/0/call/0/tool:desk__silent").await;
        assert_eq!(told[0], "mcp_timeout");
        assert!(told[1].as_str().unwrap().contains("`desk` was silent for 600ms"), "{told}");
        assert_eq!(rig.result(&run, "turn/0/call/1/tool:desk__slow").await, "done");
        let cancelled = |tools: &[String]| tools.iter().filter(|tool| *tool == "cancelled").count();
        while cancelled(&desk.tools()) < 2 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn progress_is_told_to_those_who_watch() {
    let desk = Desk::program();
    let rig = desk.rig().await;
    rig.publish(&desk.agent("", &call("slow"))).await;
    let run = rig.app.create("sample", "null").await;
    let request = v1::WatchRunRequest {
        tenant: "default".into(),
        run,
        stream: true,
        ..v1::WatchRunRequest::default()
    };
    let mut events = rig.app.client.runs().watch_run(request).await.unwrap().into_inner();
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let told = loop {
        let event = events.message().await.unwrap().expect("the watch goes on").event;
        if let Some(v1::watch_run_response::Event::Published(told)) = event {
            break told;
        }
    };
    assert_eq!((&*told.kind, &*told.key), ("progress", "turn/0/call/0/tool:desk__slow"));
    let said: Value = serde_json::from_slice(&told.data).unwrap();
    assert!(said["progress"].is_number(), "{said}");
}

#[tokio::test]
async fn a_server_with_too_many_tools_is_refused_unless_some_are_named() {
    for desk in [Desk::program(), Desk::http().await] {
        std::fs::write(desk.path("many"), "10000").unwrap();
        let rig = desk.rig().await;
        let run = rig.ended(&desk.agent("", &call("note")), Arc::new(Nobody)).await;
        let failure = failure(&run);
        assert_eq!(failure.code, "mcp_too_many_tools");
        assert!(failure.message.contains("in `tools:`"), "{failure:?}");

        let named = ", tools: [extra9999, gone]";
        let run = rig.ended(&desk.agent(named, &call("extra9999")), Arc::new(Nobody)).await;
        assert_eq!(output(&run), "done");
        let listed = rig.result(&run, "tools:desk").await;
        assert_eq!(listed["tools"].as_array().unwrap().len(), 1);
        assert_eq!(listed["skipped"][0]["why"], "the server has no such tool");
        let told = rig.result(&run, "turn/0/call/0/tool:desk__extra9999").await;
        assert_eq!(told[0], "mcp_tool", "the server answers with an error: {told}");
    }
}

#[tokio::test]
async fn a_run_keeps_its_tools_and_a_new_one_sees_the_list_as_it_is() {
    let desk = Desk::http().await;
    let rig = desk.rig().await;
    let agent = desk.agent("", &call("extra0"));
    let run = rig.ended(&agent, Arc::new(Nobody)).await;
    let told = rig.result(&run, "turn/0/call/0/tool:unknown").await;
    assert_eq!(told[0], "tool_unknown");

    std::fs::write(desk.path("many"), "1").unwrap();
    let run = rig.app.create("sample", "null").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(desk.tools(), ["extra0"]);
    assert_eq!(rig.result(&run, "turn/0/call/0/tool:desk__extra0").await[0], "mcp_tool");
}

/// The list, three replies of the model, and two calls after each other: what must not happen twice
/// would be in doubt if its worker died while it waits for a sibling.
const STEPS: usize = 6;

#[tokio::test]
async fn after_a_crash_at_any_step_nothing_recorded_is_called_again() {
    for crash in 0..STEPS {
        let desk = Desk::program();
        let rig = desk.rig().await;
        let calls = [call("note"), call("put")].join("]}, {calls: [");
        rig.publish(&desk.agent("", &calls)).await;
        let Killed { ended, second, mut after, .. } =
            Killed::at(&rig, "sample", "null", crash).await;
        assert_eq!(output(&ended), "done");
        // What must not happen twice has two records: that it was begun, and how it ended.
        after.dedup();
        assert_eq!(second, after, "crash before step {crash}");
        let notes = desk.tools().iter().filter(|tool| *tool == "note").count();
        assert_eq!(notes, 1, "crash before step {crash}");
    }
}

#[tokio::test]
async fn a_secret_reaches_the_server_and_nothing_else() {
    let desk = Desk::program();
    let mut rig = desk.rig().await;
    rig.base.secrets.grant("CANARY", None, CANARY).unwrap();
    let env = ", env: {CANARY: 'env://CANARY', LANG: C}";
    let run = rig.ended(&desk.agent(env, &call("secret")), Arc::new(Nobody)).await;
    assert_eq!(rig.result(&run, "turn/0/call/0/tool:desk__secret").await, "[key]");
    assert!(!format!("{:?}", rig.app.journal(&run.id).await).contains(CANARY));

    let denying =
        (401, vec![("www-authenticate", format!("Bearer error=\"{CANARY}\""))], CANARY.into());
    let server = Double::start(vec![denying]).await;
    let url = &server.url;
    let place = format!("url: '{url}', headers: {{Authorization: 'Bearer env://CANARY'}}");
    let desk = Desk { place, ..Desk::program() };
    let run = rig.ended(&desk.agent("", &call("add")), Arc::new(Nobody)).await;
    assert_eq!(server.asked()[0].headers["authorization"], format!("Bearer {CANARY}"));
    assert_eq!(failure(&run).code, "mcp_denied");
    assert!(!format!("{run:?}{:?}", rig.app.journal(&run.id).await).contains(CANARY));
}

#[tokio::test]
async fn servers_that_cannot_be_reached_are_named_with_what_to_do() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (place, code, part) in [
        (format!("url: 'http://{gone}/mcp'"), "mcp_unreachable", "refused"),
        ("command: rm, args: ['-rf']".into(), "program_forbidden", "--allow-program rm"),
        ("command: no-such-program".into(), "mcp_unreachable", "no-such-program"),
        ("command: sh, args: ['-c', 'echo no paper >&2']".into(), "mcp_unreachable", "no paper"),
        ("command: sh, env: {A: 'env://NONE'}".into(), "secret_missing", "--tool-secret NONE"),
    ] {
        let mut rig = Rig::with(&[]).await;
        rig.base.programs = vec!["no-such-program".into(), "sh".into()];
        let desk = Desk { place, ..Desk::program() };
        let run = rig.ended(&desk.agent("", &call("add")), Arc::new(Nobody)).await;
        let failure = failure(&run);
        assert_eq!(failure.code, code, "{failure:?}");
        assert!(failure.message.contains(part), "{failure:?}");
        let records = rig.records(&run).await;
        assert_eq!(records.iter().map(failed).collect::<Vec<_>>(), [Some(code)]);
    }
}
