//! What is between runs: messages, and turns.

use std::time::Duration;

use tenure_core::run::WaitReason;
use tenure_core::{Message, RunId, RunState, Timestamp};

use super::Store;

/// A message by its run and its number there.
pub(crate) type Place = (RunId, u64);

/// A message that was taken, to be delivered.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) place: Place,
    pub(crate) message: Message,
}

impl Store {
    /// Takes the messages that are due; they are due again later. That children are to end is not,
    /// while a call of their caller is left, unless the `calls` do not come `first`.
    pub(crate) fn take_messages(
        &mut self,
        now: Timestamp,
        retry: Duration,
        first: bool,
    ) -> Vec<Posted> {
        let due: Vec<Place> = self
            .outbox
            .iter()
            .filter(|(place, (due_at, message))| {
                let ends = matches!(message, Message::EndChildren { .. });
                *due_at <= now && !(first && ends && self.has_calls_before(**place))
            })
            .map(|(place, _)| *place)
            .collect();
        let mut taken = Vec::new();
        for place in due {
            if let Some((due_at, message)) = self.outbox.get_mut(&place) {
                *due_at = now + retry;
                taken.push(Posted { place, message: message.clone() });
            }
        }
        taken
    }

    fn has_calls_before(&self, (run, number): Place) -> bool {
        let mut earlier = self.outbox.range((run, 0)..(run, number));
        earlier.any(|(_, (_, message))| matches!(message, Message::Call { .. }))
    }

    /// Removes a message; what it said, if it was still there.
    pub(crate) fn drop_message(&mut self, place: Place) -> Option<Message> {
        self.outbox.remove(&place).map(|(_, message)| message)
    }

    /// Whether nothing is on its way between runs.
    pub(crate) fn is_quiet(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Who has the turn of this key.
    pub(crate) fn turn(&self, key: &str) -> Option<RunId> {
        self.turns.get(key).copied()
    }

    pub(crate) fn set_turn(&mut self, key: &str, run: Option<RunId>) {
        match run {
            Some(run) => drop(self.turns.insert(key.to_owned(), run)),
            None => drop(self.turns.remove(key)),
        }
    }

    /// The run that has waited longest for the turn of this key.
    pub(crate) fn next_turn(&self, key: &str) -> Option<RunId> {
        let turn = RunState::Waiting { reason: WaitReason::Turn };
        let mut of_key = self.runs().filter(|run| run.concurrency.as_deref() == Some(key));
        of_key.find(|run| run.state == turn).map(|run| run.id)
    }
}
