//! Whole runs of the interpreter: what is recorded, what the model is told, where a run ends.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tenure_agents::ModelConfig;
use tenure_sdk::{Key, Observer, RunId, Usage};
use tokio::sync::Barrier;

use crate::double::Double;
use crate::remote::completion;
use crate::rig::{Nobody, Rig, failed, failure, output};

const EXAMPLE: &str = include_str!("../../../../examples/document-digest/agent.yaml");

/// An agent whose model plays these turns (a YAML list).
fn scripted(rest: &str, turns: &str) -> String {
    format!(
        "name: sample\nmodel: {{provider: scripted, name: s, script: {{turns: {turns}}}}}\n{rest}"
    )
}

/// An agent whose model is at the double.
fn remote(server: &Double, rest: &str) -> String {
    let url = &server.url;
    format!("name: sample\nmodel: {{provider: openai, name: acme, base_url: '{url}'}}\n{rest}")
}

#[tokio::test]
async fn the_example_digests_a_folder_into_a_report() {
    let rig = Rig::with(&[
        ("b.md", "# 3. On B\n\nB is fast.\nIt is more.\n"),
        ("a.txt", "A is slow, e.g. here. More"),
        ("c/c.md", "C"),
    ])
    .await;
    let run = rig.ended(&EXAMPLE.replace("300ms", "0ms"), Arc::new(Nobody)).await;
    assert_eq!(output(&run), "The report is written to report.md.");
    insta::assert_snapshot!(rig.keys(&run).await.join("\n"), @r"
    turn/0/call/0/tool:list_files
    turn/0/model
    turn/1/call/0/model
    turn/1/call/0/tool:digest_file
    turn/1/call/1/model
    turn/1/call/1/tool:digest_file
    turn/1/call/2/model
    turn/1/call/2/tool:digest_file
    turn/1/model
    turn/2/call/0/artifact:report.md
    turn/2/model
    turn/3/model
    ");
    let get = tenure_sdk::v1::GetArtifactRequest {
        tenant: "default".into(),
        run: run.id.clone(),
        name: "report.md".into(),
    };
    let report = rig.app.client.runs().get_artifact(get).await.unwrap().into_inner();
    assert_eq!(report.content_type, "text/markdown");
    insta::assert_snapshot!(str::from_utf8(&report.data).unwrap(), @r"
    # Digest of 3 documents

    ## a.txt

    A is slow, e.g. here.
    *(6 words)*

    ## b.md

    **3. On B** – B is fast.
    *(10 words)*

    ## c/c.md

    *(1 word)*
    ");

    let mut sum = Usage::default();
    for usage in rig.records(&run).await.into_iter().filter_map(|record| record.usage) {
        assert!(usage.input_tokens > 0 && usage.output_tokens > 0, "{usage:?}");
        sum.input_tokens += usage.input_tokens;
        sum.output_tokens += usage.output_tokens;
    }
    let usage = run.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (sum.input_tokens, sum.output_tokens));
}

/// Lets the files be read only when all of them are being read.
struct AllAtOnce(Barrier);

#[async_trait]
impl Observer for AllAtOnce {
    async fn before_step(&self, _run: RunId, key: &Key, _epoch: u64) {
        if key.as_str().ends_with("read_file") {
            self.0.wait().await;
        }
    }
}

#[tokio::test]
async fn calls_of_one_reply_are_made_at_the_same_time_each_in_a_scope_of_its_own() {
    let rig = Rig::with(&[("a", "A"), ("b", "B")]).await;
    let call = |path| format!("{{tool: read_file, arguments: {{path: {path}}}}}");
    let calls = [call("a"), call("b"), call("a")].join(", ");
    let turns = format!("[{{calls: [{calls}]}}, {{text: '{{{{ results|join }}}}'}}]");
    let observer = Arc::new(AllAtOnce(Barrier::new(3)));
    let run = rig.ended(&scripted("tools: [read_file]", &turns), observer).await;
    // Told in the order of the calls, whatever the order of the ends.
    let texts = [("a", "A"), ("b", "B"), ("a", "A")]
        .map(|(path, text)| json!({"path": path, "text": text}).to_string());
    assert_eq!(output(&run), texts.concat());
    assert_eq!(
        rig.keys(&run).await,
        [
            "turn/0/call/0/tool:read_file",
            "turn/0/call/1/tool:read_file",
            "turn/0/call/2/tool:read_file",
            "turn/0/model",
            "turn/1/model",
        ]
    );
}

#[tokio::test]
async fn what_goes_wrong_with_a_tool_is_recorded_and_told_to_the_model() {
    for (call, key, code, told) in [
        (
            "{tool: read_file, arguments: {path: gone.md}}",
            "turn/0/call/0/tool:read_file",
            "file_not_found",
            "there is no file `gone.md`",
        ),
        (
            "{tool: read_file, arguments: {path: '', size: 3}}",
            "turn/0/call/0/tool:read_file",
            "tool_arguments",
            "wrong arguments for tool `read_file`",
        ),
        (
            "{tool: 'format disk/../'}",
            "turn/0/call/0/tool:unknown",
            "tool_unknown",
            "there is no tool `format disk/../`; there are: read_file",
        ),
    ] {
        let rig = Rig::with(&[]).await;
        let turns = format!("[{{calls: [{call}]}}, {{text: '{{{{ last }}}}'}}]");
        let run = rig.ended(&scripted("tools: [read_file]", &turns), Arc::new(Nobody)).await;
        let answer = output(&run);
        assert!(answer.as_str().unwrap().contains(&told.replace('"', "\\\"")), "{answer}");
        let records = rig.records(&run).await;
        let failures: Vec<_> =
            records.iter().filter_map(|record| Some((&*record.key, failed(record)?))).collect();
        assert_eq!(failures, [(key, code)]);
    }
}

#[tokio::test]
async fn a_run_ends_at_its_limits() {
    let turns = "[{calls: [{tool: list_files}]}, {calls: [{tool: list_files}]}, {text: done}]";
    for (limit, code, model_calls) in
        [("turns: 2", "limit_turns", 2), ("tokens: 1", "limit_tokens", 1)]
    {
        let rig = Rig::with(&[]).await;
        let rest = format!("tools: [list_files]\nlimits: {{{limit}}}");
        let run = rig.ended(&scripted(&rest, turns), Arc::new(Nobody)).await;
        assert_eq!(failure(&run).code, code);
        let raise = format!("`limits.{}`", limit.split(':').next().unwrap());
        assert!(failure(&run).message.contains(&raise), "{run:?}");
        let keys = rig.keys(&run).await;
        assert_eq!(keys.iter().filter(|key| key.ends_with("model")).count(), model_calls);
    }
}

#[tokio::test]
async fn a_wrong_answer_is_mended_by_the_model() {
    let said = |text: &str| completion(&json!({"role": "assistant", "content": text}), "stop");
    let answers =
        vec![said("3 files"), said(r#"{"files": "3"}"#), said("```json\n{\"files\": 3}```")];
    let server = Double::start(answers).await;
    let rig = Rig::with(&[]).await;
    let output_schema = "output: {type: object, properties: {files: {type: integer}}}";
    let run = rig.ended(&remote(&server, output_schema), Arc::new(Nobody)).await;
    assert_eq!(output(&run), json!({"files": 3}));
    assert_eq!(rig.keys(&run).await.len(), 6, "three replies, three verdicts");

    let asked = server.asked();
    let last = |number: usize| {
        let body: serde_json::Value = serde_json::from_str(&asked[number].body).unwrap();
        body["messages"].as_array().unwrap().last().unwrap()["content"].to_string()
    };
    assert!(asked[0].body.contains("satisfying this JSON Schema"), "{}", asked[0].body);
    assert!(last(1).contains("not JSON"), "{}", last(1));
    assert!(last(2).contains("/files"), "{}", last(2));
}

#[tokio::test]
async fn a_reply_that_was_cut_is_no_answer() {
    let said = json!({"role": "assistant", "content": "and then"});
    let server = Double::start(vec![completion(&said, "length")]).await;
    let rig = Rig::with(&[]).await;
    let run = rig.ended(&remote(&server, ""), Arc::new(Nobody)).await;
    assert_eq!(failure(&run).code, "model_reply_cut");
    assert_eq!(run.usage.unwrap().input_tokens, 11, "it was paid for all the same");
}

#[tokio::test]
async fn a_missing_key_fails_the_run_and_names_the_variable() {
    let rig = Rig::with(&[]).await;
    rig.publish("{name: sample, model: {provider: openai, name: acme}}").await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("sample", "null").await;
    let run = rig.app.ended(&run).await;
    assert_eq!(failure(&run).code, "model_key_missing");
    assert!(failure(&run).message.contains("OPENAI_API_KEY"), "{run:?}");
}
