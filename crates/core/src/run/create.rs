//! Create: a run enters its pool's queue.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Run, RunState};
use crate::error::{Error, Result};
use crate::id::{AgentId, RunId, TenantId};
use crate::journal::Usage;
use crate::limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::text;
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

/// What a new run is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Its id, chosen by the control plane.
    pub id: RunId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The agent to run…
    pub agent: AgentId,
    /// …in this version.
    pub version: u32,
    /// The queue to wait in.
    pub pool: Name,
    /// What the run is asked to do.
    pub input: Payload,
    /// Words to find the run by.
    pub labels: BTreeMap<String, String>,
    /// How long it waits in the queue before the first worker may have it.
    pub start_after: Duration,
    /// Attempts it has before it fails; `None` for [`limits::MAX_ATTEMPTS`].
    pub max_attempts: Option<u32>,
}

impl NewRun {
    /// What it is made of, if that is within its limits.
    pub fn checked(mut self) -> Result<Self> {
        check_labels(&self.labels)?;
        self.input = self.input.checked("the input of the run")?;
        Ok(self)
    }
}

impl Run {
    /// A new run, in its pool's queue.
    pub fn create(new: NewRun, now: Timestamp) -> Result<Transition> {
        let new = new.checked()?;
        let ready_at = now + new.start_after;
        let run = Self {
            id: new.id,
            tenant: new.tenant,
            agent: new.agent,
            version: new.version,
            pool: new.pool,
            state: RunState::Queued { ready_at },
            epoch: 0,
            next_seq: 1,
            inbox: 0,
            last_commit: None,
            cancel: None,
            attempts: 0,
            max_attempts: new.max_attempts.unwrap_or(limits::MAX_ATTEMPTS).max(1),
            stalled: 0,
            offers: 0,
            usage: Usage::default(),
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        let open = Effect::Open { input: new.input, labels: new.labels };
        let effects = vec![open, Effect::Enqueue { ready_at }, Effect::WakeWatchers];
        Ok(Transition { before: None, run, effects })
    }
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<()> {
    if labels.len() > limits::LABELS {
        return Err(Error::too_large("the number of labels", labels.len(), limits::LABELS));
    }
    labels
        .iter()
        .flat_map(|(key, value)| [key, value])
        .try_for_each(|text| text::check("a key or value of a label", text, limits::NAME))
}
