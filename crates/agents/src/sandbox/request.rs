//! What the worker and the sandbox tell each other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A program to execute, and its bounds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Its absolute path.
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// All variables that it sees.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) stdin: String,
    /// A folder that is trusted, and a path below it that is not: the folder to work in.
    pub(crate) root: PathBuf,
    pub(crate) directory: PathBuf,
    /// Whether it may write there.
    pub(crate) write: bool,
    /// A folder that is thrown away.
    pub(crate) scratch: PathBuf,
    /// What else it may read and execute.
    pub(crate) readable: Vec<PathBuf>,
    pub(crate) network: bool,
    /// Whether it is not to be executed unless every bound holds.
    pub(crate) required: bool,
    pub(crate) limits: Limits,
}

/// How much of the machine it may use.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    /// Bytes of address space of each process.
    pub(crate) memory: u64,
    /// Processes and threads.
    pub(crate) processes: u64,
    /// Bytes of output, and of errors, that are kept.
    pub(crate) output: usize,
}

/// What became of a request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) outcome: Outcome,
    /// The bounds that do not hold on this machine, and why.
    pub(crate) missing: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It was executed.
    Ended(Ended),
    /// It was not, and why.
    Refused(String),
}

/// How an execution ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Its exit status, if it exited.
    pub(crate) status: Option<i32>,
    /// The number of the signal that ended it, if one did.
    pub(crate) signal: Option<i32>,
    /// Whether that was for its time.
    pub(crate) late: bool,
    pub(crate) took: Duration,
    pub(crate) stdout: Kept,
    pub(crate) stderr: Kept,
}

/// The end of a text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) text: String,
    /// Bytes before it.
    pub(crate) cut: u64,
}
