//! The log: what workers do and what is killed, in the order in which it happened.
//!
//! One file for all processes. A write to a file that is open for appending is atomic, so the order
//! of the lines is one in which causes come before their effects, and no clocks need be compared.
//! What was written stays when its writer is killed.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// A worker begins to execute a step.
    Started(Execution),
    /// The step's work is done; its result is about to be recorded.
    Ended(Execution),
    /// The control plane has said that the result is recorded.
    Recorded(Execution),
    /// This worker is dead.
    WorkerKilled(String),
    /// The control plane is about to be killed.
    OutageBegins,
    /// The control plane is back for so long that no lease ends because it was away.
    OutageEnds,
}

/// One execution of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Execution {
    /// The process.
    pub(crate) worker: String,
    /// The run.
    pub(crate) run: String,
    /// The step.
    pub(crate) key: String,
    /// The epoch of the lease.
    pub(crate) epoch: u64,
    /// The result: random, so that it says which execution it comes from.
    pub(crate) value: u64,
}

/// A log that is open for writing.
pub(crate) struct Log(File);

impl Log {
    /// Opens the log at `path`, which may have other writers.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        File::options().create(true).append(true).open(path).map(Self)
    }

    /// Writes one line, with one system call.
    pub(crate) fn write(&self, event: &Event) -> std::io::Result<()> {
        // A process that is killed in the middle of it may leave a torn line: that one must not
        // swallow the next, so a line also begins with a line break.
        let line = format!("\n{}\n", serde_json::to_string(event)?);
        (&self.0).write_all(line.as_bytes())
    }
}

/// Reads a log, without torn lines: who was writing them had not begun what they announce.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<Event>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
