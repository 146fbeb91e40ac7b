//! The worker of `examples/shell-worker`, as it is. It needs curl and jq.

use std::process::Stdio;

use tokio::process::Command;

use crate::Hand;

#[tokio::test]
async fn a_worker_may_be_a_shell_script() {
    let hand = Hand::start().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/shell-worker/worker.sh");
    // What the script publishes, so that a run may be there before it.
    hand.app.publish("shout").await;
    let first = hand.app.create("shout", "\"hello\"").await;
    let mut worker = Command::new("bash")
        .arg(script)
        .env("TENURE_URL", &hand.app.url)
        .env_remove("TENURE_TENANT")
        .stdin(Stdio::null())
        // What it has begun outlives it for a while, and must not hold the pipes of the tests open.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let second = hand.app.create("shout", "\"world\"").await;
    for (run, said) in [(first, "\"HELLO\""), (second, "\"WORLD\"")] {
        let ended = hand.app.ended(&run).await;
        assert_eq!(ended.output.unwrap().data, said);
        assert_eq!(hand.app.keys(&run).await, ["shout"]);
    }
    worker.kill().await.unwrap();
}
