//! What the clients have asked for, what was answered, and what they saw of their runs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tenure_sdk::v1;

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Create,
    Watch,
    Signal,
    ListInterrupts,
    Answer,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Create => "create",
            Self::Watch => "watch",
            Self::Signal => "signal",
            Self::ListInterrupts => "list interrupts",
            Self::Answer => "answer",
        })
    }
}

/// What became of the calls of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) calls: usize,
    /// Those that failed at first, and succeeded when they were sent again.
    pub(crate) healed: usize,
    /// The longest that this took, from the first time that it was sent.
    pub(crate) longest: Duration,
    /// Of watches, those that ended before their run did, and were begun again.
    pub(crate) cut: usize,
}

/// One run, as its client knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) id: String,
    /// When it was asked for, in microseconds since 1970.
    pub(crate) asked: u64,
    /// When the signal was sent.
    pub(crate) signalled: Option<u64>,
    pub(crate) journal: Vec<v1::Entry>,
    /// How it ended.
    pub(crate) ended: Option<v1::Run>,
    /// What it must give.
    pub(crate) output: Vec<u64>,
}

/// The ledger of all clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) calls: BTreeMap<Call, Tally>,
    /// Calls that failed for good, and answers that were wrong.
    pub(crate) problems: Vec<String>,
    /// By number, those whose creation was acknowledged.
    pub(crate) runs: BTreeMap<u64, Known>,
}

impl Ledger {
    /// Notes a call that was answered the `sent`-th time.
    pub(crate) fn answered(&mut self, call: Call, sent: usize, took: Duration) {
        let tally = self.calls.entry(call).or_default();
        tally.calls += 1;
        if sent > 1 {
            tally.healed += 1;
            tally.longest = tally.longest.max(took);
        }
    }

    /// Notes a watch that ended before its run.
    pub(crate) fn cut(&mut self) {
        self.calls.entry(Call::Watch).or_default().cut += 1;
    }
}
