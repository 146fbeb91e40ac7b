//! Crowds: many runs of one tenant, workers that are driven by hand, and what they meet.

pub(crate) mod crew;
pub(crate) mod hand;
pub(crate) mod idle;
pub(crate) mod plans;
pub(crate) mod populate;
pub(crate) mod situation;
pub(crate) mod wake;
