//! One file per command: ask the control plane, show the answer.

pub(crate) mod agents;
pub(crate) mod allowances;
pub(crate) mod apply;
pub(crate) mod artifacts;
pub(crate) mod inbox;
pub(crate) mod journal;
pub(crate) mod policy;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod services;
pub(crate) mod tenants;
