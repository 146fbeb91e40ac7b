//! The log: what workers do and what is done to them, in the order in which it happened.
//!
//! One file for all processes, and another like it for what must not happen twice (`world.rs`). A
//! write to a file that is open for appending is atomic, so the order of the lines is one in which
//! causes come before their effects, and no clocks need be compared; the times of the lines only say
//! how long something took. What was written stays when its writer is killed.

mod tail;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
pub(crate) use tail::{busy, replaced};

use crate::fault::Fault;
use crate::program::Answer;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// When it was written, in microseconds since 1970 by this machine's clock.
    pub(crate) at: u64,
    pub(crate) event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The code of a run goes on in this worker: from its start under a new lease, or after a wait.
    Holds(Holding),
    /// It waits, or has ended: from here on nothing of the run is under way.
    LetsGo(Holding),
    /// The code was stopped from outside: the run was parked, or its lease lost.
    Dropped(Holding),
    /// A worker begins to execute a step.
    Started(Execution),
    /// The step's work is done; its result is about to be recorded.
    Ended(Execution),
    /// The control plane has said that the result is recorded.
    Recorded(Execution),
    /// A worker asks whether a step that must not happen twice has happened. An execution of an
    /// earlier epoch that has not ended by now is void: whatever it still does has no effect.
    Doubted(Execution),
    /// The code of a run was told the answer to a question.
    Told(Telling),
    /// The client has seen that the run rests in this epoch, because it was paused.
    Rests(String, u64),
    /// The client is about to resume the run.
    Resumes(String),
    /// The fault of this number is about to be.
    FaultBegins(u64, Fault),
    /// It is over: a killed process is dead and, if it is no worker, up again; a stopped one goes on.
    FaultEnds(u64),
    /// There are no faults from here on, for some time.
    CalmBegins,
    /// There may be faults again.
    CalmEnds,
}

/// A run in the hands of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holding {
    /// The process.
    pub(crate) worker: String,
    /// The run.
    pub(crate) run: String,
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

/// An answer that the code of a run was told: again in every replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Telling {
    /// The run.
    pub(crate) run: String,
    /// What it was asked about, which no other question is.
    pub(crate) about: u64,
    /// The answer.
    pub(crate) answer: Answer,
    /// Nobody answered in time: it is the default.
    pub(crate) timed_out: bool,
}

impl Execution {
    /// Whether it is one of this step.
    pub(crate) fn is_of(&self, run: &str, key: &str) -> bool {
        self.run == run && self.key == key
    }
}

impl Line {
    /// How long after `earlier` it was written.
    pub(crate) fn since(&self, earlier: u64) -> Duration {
        Duration::from_micros(self.at.saturating_sub(earlier))
    }
}

/// The log of all processes, in the directory of the test.
pub(crate) fn events(directory: &Path) -> PathBuf {
    directory.join("events.jsonl")
}

/// The log of what must not happen twice.
pub(crate) fn world(directory: &Path) -> PathBuf {
    directory.join("world.jsonl")
}

/// A log that is open for writing.
pub(crate) struct Log(File);

impl Log {
    /// Opens the log at `path`, which may have other writers.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        File::options().create(true).append(true).open(path).map(Self)
    }

    /// Writes one line, with one system call.
    pub(crate) fn write(&self, event: Event) -> std::io::Result<()> {
        let line = Line { at: now(), event };
        // A process that is killed in the middle of it may leave a torn line: that one must not
        // swallow the next, so a line also begins with a line break.
        let line = format!("\n{}\n", serde_json::to_string(&line)?);
        (&self.0).write_all(line.as_bytes())
    }
}

#[expect(clippy::disallowed_methods, reason = "several processes of one machine, for figures")]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Reads a log, without torn lines: who was writing them had not begun what they announce.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<Line>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
