#![allow(clippy::unwrap_used)]

use super::*;
use crate::server::doctor::ring;

/// A directory with copies of the host's files, removed when dropped.
struct Fixture(PathBuf);

impl Fixture {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("ringgate-doctor-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }

    fn facts(&self) -> Facts {
        super::facts(&self.0, ring::probe())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const STATUS: &str = "Name:\tringgate\nCapEff:\t0000000000004000\nCpus_allowed:\tf\n\
                      Cpus_allowed_list:\t0-1,3\nSeccomp:\t2\nSeccomp_filters:\t1\n";
const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n\
                      Max locked memory         8388608              unlimited            bytes     \n";

#[test]
fn a_whole_host() {
    let fixture = Fixture::new(
        "whole",
        &[
            ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
            ("proc/sys/kernel/io_uring_disabled", "1\n"),
            ("proc/sys/kernel/io_uring_group", "-1\n"),
            ("proc/sys/kernel/sched_autogroup_enabled", "1\n"),
            ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
            ("proc/self/status", STATUS),
            ("proc/self/limits", LIMITS),
            ("proc/self/cgroup", "0::/system.slice/ringgate.service\n"),
            ("sys/fs/cgroup/system.slice/cpu.max", "50000 100000\n"),
            ("sys/fs/cgroup/system.slice/ringgate.service/cpu.max", "200000 100000\n"),
            ("sys/devices/system/cpu/online", "0-3\n"),
            ("sys/devices/system/cpu/isolated", "\n"),
            ("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,2\n"),
            ("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "0,2\n"),
            ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/node/node0/cpulist", "0-3\n"),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
            ("sys/class/net/lo/operstate", "unknown\n"),
            ("sys/class/net/eth1/operstate", "down\n"),
            ("sys/class/net/eth0/operstate", "up\n"),
            ("sys/class/net/eth0/device/msi_irqs/40", "msix\n"),
            ("sys/class/net/eth0/device/msi_irqs/41", "msix\n"),
            ("sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000,00000003\n"),
            ("sys/class/net/eth0/queues/rx-0/rps_flow_cnt", "0\n"),
            ("sys/class/net/eth0/queues/rx-1/rps_cpus", "00000000,00000000\n"),
            ("sys/class/net/eth0/queues/tx-0/xps_cpus", "1\n"),
            ("proc/irq/40/effective_affinity_list", "2\n"),
            ("proc/irq/41/smp_affinity_list", "0-3\n"),
            (".dockerenv", ""),
        ],
    );
    let facts = fixture.facts();
    assert_eq!(facts.kernel.unwrap().version, (6, 1));
    assert_eq!((facts.ring.disabled, facts.ring.group, facts.ring.seccomp), (Some(1), Some(-1), Some(2)));
    assert_eq!(facts.limits.open_files.unwrap().soft, Some(1024));
    assert_eq!(facts.limits.locked_memory_bytes.unwrap().hard, None);
    assert_eq!(facts.limits.may_lock_any_memory, Some(true));
    assert_eq!(facts.cpus.allowed, Some(vec![0, 1, 3]));
    assert_eq!(facts.cpus.quota, Some(0.5), "the tighter of the two groups");
    assert_eq!(facts.cpus.siblings, [vec![0, 2]]);
    assert_eq!(facts.cpus.governors, ["powersave"]);
    assert_eq!(facts.sysctl["net.ipv4.ip_local_port_range"], "32768 60999");
    assert_eq!(facts.interfaces.len(), 1, "neither loopback nor what is down");
    let card = &facts.interfaces[0];
    assert_eq!((card.receive_queues, card.receive_queues_spread, card.receive_queues_with_flows), (2, 1, 0));
    assert_eq!((card.transmit_queues, card.transmit_queues_bound, card.physical), (1, 1, true));
    assert_eq!(card.interrupts, [vec![2], vec![0, 1, 2, 3]]);
    assert_eq!(facts.host.container, Some("Docker"));
    assert_eq!(facts.host.huge_pages.as_deref(), Some("always"));
    assert_eq!(facts.host.autogroup, Some(true));
}

#[test]
fn an_older_control_group_has_quota_and_period_apart() {
    let fixture = Fixture::new(
        "older",
        &[
            ("proc/self/cgroup", "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "150000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ],
    );
    let facts = fixture.facts();
    assert_eq!(facts.cpus.quota, Some(1.5));
    assert_eq!(facts.host.container, Some("Docker"));
}

#[test]
fn an_empty_root_is_all_unknown() {
    let facts = Fixture::new("empty", &[]).facts();
    assert_eq!(facts.kernel, None);
    assert_eq!(facts.cpus.allowed, None);
    assert!(facts.limits.open_files.is_none() && facts.sysctl.is_empty() && facts.interfaces.is_empty());
}

#[test]
fn damaged_files_are_unknown_too() {
    let fixture = Fixture::new(
        "damaged",
        &[
            ("proc/sys/kernel/osrelease", "\n"),
            ("proc/sys/kernel/io_uring_disabled", "yes\n"),
            ("proc/self/status", "Cpus_allowed_list:\t9-1\nSeccomp:\t\n"),
            ("proc/self/limits", "Max open files  many  some  files\n"),
            ("proc/self/cgroup", "0\n::\n"),
            ("sys/devices/system/cpu/online", "all\n"),
        ],
    );
    let facts = fixture.facts();
    assert_eq!(facts.kernel, None);
    assert_eq!((facts.ring.disabled, facts.ring.seccomp), (None, None));
    assert!(facts.limits.open_files.is_none() && facts.cpus.allowed.is_none() && facts.cpus.online.is_none());
}
