//! `servers[].adaptive` and `priorities`: what they become, and every mistake in them.

use std::time::Duration;

use super::{findings, good, server_with};
use crate::policy::adaptive::{Class, Config};

fn with_priorities(list: &str) -> String {
    format!("{}authentication: {{}}\npriorities: {list}\n", server_with("adaptive: {}"))
}

#[test]
fn a_server_is_limited_only_where_it_says_so() {
    assert_eq!(good(&server_with("anonymous: false")).servers[0].adaptive, None);
    let plain = Config {
        min: 4,
        max: 1000,
        start: 16,
        per_tool: false,
        queue: 64,
        queue_time: Duration::from_millis(200),
        percent: 150,
    };
    assert_eq!(good(&server_with("adaptive: {}")).servers[0].adaptive, Some(plain));
    let own = server_with(
        "adaptive: {min: 1, max: 100000, start: 40, per_tool: true, queue: 0, queue_time: 1m, latency_percent: 1000}",
    );
    let wanted = Config {
        min: 1,
        max: 100_000,
        start: 40,
        per_tool: true,
        queue: 0,
        queue_time: Duration::from_secs(60),
        percent: 1000,
    };
    assert_eq!(good(&own).servers[0].adaptive, Some(wanted));
}

#[test]
fn each_mistake_is_found_where_it_stands() {
    let cases: &[(String, &str)] = &[
        (server_with("adaptive: true"), "servers[0].adaptive: is not a section"),
        (server_with("adaptive: {min: 0}"), "servers[0].adaptive.min: `0` is too small"),
        (server_with("adaptive: {max: 100001}"), "servers[0].adaptive.max: `100001` is too large"),
        (server_with("adaptive: {min: 9, max: 8}"), "servers[0].adaptive.min: is more than `max`"),
        (server_with("adaptive: {queue: 4097}"), "servers[0].adaptive.queue: `4097` is too large"),
        (server_with("adaptive: {queue_time: 61s}"), "servers[0].adaptive.queue_time: `61s` is too large"),
        (server_with("adaptive: {latency_percent: 109}"), "latency_percent: `109` is too small"),
        (server_with("adaptive: {target: 2}"), "servers[0].adaptive.target: is not an option"),
        (
            server_with("adaptive: {queue_time: 5s}\n  timeouts: {call: 5s}"),
            "adaptive.queue_time: is no less than the 5s that a call may take",
        ),
        (
            server_with("adaptive: {}\n  transport: sse"),
            "servers[0].adaptive: has no effect with `transport: sse`",
        ),
        (
            format!("{}workers: 3\n", server_with("adaptive: {min: 1, max: 2}")),
            "servers[0].adaptive.max: is less than one call for each of the 3 workers",
        ),
        (
            format!("{}workers: \"0-3\"\n", server_with("adaptive: {min: 1, max: 3}")),
            "servers[0].adaptive.max: is less than one call for each of the 4 workers",
        ),
        (
            format!("{}priorities: [{{roles: [a], class: low}}]\n", server_with("adaptive: {}")),
            "priorities: have no effect: without `authentication`",
        ),
        (with_priorities("[{class: low}]"), "priorities[0]: names nobody"),
        (with_priorities("[{roles: [a]}]"), "priorities[0].class: is missing"),
        (with_priorities("[{roles: [a], class: high}]"), "priorities[0].class: `high` is not known"),
        (
            with_priorities("[{roles: [a], class: low}, {roles: [b, a], class: critical}]"),
            "priorities[1].roles[1]: is named before",
        ),
        (with_priorities("[{agents: [a, a], class: low}]"), "priorities[0].agents[1]: is named before"),
    ];
    let mut wrong = String::new();
    for (text, expected) in cases {
        let found = findings(text);
        if !found.contains(expected) {
            wrong += &format!("---\n{text}expected: {expected}\nfound: {found}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn priorities_need_a_server_that_heeds_them() {
    let found = findings(&format!(
        "{}authentication: {{}}\npriorities: [{{roles: [a], class: low}}]\n",
        server_with("anonymous: true")
    ));
    assert!(found.contains("priorities: have no effect: no server has `adaptive`"), "{found}");
}

#[test]
fn the_same_name_may_be_a_role_and_an_agent() {
    let text = with_priorities("[{roles: [a], class: low}, {agents: [a], class: critical}]");
    let found = findings(&text);
    assert!(!found.contains("priorities"), "{found}");
    let mut caller = crate::policy::Principal::anonymous([]);
    caller.agent = Some("a".into());
    if found.is_empty() {
        assert_eq!(good(&text).priorities.class_of(&caller), Class::Critical);
    }
}
