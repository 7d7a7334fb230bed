//! Descriptors and locked memory.

use super::super::facts::{Facts, Limits};
use super::super::report::{Finding, Level};

/// How many connections the descriptors allow: each takes one, and one more for its upstream.
pub(super) fn open_files(limits: &Limits, workers: usize) -> Finding {
    let Some(limit) = limits.open_files else {
        return Finding::new(Level::Note, "open files", "limit unknown: /proc/self/limits cannot be read");
    };
    let Some(soft) = limit.soft else {
        return Finding::new(Level::Ok, "open files", "no limit");
    };
    let per_worker = soft.saturating_sub(RESERVED) / 2 / workers as u64;
    let what = format!("{soft} descriptors: about {per_worker} connections for each of {workers} worker(s)");
    let fix = match limit.hard {
        Some(hard) if hard <= soft => "LimitNOFILE=1048576 in the unit, or raise the hard limit".to_owned(),
        _ => "LimitNOFILE=1048576 in the unit, or ulimit -n; the hard limit allows more".to_owned(),
    };
    let level = match per_worker {
        0..CONNECTIONS_MIN => Level::Fail,
        CONNECTIONS_MIN..CONNECTIONS_GOOD => Level::Warn,
        _ => return Finding::new(Level::Ok, "open files", what),
    };
    Finding::new(level, "open files", what).cost("further clients wait in the backlog").fix(fix)
}

/// Before 5.12 each ring counts against RLIMIT_MEMLOCK; later kernels charge the memory control group.
pub(super) fn locked_memory(facts: &Facts, workers: usize) -> Finding {
    let topic = "locked memory";
    let Some(limit) = facts.limits.locked_memory_bytes else {
        return Finding::new(Level::Note, topic, "limit unknown: /proc/self/limits cannot be read");
    };
    let Some(soft) = limit.soft else { return Finding::new(Level::Ok, topic, "no limit") };
    let what = format!("{} KiB", soft / 1024);
    if facts.limits.may_lock_any_memory == Some(true) {
        return Finding::new(Level::Ok, topic, format!("{what}, lifted by CAP_IPC_LOCK"));
    }
    let charged = facts.kernel.as_ref().is_none_or(|kernel| kernel.version < NOT_CHARGED_SINCE);
    let needed = workers as u64 * RING_BYTES;
    if !charged || soft >= needed {
        return Finding::new(Level::Ok, topic, what);
    }
    Finding::new(
        Level::Warn,
        topic,
        format!("{what}, but {workers} ring(s) take about {} KiB", needed / 1024),
    )
    .cost("on kernels before 5.12 a worker that gets no ring falls back to epoll")
    .fix("LimitMEMLOCK=64M in the unit")
}

/// Listeners, rings, logs, the control thread's own sockets.
const RESERVED: u64 = 64;
/// Fewer connections than this for each worker is no service.
const CONNECTIONS_MIN: u64 = 64;
/// From here on the limit is no longer the first thing that runs out.
const CONNECTIONS_GOOD: u64 = 8192;
/// A ring of 1024 entries with its completion queue, rounded up.
const RING_BYTES: u64 = 256 * 1024;
const NOT_CHARGED_SINCE: (u32, u32) = (5, 12);
