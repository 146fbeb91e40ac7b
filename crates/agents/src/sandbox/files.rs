//! Which files a command can reach: its directory, a folder to throw away, and the system's
//! programs. Landlock sees to it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, LandlockStatus, PathBeneath, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
    path_beneath_rules,
};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};
use rustix::process::fchdir;

use super::request::Request;
use super::this_program;

/// What programs read and execute.
const SYSTEM: [&str; 10] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/nix/store",
    "/gnu/store",
    "/sys/devices/system/cpu",
];

/// What programs read of the rest: no passwords, no keys, nothing of other processes.
const SETTINGS: [&str; 22] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
];

/// Devices without state.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Works in a directory below a folder, wherever links may lead.
pub(super) fn enter(root: &Path, directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(root, flags, Mode::empty())?;
    let below = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let directory = match openat2(&root, directory, flags, Mode::empty(), below) {
        // Before Linux 5.6; there is no Landlock either.
        Err(rustix::io::Errno::NOSYS) => {
            fchdir(&root)?;
            rustix::fs::openat(CWD, directory, flags, Mode::empty())?
        }
        opened => opened?,
    };
    fchdir(&directory)?;
    Ok(directory)
}

/// Gives up all other files, for ever. Tells whether [`shield`] will hold.
pub(super) fn restrict(request: &Request, directory: OwnedFd) -> Result<bool, String> {
    match rules(request, directory).map_err(|error| error.to_string())?.landlock {
        LandlockStatus::Available { effective_abi: ABI::V1 | ABI::V2, .. } => {
            Err("this kernel lets files outside be cut short (until Linux 6.2)".into())
        }
        LandlockStatus::Available { effective_abi, .. } => Ok(effective_abi >= ABI::V6),
        _ => Err("this kernel has no Landlock (Linux 5.13)".into()),
    }
}

/// Gives up every other process, the sandbox's included: none can be sent a signal or looked into.
/// Where the kernel cannot, nothing changes.
pub(super) fn shield() {
    let scoped = Ruleset::default().scope(Scope::from_all(ABI::V6));
    let _ = scoped.and_then(Ruleset::create).and_then(RulesetCreated::restrict_self);
}

fn rules(request: &Request, directory: OwnedFd) -> Result<RestrictionStatus, RulesetError> {
    // The newest that was looked into; what a kernel lacks of it is left out.
    let abi = ABI::V6;
    let (read, all) = (AccessFs::from_read(abi), AccessFs::from_all(abi));
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let below = PathBeneath::new(directory, if request.write { all } else { read });
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(SETTINGS, AccessFs::ReadFile | AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .add_rules(path_beneath_rules(&request.readable, read))?
        .add_rules(path_beneath_rules([&request.program, &this_program()], read))?
        .add_rules(path_beneath_rules([&request.scratch], all))?
        .add_rule(below)?
        .restrict_self()
}
