//! Reads the host from files under a root directory. Whatever cannot be read stays unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::facts::{Cpus, Facts, Host, Interface, Limits, Ring, RingProbe};
use super::numbers;

/// Everything that files tell, with the io_uring attempts that were made.
pub fn facts(root: &Path, probe: RingProbe) -> Facts {
    let tree = Tree(root.to_owned());
    let status = tree.text("proc/self/status").unwrap_or_default();
    Facts {
        kernel: tree.text("proc/sys/kernel/osrelease").as_deref().and_then(numbers::kernel),
        ring: ring(&tree, &status, probe),
        limits: limits(&tree, &status),
        cpus: cpus(&tree, &status),
        sysctl: sysctls(&tree),
        interfaces: interfaces(&tree),
        host: host(&tree),
    }
}

/// A directory that looks like `/`.
struct Tree(PathBuf);

impl Tree {
    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.0.join(path)).ok().map(|text| text.trim_end().to_owned())
    }

    fn number<T: std::str::FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    fn list(&self, path: &str) -> Option<Vec<usize>> {
        numbers::cpu_list(&self.text(path)?)
    }

    fn exists(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }

    /// Names in a directory, sorted; none if it cannot be read.
    fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0.join(path)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

fn ring(tree: &Tree, status: &str, probe: RingProbe) -> Ring {
    Ring {
        probe: Some(probe),
        disabled: tree.number("proc/sys/kernel/io_uring_disabled"),
        group: tree.number("proc/sys/kernel/io_uring_group"),
        seccomp: numbers::status_field(status, "Seccomp").and_then(|word| word.parse().ok()),
    }
}

fn limits(tree: &Tree, status: &str) -> Limits {
    let table = tree.text("proc/self/limits").unwrap_or_default();
    let capabilities = numbers::status_field(status, "CapEff");
    Limits {
        locked_memory_bytes: numbers::limit(&table, "Max locked memory"),
        open_files: numbers::limit(&table, "Max open files"),
        may_lock_any_memory: capabilities
            .and_then(|mask| u64::from_str_radix(mask, 16).ok())
            .map(|mask| mask & CAP_IPC_LOCK != 0),
    }
}

fn cpus(tree: &Tree, status: &str) -> Cpus {
    let folder = "sys/devices/system/cpu";
    let mut siblings = BTreeSet::new();
    let mut governors = BTreeSet::new();
    for name in tree.names(folder).iter().filter(|name| is_numbered(name, "cpu")) {
        siblings.extend(tree.list(&format!("{folder}/{name}/topology/thread_siblings_list")));
        governors.extend(tree.text(&format!("{folder}/{name}/cpufreq/scaling_governor")));
    }
    let nodes = "sys/devices/system/node";
    Cpus {
        online: tree.list(&format!("{folder}/online")),
        allowed: numbers::status_field(status, "Cpus_allowed_list").and_then(numbers::cpu_list),
        quota: quota(tree),
        siblings: siblings.into_iter().filter(|group| group.len() > 1).collect(),
        nodes: (tree.names(nodes).iter().filter(|name| is_numbered(name, "node")))
            .filter_map(|name| tree.list(&format!("{nodes}/{name}/cpulist")))
            .filter(|list| !list.is_empty())
            .collect(),
        isolated: tree.list(&format!("{folder}/isolated")).unwrap_or_default(),
        tickless: tree.list(&format!("{folder}/nohz_full")).unwrap_or_default(),
        governors: governors.into_iter().collect(),
    }
}

/// The tightest CPU quota between this process's control group and the root of the hierarchy.
fn quota(tree: &Tree) -> Option<f64> {
    let mut quotas = Vec::new();
    for line in tree.text("proc/self/cgroup")?.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let group = group.display();
            if controllers.is_empty() {
                let text = tree.text(&format!("sys/fs/cgroup/{group}/cpu.max"));
                quotas.extend(text.as_deref().and_then(numbers::cpu_max));
            } else if controllers.split(',').any(|name| name == "cpu") {
                let folder = format!("sys/fs/cgroup/{controllers}/{group}");
                let period = tree.number(&format!("{folder}/cpu.cfs_period_us"));
                let granted = tree.number(&format!("{folder}/cpu.cfs_quota_us"));
                quotas.extend(granted.zip(period).and_then(|(quota, period)| numbers::ratio(quota, period)));
            }
        }
    }
    quotas.into_iter().reduce(f64::min)
}

fn sysctls(tree: &Tree) -> BTreeMap<&'static str, String> {
    let read = |name: &'static str| {
        let path = format!("proc/sys/{}", name.replace('.', "/"));
        Some((name, tree.text(&path)?.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    SYSCTLS.into_iter().filter_map(read).collect()
}

fn interfaces(tree: &Tree) -> Vec<Interface> {
    let up = |name: &String| {
        let state = tree.text(&format!("sys/class/net/{name}/operstate"));
        name != "lo" && matches!(state.as_deref(), Some("up" | "unknown"))
    };
    tree.names("sys/class/net").into_iter().filter(up).map(|name| interface(tree, name)).collect()
}

fn interface(tree: &Tree, name: String) -> Interface {
    let folder = format!("sys/class/net/{name}");
    let queues = tree.names(&format!("{folder}/queues"));
    let kind = |prefix: &'static str| queues.iter().filter(move |queue| queue.starts_with(prefix));
    let set = |queue: &&String, file: &str| {
        tree.text(&format!("{folder}/queues/{queue}/{file}")).is_some_and(|text| numbers::mask_is_set(&text))
    };
    let interrupts = tree.names(&format!("{folder}/device/msi_irqs"));
    Interface {
        receive_queues: kind("rx-").count(),
        receive_queues_spread: kind("rx-").filter(|queue| set(queue, "rps_cpus")).count(),
        receive_queues_with_flows: kind("rx-").filter(|queue| set(queue, "rps_flow_cnt")).count(),
        transmit_queues: kind("tx-").count(),
        transmit_queues_bound: kind("tx-").filter(|queue| set(queue, "xps_cpus")).count(),
        interrupts: (interrupts.iter())
            .filter_map(|number| interrupt_cpus(tree, number))
            .filter(|cpus| !cpus.is_empty())
            .collect(),
        physical: tree.exists(&format!("{folder}/device")),
        name,
    }
}

/// Where an interrupt really goes, or else where it may go.
fn interrupt_cpus(tree: &Tree, number: &str) -> Option<Vec<usize>> {
    tree.list(&format!("proc/irq/{number}/effective_affinity_list"))
        .or_else(|| tree.list(&format!("proc/irq/{number}/smp_affinity_list")))
}

fn host(tree: &Tree) -> Host {
    Host {
        autogroup: tree.number::<u8>("proc/sys/kernel/sched_autogroup_enabled").map(|value| value != 0),
        huge_pages: tree
            .text("sys/kernel/mm/transparent_hugepage/enabled")
            .as_deref()
            .and_then(numbers::chosen),
        container: container(tree),
        clock_source: tree.text("sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }
}

/// The runtime that leaves its mark in the file system or in the control group's path.
fn container(tree: &Tree) -> Option<&'static str> {
    let groups = tree.text("proc/self/cgroup").unwrap_or_default();
    let marks = [
        ("Kubernetes", tree.exists("var/run/secrets/kubernetes.io") || groups.contains("kubepods")),
        ("podman", tree.exists("run/.containerenv") || groups.contains("libpod")),
        ("Docker", tree.exists(".dockerenv") || groups.contains("/docker")),
        ("containerd", groups.contains("containerd")),
        ("LXC", groups.contains("/lxc")),
    ];
    marks.into_iter().find_map(|(name, seen)| seen.then_some(name))
}

/// `cpu12` but not `cpufreq`.
fn is_numbered(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

const CAP_IPC_LOCK: u64 = 1 << 14;

const SYSCTLS: [&str; 14] = [
    "fs.file-max",
    "net.core.busy_poll",
    "net.core.busy_read",
    "net.core.netdev_max_backlog",
    "net.core.rmem_max",
    "net.core.rps_sock_flow_entries",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
];

#[cfg(test)]
mod tests;
