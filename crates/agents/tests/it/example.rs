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
    let reply = model().reply(&request, &tenure_agents::model::Nobody).await.unwrap();
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
    let files = json!({"files": [{"path": "a.md", "size": 9}, {"path": "c.md", "size": 1}, {"path": "b.md", "size": 1}]});
    assert_eq!(turn(&mut messages, &[files]).await.calls[0].name, "list_files");

    let results = [
        json!({"path": "a.md", "digest": "About A."}),
        json!({"path": "c.md", "digest": "About C."}),
        json!({"error": "there is no file `b.md`"}),
    ];
    let digests = turn(&mut messages, &results).await.calls;
    let paths: Vec<_> = digests.iter().map(|call| (&*call.name, &call.arguments["path"])).collect();
    let [a, b, c] = ["a.md", "b.md", "c.md"].map(Value::from);
    assert_eq!(paths, [("digest_file", &a), ("digest_file", &c), ("digest_file", &b)]);

    let artifact = json!({"artifact": "report.md", "size": 99});
    let report = turn(&mut messages, &[artifact]).await.calls.remove(0);
    assert_eq!(
        (report.name.as_str(), &report.arguments["name"]),
        ("write_artifact", &json!("report.md"))
    );
    insta::assert_snapshot!(report.arguments["text"].as_str().unwrap(), @r"
    # Digest of 2 documents

    ## a.md

    About A.

    ## c.md

    About C.

    ## Not read

    - there is no file `b.md`
    ");

    let last = turn(&mut messages, &[]).await;
    assert_eq!((last.text.as_str(), last.calls.len()), ("The report is written to report.md.", 0));
}

#[tokio::test(start_paused = true)]
async fn an_empty_folder_ends_the_script() {
    let mut messages = vec![Message::user("Digest the folder.")];
    turn(&mut messages, &[json!({"files": []})]).await;
    let reply = turn(&mut messages, &[]).await;
    assert_eq!((reply.text.as_str(), reply.calls.len()), ("No files to read.", 0));
}

#[tokio::test(start_paused = true)]
async fn a_digest_is_title_first_sentence_and_length() {
    for (text, digest) in [
        (
            "# 3. On Rust\n\nIt is fast, e.g. here. It is more.\n",
            "**3. On Rust** – It is fast, e.g. here.\n*(12 words)*",
        ),
        ("# Empty\n", "**Empty**\n*(2 words)*"),
        ("Just one sentence. Another one.\n", "Just one sentence.\n*(5 words)*"),
        ("Hello\n", "*(1 word)*"),
    ] {
        let request = Request { messages: vec![Message::user(text)], ..Request::default() };
        assert_eq!(
            model().reply(&request, &tenure_agents::model::Nobody).await.unwrap().text,
            digest
        );
    }
}
