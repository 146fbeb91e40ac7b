//! The two back ends against the contract, against each other and against the in-memory model.

mod conformance;
mod database;
mod differential;
mod immutable;
mod postgres;
mod prepared;
mod sqlite;
mod world;
