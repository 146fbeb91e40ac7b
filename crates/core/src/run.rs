//! A run: one execution of one version of an agent, and what may happen to it.
//!
//! ```text
//!  create ──► queued ──lease──► running ──commit──► succeeded
//!               ▲ ▲                │  │ └─────────► failed
//!               │ └─expire/release─┘  │
//!               └──deliver── waiting ◄┘             cancelled ◄── cancel (at once unless running)
//! ```
//!
//! One file per command. Each is a plain function `Run × command × now →` [`Transition`]; it reads
//! no clock and writes nothing. The table *state × command* is `core/tests/rules/matrix.rs`.

mod beat;
mod cancel;
mod commit;
mod create;
mod deliver;
mod expire;
mod lease;
mod retry;
mod withdraw;

use std::fmt;

pub use commit::{Commit, Committed, Outcome};
pub use create::NewRun;
pub use deliver::InboxItem;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::id::{AgentId, LeaseId, RunId, TenantId};
use crate::journal::{Failure, Usage};
use crate::lease::Lease;
use crate::name::Name;
use crate::payload::Payload;
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

/// The narrow, hot row of a run: what deciding about it takes, and nothing else. Its input and
/// labels are written once and stand apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is a run of, pinned for life: the agent…
    pub agent: AgentId,
    /// …and the version's number.
    pub version: u32,
    /// The queue it waits in.
    pub pool: Name,
    /// Where it stands.
    pub state: RunState,
    /// Grows at each change of owner, never falls, never restarts (ONE-WRITER).
    pub epoch: u64,
    /// The `seq` that the next entry will have (NO-GAP).
    pub next_seq: u64,
    /// How many things others have put into its inbox (NO-LOST-WAKE).
    pub inbox: u64,
    /// Digest of the last commit that was applied, to recognise its repetition (FIRST-WINS).
    pub last_commit: Option<Digest>,
    /// A cancel that its owner has not answered yet.
    pub cancel: Option<CancelRequest>,
    /// Leases that were taken up, without those that were given back: released, or parked.
    pub attempts: u32,
    /// After how many of them a run that loses its worker, or fails, is not tried again.
    pub max_attempts: u32,
    /// Leases lost in a row without a new entry.
    pub stalled: u32,
    /// Offers in a row that nobody took up.
    pub offers: u32,
    /// Sum over the entries, made here so that a replay cannot count twice.
    pub usage: Usage,
    /// Grows with every write of the row.
    pub revision: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where a run stands, each state with its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// In its pool's queue, exactly as long as it has a row there.
    Queued {
        /// When the first worker may have it.
        ready_at: Timestamp,
    },
    /// Leased to a worker.
    Running {
        /// By whom and until when.
        lease: Lease,
    },
    /// Parked: no worker, no connection, no timer task (PARKED-IS-FREE).
    Waiting {
        /// For what.
        reason: WaitReason,
    },
    /// Ended with a result.
    Succeeded {
        /// The result.
        output: Payload,
        /// When.
        at: Timestamp,
    },
    /// Ended without.
    Failed {
        /// Why.
        failure: Failure,
        /// When.
        at: Timestamp,
    },
    /// Ended because somebody asked for it.
    Cancelled {
        /// What they said.
        reason: String,
        /// When.
        at: Timestamp,
    },
}

/// What a parked run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Something to arrive in its inbox.
    Inbox {
        /// And no longer than until then, if it sleeps: it has a row in its pool's queue for that
        /// moment, and whoever leases it ends the wait. There is no other timer.
        until: Option<Timestamp>,
    },
    /// A person's decision, because it cannot go on by itself: its code no longer fits its journal.
    Blocked(Failure),
}

/// A cancel that has been asked for and not yet happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelRequest {
    /// What the caller said.
    pub reason: String,
    /// When the run is ended by force.
    pub force_at: Timestamp,
}

/// The states without their data, for filters and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateName {
    /// See [`RunState::Queued`].
    Queued,
    /// See [`RunState::Running`].
    Running,
    /// See [`RunState::Waiting`].
    Waiting,
    /// See [`RunState::Succeeded`].
    Succeeded,
    /// See [`RunState::Failed`].
    Failed,
    /// See [`RunState::Cancelled`].
    Cancelled,
}

impl StateName {
    /// Every state, in the order of a run's life.
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word for this state everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether a run in this state never changes again (FINAL).
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Waiting => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl RunState {
    /// The state without its data.
    pub const fn name(&self) -> StateName {
        match self {
            Self::Queued { .. } => StateName::Queued,
            Self::Running { .. } => StateName::Running,
            Self::Waiting { .. } => StateName::Waiting,
            Self::Succeeded { .. } => StateName::Succeeded,
            Self::Failed { .. } => StateName::Failed,
            Self::Cancelled { .. } => StateName::Cancelled,
        }
    }

    /// Whether a run in this state never changes again (FINAL).
    pub const fn is_terminal(&self) -> bool {
        self.name().is_terminal()
    }
}

impl Run {
    /// When the first worker may have the run: exactly the runs that answer have a row in their
    /// pool's queue. Queued ones do, and waiting ones that sleep.
    pub const fn ready_at(&self) -> Option<Timestamp> {
        match &self.state {
            RunState::Queued { ready_at } => Some(*ready_at),
            RunState::Waiting { reason: WaitReason::Inbox { until } } => *until,
            RunState::Running { .. }
            | RunState::Waiting { reason: WaitReason::Blocked(_) }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => None,
        }
    }

    /// The current lease, if the run is leased.
    pub const fn lease_held(&self) -> Option<&Lease> {
        match &self.state {
            RunState::Running { lease } => Some(lease),
            RunState::Queued { .. }
            | RunState::Waiting { .. }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => None,
        }
    }

    /// The current lease, if it is the one that the caller holds (ONE-WRITER).
    fn lease_of(&self, id: LeaseId) -> Result<&Lease> {
        match self.lease_held() {
            Some(lease) if lease.id == id => Ok(lease),
            Some(_) => {
                Err(Error::lease_lost(format!("{} is leased to another worker; drop it", self.id)))
            }
            None => Err(Error::lease_lost(format!(
                "{} is {} and no longer leased; drop it",
                self.id,
                self.state.name()
            ))),
        }
    }

    /// The run in another state without an owner. Whoever held it is fenced from here on.
    fn without_owner(&self, state: RunState) -> Self {
        Self { state, epoch: self.epoch + 1, ..self.clone() }
    }

    /// The transition back into the queue.
    fn to_queue(&self, ready_at: Timestamp, now: Timestamp) -> Transition {
        self.to_rest(RunState::Queued { ready_at }, now)
    }

    /// The transition into a state without an owner.
    fn to_rest(&self, state: RunState, now: Timestamp) -> Transition {
        let mut after = self.without_owner(state);
        if after.state.is_terminal() {
            after.cancel = None;
        }
        let mut effects = Vec::with_capacity(3);
        if self.ready_at().is_some() {
            effects.push(Effect::Dequeue);
        }
        if let Some(ready_at) = after.ready_at() {
            effects.push(Effect::Enqueue { ready_at });
        }
        effects.push(Effect::WakeWatchers);
        Transition::of(self, after, effects, now)
    }
}
