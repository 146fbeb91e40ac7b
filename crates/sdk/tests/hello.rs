//! The example `hello` as a process of its own, against a control plane in this one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::PathBuf;
use std::process::Stdio;

use tenure_sdk::v1;
use tenure_testkit::app::App;
use tokio::process::{Child, Command};

/// Cargo builds examples beside the tests.
fn example() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    here.parent().unwrap().parent().unwrap().join("examples/hello")
}

fn start(app: &App) -> Child {
    let mut hello = Command::new(example());
    hello.env("TENURE_URL", &app.url).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}

async fn published(app: &App) {
    let get = v1::GetAgentRequest { tenant: "default".into(), agent: "hello".into() };
    while app.client.agents().get_agent(get.clone()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn hello_says_hello_and_ends_when_told() {
    let app = App::start().await;
    let mut hello = start(&app);
    published(&app).await;
    let run = app.create("hello", "\"world\"").await;
    assert_eq!(app.ended(&run).await.output.unwrap().data, "\"HELLO, WORLD\"");
    let text = v1::CreateRunRequest {
        tenant: "default".into(),
        agent: "hello".into(),
        input: Some(v1::Payload {
            content_type: "text/plain; charset=utf-8".into(),
            encoding: String::new(),
            data: "you".into(),
        }),
        ..v1::CreateRunRequest::default()
    };
    let run = app.client.runs().create_run(text).await.unwrap().into_inner().id;
    assert_eq!(app.ended(&run).await.output.unwrap().data, "\"HELLO, YOU\"");
    let pid = hello.id().unwrap().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(hello.wait().await.unwrap().success(), "it drains and ends well");
}

#[test]
fn hello_is_under_25_lines() {
    let text = include_str!("../examples/hello.rs");
    assert!(text.lines().count() < 25);
}
