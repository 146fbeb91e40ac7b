//! What can be written on the command line, and nothing about what it does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tenure_core::{Name, StateName};

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
        default_value = "http://127.0.0.1:7700",
        help_heading = "Global options"
    )]
    pub(crate) url: String,
    /// Whose agents and runs are meant.
    #[arg(
        long,
        global = true,
        env = "TENURE_TENANT",
        default_value = "default",
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

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Tables and sentences.
    Text,
    /// JSON only: one object, or one line per event.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything on this machine: control plane, worker and a SQLite file in ./.tenure.
    Dev(Dev),
    /// Check agent specifications and publish them.
    Apply(Apply),
    /// Start a run of an agent.
    Run(Run),
    /// Look at runs; retry, cancel and signal them.
    #[command(subcommand)]
    Runs(Runs),
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
    /// Print the JSON Schema of agent specifications, for editors.
    Schema,
    /// Run the stock worker, which executes agents.
    Worker(Worker),
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
pub(crate) struct Run {
    /// The agent, with a version number or an alias if it is not to be the newest version.
    #[arg(value_name = "AGENT[@VERSION]")]
    pub(crate) agent: AgentRef,
    /// What it is given: a text, @FILE, or - for standard input.
    #[arg(long, value_name = "TEXT|@FILE|-")]
    pub(crate) input: Option<String>,
    /// The input is JSON.
    #[arg(long, requires = "input")]
    pub(crate) json: bool,
    /// Start it no earlier than after this time, such as 90s or 10m.
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) start_after: Option<Duration>,
    /// A label to find the run by.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// The same key again returns the same run.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Show each step as it is recorded, and wait for the end.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Wait for the end; the exit status is 0 only if the run succeeded.
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// Runs, newest first.
    List {
        /// Only runs of this agent.
        #[arg(long)]
        agent: Option<Name>,
        /// Only runs in this state; may be given several times.
        #[arg(long = "state", value_parser = state)]
        states: Vec<StateName>,
        /// How many at most.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One run with its input, output and usage.
    Get {
        /// The run's id.
        run: String,
    },
    /// Try a run again now: one that is blocked, or that waits for its next attempt.
    Retry {
        /// The run's id.
        run: String,
    },
    /// Ask a run to end.
    Cancel {
        /// The run's id.
        run: String,
        /// Why, for whoever looks at the run later.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Send a run a message that it waits for.
    Signal {
        /// The run's id.
        run: String,
        /// The name that the run waits for.
        name: Name,
        /// What it is given: a text, @FILE, or - for standard input; JSON if it is JSON.
        #[arg(long, value_name = "TEXT|@FILE|-")]
        payload: Option<String>,
    },
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

#[derive(Debug, Subcommand)]
pub(crate) enum Agents {
    /// Agents by name.
    List,
    /// One agent with its aliases and its newest specification.
    Get {
        /// The agent, or with @VERSION one version of it.
        #[arg(value_name = "AGENT[@VERSION]")]
        agent: AgentRef,
    },
    /// Versions of an agent, newest first.
    Versions {
        /// The agent's name.
        agent: Name,
    },
    /// Point an alias to versions: `tenure agents alias digest stable 3=9 4=1`.
    Alias {
        /// The agent's name.
        agent: Name,
        /// The alias, such as `stable`.
        alias: Name,
        /// Version numbers; the weight is 1 if it is not given.
        #[arg(required = true, value_name = "VERSION[=WEIGHT]", value_parser = target)]
        targets: Vec<(u32, u32)>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tenants {
    /// Create a tenant.
    Create {
        /// Its name.
        name: Name,
    },
    /// Tenants by name.
    List,
    /// One tenant.
    Get {
        /// Its name.
        name: Name,
    },
}

/// An agent and, after an `@`, one of its versions or aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentRef {
    pub(crate) agent: Name,
    /// A number, an alias, or empty for the newest.
    pub(crate) version: String,
}

impl std::str::FromStr for AgentRef {
    type Err = tenure_core::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (agent, version) = match text.split_once('@') {
            Some((agent, version)) => (agent, version.parse::<Name>()?.to_string()),
            None => (text, String::new()),
        };
        Ok(Self { agent: agent.parse()?, version })
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write it as key=value".into()),
    }
}

fn span(text: &str) -> Result<Duration, String> {
    text.parse::<tenure_spec::Span>().map(|span| span.0).map_err(|error| error.to_string())
}

fn state(text: &str) -> Result<StateName, String> {
    StateName::parse(text).ok_or_else(|| {
        let words = StateName::ALL.map(StateName::as_str).join(", ");
        format!("the states are {words}")
    })
}

fn target(text: &str) -> Result<(u32, u32), String> {
    let (version, weight) = text.split_once('=').unwrap_or((text, "1"));
    match (version.parse(), weight.parse()) {
        (Ok(version @ 1..), Ok(weight @ 1..)) => Ok((version, weight)),
        _ => Err("write a version number, or number=weight, both at least 1".into()),
    }
}

#[cfg(test)]
mod tests;
