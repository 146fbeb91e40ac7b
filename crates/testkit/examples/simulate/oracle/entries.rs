//! Entries: each is written by who may, in its place, after what may come before it, with a result
//! that came about.

use tenure_core::run::{InboxItem, Topic};
use tenure_core::{
    Effect, Entry, EntryKind, EntryStatus, Key, LeaseId, Opening, Record, Timestamp,
};

use super::effects::Execution;
use super::ledger::Ledger;
use super::{Broken, By, Decided, FIRST_WINS, NO_GAP, ONE_WRITER, SIGNALS, must};
use crate::message::value;

impl Ledger {
    /// Looks at an effect, and notes it.
    pub(super) fn note_effect(
        &mut self,
        now: Timestamp,
        effect: &Effect,
        decided: &Decided,
    ) -> Result<(), Broken> {
        match effect {
            Effect::Append(entry) => {
                self.check_entry(entry, decided)?;
                self.entries.push(entry.clone());
                Ok(())
            }
            Effect::Receive(item) => self.receive(item),
            effect => self.note_question(now, effect),
        }
    }

    fn check_entry(&self, entry: &Entry, decided: &Decided) -> Result<(), Broken> {
        let (seq, record) = (entry.seq, &entry.record);
        must(seq == self.entries.len() as u64 + 1, NO_GAP, || {
            format!("entry {seq} follows {} entries", self.entries.len())
        })?;
        let last = self.entries.last().map_or(0, |last| last.epoch);
        must(entry.epoch >= last, ONE_WRITER, || {
            format!("entry {seq} has epoch {}, the one before it {last}", entry.epoch)
        })?;
        must(self.may_follow(record), FIRST_WINS, || {
            format!("`{}` was recorded twice", record.key)
        })?;
        if record.kind == EntryKind::Steering {
            let owned = decided.transition.run.lease_held().is_some();
            return must(!owned, ONE_WRITER, || format!("a worker's run got `{}`", record.key));
        }
        let (Some(owner), By::Commit(commit)) = (&self.owner, &decided.by) else {
            let what = format!("entry {seq} was not written by a worker");
            return Err(Broken(ONE_WRITER, what));
        };
        must(entry.epoch == owner.epoch, ONE_WRITER, || {
            format!("entry {seq} has epoch {}, its lease has {}", entry.epoch, owner.epoch)
        })?;
        must(seq >= commit.expected_seq, FIRST_WINS, || {
            format!("entry {seq} was written for a later place")
        })?;
        self.check_source(record, owner.lease)
    }

    /// The last that was recorded under a key.
    pub(super) fn last(&self, key: &Key) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.record.key == *key)
    }

    /// What is opened may end; what failed may be tried again; all else is recorded once.
    fn may_follow(&self, record: &Record) -> bool {
        let given = record.kind == EntryKind::Steering && !record.key.is_reserved();
        let before = self.last(&record.key).map(|entry| &entry.record.status);
        match (before, &record.status) {
            (None | Some(EntryStatus::Opened(Opening::Again)), _)
            | (Some(EntryStatus::Opened(_)), EntryStatus::Succeeded(_) | EntryStatus::Failed(_)) => {
                true
            }
            (Some(EntryStatus::Failed(failure)), EntryStatus::Opened(Opening::Again)) => {
                failure.retryable
            }
            (
                Some(EntryStatus::Opened(Opening::Started)),
                EntryStatus::Opened(Opening::Started),
            ) => self.is_approved(&record.key),
            _ => given,
        }
    }

    /// Whether what it says came about.
    fn check_source(&self, record: &Record, lease: LeaseId) -> Result<(), Broken> {
        match (&record.status, record.kind) {
            (EntryStatus::Opened(_) | EntryStatus::Steered(_), _) => Ok(()),
            (_, EntryKind::Wait) if signal(&record.key).is_some() => self.check_signal(record),
            (_, EntryKind::Wait | EntryKind::Child) if self.last(&record.key).is_some() => {
                self.check_end(record)
            }
            // A sleep begins.
            (_, EntryKind::Wait) => Ok(()),
            (_, EntryKind::Tool) => self.check_once(record, lease),
            _ => self.check_produced(record, lease),
        }
    }

    /// The first wait for a name takes the first signal of that name, the second the second.
    fn check_signal(&self, record: &Record) -> Result<(), Broken> {
        let name = signal(&record.key);
        let taken = |entry: &&Entry| signal(&entry.record.key) == name;
        let taken = self.entries.iter().filter(taken).count();
        let mut sent = self.inbox.iter().filter(|item| signal_of(item) == name);
        let brought = sent.nth(taken).map(|item| &item.result);
        let expected = brought.and_then(|result| result.clone().ok()).map(EntryStatus::Succeeded);
        must(expected.as_ref() == Some(&record.status), SIGNALS, || {
            format!("`{}` took another signal than number {} of its name", record.key, taken + 1)
        })
    }

    /// What was opened ends with what arrived for it.
    fn check_end(&self, record: &Record) -> Result<(), Broken> {
        let topic = Topic::Wait(record.key.clone());
        let arrived = self.inbox.iter().find(|item| item.topic == topic);
        let same = arrived.is_some_and(|item| match (&item.result, &record.status) {
            (Ok(brought), EntryStatus::Succeeded(recorded)) => brought == recorded,
            (Err(brought), EntryStatus::Failed(recorded)) => brought == recorded,
            _ => false,
        });
        must(same, SIGNALS, || {
            let what = arrived.map(|item| &item.result);
            format!("`{}` ended as {:?}; what arrived is {what:?}", record.key, record.status)
        })?;
        self.check_answer(record)
    }

    fn receive(&mut self, item: &InboxItem) -> Result<(), Broken> {
        let (number, source) = (item.number, &item.source);
        let twice = self.inbox.iter().any(|old| old.source == *source);
        must(!twice, SIGNALS, || format!("`{source}` was delivered twice"))?;
        must(number == self.inbox.len() as u64 + 1, SIGNALS, || {
            format!("item {number} of the inbox follows {} items", self.inbox.len())
        })?;
        self.inbox.push(item.clone());
        Ok(())
    }

    fn check_produced(&self, record: &Record, lease: LeaseId) -> Result<(), Broken> {
        let executions = self.executions.get(&record.key).into_iter().flatten();
        let by = |execution: &Execution| {
            let result = execution.number.to_string();
            execution.lease == lease && value(&record.status) == result.as_bytes()
        };
        must({ executions }.any(by), ONE_WRITER, || {
            format!("`{}` was recorded with a result that its lease did not produce", record.key)
        })
    }
}

/// The signal that an item of the inbox is.
fn signal_of(item: &InboxItem) -> Option<&str> {
    match &item.topic {
        Topic::Signal(name) => Some(name.as_str()),
        Topic::Wait(_) => None,
    }
}

/// The signal that a wait's key names.
fn signal(key: &Key) -> Option<&str> {
    let segment = key.as_str().rsplit('/').next()?;
    segment.split('#').next()?.strip_prefix("signal:")
}
