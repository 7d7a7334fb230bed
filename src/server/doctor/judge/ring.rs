//! Kernel and io_uring: which of a worker's flags this host grants, and who forbids the rest.

use super::super::facts::{Attempt, Facts, Kernel, Ring, RingProbe};
use super::super::report::{Finding, Level};

pub(super) fn kernel(kernel: Option<&Kernel>) -> Finding {
    let Some(kernel) = kernel else {
        return Finding::new(
            Level::Note,
            "kernel",
            "release unknown: /proc/sys/kernel/osrelease cannot be read",
        );
    };
    let found = |level| Finding::new(level, "kernel", format!("Linux {}", kernel.release));
    match kernel.version {
        version if version >= DEFER_TASKRUN_SINCE => found(Level::Ok),
        version if version >= RING_SINCE => found(Level::Warn)
            .cost("some of the ring flags below are missing, up to 6 % more CPU for each request")
            .fix("boot Linux 6.1 or newer"),
        _ => found(Level::Warn)
            .cost("io_uring is missing or too young for sockets; workers use epoll")
            .fix("boot Linux 6.1 or newer"),
    }
}

/// Whether there is a ring at all; then its flags, its other two system calls, its operations.
pub(super) fn ring(facts: &Facts) -> Vec<Finding> {
    let Some(probe) = &facts.ring.probe else {
        return vec![Finding::new(Level::Note, TOPIC, "not tried")];
    };
    if let Err(error) = probe.plain.and(probe.enter).and(probe.register) {
        return vec![refused(facts, probe, error)];
    }
    if !probe.operations_missing.is_empty() {
        let missing = probe.operations_missing.join(", ");
        return vec![
            Finding::new(Level::Warn, TOPIC, format!("the kernel lacks the operations {missing}"))
                .cost(EPOLL_COST)
                .fix("boot Linux 6.1 or newer"),
        ];
    }
    let mut findings = vec![Finding::new(Level::Ok, TOPIC, "a ring can be set up, entered and probed")];
    findings.push(flag("DEFER_TASKRUN", probe.defer_taskrun, "6.1", "falls back to COOP_TASKRUN"));
    findings.push(flag(
        "SINGLE_ISSUER",
        probe.single_issuer,
        "6.0",
        "takes a lock that one thread needs not",
    ));
    findings.push(flag("COOP_TASKRUN", probe.coop_taskrun, "5.19", "is interrupted for each completion"));
    findings
}

/// A ring that is refused: the workers fall back to epoll, so this warns and names the cause.
fn refused(facts: &Facts, probe: &RingProbe, error: i32) -> Finding {
    let call = match (probe.plain, probe.enter) {
        (Err(_), _) => "io_uring_setup",
        (Ok(()), Err(_)) => "io_uring_enter",
        (Ok(()), Ok(())) => "io_uring_register",
    };
    let (cause, fix) = cause(facts, error);
    Finding::new(Level::Warn, TOPIC, format!("{call} fails with {}: {cause}", error_text(error)))
        .cost(EPOLL_COST)
        .fix(fix)
}

/// Who refuses. Order matters: a switch that is known to be off is named before a guess.
fn cause(facts: &Facts, error: i32) -> (String, String) {
    let Ring { disabled, group, seccomp, .. } = facts.ring;
    let filtered = seccomp.is_some_and(|mode| mode != 0);
    let own = |cause: &str, fix: &str| (cause.to_owned(), fix.to_owned());
    match error {
        EPERM if disabled == Some(2) => own(
            "the administrator has switched it off (kernel.io_uring_disabled = 2)",
            "sysctl -w kernel.io_uring_disabled=0, or 1 with kernel.io_uring_group set to ringgate's group",
        ),
        EPERM if disabled == Some(1) => {
            let group = match group {
                Some(id) if id >= 0 => format!("group {id} only"),
                _ => "holders of CAP_SYS_ADMIN only, since kernel.io_uring_group is not set".to_owned(),
            };
            (
                format!("kernel.io_uring_disabled = 1 keeps it for {group}"),
                "sysctl -w kernel.io_uring_group=GID with the id of ringgate's group, or \
                 kernel.io_uring_disabled=0"
                    .to_owned(),
            )
        }
        EPERM | EACCES if filtered => own("a seccomp filter refuses the system call", &allow_fix(facts)),
        EPERM | EACCES => own(
            "no switch of the kernel explains it, so a security module (SELinux, AppArmor) does",
            "look for a denial that names io_uring in the audit log, and allow it there",
        ),
        ENOSYS if filtered => own(
            "a seccomp filter pretends that there is no such call, or the kernel was built without it",
            &allow_fix(facts),
        ),
        ENOSYS => own(
            "the kernel was built without it (CONFIG_IO_URING), or a sandbox such as gVisor stands for it",
            "run on a kernel that has it",
        ),
        ENOMEM => own(
            "the locked-memory limit is spent (before Linux 5.12 rings count against it), or memory is",
            "raise RLIMIT_MEMLOCK (LimitMEMLOCK= in the unit), or boot a newer kernel",
        ),
        EMFILE | ENFILE => own("no descriptor is left", "raise RLIMIT_NOFILE or fs.file-max"),
        _ => own("an error that a set-up call does not usually give", "look into the kernel log"),
    }
}

/// How the filter is opened where we run.
fn allow_fix(facts: &Facts) -> String {
    let profile = "allows io_uring_setup, io_uring_enter and io_uring_register";
    match facts.host.container {
        Some("Kubernetes") => format!(
            "place tuning/seccomp/ringgate.json, which {profile}, under the kubelet's seccomp folder and name \
             it as the pod's localhostProfile"
        ),
        Some(_) => format!("run with --security-opt seccomp=tuning/seccomp/ringgate.json, which {profile}"),
        None => {
            "allow @aio, which holds io_uring_setup, io_uring_enter and io_uring_register, in the service's \
                 SystemCallFilter= (tuning/systemd/ringgate.service does)"
                .to_owned()
        }
    }
}

fn flag(name: &'static str, attempt: Attempt, since: &str, loss: &str) -> Finding {
    match attempt {
        Ok(()) => Finding::new(Level::Ok, "ring flag", name),
        Err(error) => Finding::new(Level::Warn, "ring flag", format!("{name}: {}", error_text(error)))
            .cost(format!("without it a worker {loss}"))
            .fix(format!("boot Linux {since} or newer")),
    }
}

fn error_text(error: i32) -> String {
    let name = match error {
        EPERM => "EPERM",
        ENOMEM => "ENOMEM",
        EACCES => "EACCES",
        EINVAL => "EINVAL (not known to this kernel)",
        ENFILE => "ENFILE",
        EMFILE => "EMFILE",
        ENOSYS => "ENOSYS",
        _ => return format!("error {error}"),
    };
    name.to_owned()
}

/// The topic of findings about the ring as a whole.
pub(super) const TOPIC: &str = "io_uring";

/// Measured with 64 connections and 250-byte bodies: epoll 1.36 times the CPU of a ring with its flags.
const EPOLL_COST: &str = "workers use epoll instead, about a third more CPU for each request";

const RING_SINCE: (u32, u32) = (5, 7);
const DEFER_TASKRUN_SINCE: (u32, u32) = (6, 1);

// The numbers are the same on x86-64 and aarch64.
const EPERM: i32 = 1;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOSYS: i32 = 38;
