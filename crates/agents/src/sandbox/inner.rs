//! The second part: rights are given up, then the command is watched over.

use std::fs::{self, File};
use std::io::{self, BufRead as _};
use std::process::ExitCode;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{getpid, getuid, set_child_subreaper};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use super::request::Request;
use super::supervise::{self, Reach};
use super::{files, syscalls};

/// Processes and threads of the sandbox itself, which are counted with those of the command.
const OWN: u64 = 8;
/// The least that Linux takes as the number of processes of a namespace.
const LEAST_PROCESSES: u64 = 301;

/// Reads the request, gives up what the command may not do, executes it and tells what became of
/// it. `namespaces` says whether this is their first process.
pub(super) fn run(namespaces: rustix::io::Result<()>) -> ExitCode {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    let request = read.ok().and_then(|_| serde_json::from_str::<Request>(&line).ok());
    let Some(mut request) = request else { return ExitCode::FAILURE };
    let mut missing = Vec::new();
    let reach = match namespaces {
        Ok(()) => first(&mut request, &mut missing),
        Err(error) => alone(error, &mut missing),
    };
    if let Err(why) = bound(&request, &reach, &mut missing) {
        return supervise::refuse(why, missing);
    }
    if request.required && !missing.is_empty() {
        return supervise::refuse("not every bound holds on this machine".into(), missing);
    }
    supervise::run(request, reach, missing)
}

/// The first process of its namespaces: what is in them ends with it.
fn first(request: &mut Request, missing: &mut Vec<String>) -> Reach {
    let mounted = mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .and_then(|()| {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            mount("proc", "/proc", "proc", flags, None)
        });
    if mounted.is_ok() {
        // It has the command's own processes and no others.
        request.readable.push("/proc".into());
    }
    request.limits.processes += OWN;
    // Linux counts no processes of the superuser, but those of a namespace (6.14).
    if getuid().is_root() {
        let most = request.limits.processes.max(LEAST_PROCESSES).to_string();
        if mounted.is_err() || fs::write("/proc/sys/kernel/pid_max", most).is_err() {
            missing.push("the number of processes, for the worker runs as root".into());
        }
    }
    Reach::Namespace
}

/// A process among others: it is told of orphans below it, and ends those it finds.
fn alone(error: rustix::io::Errno, missing: &mut Vec<String>) -> Reach {
    missing.push(format!(
        "processes of its own and their number, for it may have no namespaces ({error})"
    ));
    // An old kernel without it leaves orphans to others.
    let _ = set_child_subreaper(Some(getpid()));
    // While files can still be opened. The list is read anew each time.
    Reach::Children(File::open("/proc/thread-self/children").ok())
}

/// Gives up rights, for this process and all that it starts.
fn bound(request: &Request, reach: &Reach, missing: &mut Vec<String>) -> Result<(), String> {
    let directory = files::enter(&request.root, &request.directory)
        .map_err(|error| format!("its directory cannot be entered: {error}"))?;
    set_no_new_privs(true).map_err(|error| format!("its rights cannot be bounded: {error}"))?;
    drop_capabilities();
    match files::restrict(request, directory) {
        // The first process of a namespace cannot be ended from within.
        Ok(false) if matches!(reach, Reach::Children(_)) => {
            missing.push("the sandbox itself, which a command can end (until Linux 6.12)".into());
        }
        Ok(_) => {}
        Err(why) => missing.push(format!("files: {why}")),
    }
    if let Err(why) = syscalls::restrict(request.network) {
        missing.push(format!("system calls and network: {why}"));
    }
    Ok(())
}

/// Without them a superuser is the owner of root's files and nothing more. A failure says that
/// there were none to drop.
fn drop_capabilities() {
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
    let _ = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    let _ = set_capabilities(None, sets);
}
