//! The `tenure` command: a client of the control plane, and everything on one machine with
//! `tenure dev`.

mod cli;
mod commands;
mod dev;
mod input;
mod problem;
mod session;
mod timeline;
mod ui;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use problem::Problem;
use session::Session;
use ui::{Ui, note};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before there is a second thread: a process of several cannot enter namespaces.
    match tenure_worker::enter_sandbox() {
        Some(status) => status,
        None => start(),
    }
}

#[tokio::main]
async fn start() -> ExitCode {
    let cli = Cli::parse();
    // An error says that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = cli.global.url.clone();
    match run(cli).await.map_err(|problem| problem.at(&url)) {
        Ok(status) => status,
        Err(problem) if problem.is_silent() => ExitCode::SUCCESS,
        Err(problem) => {
            note(problem.render());
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Problem> {
    let ui = Ui::new(cli.global.output);
    let session = || Session::open(&cli.global, ui);
    match cli.command {
        Command::Run(command) => return commands::run::run(&session()?, *command).await,
        Command::Runs(command) => return commands::runs::runs(&session()?, command).await,
        Command::Inbox(command) => return commands::inbox::inbox(&session()?, command).await,
        Command::Agents(command) => return commands::agents::agents(&session()?, command).await,
        Command::Dev(command) => return dev::dev(&cli.global, ui, command).await,
        Command::Apply(command) => commands::apply::apply(&session()?, command).await?,
        Command::Journal(command) => commands::journal::journal(&session()?, command).await?,
        Command::Artifacts(command) => commands::artifacts::artifacts(&session()?, command).await?,
        Command::Tenants(command) => commands::tenants::tenants(&session()?, command).await?,
        Command::Allowances(command) => {
            commands::allowances::allowances(&session()?, command).await?;
        }
        Command::Policy(command) => commands::policy::policy(&session()?, command).await?,
        Command::Schema => commands::schema::schema(ui)?,
        Command::Worker(command) => commands::services::worker(*command).await?,
        Command::ControlPlane(config) => commands::services::control_plane(*config).await?,
    }
    Ok(ExitCode::SUCCESS)
}
