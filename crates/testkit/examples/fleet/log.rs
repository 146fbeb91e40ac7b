//! The log of all workers: what code was executed, and when.
//!
//! A write to a file that is open for appending is atomic, and all processes are on one machine with
//! one clock, so lines of several workers can be compared with each other and with the clients.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    /// When it was written, in microseconds since 1970 by this machine's clock.
    pub(crate) at: u64,
    /// The run that it is about.
    pub(crate) run: String,
    pub(crate) event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The code of the run starts: with each lease.
    Began,
    /// The code goes on behind its wait for the signal: with each lease after that.
    Resumed,
    /// The step with this key is about to be executed.
    Executed(String),
}

/// A log that is open for writing.
pub(crate) struct Log(File);

impl Log {
    /// Opens the log at `path`, which may have other writers.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        File::options().create(true).append(true).open(path).map(Self)
    }

    /// Writes one line, with one system call.
    pub(crate) fn write(&self, run: String, event: Event) -> std::io::Result<()> {
        let line = serde_json::to_string(&Line { at: now(), run, event })? + "\n";
        (&self.0).write_all(line.as_bytes())
    }
}

/// Reads a log.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<Line>> {
    let text = std::fs::read_to_string(path)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// In microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "several processes of one machine, for figures")]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
