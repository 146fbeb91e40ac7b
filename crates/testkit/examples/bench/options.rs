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
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Section {
    /// Runs and steps a second, and what each costs, beside the bare reference
    Throughput,
    /// Whether it stays as fast under a load that lasts, and beside an idle transaction; takes more
    /// than half an hour, and is measured only if it is named
    Soak,
}

impl Plan {
    /// What to measure, in this order.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let all = Section::value_variants().iter().copied();
        if self.sections.is_empty() {
            return all.filter(|section| *section != Section::Soak).collect();
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
