//! What the run's code does: step a, step b, wait for a signal, step c, done.

use std::sync::LazyLock;
use std::time::Duration;

use tenure_core::{Entry, EntryKind, EntryStatus, Payload, Record};

use crate::row::small;

/// A place of the program that the journal has an entry for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    A,
    B,
    Signal,
    C,
    /// Not a place of the program: that the run was cancelled, which the control plane writes.
    Cancel,
}

/// The program, in order.
pub(crate) const PROGRAM: &[Step] = &[Step::A, Step::B, Step::Signal, Step::C];

/// What the signal brings. No lease has this number.
pub(crate) const GO: u8 = 200;

static RECORDS: LazyLock<[Record; 4]> =
    LazyLock::new(|| ["a", "b", "signal:go", "c"].map(empty_record));

fn empty_record(key: &str) -> Record {
    Record {
        key: key.parse().unwrap(),
        kind: if key.starts_with("signal") { EntryKind::Wait } else { EntryKind::Step },
        status: EntryStatus::Succeeded(Payload::default()),
        input: None,
        attempt: 1,
        duration: Duration::ZERO,
        usage: None,
    }
}

impl Step {
    /// What its execution under this lease gives. A lease executes a step once, so no two
    /// executions give the same, and a result that was changed or made twice can be seen.
    pub(crate) fn value(self, lease: u8) -> u8 {
        match self {
            Self::A | Self::B | Self::C => lease,
            Self::Signal => GO,
            Self::Cancel => 0,
        }
    }

    /// The record of its execution under this lease.
    pub(crate) fn record(self, lease: u8) -> Record {
        let payload = Payload { data: vec![self.value(lease)].into(), ..Payload::default() };
        let status = EntryStatus::Succeeded(payload);
        Record { status, ..RECORDS[self as usize].clone() }
    }
}

/// An entry of the journal, as the model keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Saved {
    pub(crate) seq: u8,
    pub(crate) epoch: u8,
    pub(crate) result: Recorded,
}

/// What an entry says: which step gave what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Recorded {
    pub(crate) step: Step,
    pub(crate) value: u8,
}

impl Saved {
    pub(crate) fn of(entry: &Entry) -> Self {
        let Entry { seq, epoch, at: _, record } = entry;
        let result = match &record.status {
            EntryStatus::Succeeded(payload) => {
                let place = RECORDS.iter().position(|known| known.key == record.key).unwrap();
                Recorded { step: PROGRAM[place], value: payload.data[0] }
            }
            EntryStatus::Steered(_) => {
                let step = Step::Cancel;
                Recorded { step, value: step.value(0) }
            }
            EntryStatus::Failed(_) | EntryStatus::Opened(_) => {
                unreachable!("no step of the model fails, or opens anything: {record:?}")
            }
        };
        Self { seq: small(*seq), epoch: small(*epoch), result }
    }
}
