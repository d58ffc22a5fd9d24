//! Confinement of the process that calls it: no network, no files, bounded memory and time. Linux only.
//!
//! A process confines itself before it reads what it is to judge, and cannot undo it. What cannot be had is an
//! error. The filter lists what is allowed; everything else fails with EPERM.

use std::collections::BTreeMap;

use rustix::process::{Pid, Resource, Rlimit, setrlimit};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Judges rules: opens no files and starts no programs.
    Judge,
    /// Becomes the solver: reads files and starts programs, which inherit the confinement.
    Solver,
}

/// Bounds of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of address space.
    pub memory: u64,
    /// Seconds of processor time.
    pub seconds: u64,
}

/// Why there is no confinement.
#[derive(Debug, thiserror::Error)]
#[error("the worker cannot be confined: {0}")]
pub struct ConfineError(String);

/// Confines this process, all its threads to come, and the programs that it starts.
///
/// # Errors
/// Where the kernel does not give a limit or a filter, or the processor is not supported.
pub fn confine(role: Role, bounds: Bounds) -> Result<(), ConfineError> {
    limit(Resource::As, bounds.memory)?;
    limit(Resource::Cpu, bounds.seconds)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Memlock, 0)?;
    // Behind the filter nobody can ask.
    let parent = rustix::process::getppid();
    filter(role)?;
    holds(role, parent)
}

fn limit(resource: Resource, most: u64) -> Result<(), ConfineError> {
    let bound = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    setrlimit(resource, bound).map_err(|e| ConfineError(format!("limit {resource:?}: {e}")))
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn filter(_: Role) -> Result<(), ConfineError> {
    Err(ConfineError(
        "no filter of system calls for this processor".to_owned(),
    ))
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn filter(role: Role) -> Result<(), ConfineError> {
    let failed = |e: seccompiler::BackendError| ConfineError(e.to_string());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for &call in ALLOWED {
        rules.insert(call, Vec::new());
    }
    // Threads; new processes for the solver alone.
    let thread = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(libc::CLONE_THREAD as u64),
        libc::CLONE_THREAD as u64,
    );
    let threads = SeccompRule::new(vec![thread.map_err(failed)?]).map_err(failed)?;
    // Ending itself, and no other process.
    let own = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        u64::from(std::process::id()),
    );
    let ends_itself = SeccompRule::new(vec![own.map_err(failed)?]).map_err(failed)?;
    rules.insert(libc::SYS_tgkill, vec![ends_itself]);
    match role {
        Role::Judge => {
            rules.insert(libc::SYS_clone, vec![threads]);
        }
        Role::Solver => {
            for &call in SOLVER {
                rules.insert(call, Vec::new());
            }
            rules.insert(libc::SYS_openat, vec![read_only(2).map_err(failed)?]);
            #[cfg(target_arch = "x86_64")]
            rules.insert(libc::SYS_open, vec![read_only(1).map_err(failed)?]);
        }
    }
    // The C library falls back to `clone` where `clone3`, whose flags no filter can see, does not exist.
    let arch = std::env::consts::ARCH.try_into().map_err(failed)?;
    let missing = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        arch,
    );
    rules.insert(libc::SYS_clone3, Vec::new());
    let allowed = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        arch,
    );
    // `seccomp` itself is not allowed behind the second filter.
    for filter in [missing, allowed] {
        let filter: seccompiler::BpfProgram = filter.and_then(TryInto::try_into).map_err(failed)?;
        seccompiler::apply_filter(&filter).map_err(|e| ConfineError(e.to_string()))?;
    }
    Ok(())
}

/// The flags of an open, in the argument of that number, ask for reading alone.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn read_only(argument: u8) -> Result<SeccompRule, seccompiler::BackendError> {
    let writes = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
    let mask = SeccompCmpOp::MaskedEq(writes as u64);
    SeccompRule::new(vec![SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        mask,
        0,
    )?])
}

/// What computing needs: memory, threads, time, the pipes that are open already.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_membarrier,
    libc::SYS_restart_syscall,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// What starting a program takes besides.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const SOLVER: &[i64] = &[
    libc::SYS_clone,
    libc::SYS_execve,
    libc::SYS_newfstatat,
    libc::SYS_faccessat,
    libc::SYS_readlinkat,
    libc::SYS_pread64,
    libc::SYS_set_tid_address,
    libc::SYS_prlimit64,
    libc::SYS_fcntl,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_delete,
    libc::SYS_getrusage,
    libc::SYS_setitimer,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
];

/// Whether the confinement does what it says: tried, not believed.
fn holds(role: Role, parent: Option<Pid>) -> Result<(), ConfineError> {
    let broken = |what: &str| Err(ConfineError(format!("{what} is still possible")));
    if std::net::UdpSocket::bind(("127.0.0.1", 0)).is_ok() {
        return broken("using the network");
    }
    let target = std::env::temp_dir().join(format!("aiai-confined-{}", std::process::id()));
    if std::fs::File::create(&target).is_ok() {
        let _ = std::fs::remove_file(&target);
        return broken("writing a file");
    }
    if role == Role::Judge && std::fs::File::open("/").is_ok() {
        return broken("opening a file");
    }
    if parent.is_some_and(|parent| rustix::process::test_kill_process(parent).is_ok()) {
        return broken("sending a signal");
    }
    Ok(())
}
