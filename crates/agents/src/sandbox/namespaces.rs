//! The first part: namespaces of its own.

use std::fs;
use std::io;
use std::process::{Command, ExitCode};

use rustix::process::{getgid, getuid};
use rustix::thread::{
    CapabilitySet, UnshareFlags, capabilities, configure_capability_in_ambient_set,
    set_capabilities,
};

use super::{WORD, inner, this_program};

/// Enters namespaces of users, processes, mounts and messages, without `network` also one of the
/// network, and lets `inner` be their first process. Where the machine refuses, does without.
pub(super) fn enter(network: bool) -> ExitCode {
    // Asked before: afterwards they are nobody's until they are mapped.
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    if let Err(error) = unshare(network) {
        return inner::run(Err(error));
    }
    let inner = map(user, group)
        .and_then(|()| Command::new(this_program()).arg(WORD).arg("inner").status());
    match inner {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

#[expect(deprecated, reason = "it is unsafe with `FILES` alone, which is not asked for")]
fn unshare(network: bool) -> rustix::io::Result<()> {
    let mut kinds = UnshareFlags::NEWUSER | UnshareFlags::NEWPID;
    kinds |= UnshareFlags::NEWNS | UnshareFlags::NEWIPC;
    if !network {
        kinds |= UnshareFlags::NEWNET;
    }
    rustix::thread::unshare(kinds)
}

/// The user stays who they are, and `inner` may mount.
fn map(user: u32, group: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    let mut sets = capabilities(None)?;
    sets.inheritable |= CapabilitySet::SYS_ADMIN;
    set_capabilities(None, sets)?;
    Ok(configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?)
}
