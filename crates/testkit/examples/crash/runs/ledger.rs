//! What the client has asked for, and what of it was acknowledged.

use std::collections::{BTreeSet, HashMap};

use crate::program::Answer;

/// The client's ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Runs that it wanted.
    pub(crate) created: usize,
    /// The ids of those whose creation was acknowledged.
    pub(crate) acknowledged: Vec<String>,
    /// By run, how many of its signals were acknowledged, in their order.
    pub(crate) signals: HashMap<String, usize>,
    /// What became of the answers that people gave.
    pub(crate) replies: Vec<Reply>,
    /// Runs that it has cancelled.
    pub(crate) cancelled: BTreeSet<String>,
    /// How many it has paused.
    pub(crate) paused: usize,
    /// Requests whose outcome was unknown, and which were sent again.
    pub(crate) unknown: usize,
    /// Requests that were sent again although they were answered.
    pub(crate) repeated: usize,
    /// Entries and ends that watches have shown.
    pub(crate) watched: usize,
    /// Those that were not the next one.
    pub(crate) gaps: Vec<String>,
    /// What must not have happened.
    pub(crate) problems: Vec<String>,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The run that asks.
    pub(crate) run: String,
    /// The question.
    pub(crate) key: String,
    pub(crate) answer: Answer,
    pub(crate) outcome: Outcome,
}

/// How an answer is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It counts.
    Taken,
    /// Another one does.
    Conflict,
    /// Time was up, or the run has ended.
    Late,
}

impl Ledger {
    /// Notes a run; how many there are.
    pub(super) fn acknowledge(&mut self, run: &str) -> usize {
        self.acknowledged.push(run.to_owned());
        self.acknowledged.len()
    }

    /// Notes a signal; how many there are of all runs.
    pub(super) fn signal(&mut self, run: &str) -> usize {
        *self.signals.entry(run.to_owned()).or_default() += 1;
        self.signals.values().sum()
    }

    /// Notes that a watch has come to this entry; at the end of the run, what it had come to.
    pub(crate) fn watch(&mut self, run: &str, expected: u64, seq: u64) {
        self.watched += 1;
        if seq != expected {
            self.gaps.push(format!("{run}: entry {seq} instead of {expected}"));
        }
    }
}
