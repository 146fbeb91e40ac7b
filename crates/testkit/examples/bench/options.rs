//! What the roles of this program are told.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What Tenure costs, beside what its database costs; scripts/bench builds and runs it. Needs
/// TENURE_TEST_DATABASE_URL, a superuser on a PostgreSQL server on this machine
#[derive(Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    #[command(flatten)]
    pub(crate) plan: Plan,
}

/// What the other processes of the benchmark are.
#[derive(Subcommand)]
pub(crate) enum Role {
    /// Execute runs
    #[command(hide = true)]
    Worker(Worker),
    /// Create runs
    #[command(hide = true)]
    Load(Load),
    /// Be many idle workers
    #[command(hide = true)]
    IdleWorkers(Pollers),
    /// Be the server of the bare reference, on the database TENURE_DATABASE_URL
    #[command(hide = true)]
    Floor,
}

/// What to measure.
#[derive(Args, Clone, Debug)]
pub(crate) struct Plan {
    /// Sections; by default all of them but the soak
    #[arg(value_enum)]
    sections: Vec<Section>,

    /// The essential rows, in less than ten minutes
    #[arg(long)]
    pub(crate) quick: bool,

    /// How many runs are under way at once
    #[arg(long, value_delimiter = ',', default_value = "64,512")]
    pub(crate) concurrency: Vec<usize>,

    /// How many steps a run has; by default 1, 10 and 100, and 10 if it has to be quick
    #[arg(long, value_delimiter = ',')]
    steps: Option<Vec<u32>>,

    /// How many seconds of load are measured at a time; by default 8, and 4 if it has to be quick
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: Option<u32>,

    /// How often everything is measured; by default 3 times, and once if it has to be quick
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,

    /// How many runs are queued, and parked, beside those that are measured; by default 1,000,000,
    /// and 100,000 if it has to be quick
    #[arg(long, value_parser = clap::value_parser!(u32).range(12_000..=5_000_000))]
    runs: Option<u32>,

    /// How many minutes the load of the soak lasts; by default 30, and 2 if it has to be quick
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: Option<u32>,

    /// How many minutes more it lasts beside an idle transaction; by default 5, and 1 if it has to
    /// be quick; 0 for not at all
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=60))]
    idle_minutes: Option<u32>,

    /// Where to write all figures and goals as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,

    /// The folder to write charts to, as SVG
    #[arg(long)]
    pub(crate) charts: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Section {
    /// What the database and the wire cost by themselves
    Limit,
    /// A step of one run at a time, beside a bare commit
    Steps,
    /// Runs and steps a second, and what each costs, beside the bare reference
    Throughput,
    /// How fast a run starts, alone and beside the long queue of another tenant
    Dispatch,
    /// What parked runs cost, and how long waking some of them takes
    Waiting,
    /// Runs that sleep until the same second, and how fast others start meanwhile; not if it has to
    /// be quick
    Herd,
    /// How long a new worker takes to go on with a run, by the length of its journal
    Replay,
    /// What idle workers cost, and how fast one of them gets a run
    Pollers,
    /// What `tenure dev` has: SQLite in a file
    Embedded,
    /// What the engine adds to a conversation between a model and its tools
    Turns,
    /// Whether it stays as fast under a load that lasts, and beside an idle transaction; takes more
    /// than half an hour, and is measured only if it is named
    Soak,
}

impl Plan {
    /// What to measure, in this order.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let all = Section::value_variants().iter().copied();
        if self.sections.is_empty() {
            let long = |section: Section| {
                section == Section::Soak || self.quick && section == Section::Herd
            };
            return all.filter(|section| !long(*section)).collect();
        }
        all.filter(|section| self.sections.contains(section)).collect()
    }

    pub(crate) fn steps(&self) -> &[u32] {
        let usual: &[u32] = if self.quick { &[10] } else { &[1, 10, 100] };
        self.steps.as_deref().unwrap_or(usual)
    }

    pub(crate) fn seconds(&self) -> u32 {
        self.seconds.unwrap_or(if self.quick { 4 } else { 8 })
    }

    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// How many runs a crowd has.
    pub(crate) fn crowd(&self) -> anyhow::Result<usize> {
        let usual = if self.quick { 100_000 } else { 1_000_000 };
        Ok(usize::try_from(self.runs.unwrap_or(usual))?)
    }

    /// How many runs wake in the same second.
    pub(crate) fn herd(&self) -> anyhow::Result<usize> {
        Ok(usize::try_from(self.runs.unwrap_or(100_000))?)
    }

    pub(crate) fn minutes(&self) -> u32 {
        self.minutes.unwrap_or(if self.quick { 2 } else { 30 })
    }

    pub(crate) fn idle_minutes(&self) -> u32 {
        self.idle_minutes.unwrap_or(if self.quick { 1 } else { 5 })
    }
}

/// Options of a worker.
#[derive(Args)]
pub(crate) struct Worker {
    /// The control plane
    #[arg(long)]
    pub(crate) url: String,

    /// How many runs it executes at a time
    #[arg(long, default_value = "1024")]
    pub(crate) capacity: usize,

    /// Be that of the bare reference
    #[arg(long)]
    pub(crate) floor: bool,

    /// Look for runs of the crowd as well
    #[arg(long)]
    pub(crate) crowd: bool,
}

/// Options of idle workers.
#[derive(Args)]
pub(crate) struct Pollers {
    /// The control plane
    #[arg(long)]
    pub(crate) url: String,

    /// Over how many connections they poll
    #[arg(long)]
    pub(crate) connections: u32,
}

/// Options of the load.
#[derive(Args)]
pub(crate) struct Load {
    /// The control plane
    #[arg(long)]
    pub(crate) url: String,

    /// It is the bare reference
    #[arg(long)]
    pub(crate) floor: bool,
}
