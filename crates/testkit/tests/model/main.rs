//! Every order of events around the rules of a run, explored to the end.
//!
//! One run, two workers, a network that delays, reorders, copies and loses, and clients. The control
//! plane is `tenure_core::Run`: its commands decide each step, so what is checked is what ships.
//! `docs/architecture.md` says what is modelled and what is not.
//!
//! `cargo test -p tenure-testkit --test model -- --nocapture` shows how much was explored.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod events;
mod liveness;
mod network;
mod program;
mod properties;
mod row;
mod server;
mod steps;
mod variants;
mod worker;
mod world;

use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use crate::events::Happens;
use crate::liveness::Graph;
use crate::properties::{ACKNOWLEDGED, BLAMELESS, FINAL, FIRST_WINS, NO_LOST_WAKE, ONE_WRITER};
use crate::steps::Setup;
use crate::variants::Variant;
use crate::world::Bounds;

const NOTHING: Bounds =
    Bounds { crashes: 0, expiries: 0, copies: 0, losses: 0, beats: 0, drains: 0, cancels: 0 };

fn right(bounds: Bounds) -> Setup {
    Setup { variant: Variant::Right, bounds, signals: 1 }
}

/// What an exploration found.
struct Found {
    /// What must always hold and does not, with the way there.
    broken: Vec<(&'static str, Vec<Happens>)>,
    /// What must be seen and was not.
    unseen: Vec<&'static str>,
}

fn explore(setup: Setup, finish: HasDiscoveries) -> Found {
    let begun = Instant::now();
    let done = setup.checker().threads(2).finish_when(finish).spawn_bfs().join();
    let (unique, total) = (done.unique_state_count(), done.state_count());
    let (depth, time) = (done.max_depth(), begun.elapsed());
    println!("{setup:?}: {unique} states, {total} in all, depth {depth}, {time:.1?}");
    let mut found = Found { broken: Vec::new(), unseen: Vec::new() };
    for property in setup.properties() {
        let path = done.discovery(property.name).map(Path::into_actions);
        match (property.expectation, path) {
            (Expectation::Sometimes, None) => found.unseen.push(property.name),
            (Expectation::Sometimes, Some(_)) | (_, None) => {}
            (_, Some(path)) => found.broken.push((property.name, path)),
        }
    }
    found
}

fn holds(setup: Setup) {
    let found = explore(setup, HasDiscoveries::AnyFailures);
    assert!(found.broken.is_empty(), "{:?}", found.broken);
    assert_eq!(found.unseen, Vec::<&str>::new(), "never seen: the model does too little");
}

/// Looks for everything that breaks first on some way.
fn breaks(variant: Variant, bounds: Bounds, expected: &[&str]) {
    let found = explore(Setup { variant, ..right(bounds) }, HasDiscoveries::All);
    for (name, path) in &found.broken {
        println!("  {variant:?} breaks `{name}` in {} steps", path.len());
    }
    let broken: Vec<&str> = found.broken.into_iter().map(|(name, _)| name).collect();
    assert_eq!(broken, expected);
}

fn stuck(setup: Setup) -> usize {
    let begun = Instant::now();
    let graph = Graph::of(&setup);
    let (states, steps, stuck, time) =
        (graph.states(), graph.steps, graph.stuck(), begun.elapsed());
    println!("{setup:?}: {states} states, {steps} steps, {stuck} states are stuck, {time:.1?}");
    stuck
}

#[test]
fn the_rules_hold_whatever_the_network_and_the_workers_do() {
    holds(right(Bounds { crashes: 1, expiries: 1, copies: 1, losses: 1, ..NOTHING }));
}

#[test]
fn the_rules_hold_for_cancels_beats_and_drains() {
    holds(right(Bounds { expiries: 1, beats: 1, cancels: 1, ..NOTHING }));
    holds(right(Bounds { copies: 1, losses: 1, drains: 1, cancels: 1, ..NOTHING }));
    holds(right(Bounds { crashes: 1, copies: 1, cancels: 1, ..NOTHING }));
}

#[test]
fn the_rules_hold_when_workers_are_lost_again_and_again() {
    holds(right(Bounds { crashes: 1, expiries: 2, ..NOTHING }));
}

#[test]
fn the_rules_hold_for_a_signal_that_is_not_waited_for() {
    let bounds = Bounds { expiries: 1, copies: 1, ..NOTHING };
    holds(Setup { signals: 2, ..right(bounds) });
}

#[test]
fn a_run_can_always_come_to_its_end() {
    let faults = Bounds { crashes: 1, expiries: 1, losses: 1, ..NOTHING };
    assert_eq!(stuck(right(faults)), 0);
    let requests = Bounds { copies: 1, beats: 1, drains: 1, cancels: 1, ..NOTHING };
    assert_eq!(stuck(right(requests)), 0);
}

#[test]
fn a_commit_must_compare_the_lease() {
    let bounds = Bounds { expiries: 1, ..NOTHING };
    // Who was replaced is told `ALREADY_EXISTS` where `ABORTED` is true.
    breaks(Variant::AnyLease, bounds, &[ONE_WRITER, BLAMELESS]);
}

#[test]
fn a_commit_must_compare_the_lease_and_not_the_name_of_its_worker() {
    let bounds = Bounds { crashes: 1, ..NOTHING };
    breaks(Variant::LeaseByName, bounds, &[ONE_WRITER]);
}

#[test]
fn a_commit_must_compare_the_expected_seq() {
    let bounds = Bounds { copies: 1, ..NOTHING };
    breaks(Variant::AnySeq, bounds, &[FIRST_WINS, ACKNOWLEDGED]);
}

#[test]
fn a_commit_must_be_recognised_when_it_comes_again() {
    let bounds = Bounds { losses: 1, ..NOTHING };
    breaks(Variant::NoRepetition, bounds, &[BLAMELESS]);
}

#[test]
fn a_suspend_must_compare_the_inbox_counter() {
    breaks(Variant::AnyInbox, NOTHING, &[NO_LOST_WAKE]);
    assert!(stuck(Setup { variant: Variant::AnyInbox, ..right(NOTHING) }) > 0);
}

#[test]
fn a_sweep_must_look_at_the_row_that_it_has_locked() {
    let bounds = Bounds { expiries: 1, ..NOTHING };
    breaks(Variant::SweepReadsFirst, bounds, &[FINAL]);
}
