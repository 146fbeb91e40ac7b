//! The crash test with real processes: a control plane and workers that are killed again and again
//! while runs are created and executed, and then a look at what became of them.
//!
//! `scripts/crash` builds and runs it. All that workers do and all that is killed goes into one log
//! outside of the system under test (`log.rs`); afterwards `verdict.rs` compares it with what the
//! control plane says.

mod agent;
mod chaos;
mod evidence;
mod executions;
mod log;
mod memory;
mod options;
mod processes;
mod runs;
mod trial;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use options::{Database, Role, Test};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

fn main() -> anyhow::Result<ExitCode> {
    match Role::parse() {
        // One thread, so that nothing comes between the start of a step and its work.
        Role::Worker(worker) => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(agent::work(worker))?;
            Ok(ExitCode::SUCCESS)
        }
        Role::Test(test) => {
            let runtime = Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(run(test))
        }
    }
}

/// Runs the test in a directory that is left behind only if the test fails.
async fn run(test: Test) -> anyhow::Result<ExitCode> {
    let directory = tempfile::Builder::new().prefix("tenure-crash.").tempdir()?;
    let outcome = on_database(test, directory.path().to_owned()).await;
    match outcome {
        Ok(Outcome::Passed) => return Ok(ExitCode::SUCCESS),
        Ok(Outcome::Interrupted) => {
            println!("crash: interrupted");
            return Ok(ExitCode::from(130));
        }
        Ok(Outcome::Failed) => {}
        Err(error) => println!("crash: FAILED: {error:#}"),
    }
    println!("crash: logs and journals are in {}", directory.keep().display());
    Ok(ExitCode::FAILURE)
}

enum Outcome {
    Passed,
    Failed,
    Interrupted,
}

async fn on_database(test: Test, directory: PathBuf) -> anyhow::Result<Outcome> {
    match test.database {
        Database::Sqlite => {
            let url = format!("sqlite:{}", directory.join("tenure.db").display());
            attempt(&test, &url, &directory).await
        }
        Database::Postgres => {
            let (answer, outcome) = oneshot::channel();
            tenure_testkit::postgres::database(async move |url| {
                // Who waits for it is right below.
                let _ = answer.send(attempt(&test, &url, &directory).await);
            })
            .await;
            outcome.await?
        }
    }
}

/// One trial, unless somebody wants it to end before. What it has started ends with it.
async fn attempt(test: &Test, url: &str, directory: &Path) -> anyhow::Result<Outcome> {
    tokio::select! {
        passed = trial::run(test, url, directory) => {
            Ok(if passed? { Outcome::Passed } else { Outcome::Failed })
        }
        interrupted = interrupted() => {
            interrupted?;
            Ok(Outcome::Interrupted)
        }
    }
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
