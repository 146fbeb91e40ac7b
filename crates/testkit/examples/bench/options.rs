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
    /// Sections; by default all of them
    #[arg(value_enum)]
    sections: Vec<Section>,

    /// How many runs are under way at once
    #[arg(long, value_delimiter = ',', default_value = "64,512")]
    pub(crate) concurrency: Vec<usize>,

    /// How many steps a run has
    #[arg(long, value_delimiter = ',', default_value = "1,10,100")]
    pub(crate) steps: Vec<u32>,

    /// How many seconds of load are measured at a time
    #[arg(long, default_value = "8", value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) seconds: u32,

    /// How often everything is measured
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,

    /// Where to write all figures as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Section {
    /// Runs and steps a second, and what each costs, beside the bare reference
    Throughput,
}

impl Plan {
    /// What to measure, in this order.
    pub(crate) fn sections(&self) -> Vec<Section> {
        if self.sections.is_empty() {
            return Section::value_variants().to_vec();
        }
        let mut sections = self.sections.clone();
        sections.sort_unstable();
        sections.dedup();
        sections
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
