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

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser as _;
use options::{Database, Role, Test};
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

/// Runs the test in a directory that is left behind only if the test fails.
async fn run(test: Test) -> anyhow::Result<ExitCode> {
    let directory = tempfile::Builder::new().prefix("tenure-crash.").tempdir()?;
    let path = directory.path().to_owned();
    let passed = tokio::select! {
        passed = on_database(&test, &path) => passed,
        interrupted = interrupted() => {
            interrupted?;
            println!("crash: interrupted");
            return Ok(ExitCode::from(130));
        }
    };
    if matches!(passed, Ok(true)) {
        return Ok(ExitCode::SUCCESS);
    }
    println!("crash: logs and journals are in {}", directory.keep().display());
    passed.map(|_| ExitCode::FAILURE)
}

async fn on_database(test: &Test, directory: &Path) -> anyhow::Result<bool> {
    match test.database {
        Database::Sqlite => {
            let url = format!("sqlite:{}", directory.join("tenure.db").display());
            trial::run(test, &url, directory).await
        }
        Database::Postgres => {
            let (test, directory) = (test.clone(), directory.to_owned());
            let passed = Arc::new(Mutex::new(Ok(false)));
            let answer = passed.clone();
            tenure_testkit::postgres::database(async move |url| {
                let passed = trial::run(&test, &url, &directory).await;
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = passed;
            })
            .await;
            std::mem::replace(
                &mut *passed.lock().unwrap_or_else(PoisonError::into_inner),
                Ok(false),
            )
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
