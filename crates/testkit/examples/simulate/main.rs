//! The seeded simulation: control planes, workers, clients, persons, a database and a network, on one
//! thread for each seed, with everything that may go wrong.
//!
//! The rules are those that ship: `tenure_core::Run` decides every command, `tenure_replay::Engine`
//! answers the code of every run. What the server and the SDK do around them is done here by small
//! actors without I/O, so that a seed repeats to the last message. `scripts/simulate` runs it.

mod calls;
mod client;
mod code;
mod control_plane;
mod dice;
mod faults;
mod figures;
mod guard;
mod message;
mod network;
mod options;
mod oracle;
mod person;
mod plan;
mod report;
mod script;
mod show;
mod simulation;
mod store;
#[cfg(test)]
mod tests;
mod trace;
mod worker;
mod world;

use std::process::ExitCode;

use clap::Parser as _;

use options::Options;

/// How many seeds are simulated where nobody says otherwise, as in the tests.
const SEEDS: u64 = 200;

fn main() -> ExitCode {
    let options = Options::parse();
    let passed = match (options.seed, options.seeds) {
        (Some(seed), None) => report::one(seed, options),
        (first, seeds) => report::many(first.unwrap_or(0), seeds.unwrap_or(SEEDS), options),
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
