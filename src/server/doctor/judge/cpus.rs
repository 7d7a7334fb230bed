//! Processors against the planned workers.

use super::super::facts::{Cpus, Plan};
use super::super::numbers::list_text;
use super::super::report::{Finding, Level};

pub(super) fn cpus(cpus: &Cpus, plan: &Plan) -> Vec<Finding> {
    let (Some(online), Some(allowed)) = (&cpus.online, &cpus.allowed) else {
        return vec![Finding::new(Level::Note, "CPUs", "unknown: /proc or /sys cannot be read")];
    };
    let workers = plan.workers(cpus);
    let mut findings = vec![places(online, allowed, plan, workers)];
    findings.extend(quota(cpus.quota, workers));
    let used = used(allowed, plan, workers);
    findings.extend(siblings(&cpus.siblings, &used));
    findings.extend(nodes(&cpus.nodes, &used));
    findings.push(isolation(cpus, &used));
    findings.push(governor(&cpus.governors));
    findings
}

/// The CPUs that the workers will sit on, as far as the plan says.
fn used(allowed: &[usize], plan: &Plan, workers: usize) -> Vec<usize> {
    match plan {
        Plan::Cpus(list) => list.clone(),
        Plan::Auto | Plan::Count(_) => allowed.iter().copied().take(workers).collect(),
    }
}

/// Whether every worker finds a CPU of its own.
fn places(online: &[usize], allowed: &[usize], plan: &Plan, workers: usize) -> Finding {
    let what =
        format!("{} online, {} for this process ({})", online.len(), allowed.len(), list_text(allowed));
    if let Plan::Cpus(list) = plan {
        let barred: Vec<usize> = list.iter().copied().filter(|cpu| !allowed.contains(cpu)).collect();
        if !barred.is_empty() {
            return Finding::new(
                Level::Fail,
                "CPUs",
                format!("{what}; planned but barred: {}", list_text(&barred)),
            )
            .cost("a worker cannot be pinned there")
            .fix("widen the affinity mask or cpuset (AllowedCPUs=, --cpuset-cpus), or change `workers`");
        }
    }
    if workers > allowed.len() {
        return Finding::new(Level::Warn, "CPUs", format!("{what}; {workers} workers planned"))
            .cost("workers take turns on a core, and each waits for the other's whole turn")
            .fix("plan one worker for each CPU at most");
    }
    Finding::new(Level::Ok, "CPUs", format!("{what}; {workers} worker(s)"))
}

/// A quota below the workers stops all of them at once, until the next period.
fn quota(quota: Option<f64>, workers: usize) -> Option<Finding> {
    let quota = quota?;
    let what = format!("the control group grants {quota:.2} CPUs for {workers} worker(s)");
    if quota >= workers as f64 {
        return Some(Finding::new(Level::Ok, "CPU quota", what));
    }
    Some(
        Finding::new(Level::Warn, "CPU quota", what)
            .cost("under load the process is stopped for the rest of each period (100 ms by default)")
            .fix("plan no more workers than whole CPUs granted, or raise cpu.max (CPUQuota=, --cpus, limits.cpu)"),
    )
}

fn siblings(groups: &[Vec<usize>], used: &[usize]) -> Option<Finding> {
    let shared: Vec<String> = groups
        .iter()
        .map(|group| group.iter().copied().filter(|cpu| used.contains(cpu)).collect::<Vec<_>>())
        .filter(|group| group.len() > 1)
        .map(|group| list_text(&group))
        .collect();
    if groups.is_empty() {
        return None;
    }
    if shared.is_empty() {
        return Some(Finding::new(Level::Ok, "SMT", "no two workers share a physical core"));
    }
    Some(
        Finding::new(Level::Note, "SMT", format!("workers share physical cores: {}", shared.join(" and ")))
            .cost("two threads of one core give clearly less than two cores, and slow each other")
            .fix("name one CPU of each core in `workers`, and leave the sibling to interrupts and the control thread"),
    )
}

fn nodes(nodes: &[Vec<usize>], used: &[usize]) -> Option<Finding> {
    if nodes.len() < 2 {
        return None;
    }
    let touched = nodes.iter().filter(|node| node.iter().any(|cpu| used.contains(cpu))).count();
    let what = format!("{} nodes, workers on {touched}", nodes.len());
    if touched < 2 {
        return Some(Finding::new(Level::Ok, "NUMA", what));
    }
    Some(
        Finding::new(Level::Note, "NUMA", what)
            .cost("packets that arrive at the other node's card cross the interconnect")
            .fix("run one ringgate on each node (CPUAffinity=, NUMAPolicy=bind), each with its node's card and CPUs"),
    )
}

fn isolation(cpus: &Cpus, used: &[usize]) -> Finding {
    let on = |list: &[usize]| used.iter().filter(|cpu| list.contains(cpu)).count();
    let (isolated, tickless) = (on(&cpus.isolated), on(&cpus.tickless));
    let what =
        format!("{isolated} of {} worker CPU(s) isolated, {tickless} without a periodic tick", used.len());
    if isolated == 0 {
        return Finding::new(Level::Note, "isolation", what)
            .cost("other processes may run on the workers' CPUs, which shows in the p99 first")
            .fix(
                "for the last microseconds: isolcpus= and nohz_full= on the kernel command line, or a cpuset",
            );
    }
    Finding::new(Level::Ok, "isolation", what)
}

fn governor(governors: &[String]) -> Finding {
    if governors.is_empty() {
        return Finding::new(Level::Ok, "CPU governor", "the kernel does not scale the frequency here");
    }
    let what = governors.join(", ");
    if governors.iter().all(|governor| governor == "performance") {
        return Finding::new(Level::Ok, "CPU governor", what);
    }
    Finding::new(Level::Note, "CPU governor", what)
        .cost("a core that wakes for a single request starts it slowly")
        .fix("cpupower frequency-set -g performance")
}
