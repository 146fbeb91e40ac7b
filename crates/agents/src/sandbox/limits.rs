//! The last part: limits of this process, which then becomes the program.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::io;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::request::Limits;

/// Bytes of a file that a program writes: what a build makes, not what fills a disk at once.
const FILE: u64 = 1 << 30;
/// Files that a process has open.
const OPEN: u64 = 1_024;
/// The status of a shell's command that could not be executed.
const NOT_EXECUTED: u8 = 127;

/// Becomes the program: `LIMITS COUNT PROGRAM ARGS…`, with the limits as JSON, and `COUNT` saying
/// whether processes can be counted. Comes back only with an error.
pub(super) fn become_program(mut args: Vec<OsString>) -> ExitCode {
    if args.len() < 3 {
        return ExitCode::FAILURE;
    }
    let words = args.split_off(3);
    let limits = args[0].to_str().and_then(|text| serde_json::from_str::<Limits>(text).ok());
    let Some(limits) = limits else { return ExitCode::FAILURE };
    let mut command = Command::new(&args[2]);
    command.args(words);
    #[cfg(target_os = "linux")]
    super::files::shield();
    #[cfg(target_os = "linux")]
    let died =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    #[cfg(not(target_os = "linux"))]
    let died = Ok(());
    let why = match died.and_then(|()| apply(&limits, args[1] == "count")) {
        // Nothing between this and the program needs memory that the limit may refuse.
        Ok(()) => command.exec().to_string(),
        Err(error) => format!("its limits: {error}"),
    };
    eprintln!("{} cannot be executed: {why}", args[2].display());
    ExitCode::from(NOT_EXECUTED)
}

fn apply(limits: &Limits, count: bool) -> io::Result<()> {
    let seconds = limits.time.as_millis().div_ceil(1_000).max(1);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    // The first limit tells the program by a signal, the second ends it.
    set(Resource::Cpu, seconds, seconds.saturating_add(1))?;
    set(Resource::Core, 0, 0)?;
    set(Resource::Fsize, FILE, FILE)?;
    set(Resource::Nofile, OPEN, OPEN)?;
    #[cfg(not(target_os = "macos"))]
    if count {
        set(Resource::Nproc, limits.processes, limits.processes)?;
    }
    #[cfg(not(target_os = "macos"))]
    set(Resource::As, limits.memory, limits.memory)?;
    Ok(())
}

fn set(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let most = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) };
    setrlimit(resource, limit)
}
