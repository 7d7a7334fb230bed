#![allow(clippy::unwrap_used)]

use super::super::facts::{Attempt, Interface, Kernel, Limit, RingProbe};
use super::*;

/// A host on which there is nothing to mend, with four CPUs.
fn sound() -> Facts {
    let mut facts =
        Facts { kernel: Some(Kernel { version: (6, 18), release: "6.18.44".into() }), ..Facts::default() };
    facts.ring.probe = Some(granted());
    facts.ring.disabled = Some(0);
    facts.ring.seccomp = Some(0);
    facts.limits.open_files = Some(Limit { soft: Some(1 << 20), hard: Some(1 << 20) });
    facts.limits.locked_memory_bytes = Some(Limit { soft: Some(8 << 20), hard: Some(8 << 20) });
    facts.cpus.online = Some(vec![0, 1, 2, 3]);
    facts.cpus.allowed = Some(vec![0, 1, 2, 3]);
    facts.cpus.isolated = vec![0, 1, 2, 3];
    facts.cpus.nodes = vec![vec![0, 1, 2, 3]];
    facts.interfaces = vec![card()];
    facts.host.clock_source = Some("tsc".into());
    facts
}

fn granted() -> RingProbe {
    RingProbe {
        plain: Ok(()),
        coop_taskrun: Ok(()),
        single_issuer: Ok(()),
        defer_taskrun: Ok(()),
        enter: Ok(()),
        register: Ok(()),
        operations_missing: Vec::new(),
    }
}

fn refused(error: i32) -> RingProbe {
    let no: Attempt = Err(error);
    RingProbe { plain: no, coop_taskrun: no, single_issuer: no, defer_taskrun: no, ..granted() }
}

fn card() -> Interface {
    Interface {
        name: "eth0".into(),
        receive_queues: 4,
        transmit_queues: 4,
        interrupts: vec![vec![0], vec![1], vec![2], vec![3]],
        physical: true,
        ..Interface::default()
    }
}

/// Judges a sound host after one change, and looks for a finding on a topic that contains the words.
#[track_caller]
fn check(change: impl FnOnce(&mut Facts), plan: &Plan, topic: &str, level: Level, words: &str) {
    let mut facts = sound();
    change(&mut facts);
    let findings = judge(&facts, plan);
    let whole = |finding: &Finding| format!("{} / {} / {}", finding.what, finding.cost, finding.fix);
    let of_topic: Vec<_> = findings.iter().filter(|finding| finding.topic == topic).collect();
    assert!(
        of_topic.iter().any(|finding| finding.level == level && whole(finding).contains(words)),
        "no {level:?} with {words:?} in {of_topic:#?}"
    );
}

#[test]
fn a_sound_host_has_nothing_to_mend() {
    for plan in [Plan::Auto, Plan::Count(2), Plan::Cpus(vec![1, 3])] {
        let worse: Vec<_> =
            judge(&sound(), &plan).into_iter().filter(|finding| finding.level > Level::Note).collect();
        assert!(worse.is_empty(), "{plan:?}: {worse:#?}");
    }
}

#[test]
fn what_is_unknown_is_not_called_fine() {
    let findings = judge(&Facts::default(), &Plan::Auto);
    for topic in ["kernel", "io_uring", "open files", "locked memory", "CPUs"] {
        assert!(
            findings.iter().any(|finding| finding.topic == topic && finding.level == Level::Note),
            "{topic}"
        );
    }
}

#[test]
fn every_finding_to_mend_says_cost_and_fix() {
    let mut facts = sound();
    facts.kernel = Some(Kernel { version: (5, 4), release: "5.4.0".into() });
    facts.ring.probe = Some(refused(38));
    facts.limits.open_files = Some(Limit { soft: Some(100), hard: None });
    facts.limits.locked_memory_bytes = Some(Limit { soft: Some(1024), hard: None });
    facts.cpus.quota = Some(0.5);
    facts.cpus.governors = vec!["powersave".into()];
    facts.sysctl.insert("net.core.somaxconn", "128".into());
    facts.host.clock_source = Some("hpet".into());
    let worse: Vec<_> =
        judge(&facts, &Plan::Count(8)).into_iter().filter(|f| f.level > Level::Note).collect();
    assert!(worse.len() >= 8, "{worse:#?}");
    assert!(worse.iter().all(|finding| !finding.cost.is_empty() && !finding.fix.is_empty()), "{worse:#?}");
}

#[test]
fn a_refused_ring_names_who_refuses() {
    let table = [
        (1, Some(2), None, 2, "kernel.io_uring_disabled = 2"),
        (1, Some(1), Some(990), 0, "group 990 only"),
        (1, Some(1), Some(-1), 0, "kernel.io_uring_group is not set"),
        (1, Some(0), None, 2, "a seccomp filter refuses"),
        (1, None, None, 2, "a seccomp filter refuses"),
        (1, Some(0), None, 0, "a security module"),
        (38, None, None, 2, "pretends that there is no such call"),
        (38, None, None, 0, "CONFIG_IO_URING"),
        (12, Some(0), None, 0, "RLIMIT_MEMLOCK"),
        (24, Some(0), None, 0, "no descriptor is left"),
    ];
    for (error, disabled, group, seccomp, words) in table {
        let change = |facts: &mut Facts| {
            facts.ring.probe = Some(refused(error));
            facts.ring.disabled = disabled;
            facts.ring.group = group;
            facts.ring.seccomp = Some(seccomp);
        };
        check(change, &Plan::Auto, "io_uring", Level::Warn, words);
    }
}

#[test]
fn the_fix_for_a_filter_depends_on_the_runtime() {
    let runtimes = [
        (Some("Docker"), "--security-opt"),
        (Some("Kubernetes"), "localhostProfile"),
        (None, "SystemCallFilter="),
    ];
    for (container, words) in runtimes {
        let change = |facts: &mut Facts| {
            facts.ring.probe = Some(refused(1));
            facts.ring.seccomp = Some(2);
            facts.host.container = container;
        };
        check(change, &Plan::Auto, "io_uring", Level::Warn, words);
    }
}

#[test]
fn a_ring_that_cannot_be_entered_or_lacks_operations_is_no_ring() {
    let entered = |facts: &mut Facts| facts.ring.probe = Some(RingProbe { enter: Err(1), ..granted() });
    check(entered, &Plan::Auto, "io_uring", Level::Warn, "io_uring_enter fails with EPERM");
    let probed = |facts: &mut Facts| facts.ring.probe = Some(RingProbe { register: Err(1), ..granted() });
    check(probed, &Plan::Auto, "io_uring", Level::Warn, "io_uring_register fails with EPERM");
    let lacking = |facts: &mut Facts| {
        facts.ring.probe = Some(RingProbe { operations_missing: vec!["SEND"], ..granted() })
    };
    check(lacking, &Plan::Auto, "io_uring", Level::Warn, "lacks the operations SEND");
    let older =
        |facts: &mut Facts| facts.ring.probe = Some(RingProbe { defer_taskrun: Err(22), ..granted() });
    check(older, &Plan::Auto, "ring flag", Level::Warn, "DEFER_TASKRUN: EINVAL");
}

#[test]
fn only_a_ring_that_cannot_be_used_is_refused() {
    let refusal = |probe: RingProbe| {
        let mut facts = sound();
        facts.ring.probe = Some(probe);
        ring_refusal(&facts).map(|finding| finding.what)
    };
    assert_eq!(refusal(granted()), None);
    assert_eq!(refusal(RingProbe { defer_taskrun: Err(22), ..granted() }), None, "fewer flags will do");
    assert!(refusal(refused(1)).is_some_and(|what| what.starts_with("io_uring_setup fails with EPERM")));
    assert!(refusal(RingProbe { enter: Err(1), ..granted() }).is_some());
}

#[test]
fn descriptors_are_counted_for_each_worker() {
    let soft = |soft| {
        move |facts: &mut Facts| facts.limits.open_files = Some(Limit { soft: Some(soft), hard: None })
    };
    check(soft(100), &Plan::Auto, "open files", Level::Fail, "about 4 connections for each of 4");
    check(soft(1024), &Plan::Auto, "open files", Level::Warn, "about 120 connections");
    check(soft(1024), &Plan::Count(1), "open files", Level::Warn, "about 480 connections");
    check(soft(65_536 + 64), &Plan::Auto, "open files", Level::Ok, "about 8192 connections");
}

#[test]
fn locked_memory_matters_only_where_rings_are_charged_to_it() {
    let small = |version: (u32, u32), lifted| {
        move |facts: &mut Facts| {
            facts.kernel = Some(Kernel { version, release: String::new() });
            facts.limits.locked_memory_bytes = Some(Limit { soft: Some(65_536), hard: Some(65_536) });
            facts.limits.may_lock_any_memory = Some(lifted);
        }
    };
    check(small((5, 10), false), &Plan::Auto, "locked memory", Level::Warn, "4 ring(s) take about 1024 KiB");
    check(small((5, 10), true), &Plan::Auto, "locked memory", Level::Ok, "CAP_IPC_LOCK");
    check(small((5, 15), false), &Plan::Auto, "locked memory", Level::Ok, "64 KiB");
}

#[test]
fn workers_need_cpus_they_may_use() {
    let narrow = |facts: &mut Facts| facts.cpus.allowed = Some(vec![0, 1]);
    check(narrow, &Plan::Cpus(vec![1, 2]), "CPUs", Level::Fail, "planned but barred: 2");
    check(narrow, &Plan::Count(3), "CPUs", Level::Warn, "3 workers planned");
    check(narrow, &Plan::Auto, "CPUs", Level::Ok, "4 online, 2 for this process (0-1); 2 worker(s)");
    check(|facts| facts.cpus.quota = Some(1.5), &Plan::Auto, "CPU quota", Level::Warn, "1.50 CPUs for 4");
    check(|facts| facts.cpus.quota = Some(1.5), &Plan::Count(1), "CPU quota", Level::Ok, "1.50 CPUs");
}

#[test]
fn cores_nodes_and_isolation_are_those_of_the_workers() {
    let pairs = |facts: &mut Facts| facts.cpus.siblings = vec![vec![0, 2], vec![1, 3]];
    check(pairs, &Plan::Auto, "SMT", Level::Note, "0,2 and 1,3");
    check(pairs, &Plan::Cpus(vec![0, 1]), "SMT", Level::Ok, "no two workers");
    let two = |facts: &mut Facts| facts.cpus.nodes = vec![vec![0, 1], vec![2, 3]];
    check(two, &Plan::Auto, "NUMA", Level::Note, "workers on 2");
    check(two, &Plan::Cpus(vec![2, 3]), "NUMA", Level::Ok, "workers on 1");
    check(|facts| facts.cpus.isolated.clear(), &Plan::Auto, "isolation", Level::Note, "0 of 4");
    check(
        |facts| facts.cpus.governors = vec!["powersave".into()],
        &Plan::Auto,
        "CPU governor",
        Level::Note,
        "cpupower",
    );
}

#[test]
fn settings_are_compared_by_the_right_word() {
    let table = [
        ("net.core.somaxconn", "128", Level::Warn, "at least 4096;"),
        ("net.core.somaxconn", "4096", Level::Ok, ""),
        ("net.ipv4.tcp_rmem", "4096 131072 33554432", Level::Ok, ""),
        ("net.ipv4.tcp_rmem", "4096 131072 131072", Level::Note, "as the last number"),
        ("net.ipv4.ip_local_port_range", "32768 60999", Level::Ok, "28232 upstream"),
        ("net.ipv4.ip_local_port_range", "60000 60999", Level::Note, "EADDRNOTAVAIL"),
        ("net.ipv4.tcp_tw_reuse", "2", Level::Note, "holds its port"),
        ("net.ipv4.tcp_slow_start_after_idle", "1", Level::Note, "round trips"),
    ];
    for (name, value, level, words) in table {
        let change = |facts: &mut Facts| drop(facts.sysctl.insert(name, value.to_owned()));
        check(change, &Plan::Auto, "sysctl", level, words);
    }
    let polling = |facts: &mut Facts| drop(facts.sysctl.insert("net.core.busy_poll", "50".into()));
    check(polling, &Plan::Auto, "busy polling", Level::Note, "burns its core");
}

#[test]
fn queues_and_interrupts_are_held_against_the_workers() {
    let alter = |alter: fn(&mut Interface)| move |facts: &mut Facts| alter(&mut facts.interfaces[0]);
    check(
        alter(|card| card.receive_queues = 1),
        &Plan::Auto,
        "network card",
        Level::Note,
        "spreads it (RPS)",
    );
    check(
        alter(|card| card.receive_queues = 1),
        &Plan::Count(1),
        "network card",
        Level::Ok,
        "1 receive queue(s)",
    );
    let spread = alter(|card| {
        card.receive_queues = 1;
        card.receive_queues_spread = 1;
    });
    check(spread, &Plan::Auto, "network card", Level::Ok, "RPS on 1");
    let piled = alter(|card| card.interrupts = vec![vec![0]; 4]);
    check(piled, &Plan::Auto, "interrupts", Level::Warn, "4 interrupt(s) on CPU 0");
    let bridge = alter(|card| card.physical = false);
    check(bridge, &Plan::Auto, "network card", Level::Note, "none with a device");
    let flows = |facts: &mut Facts| {
        facts.interfaces[0].receive_queues_with_flows = 4;
        facts.sysctl.insert("net.core.rps_sock_flow_entries", "0".into());
    };
    check(flows, &Plan::Auto, "network card", Level::Note, "RFS does nothing");
}

#[test]
fn the_rest_of_the_host() {
    check(|facts| facts.host.autogroup = Some(true), &Plan::Auto, "autogroup", Level::Note, "equal share");
    check(
        |facts| facts.host.huge_pages = Some("always".into()),
        &Plan::Auto,
        "memory",
        Level::Note,
        "madvise",
    );
    check(
        |facts| facts.host.clock_source = Some("hpet".into()),
        &Plan::Auto,
        "clock",
        Level::Warn,
        "system call",
    );
    check(|facts| facts.host.container = Some("podman"), &Plan::Auto, "container", Level::Note, "podman");
}
