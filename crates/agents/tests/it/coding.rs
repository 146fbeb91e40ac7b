//! The example `coding-assistant`: real files, a real compiler, and crashes between any two steps.

use std::fs;
use std::sync::Arc;

use serde_json::Value;
use tenure_agents::ModelConfig;
use tenure_sdk::v1;

use crate::rig::{Nobody, Rig, output};
use crate::takeover::Killed;

const EXAMPLE: &str = include_str!("../../../../examples/coding-assistant/agent.yaml");
const PROJECT: [(&str, &str); 2] = [
    ("calendar.h", include_str!("../../../../examples/coding-assistant/project/calendar.h")),
    (
        "calendar_test.c",
        include_str!("../../../../examples/coding-assistant/project/calendar_test.c"),
    ),
];
/// Steps of the example.
const STEPS: usize = 14;

/// A copy of the project, on a worker that permits what the example needs.
async fn rig() -> Rig {
    let mut rig = Rig::with(&PROJECT).await;
    rig.base.files_write = true;
    rig.base.programs = vec!["cc".into()];
    rig.base.sandbox = Some(env!("CARGO_BIN_EXE_tenure-sandbox").into());
    rig.publish(&EXAMPLE.replace("300ms", "0ms")).await;
    rig
}

fn repaired(rig: &Rig, run: &v1::Run) {
    let answer = output(run);
    assert!(answer.as_str().unwrap().ends_with("the tests pass."), "{answer}");
    let header = fs::read_to_string(rig.files.path().join("calendar.h")).unwrap();
    assert_eq!(header.matches("% 400 == 0").count(), 1, "{header}");
}

#[tokio::test]
async fn the_program_is_repaired() {
    let rig = rig().await;
    rig.work(ModelConfig::default(), Arc::new(Nobody));
    let run = rig.app.create("coding-assistant", "null").await;
    let run = rig.app.ended(&run).await;
    repaired(&rig, &run);
    assert_eq!(rig.keys(&run).await.len(), STEPS);
    let statuses: Vec<Value> = rig.results(&run, "tool:check").await;
    assert_eq!(statuses.iter().map(|told| &told["status"]).collect::<Vec<_>>(), [1, 0]);
    assert!(statuses[0]["stderr"].as_str().unwrap().contains("a century is no leap year"));
    assert!(statuses.iter().all(|told| told.get("not_bounded").is_none()), "{statuses:?}");
}

#[tokio::test]
async fn after_a_crash_before_any_step_the_program_is_repaired_once() {
    for crash in 0..STEPS {
        let rig = rig().await;
        let killed = Killed::at(&rig, "coding-assistant", "null", crash).await;
        repaired(&rig, &killed.ended);
        let Killed { second, before, after, .. } = killed;
        assert_eq!(before.len() + after.len(), STEPS, "each step is recorded once");
        assert_eq!(second, after, "crash before step {crash}");
    }
}
