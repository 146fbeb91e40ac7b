//! Turns: what the engine adds to a conversation between a model and its tools, from the model's answer
//! to its next question. The worker is the real one; the model is a double at the other end of a real
//! connection, which answers at once.

mod double;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tenure_sdk::{Client, v1};
use tenure_testkit::figures::Sample;
use tenure_testkit::processes::{Process, beside_example};
use tokio::process::Command;

use crate::crowd::hand::json;
use crate::options::{Plan, Section};
use crate::report::{Report, Values, progress};
use crate::site::Stage;
use crate::system::{ONE, System};
use double::Double;

/// Turns of a conversation: each but the last one calls a tool.
const TURNS: usize = 20;
/// Conversations of one measurement, after another as many that are not counted.
const RUNS: usize = 20;
/// Conversations at a time.
const AT_ONCE: [usize; 2] = [1, 16];
const AGENT: &str = "talker";
/// How long leases last.
const LEASE_TTL: Duration = Duration::from_secs(10);

/// Measures conversations one by one and many at a time, beside a loop that keeps nothing.
pub(crate) async fn measure(
    stage: &mut Stage,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let double = Double::start(TURNS).await?;
    let system = stage.system("turns", LEASE_TTL).await?;
    publish(&system, &double).await?;
    let _worker = worker(&system, stage)?;
    for round in 1..=plan.rounds() {
        let bare = double.bare(RUNS * TURNS).await?;
        row(report, round, "a loop that keeps nothing", &bare);
        for at_once in AT_ONCE {
            talk(&system, at_once).await?;
            double.seen();
            talk(&system, at_once).await?;
            row(report, round, &format!("{at_once} at a time"), &double.seen());
        }
    }
    system.stop().await.map(drop)
}

fn row(report: &mut Report, round: u32, row: &str, turns: &[Duration]) {
    let sample = Sample::of_times(turns.iter().copied());
    let values: Values = vec![
        ("p50 ms", sample.percentile(50)),
        ("p90 ms", sample.percentile(90)),
        ("p99 ms", sample.percentile(99)),
        ("most ms", sample.most()),
    ];
    progress(&format!("turns, round {round}, {row}: p50 {:.2} ms", values[0].1));
    report.add(Section::Turns, row, values);
}

async fn publish(system: &System, double: &Double) -> anyhow::Result<()> {
    let document = format!(
        "{{name: {AGENT}, tools: [list_files], limits: {{turns: {TURNS}}}, \
         model: {{provider: openai, name: double, base_url: '{}'}}}}",
        double.url
    );
    let request = v1::PublishVersionRequest { tenant: ONE.into(), document };
    system.client.agents().publish_version(request).await.context("the agent is refused")?;
    Ok(())
}

/// The stock worker, in a folder of its own.
fn worker(system: &System, stage: &Stage) -> anyhow::Result<Process> {
    let folder = stage.logs.join("files");
    std::fs::create_dir_all(&folder)?;
    let mut command = Command::new(beside_example("tenure-worker")?);
    command.args(["--url", &system.url(), "--capacity", "64"]).arg("--files").arg(folder);
    Process::start("turns-worker", command, &stage.logs)
}

/// Has this many conversations at a time, until there were [`RUNS`] of them.
async fn talk(system: &System, at_once: usize) -> anyhow::Result<()> {
    for _ in 0..RUNS.div_ceil(at_once) {
        let runs = (0..at_once).map(|_| conversation(&system.client));
        futures::future::try_join_all(runs).await?;
    }
    Ok(())
}

/// One run, from its creation to its end. Its input is a number that no other has.
async fn conversation(client: &Client) -> anyhow::Result<()> {
    let request = v1::CreateRunRequest {
        tenant: ONE.into(),
        agent: AGENT.into(),
        input: Some(json(fastrand::u64(..).to_string())),
        ..v1::CreateRunRequest::default()
    };
    let created = client.runs().create_run(request).await.context("a run was refused")?;
    let watch = v1::WatchRunRequest {
        tenant: ONE.into(),
        run: created.into_inner().id,
        ..v1::WatchRunRequest::default()
    };
    let mut events = client.runs().watch_run(watch).await?.into_inner();
    let mut last = None;
    while let Some(event) = events.message().await? {
        if let Some(v1::watch_run_response::Event::Run(run)) = event.event {
            last = Some(run);
        }
    }
    let last = last.context("a run was never seen")?;
    ensure!(last.state() == v1::RunState::Succeeded, "a conversation failed: {:?}", last.failure);
    Ok(())
}
