//! What Tenure costs, beside what its database costs at least: latency, throughput and processor time
//! of real processes, a bare reference measured next to them.
//!
//! `scripts/bench` builds and runs it. This program is the coordinator, and in other roles the worker,
//! the load and the bare reference; the control plane is the real binary. Sides that are compared are
//! measured directly after one another, so that whatever else the machine does meets all of them. A
//! goal that is missed is printed as *not met* and is no failure: only what is wrong or lost is.

mod charts;
mod child;
mod crowd;
mod dispatch;
mod embedded;
mod floor;
mod goals;
mod herd;
mod limit;
mod load;
mod options;
mod pollers;
mod replay;
mod report;
mod seen;
mod site;
mod sizes;
mod soak;
mod steps;
mod system;
mod task;
mod throughput;
mod turns;
mod usage;
mod waiting;
mod worker;

use std::net::Ipv4Addr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use futures::future::BoxFuture;
use options::{Options, Plan, Role, Section};
use report::Report;
use site::Stage;
use tenure_testkit::databases::Server;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> anyhow::Result<ExitCode> {
    let Options { role, plan } = Options::parse();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        match role {
            None => bench(&plan).await,
            Some(role) => play(role).await.map(|()| ExitCode::SUCCESS),
        }
    });
    // A child may be reading its standard input, which cannot be interrupted.
    runtime.shutdown_background();
    ended
}

/// Is one of the processes, until the coordinator ends.
async fn play(role: Role) -> anyhow::Result<()> {
    match role {
        Role::Worker(options) => worker::work(options).await,
        Role::IdleWorkers(options) => pollers::poll(options).await,
        Role::Load(options) => load::load(options).await,
        Role::Floor => serve_floor().await,
    }
}

/// The server of the bare reference; it answers where it listens.
async fn serve_floor() -> anyhow::Result<()> {
    let database = std::env::var("TENURE_DATABASE_URL").context("TENURE_DATABASE_URL is unset")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::select! {
        answered = child::answer(async |()| Ok(address)) => answered,
        served = floor::serve(listener, &database) => served,
    }
}

/// Measures, in a directory that is left behind only if something went wrong.
async fn bench(plan: &Plan) -> anyhow::Result<ExitCode> {
    let directory = tempfile::Builder::new().prefix("tenure-bench.").tempdir()?;
    let mut server = Server::connect("bench").await?;
    server.is_durable().await?;
    println!("bench: {}", server.describe().await?);
    let mut stage = Stage { server, logs: directory.path().to_owned() };
    let mut report = Report::default();
    let measured = tokio::select! {
        measured = measure(&mut stage, plan, &mut report) => measured.map(|()| true),
        interrupted = interrupted() => interrupted.map(|()| false).map_err(Into::into),
    };
    stage.server.drop_databases().await?;
    // What was measured before something went wrong is right all the same.
    report.publish(plan)?;
    match measured {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => {
            println!("bench: interrupted");
            Ok(ExitCode::from(130))
        }
        Err(error) => {
            println!("bench: FAILED: {error:#}; logs are in {}", directory.keep().display());
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn measure(stage: &mut Stage, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for section in plan.sections() {
        let to = &mut *report;
        // In a box, because those of all sections would not fit well on a stack.
        let measuring: BoxFuture<'_, anyhow::Result<()>> = match section {
            Section::Limit => Box::pin(limit::measure(stage, plan, to)),
            Section::Steps => Box::pin(steps::measure(stage, plan, to)),
            Section::Throughput => Box::pin(throughput::measure(stage, plan, to)),
            Section::Dispatch => Box::pin(dispatch::measure(stage, plan, to)),
            Section::Waiting => Box::pin(waiting::measure(stage, plan, to)),
            Section::Herd => Box::pin(herd::measure(stage, plan, to)),
            Section::Replay => Box::pin(replay::measure(stage, plan, to)),
            Section::Pollers => Box::pin(pollers::measure(stage, plan, to)),
            Section::Embedded => Box::pin(embedded::measure(stage, plan, to)),
            Section::Turns => Box::pin(turns::measure(stage, plan, to)),
            Section::Soak => Box::pin(soak::measure(stage, plan, to)),
        };
        measuring.await?;
        stage.server.drop_databases().await?;
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
