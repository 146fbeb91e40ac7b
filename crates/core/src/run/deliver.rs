//! Deliver: something from outside arrives in the run's inbox.

use std::fmt;

use super::{Run, RunState, WaitReason};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Failure, Usage};
use crate::key::Key;
use crate::limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::time::Timestamp;
use crate::transition::{Effect, Transition};

/// Something that others put into a run's inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxItem {
    /// Its place, counted from 1.
    pub number: u64,
    /// Who or what sent it: the same source twice is the same item.
    pub source: String,
    /// What it is about.
    pub topic: Topic,
    /// What it brings; a wait may end with a failure.
    pub result: Result<Payload, Failure>,
    /// What was used for it, if it is the end of a called run.
    pub usage: Option<Usage>,
    /// When it was accepted, by the database's clock.
    pub at: Timestamp,
}

/// What an inbox item is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A signal of this name, for the next wait for it.
    Signal(Name),
    /// The end of the wait that the entry with this key opened.
    Wait(Key),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => write!(f, "signal `{name}`"),
            Self::Wait(key) => write!(f, "wait `{key}`"),
        }
    }
}

impl Run {
    /// Puts something into the inbox; wakes the run if it waits, or tells its owner.
    ///
    /// The counter stands on the run's row, so that a suspend that raced with this either sees it
    /// moved or is seen as waiting (NO-LOST-WAKE). That `source` is new is for the caller to check,
    /// while it holds the row's lock.
    pub fn deliver(
        &self,
        source: String,
        topic: Topic,
        result: Result<Payload, Failure>,
        usage: Option<Usage>,
        now: Timestamp,
    ) -> Result<Transition> {
        let number = self.inbox + 1;
        // What ends a wait is bounded by the waits, and must not be lost.
        if number > limits::INBOX && matches!(topic, Topic::Signal(_)) {
            let (id, limit) = (self.id, limits::INBOX);
            let message = format!("{id} has been sent {limit} signals, which is the limit");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let result = match result {
            Ok(payload) => Ok(payload.checked(format!("the payload of {topic}"))?),
            Err(failure) => Err(failure.cleaned()),
        };
        let item = InboxItem { number, source, topic, result, usage, at: now };
        let counted = Self { inbox: number, ..self.clone() };
        let mut delivered = match &self.state {
            RunState::Waiting { reason: WaitReason::Inbox { .. } } => counted.to_queue(now, now),
            RunState::Running { lease } => {
                let effects = vec![Effect::WakeOwner(lease.worker)];
                Transition::of(self, counted, effects, now)
            }
            RunState::Queued { .. }
            | RunState::Waiting {
                reason: WaitReason::Blocked(_) | WaitReason::Paused(_) | WaitReason::Turn,
            } => Transition::of(self, counted, Vec::new(), now),
            RunState::Succeeded { .. } | RunState::Failed { .. } | RunState::Cancelled { .. } => {
                return Err(self.refuse("takes nothing more in"));
            }
        };
        delivered.effects.push(Effect::Receive(item));
        Ok(delivered)
    }
}
