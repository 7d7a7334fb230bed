//! A busy machine: what can be done so that other work on it disturbs a measurement less.
//!
//! CPU time per request is immune to waiting, but not to what a wait does to
//! batches and caches, and latency is not immune at all. All of this is
//! undone when the measured processes end; nothing of the system is changed.

use crate::process::Session;
use crate::sys;
use std::fs;
use std::process::Command;

/// Gives the session of `process` the highest weight among the autogroups.
///
/// With `sched_autogroup` on, `nice` only counts inside one session: a compiler in another
/// terminal at nice 19 takes half a core from a measurement at nice -20 here.
pub fn favour(process: u32) {
    // Absent (autogroups off) or not permitted (not root): `warnings` says so once.
    let _ = fs::write(format!("/proc/{process}/autogroup"), "-20");
}

/// What is wrong with this machine as a place to measure, one line each.
pub fn warnings() -> Vec<String> {
    let mut warnings = Vec::new();
    let autogroups = fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled").unwrap_or_default();
    if autogroups.trim() == "1" && !sys::is_root() {
        warnings.push(
            "sched_autogroup is on and this is not root: other sessions weigh as much as the measurement"
                .to_string(),
        );
    }
    if !sys::is_root() {
        warnings
            .push("not root: no real-time priority for the fixed rate, p99 will show other work".to_string());
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    if let Some(load) =
        load.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).filter(|l| *l > 0.5)
    {
        warnings
            .push(format!("other work is running here (load average {load}): expect +-15 % between rounds"));
    }
    let governor =
        fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").unwrap_or_default();
    if !governor.is_empty() && governor.trim() != "performance" {
        warnings.push(format!("the CPU frequency governor is {}, not performance", governor.trim()));
    }
    warnings
}

/// Spinners of the lowest real-time priority that keep other work off the cores while they exist,
/// and the cores out of idle states, whose wake-ups would be what is measured.
pub struct Guard {
    _spinners: Vec<Session>,
}

impl Guard {
    /// Starts one on each core.
    pub fn start(cores: &[usize], directory: &std::path::Path) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let start_one = |core: &usize| {
            let mut command = Command::new(&own);
            command.arg("spin");
            Session::start(&format!("spin-{core}"), command, *core, directory)
        };
        Ok(Self { _spinners: cores.iter().map(start_one).collect::<Result<_, _>>()? })
    }
}

/// `bench spin`: takes whatever the real-time threads above it leave of its core.
pub fn spin() -> Result<(), String> {
    sys::set_realtime(0, 1).map_err(|error| format!("no real-time priority: {error}"))?;
    // It ends by itself should whoever started it be killed.
    let parent = std::os::unix::process::parent_id();
    loop {
        for _ in 0..1_000_000 {
            std::hint::spin_loop();
        }
        if std::os::unix::process::parent_id() != parent {
            return Ok(());
        }
    }
}
