//! The crash test with real processes: control planes and workers that are killed and frozen again
//! and again, a database that is killed too, and links between all of them that are cut, silent and
//! slow, while runs are created and executed; and then a look at what became of them.
//!
//! `scripts/crash` builds and runs it. All that workers do and all that is done to them goes into
//! one log outside of the system under test (`log.rs`); afterwards `verdict.rs` compares it with
//! what the control planes say.

mod agent;
mod chaos;
mod database;
mod evidence;
mod executions;
mod fault;
mod log;
mod memory;
mod options;
mod processes;
mod program;
mod progress;
mod recovery;
mod report;
mod runs;
mod site;
mod trial;
mod verdict;
mod world;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use database::Database;
use options::{Role, Test};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

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

/// Runs the test in a directory that is left behind only if the test fails, or if that is asked for.
async fn run(test: Test) -> anyhow::Result<ExitCode> {
    let directory = tempfile::Builder::new().prefix("tenure-crash.").tempdir()?;
    let outcome = attempt(&test, directory.path()).await;
    match outcome {
        Ok(Outcome::Passed) if !test.keep => return Ok(ExitCode::SUCCESS),
        Ok(Outcome::Interrupted) => {
            println!("crash: interrupted");
            return Ok(ExitCode::from(130));
        }
        Ok(Outcome::Passed | Outcome::Failed) => {}
        Err(ref error) => println!("crash: FAILED: {error:#}"),
    }
    println!("crash: logs and journals are in {}", directory.keep().display());
    Ok(if matches!(outcome, Ok(Outcome::Passed)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

enum Outcome {
    Passed,
    Failed,
    Interrupted,
}

/// One trial on a database of its own, unless somebody wants it to end before. What it has started
/// ends with it.
async fn attempt(test: &Test, directory: &Path) -> anyhow::Result<Outcome> {
    let database = Database::create(test.database, directory).await?;
    let outcome = tokio::select! {
        passed = trial::run(test, &database, directory) => {
            passed.map(|passed| if passed { Outcome::Passed } else { Outcome::Failed })
        }
        interrupted = interrupted() => {
            interrupted.map(|()| Outcome::Interrupted).map_err(anyhow::Error::from)
        }
    };
    database.drop().await?;
    outcome
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
