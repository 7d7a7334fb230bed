//! What was seen of the host. Plain data: `None` means that it could not be read.

use std::collections::BTreeMap;

/// Everything the rules may look at.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Kernel release, for example 6.18.44: major and minor, and the text it came from.
    pub kernel: Option<Kernel>,
    /// io_uring as tried by [`super::ring::probe`], and what governs it.
    pub ring: Ring,
    /// Limits of this process.
    pub limits: Limits,
    /// Processors, and which of them this process may use.
    pub cpus: Cpus,
    /// Network settings by their sysctl name, for example `net.core.somaxconn`.
    pub sysctl: BTreeMap<&'static str, String>,
    /// Network interfaces that are up, without loopback.
    pub interfaces: Vec<Interface>,
    /// The rest of the host.
    pub host: Host,
}

/// The workers the gateway is meant to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// One on each CPU that the process may use.
    #[default]
    Auto,
    /// So many, on CPUs of the gateway's choice.
    Count(usize),
    /// One on each of these CPUs.
    Cpus(Vec<usize>),
}

/// A kernel release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Major and minor number.
    pub version: (u32, u32),
    /// The release as the kernel spells it.
    pub release: String,
}

/// What became of one attempt to set up a ring: fine, or the error number.
pub type Attempt = Result<(), i32>;

/// io_uring: the attempts, and the switches that can forbid it.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// Attempts by [`super::ring::probe`]; `None` if none was made.
    pub probe: Option<RingProbe>,
    /// sysctl `kernel.io_uring_disabled`: 0 allowed, 1 only for a group or CAP_SYS_ADMIN, 2 for nobody.
    pub disabled: Option<u8>,
    /// sysctl `kernel.io_uring_group`; -1 means no group.
    pub group: Option<i64>,
    /// Field `Seccomp` of /proc/self/status: 0 none, 1 strict, 2 filter.
    pub seccomp: Option<u8>,
}

/// One attempt for each set of flags that a worker may ask for, best last.
#[derive(Clone, Debug)]
pub struct RingProbe {
    /// Without flags.
    pub plain: Attempt,
    /// `COOP_TASKRUN` (Linux 5.19).
    pub coop_taskrun: Attempt,
    /// `SINGLE_ISSUER` (Linux 6.0).
    pub single_issuer: Attempt,
    /// `SINGLE_ISSUER` with `DEFER_TASKRUN` (Linux 6.1), which goes only with the former.
    pub defer_taskrun: Attempt,
    /// A call of `io_uring_enter`, which a filter can refuse on its own; not made without a ring.
    pub enter: Attempt,
    /// A call of `io_uring_register`, likewise.
    pub register: Attempt,
    /// Operations a worker needs that the kernel lacks.
    pub operations_missing: Vec<&'static str>,
}

/// A soft and a hard limit; `None` is "unlimited".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The limit in force.
    pub soft: Option<u64>,
    /// How far the process may raise it.
    pub hard: Option<u64>,
}

/// Limits of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// RLIMIT_MEMLOCK, bytes.
    pub locked_memory_bytes: Option<Limit>,
    /// RLIMIT_NOFILE, descriptors.
    pub open_files: Option<Limit>,
    /// Whether the process holds CAP_IPC_LOCK, which lifts RLIMIT_MEMLOCK.
    pub may_lock_any_memory: Option<bool>,
}

/// Processors. Lists are CPU numbers, ascending.
#[derive(Clone, Debug, Default)]
pub struct Cpus {
    /// CPUs that are online.
    pub online: Option<Vec<usize>>,
    /// CPUs that this process may run on (affinity mask and cpuset).
    pub allowed: Option<Vec<usize>>,
    /// CPU time that the control group grants, in CPUs; `None` if unlimited or unknown.
    pub quota: Option<f64>,
    /// Groups of CPUs that share one physical core.
    pub siblings: Vec<Vec<usize>>,
    /// CPUs of each NUMA node.
    pub nodes: Vec<Vec<usize>>,
    /// CPUs taken from the scheduler by `isolcpus=`.
    pub isolated: Vec<usize>,
    /// CPUs without a periodic tick (`nohz_full=`).
    pub tickless: Vec<usize>,
    /// Distinct frequency governors; empty where the kernel does not scale (most virtual machines).
    pub governors: Vec<String>,
}

/// A network interface.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// For example `eth0`.
    pub name: String,
    /// Receive queues.
    pub receive_queues: usize,
    /// Receive queues whose packets RPS spreads over CPUs (`rps_cpus` not zero).
    pub receive_queues_spread: usize,
    /// Receive queues with a flow table, so that RFS follows the reader (`rps_flow_cnt` not zero).
    pub receive_queues_with_flows: usize,
    /// Transmit queues.
    pub transmit_queues: usize,
    /// Transmit queues bound to CPUs (`xps_cpus` not zero).
    pub transmit_queues_bound: usize,
    /// For each interrupt of the device, the CPUs that take it.
    pub interrupts: Vec<Vec<usize>>,
    /// Whether there is a device behind it (not a bridge, a tunnel, one end of a veth pair).
    pub physical: bool,
}

/// The rest of the host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// `kernel.sched_autogroup_enabled`.
    pub autogroup: Option<bool>,
    /// The chosen word of transparent_hugepage/enabled: always, madvise or never.
    pub huge_pages: Option<String>,
    /// The container runtime that this process seems to run under.
    pub container: Option<&'static str>,
    /// For example tsc, kvm-clock, hpet.
    pub clock_source: Option<String>,
}

impl Plan {
    /// How many workers, given what the host allows. At least one.
    pub fn workers(&self, cpus: &Cpus) -> usize {
        let count = match self {
            Self::Auto => cpus.allowed.as_ref().map_or(1, Vec::len),
            Self::Count(count) => *count,
            Self::Cpus(list) => list.len(),
        };
        count.max(1)
    }
}
