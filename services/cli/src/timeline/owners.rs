//! Changes of a run's owner, as far as its journal shows them.

use std::time::Duration;

use tenure_core::Timestamp;
use tenure_sdk::v1;
use tenure_sdk::v1::record::Status;

use crate::ui::time;

/// The epoch of entries that a run was created with: no owner of it has written them.
const COPIED: u64 = 0;

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

/// What stands above was written by another owner, or for another run.
#[derive(Debug)]
pub(super) enum Change {
    /// The entries so far were copied.
    Forked,
    Owner {
        from: u64,
        to: u64,
        gap: Duration,
        rested: bool,
    },
}

impl Change {
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Forked => "forked: what stands above is another run's".into(),
            Self::Owner { from, to, gap, rested } => {
                let what = if *rested { "goes on" } else { "taken over" };
                format!("{what} after {}: epoch {from} → {to}", time::took(*gap))
            }
        }
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
        if epoch > COPIED && self.before.take_if(|(from, _)| *from == COPIED).is_some() {
            self.rested = false;
            self.owner(epoch, at, record);
            return Some(Change::Forked);
        }
        self.owner(epoch, at, record)
    }

    fn owner(&mut self, epoch: u64, at: Timestamp, record: &v1::Record) -> Option<Change> {
        if is_systems(record) {
            self.rested = true;
            return None;
        }
        let before = self.before.replace((epoch, at));
        let changed = before.is_none_or(|(from, _)| from != epoch);
        let rested = changed && (std::mem::take(&mut self.rested) || ends_wait(record));
        self.rested |= falls_asleep(record);
        let (from, before) = before.filter(|_| changed)?;
        self.takeovers += u64::from(!rested);
        Some(Change::Owner { from, to: epoch, gap: at.since(before), rested })
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
