//! What the program is told.

use clap::Parser;

use crate::guard::Guard;

/// The seeded simulation of control planes, workers, database and network; scripts/simulate builds
/// and runs it
#[derive(Clone, Copy, Parser)]
#[command(name = "simulate")]
pub(crate) struct Options {
    /// How many seeds to simulate; 200 unless one is named
    #[arg(long)]
    pub(crate) seeds: Option<u64>,

    /// The first of them, 0 otherwise; without --seeds the only one
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Print all that happens
    #[arg(long)]
    pub(crate) trace: bool,

    /// Take this guard away, to see what the oracle says
    #[arg(long, value_enum)]
    pub(crate) without: Option<Guard>,
}
