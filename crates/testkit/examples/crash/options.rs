//! What the two roles of this program are told.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

/// The crash test with real processes; scripts/crash builds and runs it
#[derive(Parser)]
#[command(name = "crash")]
pub(crate) enum Role {
    /// Run the test on one database
    Test(Test),
    /// Be one of its workers
    #[command(hide = true)]
    Worker(Worker),
}

/// Options of the test.
#[derive(Args, Clone)]
pub(crate) struct Test {
    /// Where the control plane keeps its data; `postgres` needs TENURE_TEST_DATABASE_URL
    #[arg(long, value_enum)]
    pub(crate) database: Database,

    /// How many runs to create, beside those that they call
    #[arg(
        long,
        default_value = "60",
        value_parser = clap::value_parser!(u32).range(5..=10_000),
        conflicts_with = "minutes"
    )]
    pub(crate) runs: u32,

    /// Creates runs for so many minutes instead
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub(crate) minutes: Option<u32>,

    /// How many workers
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u8).range(2..=32))]
    pub(crate) workers: u8,

    /// How many control planes; on SQLite there is one
    #[arg(long, default_value = "2", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) control_planes: u8,

    /// Keeps logs and journals also if the test passes
    #[arg(long)]
    pub(crate) keep: bool,

    /// What carries hints between control planes on PostgreSQL; by default the seed decides
    #[arg(long, value_enum)]
    pub(crate) carrier: Option<Carrier>,

    /// Decides what each run does, which faults there are and whom they hit; by default another
    /// one each time
    #[arg(long, default_value_t = fastrand::u64(..1_000_000))]
    pub(crate) seed: u64,
}

/// What carries hints.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Carrier {
    /// The database itself
    Postgres,
    /// A Redis of this test's own, which is killed and frozen too
    Redis,
}

/// The back ends.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Database {
    /// A file in a temporary directory
    Sqlite,
    /// A database of its own on the server of the tests
    Postgres,
}

impl Database {
    /// Its name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

impl Test {
    /// How many runs to create, if that is what decides when the test ends.
    pub(crate) fn wanted(&self) -> Option<u32> {
        self.minutes.is_none().then_some(self.runs)
    }

    /// Whether there is a Redis.
    pub(crate) fn redis(&self) -> bool {
        let by_seed = if self.seed.is_multiple_of(2) { Carrier::Redis } else { Carrier::Postgres };
        let carrier = self.carrier.unwrap_or(by_seed);
        matches!(self.database, Database::Postgres) && carrier == Carrier::Redis
    }
}

/// Options of a worker.
#[derive(Args)]
pub(crate) struct Worker {
    /// The name of this process in the log
    #[arg(long)]
    pub(crate) name: String,

    /// The control plane
    #[arg(long)]
    pub(crate) url: String,

    /// Where the logs of all processes are
    #[arg(long)]
    pub(crate) logs: PathBuf,

    /// Of its random numbers
    #[arg(long)]
    pub(crate) seed: u64,
}
