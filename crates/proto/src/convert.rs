//! The only conversions between the wire and [`tenure_core`], one file per message family.
//!
//! Into the domain they are fallible and name the field; out of it they are not.

mod agents;
mod common;
mod runs;
mod workers;

pub use agents::{agent, alias, artifact, targets, tenant, version};
pub use common::{
    duration, duration_in, entry, entry_in, failure, payload, payload_in, record, required,
};
pub use common::{record_in, timestamp, timestamp_in, usage};
pub use runs::{run, states_in};
pub use workers::{commit_in, inbox_item, inbox_item_in, outcome_in};
