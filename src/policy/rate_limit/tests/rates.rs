//! Rates, bursts, several at once, and what counts as what.

use super::*;
use crate::policy::expr::Expression;

#[test]
fn a_burst_passes_and_then_the_rate() {
    let mut gate = Gate::new(vec![calls("x", 60, 60, 5)]);
    assert_eq!(gate.passed("t", 10), 5);
    assert_eq!(gate.wait("t"), second(1));
    gate.pass(millis(999));
    assert!(!gate.passes("t"));
    gate.pass(millis(1));
    assert_eq!(gate.passed("t", 3), 1);
    gate.pass(second(600));
    assert_eq!(gate.passed("t", 10), 5);
}

#[test]
fn the_examples_of_descriptors_work_as_written() {
    let with = |name: &str, count, when: &str| {
        let when = Some(Expression::compile(when, VARIABLES).unwrap());
        Limit { when, ..calls(name, count, 60, count) }
    };
    let mut gate = Gate::new(vec![
        with("sql", 10, r#"body.method == "tools/call" && body.params.name == "run_sql_query""#),
        with("list", 200, r#"body.method == "tools/call" && body.params.name == "list_tables""#),
    ]);
    assert!(gate.limits.list().iter().all(|limit| limit.when.is_none()), "both are looked up");
    assert_eq!(gate.passed("run_sql_query", 300), 10);
    assert_eq!(gate.passed("list_tables", 300), 200);
    assert_eq!(gate.passed("other", 300), 300);
    gate.pass(second(6));
    assert_eq!((gate.passed("run_sql_query", 5), gate.passed("list_tables", 50)), (1, 20));
}

#[test]
fn what_cannot_be_looked_up_is_interpreted_and_counts_where_it_has_no_answer() {
    let when = Some(Expression::compile("tool == 't' && arguments.rows > 100", VARIABLES).unwrap());
    let mut gate = Gate::new(vec![Limit { when, ..calls("x", 1, 60, 1) }]);
    gate.arguments = r#"{"rows": 100}"#;
    assert_eq!(gate.passed("t", 5), 5);
    assert_eq!(gate.passed("other", 5), 5);
    gate.arguments = r#"{"rows": 101}"#;
    assert_eq!(gate.passed("t", 5), 1);
    gate.pass(second(60));
    gate.arguments = r#"{"rows": "many"}"#;
    assert_eq!(gate.passed("t", 5), 1);
}

#[test]
fn several_windows_hold_at_once() {
    let windows = vec![
        Window::steady(number(25), second(10), number(25)),
        Window::steady(number(60), second(60), number(60)),
    ];
    let mut gate = Gate::new(vec![limit("x", Unit::Calls, windows)]);
    assert_eq!(gate.passed("t", 100), 25);
    gate.pass(second(10));
    assert_eq!(gate.passed("t", 100), 25);
    // 60 and what came back in 10 s, less 50.
    gate.pass(second(10));
    assert_eq!(gate.passed("t", 100), 25);
    gate.pass(second(10));
    let left = 60 + 30 - 75;
    assert_eq!(gate.passed("t", 100), left);
    assert_eq!(gate.wait("t"), second(1));
}

#[test]
fn the_whole_of_it_is_waited_for_when_several_refuse() {
    let mut gate = Gate::new(vec![calls("short", 1, 1, 1), calls("long", 1, 90, 1)]);
    assert!(gate.passes("t"));
    let (Verdict::Deny(denial), _) = gate.call("t") else { panic!("refused") };
    assert_eq!((denial.limit, denial.wait, denial.why), (1, second(90), Why::Spent));
}

#[test]
fn one_life_of_a_call_costs_one_call() {
    let mut gate = Gate::new(vec![calls("calls", 1, 60, 1), {
        let window = Window::steady(number(1), second(60), number(5));
        limit("requests", Unit::Requests, vec![window])
    }]);
    for (method, target) in [
        ("initialize", Target::Protocol),
        ("notifications/initialized", Target::Protocol),
        ("tools/list", Target::Protocol),
        ("tools/call", Target::Tool("t")),
        ("(delete)", Target::Protocol),
    ] {
        let (verdict, ticket) = gate.send(method, target);
        assert_eq!(verdict, Verdict::Allow { reported: None }, "{method}");
        gate.end(ticket, GOOD);
    }
    let (verdict, _) = gate.send("ping", Target::Protocol);
    assert!(matches!(verdict, Verdict::Deny(Denial { limit: 1, .. })), "{verdict:?}");
    let (verdict, _) = gate.send("tools/call", Target::Tool("t"));
    assert!(matches!(verdict, Verdict::Deny(_)));
}

#[test]
fn a_call_that_asks_for_input_counts_when_it_is_over() {
    let mut gate = Gate::new(vec![calls("x", 1, 3_600, 2)]);
    for _ in 0..5 {
        let (verdict, ticket) = gate.call("t");
        assert!(matches!(verdict, Verdict::Allow { .. }));
        gate.end(ticket, Outcome { unfinished: true, ..GOOD });
        gate.tick();
    }
    assert_eq!(gate.passed("t", 5), 2);
}

#[test]
fn conditions_say_what_a_limit_is_about() {
    let mut gate = Gate::new(vec![
        Limit { servers: [1].into(), ..calls("server", 1, 60, 1) },
        Limit { tools: names(&["db_*", "sql"]), ..calls("tools", 2, 60, 2) },
        Limit { who: Who { agents: names(&["batch-*"]), ..Who::default() }, ..calls("who", 3, 60, 3) },
        Limit { except: names(&["poll"]), ..calls("except", 4, 60, 4) },
    ]);
    assert_eq!(gate.passed("poll", 9), 9);
    assert_eq!(gate.passed("db_x", 9), 2);
    assert_eq!(gate.passed("sql", 9), 0);
    assert_eq!(gate.passed("free", 9), 2, "two of four were taken by db_x");
    gate.principal = agent("batch-7");
    assert_eq!(gate.passed("poll", 9), 3);
    gate.principal = agent("b");
    gate.server = 1;
    assert_eq!(gate.passed("poll", 9), 1);
}

#[test]
fn the_first_override_that_fits_counts_and_has_its_own_buckets() {
    let window = |count| [Window::steady(number(count), second(60), number(count))].into();
    let gold = Who { roles: names(&["gold"]), ..Who::default() };
    let batch = Who { agents: names(&["batch-*"]), ..Who::default() };
    let free = Who { roles: names(&["free"]), ..Who::default() };
    let overrides = [
        Override { who: gold, windows: window(7) },
        Override { who: batch, windows: window(1) },
        Override { who: free, windows: Box::default() },
    ];
    let mut gate = Gate::new(vec![Limit { overrides: overrides.into(), ..calls("x", 3, 60, 3) }]);
    assert_eq!(gate.passed("t", 20), 3);
    gate.principal = Principal { roles: ["gold".into()].into(), ..agent("batch-1") };
    assert_eq!(gate.passed("t", 20), 7);
    gate.principal = agent("batch-1");
    assert_eq!(gate.passed("t", 20), 1);
    gate.principal = Principal { roles: ["free".into()].into(), ..agent("a") };
    assert_eq!(gate.passed("t", 20), 20);
}

#[test]
fn a_report_refuses_nothing_and_says_what_it_would() {
    let mut gate =
        Gate::new(vec![Limit { mode: Mode::Report, ..calls("x", 1, 60, 1) }, calls("y", 3, 60, 3)]);
    assert_eq!(gate.call("t").0, Verdict::Allow { reported: None });
    assert_eq!(gate.call("t").0, Verdict::Allow { reported: Some(0) });
    assert_eq!(gate.call("t").0, Verdict::Allow { reported: Some(0) });
    assert!(matches!(gate.call("t").0, Verdict::Deny(Denial { limit: 1, .. })));
}

#[test]
fn only_success_is_charged_where_that_is_wanted() {
    let limit = Limit { charge: Charge::OnSuccess, ..calls("x", 1, 3_600, 2) };
    let mut gate = Gate::new(vec![limit]);
    for tick in [false, true, false] {
        let (verdict, ticket) = gate.call("t");
        assert!(matches!(verdict, Verdict::Allow { .. }));
        if tick {
            gate.tick();
        }
        gate.end(ticket, BAD);
    }
    assert_eq!(gate.passed("t", 5), 2);
}

#[test]
fn a_loop_is_a_limit_with_the_arguments_in_its_key() {
    let key = [KeyPart::Caller, KeyPart::Server, KeyPart::Tool, KeyPart::Arguments];
    let mut gate = Gate::new(vec![Limit { key: key.into(), ..calls("loop", 5, 60, 5) }]);
    gate.arguments = r#"{"q":1}"#;
    assert_eq!(gate.passed("t", 9), 5);
    gate.arguments = r#"{"q":2}"#;
    assert_eq!(gate.passed("t", 9), 5);
    assert_eq!(gate.passed("u", 9), 5);
    gate.source = Some([10, 0, 0, 2].into());
    assert_eq!(gate.passed("t", 9), 5, "a caller without a credential is its address");
    gate.principal.proof = crate::policy::Proof::Jwt;
    assert_eq!(gate.passed("t", 9), 5);
    gate.source = Some([10, 0, 0, 3].into());
    assert_eq!(gate.passed("t", 9), 0, "one with a credential is not");
}
