//! Create: a run enters its pool's queue.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Parent, RetryPolicy, Run, RunState, WaitReason, prioritize};
use crate::budget::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{AgentId, RunId, TenantId};
use crate::journal::Usage;
use crate::limits;
use crate::message::Message;
use crate::name::Name;
use crate::payload::Payload;
use crate::text;
use crate::time::Timestamp;
use crate::transition::{Change, Effect, Transition};

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
    /// What happens when it fails in a way that another attempt may mend.
    pub retry: RetryPolicy,
    /// Its place in the queue: higher ones first.
    pub priority: i32,
    /// How long it may take in all, the wait in the queue included.
    pub timeout: Option<Duration>,
    /// One run at a time has its turn among those with this key.
    pub concurrency: Option<Concurrency>,
    /// The run that calls it, if one does…
    pub parent: Option<Parent>,
    /// …and how many are above it.
    pub depth: u32,
    /// How many entries its journal begins with: those it was forked with.
    pub entries: u64,
    /// The run whose journal it only checks.
    pub check: Option<RunId>,
    /// What it may use at most, the runs that it calls included.
    pub budget: Budget,
}

/// One run at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// Runs of one tenant with the same key take turns.
    pub key: String,
    /// What happens if another run has its turn.
    pub policy: Policy,
}

/// What happens to a run whose concurrency key another run has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// It waits for its turn, in the order of creation.
    #[default]
    Queue,
    /// It is refused.
    Reject,
    /// The others are cancelled, and it has the next turn.
    Replace,
}

impl NewRun {
    /// What it is made of, if that is within its limits.
    pub fn checked(mut self) -> Result<Self> {
        check_labels(&self.labels)?;
        self.input = self.input.checked("the input of the run")?;
        prioritize::checked(self.priority)?;
        if let Some(concurrency) = &self.concurrency {
            text::check("the concurrency key", &concurrency.key, limits::REQUEST_ID)?;
        }
        if self.depth > limits::DEPTH {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the run would be {} calls deep; the limit is {}: does an agent call itself?",
                    self.depth,
                    limits::DEPTH
                ),
            ));
        }
        self.retry.max_backoff = self.retry.max_backoff.min(limits::RETRY_BACKOFF);
        self.retry.backoff = self.retry.backoff.min(limits::RETRY_BACKOFF);
        Ok(self)
    }
}

impl Run {
    /// A new run: in its pool's queue, or waiting for its `turn` if another run has it.
    pub fn create(new: NewRun, turn: bool, now: Timestamp) -> Result<Transition> {
        let new = new.checked()?;
        let start_at = now + new.start_after;
        let state = if turn {
            RunState::Queued { ready_at: start_at }
        } else {
            RunState::Waiting { reason: WaitReason::Turn }
        };
        let mut run = Self {
            id: new.id,
            tenant: new.tenant,
            agent: new.agent,
            version: new.version,
            pool: new.pool,
            state,
            epoch: 0,
            next_seq: new.entries + 1,
            inbox: 0,
            last_commit: None,
            request: None,
            attempts: 0,
            max_attempts: new.max_attempts.unwrap_or(limits::MAX_ATTEMPTS).max(1),
            stalled: 0,
            offers: 0,
            retry: new.retry,
            retried: 0,
            priority: new.priority,
            start_at,
            deadline: new.timeout.map(|timeout| now + timeout),
            concurrency: new.concurrency.as_ref().map(|concurrency| concurrency.key.clone()),
            parent: new.parent,
            depth: new.depth,
            children: 0,
            interrupts: 0,
            posted: 0,
            check: new.check,
            budget: new.budget,
            usage: Usage::default(),
            called: Usage::default(),
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        let mut effects = vec![Effect::Open { input: new.input, labels: new.labels }];
        if let Some(ready_at) = run.ready_at() {
            effects.push(Effect::Enqueue { ready_at });
        }
        match new.concurrency {
            Some(Concurrency { key, policy: Policy::Replace }) if !turn => {
                effects.push(run.post(Message::TakeTurn { key }));
            }
            Some(_) | None => {}
        }
        effects.push(Effect::WakeWatchers);
        Ok(Transition { before: None, run, effects, change: Change::Whole })
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
