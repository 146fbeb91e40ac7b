//! One trial: everything started, killed, waited for and judged.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tenure_sdk::{Client, v1};
use tokio::time::{Instant, interval, timeout};

use crate::agent::AGENT;
use crate::chaos::{self, Kills};
use crate::evidence;
use crate::log::{self, Log};
use crate::memory::Memory;
use crate::options::Test;
use crate::processes::{self, ControlPlane, Workers};
use crate::runs::Runs;
use crate::verdict;

const WORKERS: usize = 3;
/// How long what was interrupted last may take to end.
const QUIET: Duration = Duration::from_secs(45);
/// How long the control plane may take to answer questions while nobody is killed.
const ANSWERS: Duration = Duration::from_secs(30);
/// How often the progress is said.
const PROGRESS: Duration = Duration::from_secs(2);

/// Whether everything held.
pub(crate) async fn run(test: &Test, url: &str, directory: &Path) -> anyhow::Result<bool> {
    let began = Instant::now();
    let (database, count, seed) = (test.database.name(), test.runs, test.seed);
    println!("crash: {count} runs over {WORKERS} workers on {database}, seed {seed}");

    let mut control_plane = ControlPlane::start(url, directory).await?;
    let client = Client::connect(&control_plane.url(), "default".parse()?)?;
    timeout(ANSWERS, publish(&client)).await.context("the control plane does not answer")??;
    let log_path = processes::log(directory);
    let log = Log::open(&log_path)?;
    let mut workers = Workers::start(WORKERS, control_plane.url(), directory, seed)?;

    let (kills, memory) = (Kills::default(), Arc::new(Memory::default()));
    let runs = Runs::new(client, usize::try_from(count)?);
    let _following = runs.begin(seed, &memory);
    let ended = async {
        chaos::reign(&mut control_plane, &mut workers, &runs, &log, &kills, seed).await?;
        quiet(&runs).await
    };
    tokio::select! {
        ended = ended => ended?,
        () = memory.sample(&runs) => {}
        () = say_progress(&runs, &kills, began) => {}
    }
    workers.live()?;
    control_plane.lives()?;

    let events = log::read(&log_path)?;
    let evidence = timeout(ANSWERS, evidence::gather(&runs, &memory, events)).await;
    let evidence = evidence.context("the control plane does not answer")??;
    evidence.keep(&directory.join("runs.jsonl"))?;
    let passed = verdict::pronounce(&evidence, &runs, &memory);
    let (word, seconds) = (if passed { "passed" } else { "FAILED" }, began.elapsed().as_secs());
    println!("crash: {word} on {database} in {seconds} s, seed {seed}\n");
    Ok(passed)
}

/// Makes the agent known as its workers do, so that runs can be created before one of them is up.
async fn publish(client: &Client) -> anyhow::Result<()> {
    let document = format!("{{name: {AGENT}, kind: external, pool: {AGENT}}}");
    let request = v1::PublishVersionRequest { tenant: client.tenant().to_string(), document };
    let publish = || {
        let (mut agents, request) = (client.agents(), request.clone());
        async move { agents.publish_version(request).await }
    };
    client.retry(publish).await.context("the agent cannot be published")?;
    Ok(())
}

/// Waits until every run has ended, now that nobody is killed.
async fn quiet(runs: &Runs) -> anyhow::Result<()> {
    if timeout(QUIET, runs.until_ended(runs.wanted)).await.is_ok() {
        return Ok(());
    }
    for run in runs.acknowledged() {
        let request = v1::GetRunRequest { tenant: runs.client.tenant().to_string(), run };
        match runs.client.runs().get_run(request).await {
            Ok(run) if run.get_ref().ended_at.is_some() => {}
            stuck => println!("  stuck: {stuck:?}"),
        }
    }
    bail!("{QUIET:?} after the last kill only {} runs have ended", runs.ended())
}

async fn say_progress(runs: &Runs, kills: &Kills, began: Instant) {
    let mut ticks = interval(PROGRESS);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        println!(
            "  {:3} s: {} of {} runs ended, {} workers killed, the control plane {} times",
            began.elapsed().as_secs(),
            runs.ended(),
            runs.wanted,
            kills.workers.load(Ordering::Relaxed),
            kills.control_plane.load(Ordering::Relaxed),
        );
    }
}
