//! Keys keep callers apart, and memory is bounded.

use super::*;
use crate::policy::authz::Path;
use crate::policy::expr::Expression;

fn keyed(part: KeyPart) -> Gate {
    Gate::new(vec![Limit { key: [part].into(), ..calls("x", 1, 60, 1) }])
}

/// The first and the third are the same key, the second is another.
fn apart(mut gate: Gate, first: impl Fn(&mut Gate), other: impl Fn(&mut Gate)) {
    let label = gate.limits.list()[0].key[0].label();
    first(&mut gate);
    assert!(gate.passes("t"), "{label}");
    other(&mut gate);
    assert!(gate.passes("t"), "{label}");
    assert!(!gate.passes("t"), "{label}");
    first(&mut gate);
    assert!(!gate.passes("t"), "{label}");
}

#[test]
fn each_part_keeps_its_values_apart() {
    let claim = |value: serde_json::Value| {
        move |gate: &mut Gate| gate.principal.claims = json!({"team": {"id": value}})
    };
    apart(keyed(KeyPart::Agent), |gate| gate.principal = agent("a"), |gate| gate.principal = agent("b"));
    apart(keyed(KeyPart::Agent), |gate| gate.principal.agent = None, |gate| gate.principal = agent(""));
    apart(
        keyed(KeyPart::User),
        |gate| gate.principal.user = None,
        |gate| {
            gate.principal.user = Some("u".into());
        },
    );
    apart(
        keyed(KeyPart::Tenant),
        |gate| gate.principal.tenant = None,
        |gate| {
            gate.principal.tenant = Some("u".into());
        },
    );
    apart(keyed(KeyPart::Server), |gate| gate.server = 0, |gate| gate.server = 1);
    apart(keyed(KeyPart::Claim(Path::parse("team.id").unwrap())), claim(json!(1)), claim(json!("one")));
    let header = || keyed(KeyPart::Header("x-team".into()));
    apart(header(), |gate| gate.header = None, |gate| gate.header = Some(("x-team", "")));
    apart(
        header(),
        |gate| gate.header = Some(("x-team", "a")),
        |gate| {
            gate.header = Some(("x-team", "b"));
        },
    );
    // What is there twice has no value, and is not the same as what is not there.
    apart(header(), |gate| gate.header = None, |gate| gate.header = Some(("x-team", "(twice)")));
    apart(keyed(KeyPart::Arguments), |gate| gate.arguments = "{}", |gate| gate.arguments = "{\"a\":1}");
    let cel = Expression::compile("arguments.n % 2", VARIABLES).unwrap();
    apart(keyed(KeyPart::Cel(cel)), |gate| gate.arguments = "{\"n\":3}", |gate| gate.arguments = "{\"n\":4}");
    let network = || keyed(KeyPart::Source { v4_bits: 24, v6_bits: 64 });
    apart(
        network(),
        |gate| gate.source = Some([10, 0, 0, 9].into()),
        |gate| {
            gate.source = Some([10, 0, 1, 9].into());
        },
    );
    apart(network(), |gate| gate.source = None, |gate| gate.source = Some([10, 0, 1, 9].into()));
    apart(
        network(),
        |gate| gate.source = "2001:db8::1".parse().ok(),
        |gate| {
            gate.source = "2001:db8:0:1::1".parse().ok();
        },
    );
}

#[test]
fn addresses_of_one_network_share_a_key() {
    let mut gate = keyed(KeyPart::Source { v4_bits: 24, v6_bits: 64 });
    assert!(gate.passes("t"));
    for source in ["10.0.0.77", "::ffff:10.0.0.5"] {
        gate.source = source.parse().ok();
        assert!(!gate.passes("t"), "{source}");
    }
}

#[test]
fn parts_do_not_run_into_each_other() {
    let key = [KeyPart::Agent, KeyPart::User, KeyPart::Tool];
    let mut gate = Gate::new(vec![Limit { key: key.into(), ..calls("x", 1, 60, 1) }]);
    for (agent, user, tool) in [("a", "bc", "d"), ("ab", "c", "d"), ("a", "b", "cd"), ("", "abc", "d")] {
        gate.principal.agent = Some(agent.into());
        gate.principal.user = Some(user.into());
        assert!(gate.passes(tool) && !gate.passes(tool), "{agent} {user} {tool}");
    }
}

#[test]
fn limits_of_another_name_or_length_have_other_buckets_and_numbers_may_change() {
    let mut gate = Gate::new(vec![calls("x", 5, 60, 5)]);
    assert_eq!(gate.passed("t", 9), 5);
    let reload =
        |gate: &mut Gate, limit| gate.limits = Limits::new(vec![limit], Vec::new(), vec!["one".into()]);
    reload(&mut gate, calls("x", 5, 60, 5));
    assert_eq!(gate.passed("t", 9), 0, "an unchanged limit goes on where it was");
    reload(&mut gate, calls("x", 6, 60, 8));
    assert_eq!(gate.passed("t", 9), 3, "what was used is known, the new numbers count");
    reload(&mut gate, calls("y", 5, 60, 5));
    assert_eq!(gate.passed("t", 9), 5);
    reload(&mut gate, calls("x", 5, 61, 5));
    assert_eq!(gate.passed("t", 9), 5);
}

#[test]
fn a_core_knows_a_bounded_number_of_keys_and_loses_nothing() {
    let mut gate = Gate::new(vec![Limit { key: [KeyPart::Agent].into(), ..calls("x", 2, 3_600, 2) }]);
    gate.leases = Leases::new(Secret::new([7; 16]), NonZeroUsize::MIN, NonZeroUsize::new(16).unwrap());
    for _ in 0..2 {
        for number in 0..200 {
            gate.principal = agent(&format!("agent {number}"));
            assert!(gate.passes("t"), "{number}");
            assert!(gate.leases.len() <= 16);
        }
    }
    for number in 0..200 {
        gate.principal = agent(&format!("agent {number}"));
        assert!(!gate.passes("t"), "{number}");
    }
    gate.pass(second(1));
    for _ in 0..3 {
        gate.tick();
        gate.pass(second(1));
    }
    assert_eq!(gate.leases.len(), 0, "what is idle is given back");
}

#[test]
fn without_room_for_a_key_nothing_passes_that_must_be_counted() {
    let keyed = |limit: Limit| Limit { key: [KeyPart::Agent].into(), ..limit };
    for (limit, mode) in [
        (calls("x", 5, 60, 5), Mode::Enforce),
        (calls("x", 5, 60, 5), Mode::Report),
        (quota("x", Unit::Tokens, 100, Period::Day, 0), Mode::Enforce),
    ] {
        let mut gate =
            Gate::with(vec![keyed(Limit { mode, ..limit })], Vec::new(), PlainLedger::with_room(1));
        assert!(gate.passes("t"));
        gate.principal = agent("b");
        match (gate.call("t").0, mode) {
            (Verdict::Deny(denial), Mode::Enforce) => {
                assert_eq!(denial.why, Why::NoRoom);
                let answer =
                    gate.facts("tools/call", Target::Tool("t"), |facts| gate.limits.answer(&denial, facts));
                assert_eq!(answer, Answer::Error(503));
            }
            (Verdict::Allow { reported }, Mode::Report) => assert_eq!(reported, Some(0)),
            other => panic!("{other:?}"),
        }
        gate.principal = agent("a");
        assert!(gate.passes("t"));
    }
}

#[test]
fn one_caller_takes_no_more_than_its_share_of_keys_that_it_chooses() {
    let key = || [KeyPart::Caller, KeyPart::Arguments].into();
    for (limit, mode, each_unit) in [
        (calls("x", 5, 60, 5), Mode::Enforce, true),
        (calls("x", 5, 60, 5), Mode::Report, true),
        (quota("x", Unit::Calls, 100, Period::Hour, 0), Mode::Enforce, false),
        (quota("x", Unit::Tokens, 100, Period::Hour, 0), Mode::Enforce, false),
    ] {
        let mut gate = Gate::new(vec![Limit { key: key(), mode, ..limit }]);
        let share = usize::try_from(gate.leases.keys_share().get()).unwrap();
        let arguments: Vec<String> = (0..=share).map(|number| format!("{{\"n\":{number}}}")).collect();
        for text in &arguments[..share] {
            gate.arguments = text.clone().leak();
            assert!(gate.passes("t"), "{text}");
        }
        gate.arguments = arguments[share].clone().leak();
        match (gate.call("t").0, mode) {
            (Verdict::Deny(denial), Mode::Enforce) => assert_eq!(denial.why, Why::NoRoom),
            (Verdict::Allow { reported: Some(0) }, Mode::Report) => {}
            other => panic!("{other:?}"),
        }
        if !each_unit {
            gate.arguments = arguments[0].clone().leak();
            assert!(gate.passes("t"), "a key that is in use goes on");
        }
        gate.principal = agent("b");
        assert!(gate.passes("t"), "another caller has its own share");
        gate.principal = agent("a");
        gate.pass(second(7_200));
        gate.arguments = arguments[share].clone().leak();
        assert!(gate.passes("t"), "what is full again takes no room");
    }
}

#[test]
fn a_share_comes_back_as_fast_as_keys_do() {
    // Each key is in use for a tenth of a second only.
    let key = [KeyPart::Caller, KeyPart::Tool].into();
    let mut gate = Gate::new(vec![Limit { key, ..calls("x", 10_000, 1_000, 10_000) }]);
    for round in 0..200 {
        for tool in 0..15 {
            let name: &'static str = format!("tool {tool}").leak();
            assert!(gate.passes(name), "{round} {tool}");
        }
        gate.pass(std::time::Duration::from_millis(430));
    }
}

#[test]
fn what_is_refused_takes_nothing_of_the_share() {
    let chosen = Limit { key: [KeyPart::Caller, KeyPart::Arguments].into(), ..calls("x", 100, 3_600, 100) };
    let mut gate = Gate::new(vec![calls("all", 20, 1, 20), chosen]);
    for number in 0..2_000 {
        gate.arguments = format!("{{\"n\":{number}}}").leak();
        gate.passes("t");
    }
    gate.pass(second(2));
    gate.arguments = "{\"n\":-1}";
    assert!(gate.passes("t"));
}

#[test]
fn keys_that_nobody_chooses_have_no_share() {
    let mut gate = Gate::new(vec![Limit { key: [KeyPart::Agent].into(), ..calls("x", 5, 60, 5) }]);
    for number in 0..600 {
        gate.principal = agent(&format!("agent {number}"));
        assert!(gate.passes("t"), "{number}");
    }
}
