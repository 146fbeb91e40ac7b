//! Deliver: something from outside arrives in the run's inbox.

use super::{Run, RunState, WaitReason};
use crate::error::{Error, ErrorKind, Result};
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
    /// The signal's name.
    pub name: Name,
    /// What it brings.
    pub payload: Payload,
    /// When it was accepted, by the database's clock.
    pub at: Timestamp,
}

impl Run {
    /// Puts a signal into the inbox; wakes the run if it waits for one, or tells its owner.
    ///
    /// The counter stands on the run's row, so that a suspend that raced with this either sees it
    /// moved or is seen as waiting (NO-LOST-WAKE). That `source` is new is for the caller to check,
    /// while it holds the row's lock.
    pub fn deliver(
        &self,
        source: String,
        name: Name,
        payload: Payload,
        now: Timestamp,
    ) -> Result<Transition> {
        let number = self.inbox + 1;
        if number > limits::INBOX {
            let (id, limit) = (self.id, limits::INBOX);
            let message = format!("{id} has been sent {limit} signals, which is the limit");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let payload = payload.checked(format!("the payload of signal `{name}`"))?;
        let item = InboxItem { number, source, name, payload, at: now };
        let counted = Self { inbox: number, ..self.clone() };
        let mut delivered = match &self.state {
            RunState::Waiting { reason: WaitReason::Inbox { .. } } => counted.to_queue(now, now),
            RunState::Running { lease } => {
                let effects = vec![Effect::WakeOwner(lease.worker)];
                Transition::of(self, counted, effects, now)
            }
            RunState::Queued { .. } | RunState::Waiting { reason: WaitReason::Blocked(_) } => {
                Transition::of(self, counted, Vec::new(), now)
            }
            RunState::Succeeded { .. } | RunState::Failed { .. } | RunState::Cancelled { .. } => {
                let (id, state) = (self.id, self.state.name());
                return Err(Error::wrong_state(format!(
                    "{id} is {state} and takes nothing more in"
                )));
            }
        };
        delivered.effects.push(Effect::Receive(item));
        Ok(delivered)
    }
}
