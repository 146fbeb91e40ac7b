//! A run: one execution of one version of an agent, and what may happen to it.
//!
//! ```text
//!  create ──► queued ──lease──► running ──commit──► succeeded
//!    │          ▲ ▲                │  │ └─────────► failed ◄── expire (a deadline, too many losses)
//!    │          │ └─expire/release─┘  │
//!    └─(turn)─► └─deliver, resolve, ──┤
//!     waiting      admit, resume,  waiting ◄─ pause   cancelled ◄── cancel (at once unless running)
//!                  retry, patch
//! ```
//!
//! One file per command. Each is a plain function `Run × command × now →` [`Transition`]; it reads
//! no clock and writes nothing. The table *state × command* is `core/tests/rules/matrix.rs`.

mod admit;
mod beat;
mod cancel;
mod commit;
mod create;
mod deliver;
mod expire;
mod lease;
mod patch;
mod pause;
mod prioritize;
mod resolve;
mod resume;
mod retry;
mod withdraw;

use std::fmt;
use std::time::Duration;

pub use commit::{Commit, Committed, Outcome};
pub use create::{Concurrency, NewRun, Policy};
pub use deliver::{InboxItem, Topic};

use crate::budget::Budget;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::id::{AgentId, LeaseId, RunId, TenantId};
use crate::journal::{Entry, Failure, Record, Usage};
use crate::key::Key;
use crate::lease::Lease;
use crate::message::Message;
use crate::name::Name;
use crate::payload::Payload;
use crate::steering::{Steer, Steering};
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
    /// What was asked of its owner and not answered yet.
    pub request: Option<Request>,
    /// Leases that were taken up, without those that were given back: released, or parked.
    pub attempts: u32,
    /// After how many of them a run that loses its worker, or fails, is not tried again.
    pub max_attempts: u32,
    /// Leases lost in a row without a new entry.
    pub stalled: u32,
    /// Offers in a row that nobody took up.
    pub offers: u32,
    /// What happens when it fails in a way that another attempt may mend…
    pub retry: RetryPolicy,
    /// …and how often that has happened.
    pub retried: u32,
    /// Its place in the queue: higher ones first, 0 unless said otherwise.
    pub priority: i32,
    /// Before when no worker may have it.
    pub start_at: Timestamp,
    /// When it fails unless it has ended.
    pub deadline: Option<Timestamp>,
    /// One run at a time has its turn among those with this key.
    pub concurrency: Option<String>,
    /// The run that called it, if one did.
    pub parent: Option<Parent>,
    /// How many runs are above it.
    pub depth: u32,
    /// How many runs it has called that are to end when it does.
    pub children: u32,
    /// How many of its questions are open.
    pub interrupts: u32,
    /// How many messages it has caused: the number of the last one.
    pub posted: u64,
    /// The run whose journal it only checks: nothing is executed, and nothing recorded.
    pub check: Option<RunId>,
    /// What it may use at most, its called runs included.
    pub budget: Budget,
    /// What it has used itself: the sum over its entries but for those that end calls of runs, made
    /// here so that a replay cannot count twice. Over all runs of a tenant everything counts once.
    pub usage: Usage,
    /// What the runs that it called have used, and those that they called: the sum over its entries
    /// that end calls. They have it as their own usage too.
    pub called: Usage,
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
        /// Who, and why.
        by: Steering,
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
        /// Which waits of its code are open, for people; not all if there are many.
        on: Vec<Key>,
    },
    /// A person's decision, because it cannot go on by itself: its code no longer fits its journal.
    Blocked(Failure),
    /// Somebody to resume it.
    Paused(Steering),
    /// The end of the other run that has the turn of its concurrency key.
    Turn,
}

/// What has been asked of a run's owner and not yet happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To end.
    Cancel {
        /// Who asks, and why.
        by: Steering,
        /// When the run is ended by force.
        force_at: Timestamp,
    },
    /// To give the run back at its next step, to rest.
    Pause {
        /// Who asks, and why.
        by: Steering,
    },
}

/// What happens when a run fails in a way that another attempt may mend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often it is tried again; 0 for never.
    pub limit: u32,
    /// The pause before the first time; it doubles with each.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
}

impl RetryPolicy {
    /// The pause before the next attempt of a run that was tried again so often, if it has one.
    pub fn pause(&self, retried: u32) -> Option<Duration> {
        let doubled = self.backoff.saturating_mul(1u32.checked_shl(retried).unwrap_or(u32::MAX));
        (retried < self.limit).then(|| doubled.min(self.max_backoff.max(self.backoff)))
    }
}

/// The run that called a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The caller.
    pub run: RunId,
    /// The entry of its journal that opened the call.
    pub key: Key,
    /// Whether the called run goes on when its caller ends.
    pub detached: bool,
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

    /// The state in a few words: a waiting run is more than that to people.
    pub const fn describe(&self) -> &'static str {
        match self {
            Self::Waiting { reason: WaitReason::Inbox { .. } } => "waiting",
            Self::Waiting { reason: WaitReason::Blocked(_) } => "blocked",
            Self::Waiting { reason: WaitReason::Paused(_) } => "paused",
            Self::Waiting { reason: WaitReason::Turn } => "waiting for its turn",
            Self::Queued { .. }
            | Self::Running { .. }
            | Self::Succeeded { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. } => self.name().as_str(),
        }
    }
}

impl Run {
    /// When the first worker may have the run: exactly the runs that answer have a row in their
    /// pool's queue. Queued ones do, and waiting ones that sleep.
    pub const fn ready_at(&self) -> Option<Timestamp> {
        match &self.state {
            RunState::Queued { ready_at } => Some(*ready_at),
            RunState::Waiting { reason: WaitReason::Inbox { until, .. } } => *until,
            RunState::Running { .. }
            | RunState::Waiting {
                reason: WaitReason::Blocked(_) | WaitReason::Paused(_) | WaitReason::Turn,
            }
            | RunState::Succeeded { .. }
            | RunState::Failed { .. }
            | RunState::Cancelled { .. } => None,
        }
    }

    /// What it has used, its called runs included, as far as they have ended.
    pub fn total(&self) -> Usage {
        let mut total = self.usage.clone();
        total.add(&self.called);
        total
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

    /// The transition into a state without an owner. What was asked of the owner goes on record,
    /// and a run that was going to rest or come back is paused if that was asked.
    fn to_rest(&self, state: RunState, now: Timestamp) -> Transition {
        let mut after = self.without_owner(state);
        let mut effects = Vec::with_capacity(4);
        match after.request.take() {
            None => {}
            Some(Request::Cancel { by, .. }) => after.steer(Steer::Cancel, by, now, &mut effects),
            Some(Request::Pause { by }) => {
                if after.may_pause() {
                    after.state = RunState::Waiting { reason: WaitReason::Paused(by.clone()) };
                }
                after.steer(Steer::Pause, by, now, &mut effects);
            }
        }
        if self.ready_at().is_some() {
            effects.push(Effect::Dequeue);
        }
        if let Some(ready_at) = after.ready_at() {
            effects.push(Effect::Enqueue { ready_at });
        }
        after.close(now, &mut effects);
        effects.push(Effect::WakeWatchers);
        Transition::of(self, after, effects, now)
    }

    /// Whether the run is where a pause can hold it.
    const fn may_pause(&self) -> bool {
        matches!(
            self.state,
            RunState::Queued { .. } | RunState::Waiting { reason: WaitReason::Inbox { .. } }
        )
    }

    /// Ends the run by somebody's wish, and says so in its journal.
    fn cancelled(&self, by: Steering, now: Timestamp) -> Transition {
        let request = Request::Cancel { by: by.clone(), force_at: now };
        let asked = Self { request: Some(request), ..self.clone() };
        asked.to_rest(RunState::Cancelled { by, at: now }, now)
    }

    /// Appends what somebody did. Only where the run has no owner, who alone writes otherwise.
    fn steer(
        &mut self,
        steer: Steer,
        steering: Steering,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let record = Record::steered(steer, steering, self.next_seq);
        effects.push(self.entry(record, now));
    }

    /// Appends a record.
    fn entry(&mut self, record: Record, now: Timestamp) -> Effect {
        let entry = Entry { seq: self.next_seq, epoch: self.epoch, at: now, record };
        self.next_seq += 1;
        Effect::Append(entry)
    }

    /// Causes something in another run.
    fn post(&mut self, message: Message) -> Effect {
        self.posted += 1;
        Effect::Post { number: self.posted, message }
    }

    /// What the end of a run causes elsewhere.
    fn close(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let (result, why) = match &self.state {
            RunState::Succeeded { output, .. } => (Ok(output.clone()), "succeeded"),
            RunState::Failed { failure, .. } => (Err(failure.clone()), "failed"),
            RunState::Cancelled { by, .. } => (Err(cancelled(by)), "was cancelled"),
            RunState::Queued { .. } | RunState::Running { .. } | RunState::Waiting { .. } => return,
        };
        if self.interrupts > 0 {
            self.interrupts = 0;
            effects.push(Effect::CloseInterrupts { at: now });
        }
        if self.children > 0 {
            let steering = Steering::system(format!("its caller {} {why}", self.id));
            effects.push(self.post(Message::EndChildren { steering }));
        }
        if let Some(Parent { run, key, .. }) = self.parent.clone() {
            let usage = self.total();
            effects.push(self.post(Message::Ended { parent: run, key, result, usage }));
        }
        if let Some(key) = self.concurrency.clone() {
            effects.push(self.post(Message::FreeTurn { key }));
        }
    }

    /// What the run cannot be told in the state it is in.
    fn refuse(&self, cannot: impl fmt::Display) -> Error {
        Error::wrong_state(format!("{} is {} and {cannot}", self.id, self.state.describe()))
    }
}

/// The failure that a caller sees of a run that was cancelled.
fn cancelled(by: &Steering) -> Failure {
    let message = match (&*by.actor, &*by.reason) {
        ("", "") => "it was cancelled".to_owned(),
        ("", reason) => format!("it was cancelled: {reason}"),
        (actor, "") => format!("it was cancelled by {actor}"),
        (actor, reason) => format!("it was cancelled by {actor}: {reason}"),
    };
    Failure::permanent("cancelled", message)
}
