//! A fleet under load: control planes and workers that are replaced one after the other, as a deploy
//! does, and a Redis that goes away and comes back.
//!
//! `scripts/fleet` builds and runs it. All control planes and workers are processes of their own;
//! the clients are in this one. What a user would notice is judged: calls that fail, runs that are
//! late, work that is done twice, and how long it takes until code runs.

mod agent;
mod clients;
mod figures;
mod follow;
mod ledger;
mod load;
mod log;
mod options;
mod progress;
mod redis;
mod rolling;
mod site;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use options::{Play, Role, Scenario};
use tenure_testkit::postgres;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    match Role::parse() {
        Role::Worker(worker) => {
            runtime.block_on(agent::work(worker))?;
            Ok(ExitCode::SUCCESS)
        }
        Role::Play(options) => runtime.block_on(run(options)),
    }
}

/// Plays in a directory that is left behind only if something did not hold.
async fn run(options: Play) -> anyhow::Result<ExitCode> {
    let directory = tempfile::Builder::new().prefix("tenure-fleet.").tempdir()?;
    match play_all(options, directory.path()).await {
        Ok(true) => return Ok(ExitCode::SUCCESS),
        Ok(false) => println!("fleet: NOT MET"),
        Err(error) if error.is::<Interrupted>() => {
            println!("fleet: interrupted");
            return Ok(ExitCode::from(130));
        }
        Err(error) => println!("fleet: FAILED: {error:#}"),
    }
    println!("fleet: logs are in {}", directory.keep().display());
    Ok(ExitCode::FAILURE)
}

async fn play_all(options: Play, directory: &Path) -> anyhow::Result<bool> {
    let mut met = true;
    for scenario in options.scenarios() {
        met &= play(*scenario, options, directory).await?;
    }
    Ok(met)
}

/// Whether everything held.
async fn play(scenario: Scenario, options: Play, directory: &Path) -> anyhow::Result<bool> {
    match scenario {
        Scenario::Rolling => {
            let logs = folder(directory, "rolling")?;
            on_database(async move |url| rolling::run(&options, url, logs).await).await
        }
        Scenario::Redis => {
            let (with, without) = (folder(directory, "redis")?, folder(directory, "without")?);
            let outage = async move |url| redis::outage(&options, url, with).await;
            let plain = async move |url| redis::plain(&options, url, without).await;
            let (carried, plain) = (on_database(outage).await?, on_database(plain).await?);
            Ok(redis::report(&carried, &plain))
        }
    }
}

/// Plays a scenario on a database of its own, unless somebody wants it to end before. What it has
/// started ends with it.
async fn on_database<T: 'static>(
    scenario: impl AsyncFnOnce(String) -> anyhow::Result<T> + 'static,
) -> anyhow::Result<T> {
    let scenario = async move |url| {
        tokio::select! {
            ended = scenario(url) => ended,
            interrupted = interrupted() => {
                interrupted?;
                Err(Interrupted.into())
            }
        }
    };
    postgres::database(scenario).await
}

/// Somebody wants it to end.
#[derive(Debug)]
struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

fn folder(directory: &Path, name: &str) -> std::io::Result<PathBuf> {
    let folder = directory.join(name);
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
