//! What another process has used: CPU time and memory, as the kernel accounts them.

use std::fs;

use serde::Serialize;

/// A reading of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessReading {
    /// Run time of all its live threads, in nanoseconds (user and system, softirq work included that
    /// ran on its account).
    pub cpu_ns: u64,
    /// Its memory.
    pub memory: MemoryReading,
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MemoryReading {
    /// Resident set, from `statm`.
    pub rss_bytes: u64,
    /// Proportional set (shared pages divided among their users), from `smaps_rollup`; 0 if unreadable.
    pub pss_bytes: u64,
    /// The highest resident set since [`forget_peak`], from `status`; since the start of the process where nobody forgot.
    pub rss_peak_bytes: u64,
}

/// CPU time of the live threads of `pid`, in nanoseconds.
///
/// `schedstat` counts to the nanosecond, where `stat` counts in ticks of 10 ms. A thread that has
/// ended takes its time with it; servers worth measuring keep theirs.
///
/// # Errors
/// A sentence for the user when there is no such process.
pub fn cpu_ns(pid: u32) -> Result<u64, String> {
    let folder = format!("/proc/{pid}/task");
    let threads = fs::read_dir(&folder).map_err(|error| format!("process {pid}: {error}"))?;
    let mut sum_ns = 0;
    for thread in threads.flatten() {
        // A thread may end between being listed and being read.
        let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
        sum_ns += parse_schedstat(&text).unwrap_or(0);
    }
    Ok(sum_ns)
}

/// Memory of `pid`.
///
/// # Errors
/// A sentence for the user when there is no such process.
pub fn memory(pid: u32) -> Result<MemoryReading, String> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
    let statm = read("statm").map_err(|error| format!("process {pid}: {error}"))?;
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    let pss_bytes = read("smaps_rollup").ok().and_then(|text| parse_kb(&text, "Pss:")).unwrap_or(0);
    let rss_peak_bytes = read("status").ok().and_then(|text| parse_kb(&text, "VmHWM:")).unwrap_or(0);
    Ok(MemoryReading { rss_bytes: pages * rustix::param::page_size() as u64, pss_bytes, rss_peak_bytes })
}

/// Lets the kernel forget the highest resident set of `pid`, so that the next reading tells of what came since. `false` if
/// this process may not: it needs the same user, or root.
pub fn forget_peak(pid: u32) -> bool {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok()
}

/// Run time is the first of the three numbers.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// The value in bytes of a line such as `Pss:   123 kB`.
fn parse_kb(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    line[key.len()..].split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kb| kb * 1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        assert_eq!(parse_schedstat("123456 789 10\n"), Some(123_456));
        assert_eq!(parse_schedstat(""), None);
        let rollup =
            "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  2048 kB\nPss:  1024 kB\nPss_Dirty: 5 kB\n";
        assert_eq!(parse_kb(rollup, "Pss:"), Some(1024 * 1024));
        assert_eq!(parse_kb(rollup, "Swap:"), None);
    }

    #[test]
    fn a_peak_that_is_forgotten_is_not_told_again() {
        let own = std::process::id();
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        let before = memory(own).unwrap().rss_peak_bytes;
        if forget_peak(own) {
            assert!(memory(own).unwrap().rss_peak_bytes < before - (32 << 20));
        }
        assert!(!forget_peak(u32::MAX));
    }

    #[test]
    fn this_process_can_be_read_and_a_missing_one_is_named() {
        let own = std::process::id();
        let before = cpu_ns(own).unwrap();
        assert!(before > 0);
        assert!(cpu_ns(own).unwrap() >= before);
        let memory_now = memory(own).unwrap();
        assert!(memory_now.rss_bytes > 100_000 && memory_now.rss_peak_bytes >= memory_now.rss_bytes / 2);
        assert!(cpu_ns(u32::MAX).unwrap_err().contains("4294967295"));
    }
}
