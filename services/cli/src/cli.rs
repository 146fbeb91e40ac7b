//! What can be written on the command line, and nothing about what it does.

mod agents;
mod allowances;
mod inbox;
mod policy;
mod run;
mod runs;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tenure_core::Name;

pub(crate) use agents::{Agents, Tenants};
pub(crate) use allowances::{Allowances, Bounds, Of, Period};
pub(crate) use inbox::{Filter, Inbox, ListInbox, Which};
pub(crate) use policy::Policy;
pub(crate) use run::{Input, Run, Terms, TurnPolicy};
pub(crate) use runs::{Fork, Given, ListRuns, Patch, Runs, Steer, Tools};
pub(crate) use tenure_worker::Output;
pub(crate) use value::{AgentRef, Cap};

/// Where a control plane listens unless it is told otherwise.
pub(crate) const URL: &str = "http://127.0.0.1:7700";
/// The tenant of an installation that has only one.
pub(crate) const TENANT: &str = "default";

/// Runs AI agents that survive crashes: every step is recorded once, and a run goes on where it
/// stopped.
///
/// Begin with `tenure dev --demo`.
#[derive(Debug, Parser)]
#[command(name = "tenure", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Where the control plane is.
    #[arg(
        long,
        global = true,
        env = "TENURE_URL",
        default_value = URL,
        help_heading = "Global options"
    )]
    pub(crate) url: String,
    /// Whose agents and runs are meant.
    #[arg(
        long,
        global = true,
        env = "TENURE_TENANT",
        default_value = TENANT,
        help_heading = "Global options"
    )]
    pub(crate) tenant: Name,
    /// For people, or JSON for programs.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = Output::Text,
        help_heading = "Global options"
    )]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything on this machine: control plane, worker and a SQLite file in ./.tenure.
    Dev(Dev),
    /// Check agent specifications and publish them.
    Apply(Apply),
    /// Start a run of an agent.
    Run(Box<Run>),
    /// Look at runs and intervene: pause, retry, patch, fork, check and more.
    #[command(subcommand)]
    Runs(Runs),
    /// What runs ask people, and the answers.
    #[command(subcommand)]
    Inbox(Inbox),
    /// Show what a run has done, as a timeline.
    Journal(Journal),
    /// The files that a run made.
    #[command(subcommand)]
    Artifacts(Artifacts),
    /// Agents, their versions and aliases.
    #[command(subcommand)]
    Agents(Agents),
    /// Tenants, the walls between users of one installation.
    #[command(subcommand)]
    Tenants(Tenants),
    /// What tools may do: the tenant's policy, and what a policy would have done.
    #[command(subcommand)]
    Policy(Policy),
    /// What the runs of the tenant and of its agents may use together in a day or month.
    #[command(subcommand)]
    Allowances(Allowances),
    /// Print the JSON Schema of agent specifications, for editors.
    Schema,
    /// Run the stock worker, which executes agents.
    Worker(Box<Worker>),
    /// Run the control plane, which keeps runs and hands them to workers.
    ControlPlane(Box<tenure_control_plane::Config>),
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Show a crash and the recovery from it: run an agent, kill its worker, watch the next one
    /// finish.
    #[arg(long)]
    pub(crate) demo: bool,
    /// End after the demo, with status 0 only if no step was lost or executed twice.
    #[arg(long, requires = "demo")]
    pub(crate) exit: bool,
    /// Where runs are kept, instead of in ./.tenure/tenure.db.
    #[arg(long, env = "TENURE_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Where to listen, instead of on 127.0.0.1:7700.
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// The directory whose files the agents may read; with --demo, instead of ./docs.
    #[arg(long, value_name = "DIR")]
    pub(crate) files: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    #[command(flatten)]
    pub(crate) config: tenure_worker::Config,
    /// Stop when standard input is closed, as it is when the process at its other end dies.
    #[arg(long, hide = true)]
    pub(crate) exit_with_parent: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Specifications in YAML or JSON; `-` is standard input.
    #[arg(short, long = "file", required = true, num_args = 1.., value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Journal {
    /// The run's id.
    pub(crate) run: String,
    /// Show entries as they are recorded, until the run ends.
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Artifacts {
    /// The artifacts of a run.
    List {
        /// The run's id.
        run: String,
    },
    /// Print an artifact, or write it to a file.
    Get {
        /// The run's id.
        run: String,
        /// The artifact's name.
        name: String,
        /// The file to write.
        #[arg(short = 'o', long = "out", value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Who intervenes, and why.
#[derive(Debug, Args)]
pub(crate) struct By {
    /// Why, for whoever looks at it later.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) actor: Actor,
}

/// Who intervenes.
#[derive(Debug, Args)]
pub(crate) struct Actor {
    /// Who does it, for the record.
    #[arg(
        long,
        value_name = "WHO",
        env = "USER",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) actor: String,
}

#[cfg(test)]
mod tests;
