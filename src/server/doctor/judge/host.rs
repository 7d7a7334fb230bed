//! The rest: container, scheduler, memory, clock.

use super::super::facts::Facts;
use super::super::report::{Finding, Level};

pub(super) fn host(facts: &Facts) -> Vec<Finding> {
    let host = &facts.host;
    let container = match host.container {
        Some(runtime) => Finding::new(Level::Note, "container", format!("{runtime}, by its marks")).cost(
            "sysctls shown are those of the container's network; the seccomp profile decides on io_uring",
        ),
        None => Finding::new(Level::Ok, "container", "none seen"),
    };
    let mut findings = vec![container];
    findings.extend(host.autogroup.map(autogroup));
    findings.extend(host.huge_pages.as_deref().map(huge_pages));
    findings.extend(host.clock_source.as_deref().map(clock_source));
    findings
}

fn autogroup(on: bool) -> Finding {
    if !on {
        return Finding::new(Level::Ok, "autogroup", "off: nice values compare across sessions");
    }
    Finding::new(Level::Note, "autogroup", "on: each login session gets an equal share whatever its nice values")
        .cost("a build in another session takes half a core from a gateway started in a terminal; services are less exposed")
        .fix("run as a service with CPUWeight=, or kernel.sched_autogroup_enabled=0")
}

fn huge_pages(mode: &str) -> Finding {
    let what = format!("transparent huge pages: {mode}");
    if mode != "always" {
        return Finding::new(Level::Ok, "memory", what);
    }
    Finding::new(Level::Note, "memory", what)
        .cost("memory in use may grow in steps of 2 MiB, and the kernel compacts memory while it serves")
        .fix("madvise, in /sys/kernel/mm/transparent_hugepage/enabled")
}

/// Reading the time is a few nanoseconds only where it needs no system call or device access.
fn clock_source(name: &str) -> Finding {
    let slow = ["hpet", "acpi_pm", "jiffies", "pit", "refined-jiffies"].contains(&name);
    if !slow {
        return Finding::new(Level::Ok, "clock", name);
    }
    Finding::new(Level::Warn, "clock", name)
        .cost("each reading of the time is a system call that talks to a device, about a microsecond")
        .fix("find out why the kernel rejected tsc (dmesg), or boot with clocksource=tsc tsc=reliable")
}
