//! Test doubles and harnesses: the in-memory model of the store, an in-process control plane, the architecture test.

pub mod app;
pub mod model;
pub mod postgres;
pub mod processes;
pub mod proxy;
pub mod redis;
