//! Changes of a run's owner, as far as its journal shows them.

use std::time::Duration;

use tenure_core::Timestamp;
use tenure_sdk::v1;
use tenure_sdk::v1::record::Status;

use crate::ui::time;

/// Who wrote the entries so far.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// The epoch of the last owner's entry, and the time of it.
    before: Option<(u64, Timestamp)>,
    /// The time of the last entry, whoever wrote it.
    last: Option<Timestamp>,
    /// Something says that the last owner gave the run back, or will.
    rested: bool,
    takeovers: u64,
}

/// Another owner goes on.
#[derive(Debug)]
pub(super) struct Change {
    from: u64,
    to: u64,
    gap: Duration,
    rested: bool,
}

impl Change {
    pub(super) fn sentence(&self) -> String {
        let what = if self.rested { "goes on" } else { "taken over" };
        let gap = time::took(self.gap);
        format!("{what} after {gap}: epoch {} → {}", self.from, self.to)
    }
}

impl Owners {
    /// The change of owner that the next entry shows, if it shows one. A run that waited, was
    /// steered or is tried again has a new owner too, and nobody has lost it.
    pub(super) fn next(
        &mut self,
        epoch: u64,
        at: Timestamp,
        record: &v1::Record,
    ) -> Option<Change> {
        self.last = Some(at);
        if is_systems(record) {
            self.rested = true;
            return None;
        }
        let changed = self.before.replace((epoch, at)).filter(|(from, _)| *from != epoch);
        let rested = changed.is_some() && (std::mem::take(&mut self.rested) || ends_wait(record));
        self.rested |= falls_asleep(record);
        let (from, before) = changed?;
        self.takeovers += u64::from(!rested);
        Some(Change { from, to: epoch, gap: at.since(before), rested })
    }

    pub(super) fn last(&self) -> Option<Timestamp> {
        self.last
    }

    pub(super) fn takeovers(&self) -> u64 {
        self.takeovers
    }
}

/// Whether the run has waited for this: its first owner after a wait records what ended it.
fn ends_wait(record: &v1::Record) -> bool {
    let begins = matches!(record.status, Some(Status::Opened(_))) || falls_asleep(record);
    !begins && matches!(record.kind(), v1::EntryKind::Wait | v1::EntryKind::Child)
}

/// A sleep is recorded when it begins: the next entry comes after it, most often by another owner.
pub(super) fn falls_asleep(record: &v1::Record) -> bool {
    let segment = record.key.rsplit('/').next().unwrap_or_default();
    let name = segment.split('#').next().unwrap_or_default();
    let succeeded = matches!(record.status, Some(Status::Succeeded(_)));
    succeeded && name == "sleep" && record.kind() == v1::EntryKind::Wait
}

/// Whether the control plane wrote the entry, while nobody owned the run.
fn is_systems(record: &v1::Record) -> bool {
    use v1::opening::Opening;
    let steered = record.kind() == v1::EntryKind::Steering;
    let again = match &record.status {
        Some(Status::Opened(opened)) => matches!(opened.opening, Some(Opening::Again(_))),
        _ => false,
    };
    steered || again
}
