//! The two back ends against the contract, against each other and against the in-memory model.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod conformance;
mod database;
mod differential;
mod immutable;
mod postgres;
mod prepared;
mod sqlite;
mod world;
