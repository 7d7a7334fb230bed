//! Backlogs, ports, buffers, and how the cards' queues meet the workers.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::{Facts, Interface};
use super::super::numbers::list_text;
use super::super::report::{Finding, Level};

type Sysctls = BTreeMap<&'static str, String>;

/// The network settings, each against what tuning/sysctl.d sets.
pub(super) fn sysctls(sysctl: &Sysctls) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &AT_LEAST {
        findings.extend(at_least(sysctl, rule));
    }
    findings.extend(ports(sysctl));
    findings.extend(reuse(sysctl));
    findings.extend(idle_window(sysctl));
    findings.extend(busy_poll(sysctl));
    findings
}

/// A number that should not be smaller.
struct AtLeast {
    name: &'static str,
    /// Which word of the value counts: `tcp_rmem` has three.
    word: usize,
    least: u64,
    level: Level,
    cost: &'static str,
}

const AT_LEAST: [AtLeast; 7] = [
    AtLeast {
        name: "net.core.somaxconn",
        word: 0,
        least: 4096,
        level: Level::Warn,
        cost: "a burst of new connections overflows the accept queue; clients wait a second and retry",
    },
    AtLeast {
        name: "net.ipv4.tcp_max_syn_backlog",
        word: 0,
        least: 4096,
        level: Level::Note,
        cost: "a burst of new connections is answered by SYN cookies, which lose TCP options",
    },
    AtLeast {
        name: "net.core.netdev_max_backlog",
        word: 0,
        least: 5000,
        level: Level::Note,
        cost: "packets are dropped when a core falls behind (column 2 of /proc/net/softnet_stat counts them)",
    },
    AtLeast {
        name: "net.core.rmem_max",
        word: 0,
        least: 2 << 20,
        level: Level::Note,
        cost: "only matters to sockets whose buffers are set by hand; TCP sizes its own by tcp_rmem",
    },
    AtLeast {
        name: "net.core.wmem_max",
        word: 0,
        least: 2 << 20,
        level: Level::Note,
        cost: "only matters to sockets whose buffers are set by hand; TCP sizes its own by tcp_wmem",
    },
    AtLeast {
        name: "net.ipv4.tcp_rmem",
        word: 2,
        least: 4 << 20,
        level: Level::Note,
        cost: "large bodies over long paths are limited by the window, not by the link",
    },
    AtLeast {
        name: "net.ipv4.tcp_wmem",
        word: 2,
        least: 4 << 20,
        level: Level::Note,
        cost: "large answers over long paths are limited by the window, not by the link",
    },
];

fn at_least(sysctl: &Sysctls, rule: &AtLeast) -> Option<Finding> {
    let text = sysctl.get(rule.name)?;
    let value: u64 = text.split(' ').nth(rule.word)?.parse().ok()?;
    let what = format!("{} = {text}", rule.name);
    if value >= rule.least {
        return Some(Finding::new(Level::Ok, "sysctl", what));
    }
    Some(Finding::new(rule.level, "sysctl", what).cost(rule.cost).fix(format!(
        "at least {}{}; see tuning/sysctl.d",
        rule.least,
        if rule.word == 0 { "" } else { " as the last number" }
    )))
}

fn ports(sysctl: &Sysctls) -> Option<Finding> {
    let text = sysctl.get("net.ipv4.ip_local_port_range")?;
    let (first, last) = text.split_once(' ')?;
    let count = (last.parse::<u64>().ok()? + 1).saturating_sub(first.parse().ok()?);
    let what = format!("net.ipv4.ip_local_port_range = {text}: {count} upstream connections to one endpoint");
    if count >= PORTS_MIN {
        return Some(Finding::new(Level::Ok, "sysctl", what));
    }
    Some(
        Finding::new(Level::Note, "sysctl", what)
            .cost("when the ports to one endpoint are spent, dialling it fails with EADDRNOTAVAIL")
            .fix("a wider range (10240 65535), more endpoints, or a Unix socket to a local upstream"),
    )
}

fn reuse(sysctl: &Sysctls) -> Option<Finding> {
    let value = sysctl.get("net.ipv4.tcp_tw_reuse")?;
    let what = format!("net.ipv4.tcp_tw_reuse = {value}");
    if value == "1" {
        return Some(Finding::new(Level::Ok, "sysctl", what));
    }
    Some(
        Finding::new(Level::Note, "sysctl", what)
            .cost("a closed upstream connection holds its port for a minute; pooled ones are not affected")
            .fix("1 lets outgoing connections take such a port over where timestamps make it safe"),
    )
}

fn idle_window(sysctl: &Sysctls) -> Option<Finding> {
    let value = sysctl.get("net.ipv4.tcp_slow_start_after_idle")?;
    let what = format!("net.ipv4.tcp_slow_start_after_idle = {value}");
    if value == "0" {
        return Some(Finding::new(Level::Ok, "sysctl", what));
    }
    Some(
        Finding::new(Level::Note, "sysctl", what)
            .cost("a kept connection that rested sends its next large message in several round trips")
            .fix("0; see tuning/sysctl.d"),
    )
}

fn busy_poll(sysctl: &Sysctls) -> Option<Finding> {
    let on = |name| sysctl.get(name).is_some_and(|value| value != "0");
    if !(on("net.core.busy_poll") || on("net.core.busy_read")) {
        return Some(Finding::new(Level::Ok, "busy polling", "off"));
    }
    Some(
        Finding::new(Level::Note, "busy polling", "on for every socket of the host")
            .cost("each waiting process burns its core; this wins microseconds on a real card, nothing on loopback")
            .fix("net.core.busy_poll=0 and net.core.busy_read=0, unless it was measured to help here"),
    )
}

/// The cards. Offloads are not in sysfs, so only the command that shows them can be named.
pub(super) fn interfaces(facts: &Facts, workers: usize) -> Vec<Finding> {
    let physical: Vec<&Interface> = facts.interfaces.iter().filter(|card| card.physical).collect();
    let mut findings: Vec<Finding> = physical.iter().map(|card| queues(facts, card, workers)).collect();
    findings.extend(physical.iter().filter_map(|card| interrupts(card)));
    let names: Vec<&str> = physical.iter().map(|card| card.name.as_str()).collect();
    match names.first() {
        Some(first) => findings.push(Finding::new(
            Level::Note,
            "offloads",
            format!("not in sysfs: `ethtool -k {first}` should show tso, gso, gro and checksums on"),
        )),
        None => {
            findings.push(Finding::new(Level::Note, "network card", "none with a device behind it is seen"))
        }
    }
    findings
}

/// How many CPUs take part in receiving.
fn queues(facts: &Facts, card: &Interface, workers: usize) -> Finding {
    let steering = if card.receive_queues_spread == 0 {
        "RPS off".to_owned()
    } else if card.receive_queues_with_flows == 0 {
        format!("RPS on {} of them", card.receive_queues_spread)
    } else {
        format!("RPS on {} of them with RFS", card.receive_queues_spread)
    };
    let what = format!(
        "{}: {} receive queue(s), {steering}; {} transmit queue(s), XPS on {}",
        card.name, card.receive_queues, card.transmit_queues, card.transmit_queues_bound
    );
    let found = |level| Finding::new(level, "network card", what.clone());
    if card.receive_queues < workers && card.receive_queues_spread == 0 {
        return found(Level::Note)
            .cost("the CPUs that take the interrupts do the receive work of all workers")
            .fix("tuning/irq/pin-queues spreads it (RPS), or give the machine more queues (ethtool -L)");
    }
    let entries = facts.sysctl.get("net.core.rps_sock_flow_entries").map(String::as_str);
    if card.receive_queues_with_flows > 0 && entries == Some("0") {
        return found(Level::Note)
            .cost("RFS does nothing while net.core.rps_sock_flow_entries is 0")
            .fix("net.core.rps_sock_flow_entries=32768; tuning/irq/pin-queues sets both");
    }
    found(Level::Ok)
}

/// Whether interrupts of several queues land on one CPU.
fn interrupts(card: &Interface) -> Option<Finding> {
    if card.interrupts.is_empty() {
        return None;
    }
    let taken: BTreeSet<usize> = card.interrupts.iter().filter_map(|cpus| cpus.first().copied()).collect();
    let cpus = list_text(&taken.iter().copied().collect::<Vec<_>>());
    let what = format!("{}: {} interrupt(s) on CPU {cpus}", card.name, card.interrupts.len());
    if card.receive_queues > 1 && taken.len() == 1 {
        return Some(
            Finding::new(Level::Warn, "interrupts", what)
                .cost("one CPU receives for all, and is full first")
                .fix("tuning/irq/pin-queues binds one queue to each worker's CPU; stop irqbalance before"),
        );
    }
    Some(Finding::new(Level::Ok, "interrupts", what))
}

/// Linux's own default, 32768 to 60999, has 28232.
const PORTS_MIN: u64 = 28_000;
