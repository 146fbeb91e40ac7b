//! What has arrived for the run and was not taken yet.

use std::collections::{HashMap, VecDeque};

use tenure_core::run::{InboxItem, Topic};
use tenure_core::{EntryStatus, Failure, Key, Name, Payload};

use super::history::History;
use super::signal_step;

/// What an item brings.
type Brought = Result<Payload, Failure>;

/// What has arrived and was not taken yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// How many items were put in.
    received: u64,
    /// Signals by their name, in order.
    signals: HashMap<Name, VecDeque<Brought>>,
    /// What ends a wait, by its key.
    ends: HashMap<Key, Brought>,
}

impl Inbox {
    /// Puts an item in, unless it was put in before or the journal says that it was taken.
    pub(super) fn receive(&mut self, item: InboxItem, history: &mut History) {
        if item.number <= self.received {
            return;
        }
        self.received = item.number;
        match item.topic {
            Topic::Signal(name) => {
                if !history.was_taken(&signal_step(&name)) {
                    self.signals.entry(name).or_default().push_back(item.result);
                }
            }
            Topic::Wait(key) => {
                if !history.is_closed(&key) {
                    self.ends.entry(key).or_insert(item.result);
                }
            }
        }
    }

    /// How many items were put in.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// The next signal of this name.
    pub(super) fn take_signal(&mut self, name: &Name) -> Option<EntryStatus> {
        self.signals.get_mut(name).and_then(VecDeque::pop_front).map(status)
    }

    /// What ends this wait.
    pub(super) fn take_end(&mut self, key: &Key) -> Option<EntryStatus> {
        self.ends.remove(key).map(status)
    }
}

fn status(brought: Brought) -> EntryStatus {
    match brought {
        Ok(payload) => EntryStatus::Succeeded(payload),
        Err(failure) => EntryStatus::Failed(failure),
    }
}
