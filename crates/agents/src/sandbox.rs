//! Executing programs within bounds.
//!
//! A process cannot bound itself after it has become another program, and what may be done between
//! `fork` and `exec` is little. So the worker starts itself again, three times, each for one thing:
//!
//! 1. `outer` enters namespaces of its own, where the machine lets it;
//! 2. `inner`, the first process of these, gives up every right that a command does not need, then
//!    starts the command and watches over it. It ends all that the command has left behind, when the
//!    command ends, when its time is over, and when the worker has gone;
//! 3. `program` sets the limits of its own process and becomes the program.
//!
//! None of them has the worker's environment, open files or secrets. The worker tells `inner` what to
//! do in one line of JSON on its standard input, and is answered on its standard output; that the
//! input is open says that the worker is there. A program that executes commands calls [`enter`]
//! before anything else.

mod request;
#[cfg(unix)]
mod run;

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod inner;
#[cfg(target_os = "linux")]
mod namespaces;
#[cfg(target_os = "linux")]
mod syscalls;

#[cfg(unix)]
mod limits;
#[cfg(unix)]
mod supervise;
#[cfg(unix)]
mod tail;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) use request::{Ended, Kept, Limits, Outcome, Report, Request};
#[cfg(unix)]
pub(crate) use run::run;

/// The first argument of a program that is to be a part of the sandbox.
const WORD: &str = "sandbox-exec";

/// Becomes a part of the sandbox if the command line of this process says so, and gives the status
/// to exit with. To be called before there is a second thread.
pub fn enter() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != WORD {
        return None;
    }
    Some(part(args.collect()))
}

/// This program, as the sandbox starts it; it must call [`enter`].
pub fn this_program() -> PathBuf {
    // The link leads to the program even after another has taken its place on the disk.
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { link } else { std::env::current_exe().unwrap_or_default() }
}

#[cfg(target_os = "linux")]
fn part(mut args: Vec<OsString>) -> ExitCode {
    match args.first().and_then(|part| part.to_str()) {
        Some("outer") => namespaces::enter(args.iter().any(|arg| arg == "--network")),
        Some("inner") => inner::run(Ok(())),
        Some("program") => limits::become_program(args.split_off(1)),
        _ => ExitCode::FAILURE,
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn part(mut args: Vec<OsString>) -> ExitCode {
    match args.first().and_then(|part| part.to_str()) {
        Some("outer") => supervise::run_unbounded(),
        Some("program") => limits::become_program(args.split_off(1)),
        _ => ExitCode::FAILURE,
    }
}

#[cfg(not(unix))]
fn part(_args: Vec<OsString>) -> ExitCode {
    ExitCode::FAILURE
}
