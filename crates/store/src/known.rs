//! Saving on the strength of what is known: nothing is read and nothing locked before.

use std::time::Duration;

use tenure_core::{AgentId, TenantId, Timestamp, Transition};

use crate::RunKey;

/// What was decided from memory, and everything that must still be so when it is saved.
///
/// Optimistic concurrency control, after Kung and Robinson, "On Optimistic Methods for Concurrency
/// Control" (1981): decide first, validate while writing, and do it again under locks if somebody was
/// faster.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Transitions of different runs, each [plain](Transition::is_plain). Each run must have the
    /// revision that its transition started from.
    pub transitions: Vec<Transition>,
    /// Idempotency keys that nobody may have reserved; they are reserved.
    pub keys: Vec<RunKey>,
    /// Agents that must be as they were seen.
    pub agents: Vec<SeenAgent>,
    /// The time that it was decided at: no more than [`BEHIND`] before and [`AHEAD`] after the
    /// database's clock.
    pub at: Timestamp,
}

/// An agent whose run is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeenAgent {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub agent: AgentId,
    /// Its newest version.
    pub latest: u32,
    /// Whether a run of it is leased without being counted: neither it nor its tenant may have a
    /// cap.
    pub uncapped: bool,
}

/// How far what was decided may be behind the database's clock: a process that was stopped for longer
/// looks again before it writes.
pub const BEHIND: Duration = Duration::from_secs(1);
/// How far it may be ahead.
pub const AHEAD: Duration = Duration::from_millis(100);
