//! Test doubles and harnesses: the in-memory model of the store, an in-process control plane, the architecture test.

pub mod app;
pub mod databases;
pub mod door;
pub mod figures;
pub mod model;
pub mod postgres;
pub mod processes;
pub mod processor;
pub mod proxy;
pub mod redis;
