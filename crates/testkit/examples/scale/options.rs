//! What the program is told.

use clap::{Parser, ValueEnum};

/// What waiting and crowds cost; scripts/scale builds and runs it. Needs TENURE_TEST_DATABASE_URL, a
/// superuser on a PostgreSQL server on this machine that has nothing else to do
#[derive(Parser)]
#[command(name = "scale")]
pub(crate) struct Options {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    what: What,

    /// How large the crowd is; by default 100,000 parked runs, 1,000,000 queued ones, and 100,000 in
    /// the herd
    #[arg(long, value_parser = clap::value_parser!(u32).range(2_000..=5_000_000))]
    runs: Option<u32>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Idle load of parked runs, and how long waking some of them takes
    Parked,
    /// How fast one run starts beside another tenant's queue
    Queued,
    /// Runs that sleep until the same second, and how fast others start meanwhile
    Herd,
    /// One after the other
    All,
}

/// One of the measurements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measurement {
    /// Of runs that wait.
    Parked,
    /// Of runs that are ready.
    Queued,
    /// Of runs that become ready at once.
    Herd,
}

impl Options {
    /// What to measure, in this order.
    pub(crate) fn measurements(&self) -> Vec<Measurement> {
        match self.what {
            What::Parked => vec![Measurement::Parked],
            What::Queued => vec![Measurement::Queued],
            What::Herd => vec![Measurement::Herd],
            What::All => vec![Measurement::Parked, Measurement::Queued, Measurement::Herd],
        }
    }

    /// How large its crowd is.
    pub(crate) fn runs_of(&self, measurement: Measurement) -> u32 {
        self.runs.unwrap_or(match measurement {
            Measurement::Parked | Measurement::Herd => 100_000,
            Measurement::Queued => 1_000_000,
        })
    }
}
