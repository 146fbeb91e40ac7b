//! What happens, and what must have come of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tenure_sdk::v1;
use tenure_testkit::postgres;
use tenure_testkit::processes::{ControlPlane, Process, Settings};
use tokio::process::Command;
use tokio::time::timeout;

use crate::agent::{self, ASKED, Call, Calls, Killed, TOOLS, WATCH};
use crate::desk::Desk;

/// What the second tool call is approved as.
const EDITED: u32 = 7;
/// Takeover after a kill takes this long.
const LEASE_TTL: Duration = Duration::from_secs(1);
/// The story takes some seconds; this is when it hangs, on whatever machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where the control plane keeps its data.
#[derive(Clone, Copy)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// Each tool runs once, with what was approved, though everybody dies between the two approvals.
pub(crate) async fn approved_tools_run_once(
    database: Database,
    killed: Killed,
) -> anyhow::Result<()> {
    let directory = TempDir::new()?;
    let path = directory.path().to_owned();
    let told = match database {
        Database::Sqlite => {
            let url = format!("sqlite:{}", path.join("tenure.db").display());
            tell(url, killed, &path).await
        }
        Database::Postgres => {
            postgres::database(async move |url| tell(url, killed, &path).await).await
        }
    };
    told.with_context(|| format!("logs and data are in {}", directory.keep().display()))
}

async fn tell(database_url: String, killed: Killed, directory: &Path) -> anyhow::Result<()> {
    let settings = Settings {
        binary: env!("CARGO_BIN_EXE_tenure-control-plane").into(),
        name: "control-plane".into(),
        logs: directory.to_owned(),
        database_url,
        redis_url: None,
        lease_ttl: LEASE_TTL,
        tenants: "default",
    };
    let told = timeout(PATIENCE, story(&settings, killed)).await;
    told.context("the story does not come to its end")?
}

async fn story(settings: &Settings, killed: Killed) -> anyhow::Result<()> {
    let mut control_plane = ControlPlane::start(settings).await?;
    let calls = Calls::of(settings.logs.join("calls.jsonl"));
    let mut first = worker("worker-1", &control_plane, &calls, &settings.logs)?;

    let desk = Desk::open(&control_plane.url(), &killed).await?;
    desk.until(|run| run.open_interrupts == 2).await?;
    let [book, pay] = both(&desk).await?;
    desk.approve(&book, None).await?;
    desk.recorded("book/book").await?;
    let left = desk.until(|run| run.state() == left_in(killed)).await?;

    first.kill().await?;
    control_plane.process.kill().await?;
    control_plane.again().await?;

    let asked = both(&desk).await?.map(|question| question.state());
    ensure!(
        asked == [v1::InterruptState::Answered, v1::InterruptState::Open],
        "after the crash the questions are {asked:?}"
    );
    desk.approve(&pay, Some(EDITED)).await?;
    let _second = worker("worker-2", &control_plane, &calls, &settings.logs)?;
    let ended = desk.until(|run| run.ended_at.is_some()).await?;
    ensure!(ended.epoch > left.epoch, "the second worker never had the run: {ended:?}");
    judge(&ended, killed, calls.read()?)
}

/// In which state the run is when its worker is killed.
fn left_in(killed: Killed) -> v1::RunState {
    match killed {
        Killed::Parked => v1::RunState::Waiting,
        Killed::AtWork => v1::RunState::Running,
    }
}

/// The tools were called once each, the step that was cut short twice, and the run knows it.
fn judge(run: &v1::Run, killed: Killed, mut calls: Vec<Call>) -> anyhow::Result<()> {
    let call = |tool: &str, amount| Call { tool: tool.into(), amount };
    let mut expected = vec![call(TOOLS[0], ASKED), call(TOOLS[1], EDITED)];
    let mut output = vec![ASKED, EDITED];
    if killed == Killed::AtWork {
        expected.extend([call(WATCH, 0), call(WATCH, 0)]);
        output.push(0);
    }
    calls.sort();
    ensure!(calls == expected, "the calls were {calls:?} and not {expected:?}");
    ensure!(run.state() == v1::RunState::Succeeded, "the run has not succeeded: {run:?}");
    let said: Vec<u32> = serde_json::from_slice(&run.output.clone().unwrap_or_default().data)?;
    ensure!(said == output, "the run says {said:?} and not {output:?}");
    Ok(())
}

/// The questions of the run, one a tool.
async fn both(desk: &Desk) -> anyhow::Result<[v1::Interrupt; 2]> {
    let questions = desk.questions().await?;
    let keys: Vec<_> = questions.iter().map(|question| question.key.as_str()).collect();
    ensure!(keys == ["book/approve:book", "pay/approve:pay"], "the questions are {keys:?}");
    questions.try_into().ok().context("there are two")
}

/// This program again.
fn worker(
    name: &str,
    control_plane: &ControlPlane,
    calls: &Calls,
    logs: &Path,
) -> anyhow::Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env(agent::URL, control_plane.url()).env(agent::CALLS, calls.path());
    Process::start(name, command, logs)
}
