//! Which system calls a command cannot make: those that make sockets, unless it has the network,
//! and those that no command needs and sandboxes have been left by.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Refused in any case. `io_uring` makes sockets past this filter; keys and traces belong to the
/// user, not to the process; the others change what the rest of the sandbox stands on.
const REFUSED: [i64; 21] = [
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_by_handle_at,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
];

/// Added to the numbers of a second set of the same calls, which some kernels have.
const X32: i64 = 0x4000_0000;

/// Gives up these calls, for ever. They fail as forbidden.
pub(super) fn restrict(network: bool) -> Result<(), String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    if !network {
        // Pairs stay: they reach nobody else.
        rules.insert(libc::SYS_socket, Vec::new());
    }
    let new_user = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(libc::CLONE_NEWUSER as u64),
        libc::CLONE_NEWUSER as u64,
    );
    let new_user = new_user.and_then(|user| SeccompRule::new(vec![user]));
    rules.insert(libc::SYS_clone, vec![new_user.map_err(|error| error.to_string())?]);
    install(rules, libc::EPERM, arch)?;
    // Its arguments cannot be looked into. Told that there is no such call, everybody uses `clone`.
    install(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS, arch)
}

fn install(
    mut rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: i32,
    arch: TargetArch,
) -> Result<(), String> {
    if arch == TargetArch::x86_64 {
        let twins: Vec<_> = rules.iter().map(|(call, rules)| (call + X32, rules.clone())).collect();
        rules.extend(twins);
    }
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch);
    let program = filter.and_then(BpfProgram::try_from).map_err(|error| error.to_string())?;
    apply_filter(&program).map_err(|error| error.to_string())
}
