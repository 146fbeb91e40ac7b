//! What the two roles of this program are told.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

/// A fleet under load; scripts/fleet builds and runs it. Needs TENURE_TEST_DATABASE_URL
#[derive(Parser)]
#[command(name = "fleet")]
pub(crate) enum Role {
    /// Play scenarios
    Play(Play),
    /// Be one of the workers
    #[command(hide = true)]
    Worker(Worker),
}

/// Options of the scenarios.
#[derive(Args, Clone, Copy)]
pub(crate) struct Play {
    /// Which of them
    #[arg(value_enum, default_value = "both")]
    what: What,

    /// How many runs are created each second; by default 5 in `rolling` and 10 in `redis`
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: Option<u32>,

    /// How often all control planes and workers are replaced
    #[arg(long, default_value = "2", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,

    /// How many seconds Redis is away
    #[arg(long, default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) away: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Every control plane and every worker is replaced, one after the other
    Rolling,
    /// Redis goes away, and comes back
    Redis,
    /// One after the other
    Both,
}

/// One of the scenarios.
#[derive(Clone, Copy)]
pub(crate) enum Scenario {
    /// Every control plane and every worker is replaced.
    Rolling,
    /// Redis goes away, and comes back.
    Redis,
}

impl Play {
    /// What to play, in this order.
    pub(crate) fn scenarios(&self) -> &'static [Scenario] {
        match self.what {
            What::Rolling => &[Scenario::Rolling],
            What::Redis => &[Scenario::Redis],
            What::Both => &[Scenario::Rolling, Scenario::Redis],
        }
    }

    /// How many runs are created each second.
    pub(crate) fn rate(&self, scenario: Scenario) -> u32 {
        self.rate.unwrap_or(match scenario {
            Scenario::Rolling => 5,
            Scenario::Redis => 10,
        })
    }
}

/// Options of a worker.
#[derive(Args)]
pub(crate) struct Worker {
    /// The control plane
    #[arg(long)]
    pub(crate) url: String,

    /// The log of all workers
    #[arg(long)]
    pub(crate) log: PathBuf,
}
