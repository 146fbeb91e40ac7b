//! The only conversions between the wire and [`tenure_core`], one file per message family.
//!
//! Into the domain they are fallible and name the field; out of it they are not.

mod agents;
mod allowances;
mod common;
mod inbox;
mod runs;
mod waits;
mod workers;

pub use agents::{agent, alias, artifact, targets, tenant, version};
pub use allowances::{period_in, standing};
pub use common::{
    budget, budget_in, record, record_in, required, timestamp, timestamp_in, usage, usage_in,
};
pub use common::{
    duration, duration_if, duration_in, entry, entry_in, failure, failure_in, payload, payload_in,
};
pub use inbox::{answer_in, interrupt};
pub use runs::{concurrency_in, retry_in, run, states_in};
pub use waits::{opening, opening_in, steering, steering_in};
pub use workers::{commit_in, inbox_item, inbox_item_in, outcome_in};
pub use workers::{stream_event, stream_event_in};
