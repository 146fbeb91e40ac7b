//! What has arrived for the run and was not taken yet.

use std::collections::{HashMap, VecDeque};

use tenure_core::run::{InboxItem, Topic};
use tenure_core::{EntryStatus, Key, Name, Usage};

use super::history::History;
use super::signal_step;

/// What an item brings, and what was used for it.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) status: EntryStatus,
    pub(super) usage: Option<Usage>,
}

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
        let status = match item.result {
            Ok(payload) => EntryStatus::Succeeded(payload),
            Err(failure) => EntryStatus::Failed(failure),
        };
        let brought = Brought { status, usage: item.usage };
        match item.topic {
            Topic::Signal(name) => {
                if !history.was_taken(&signal_step(&name)) {
                    self.signals.entry(name).or_default().push_back(brought);
                }
            }
            Topic::Wait(key) => {
                if !history.is_closed(&key) {
                    self.ends.entry(key).or_insert(brought);
                }
            }
        }
    }

    /// How many items were put in.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// The next signal of this name.
    pub(super) fn take_signal(&mut self, name: &Name) -> Option<Brought> {
        self.signals.get_mut(name).and_then(VecDeque::pop_front)
    }

    /// What ends this wait.
    pub(super) fn take_end(&mut self, key: &Key) -> Option<Brought> {
        self.ends.remove(key)
    }
}
