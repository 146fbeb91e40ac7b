//! The rules of runs, tested without anything around them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod changes;
mod common;
mod invariants;
mod matrix;
