//! What waiting and crowds cost, measured: parked runs, a million queued ones beside a single one,
//! and a herd that wakes in the same second.
//!
//! `scripts/scale` builds and runs it. The control plane is the real binary in a process of its own,
//! the workers are loops in this one. Sides that are compared are databases of one server and are
//! measured in turn, so that whatever else the machine does meets all of them. A bound that does not
//! hold is printed as *not met* and is no failure: only what is wrong or lost is.

mod control_plane;
mod crew;
mod hand;
mod herd;
mod idle;
mod options;
mod parked;
mod plans;
mod populate;
mod queued;
mod situation;
mod system;
mod wake;

use std::process::ExitCode;

use clap::Parser as _;
use options::{Measurement, Options};
use tenure_testkit::databases::Server;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("scale: interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            println!("scale: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for; false if somebody wanted it to end before.
async fn run(options: &Options) -> anyhow::Result<bool> {
    let mut server = Server::connect("scale").await?;
    println!("scale: {}", server.describe().await?);
    let done = tokio::select! {
        measured = measure(&mut server, options) => measured.map(|()| true),
        interrupted = interrupted() => interrupted.map(|()| false).map_err(Into::into),
    };
    server.drop_databases().await?;
    done
}

async fn measure(server: &mut Server, options: &Options) -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("tenure-scale.").tempdir()?;
    for measurement in options.measurements() {
        let (runs, logs) = (options.runs_of(measurement), directory.path());
        let measured = match measurement {
            Measurement::Parked => parked::measure(server, logs, runs).await,
            Measurement::Queued => queued::measure(server, logs, runs).await,
            Measurement::Herd => herd::measure(server, logs, runs).await,
        };
        server.drop_databases().await?;
        if let Err(error) = measured {
            let logs = directory.keep();
            return Err(error.context(format!("the logs are in {}", logs.display())));
        }
    }
    Ok(())
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
