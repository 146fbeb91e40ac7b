//! The stock worker service: the interpreter of `tenure-agents` behind the worker of `tenure-sdk`.
//!
//! A library too, so that `tenure dev` can run it beside a control plane in one process.
#![warn(missing_docs)]

mod announce;
mod backends;
mod config;
mod login;

use std::future;
use std::sync::Arc;

use anyhow::Context as _;
use tenure_agents::{Interpreter, Settings};
use tenure_sdk::{Client, Worker};
use tokio_util::sync::CancellationToken;

pub use backends::{Backends, Output};
pub use config::{Command, Config, McpLogin};
pub use tenure_agents::sandbox::enter as enter_sandbox;

use announce::Announcer;

/// Does what the command line says, which is [`run`] unless there is a command; whether what it
/// looked at is well. A rustls crypto provider must be installed.
pub async fn execute(config: Config, shutdown: CancellationToken) -> anyhow::Result<bool> {
    match &config.command {
        Some(Command::Backends(backends)) => backends.show(&config.models).await,
        Some(Command::McpLogin(login)) => tokio::select! {
            done = login::run(&config, login) => done.context("nobody was logged in").map(|()| true),
            () = shutdown.cancelled() => anyhow::bail!("the login was given up"),
        },
        None => run(config, shutdown).await.map(|()| true),
    }
}

/// Serves the pools of `config` until `shutdown`, then drains: what is being executed ends and is
/// recorded, and the runs are given back. A rustls crypto provider must be installed.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let files = config.files.clone();
    let interpreter = Interpreter::new(Settings {
        files,
        files_write: config.files_write,
        models: config.models()?,
        hooks: config.hooks()?,
        programs: config.programs.clone(),
        secrets: config.secrets()?,
        logins: config.logins()?,
        environment: config.environment(),
        readable: config.readable.clone(),
        sandbox: Some(tenure_agents::sandbox::this_program()),
        policy: config.policy()?,
    })?;
    let first = config.tenants.first().context("a worker needs at least one tenant")?;
    let client = Client::connect(&config.url, first.clone())
        .with_context(|| format!("the control plane at `{}`", config.url))?;
    let (url, tenants, pools) = (&config.url, &config.tenants, &config.pools);
    tracing::info!(%url, ?tenants, ?pools, "worker of {} tenants at {url}", tenants.len());
    let worker = Worker::new(client).tenants(tenants.iter().cloned());
    let worker = pools.iter().cloned().fold(worker, Worker::pool);
    let models = interpreter.clone();
    let work = worker
        .capacity(config.capacity)
        .observer(Arc::new(Announcer::new(config.announce_steps, config.hold_after)))
        .interpreter(move |ctx, input| {
            let interpreter = interpreter.clone();
            async move { interpreter.run(ctx, input).await }
        })
        .run(shutdown);
    tokio::select! {
        ended = work => Ok(ended?),
        () = kept(&models) => Ok(()),
    }
}

/// Looks after the backends of models for ever, also where there are none.
async fn kept(models: &Interpreter) {
    models.keep_models().await;
    future::pending::<()>().await;
}
