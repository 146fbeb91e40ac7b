//! The example `document-digest`: its script against the results that its tools give.

use std::sync::Arc;

use serde_json::{Value, json};
use tenure_agents::ModelConfig;
use tenure_agents::model::{Definition, Message, Model, Models, Reply, Request};

const DOCUMENT: &str = include_str!("../../../../examples/document-digest/agent.yaml");

fn model() -> Arc<dyn Model> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let spec = tenure_spec::parse(DOCUMENT).unwrap();
    Models::new(ModelConfig::default()).unwrap().open(&spec.model.unwrap()).unwrap()
}

/// The next reply, which becomes part of the conversation with the results of its calls.
async fn turn(messages: &mut Vec<Message>, results: &[Value]) -> Reply {
    let parameters = json!({"type": "object"});
    let tool = Definition { name: "list_files".into(), description: String::new(), parameters };
    let request = Request { messages: messages.clone(), tools: vec![tool], ..Request::default() };
    let reply = model().reply(&request).await.unwrap();
    messages.push(Message::Assistant { text: reply.text.clone(), calls: reply.calls.clone() });
    messages.extend(reply.calls.iter().zip(results).map(|(call, result)| Message::Tool {
        call: call.id.clone(),
        name: call.name.clone(),
        text: result.to_string(),
    }));
    reply
}

#[tokio::test(start_paused = true)]
async fn the_script_reads_all_files_and_reports_on_them() {
    let mut messages = vec![Message::user("Digest the folder.")];
    let files = json!({"files": [{"path": "a.md", "size": 9}, {"path": "b.md", "size": 1}]});
    assert_eq!(turn(&mut messages, &[files]).await.calls[0].name, "list_files");

    let results =
        [json!({"path": "a.md", "digest": "About A."}), json!({"error": "`b.md` is gone"})];
    let digests = turn(&mut messages, &results).await.calls;
    assert_eq!(digests.len(), 2);
    assert_eq!(
        (digests[1].name.as_str(), &digests[1].arguments["path"]),
        ("digest_file", &json!("b.md"))
    );

    let artifact = json!({"artifact": "report.md", "size": 99});
    let report = turn(&mut messages, &[artifact]).await.calls.remove(0);
    assert_eq!(
        (report.name.as_str(), &report.arguments["name"]),
        ("write_artifact", &json!("report.md"))
    );
    let text = report.arguments["text"].as_str().unwrap();
    assert!(text.contains("## a.md\n\nAbout A.\n") && text.contains("`b.md` is gone"), "{text}");

    let last = turn(&mut messages, &[]).await;
    assert_eq!((last.text.as_str(), last.calls.len()), ("The report is written to report.md.", 0));
}

#[tokio::test(start_paused = true)]
async fn an_empty_folder_ends_the_script() {
    let mut messages = vec![Message::user("Digest the folder.")];
    turn(&mut messages, &[json!({"files": []})]).await;
    let reply = turn(&mut messages, &[]).await;
    assert_eq!((reply.text.as_str(), reply.calls.len()), ("0 files to read.", 0));
}

#[tokio::test(start_paused = true)]
async fn a_digest_is_the_first_line_and_the_number_of_words() {
    for (text, digest) in [
        ("# On Rust\n\nIt is fast.\n", "On Rust (6 words)"),
        ("\nOne sentence. Another one.\n", "One sentence (4 words)"),
    ] {
        let request = Request { messages: vec![Message::user(text)], ..Request::default() };
        assert_eq!(model().reply(&request).await.unwrap().text, digest);
    }
}
