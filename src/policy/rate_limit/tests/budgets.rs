//! What is known only at the end: tokens, bytes and money. And quotas of the calendar, and what is in flight.

use super::*;

fn used(tokens: u64) -> Outcome {
    Outcome { tokens, bytes: tokens, ..GOOD }
}

#[test]
fn a_quota_in_debt_refuses_until_it_is_new() {
    let mut gate = Gate::new(vec![quota("x", Unit::Tokens, 1_000, Period::Day, 0)]);
    let (verdict, ticket) = gate.call("t");
    assert!(matches!(verdict, Verdict::Allow { .. }) && ticket.wants().tokens && !ticket.wants().bytes);
    gate.end(ticket, used(600));
    let (_, first) = gate.call("t");
    let (_, second_one) = gate.call("t");
    // Both are under way when the quota ends: neither is cut.
    gate.end(first, used(500));
    let (verdict, ticket) = gate.call("t");
    assert!(matches!(verdict, Verdict::Deny(_)) && ticket.is_empty());
    gate.end(second_one, used(5_000));
    assert_eq!(gate.wait("t"), second(12 * 3_600));
    gate.pass(second(12 * 3_600 - 1));
    assert_eq!(gate.wait("t"), second(1));
    gate.pass(second(1));
    assert_eq!(gate.wait("t"), Duration::ZERO);
    assert_eq!(*gate.alerts.borrow(), [80, 100]);
}

#[test]
fn a_steady_budget_repays_its_debt() {
    let window = Window::steady(number(100), second(1), number(100));
    let mut gate = Gate::new(vec![limit("x", Unit::Bytes, vec![window])]);
    let (_, ticket) = gate.send("tools/list", Target::Protocol);
    gate.end(ticket, used(1_100));
    gate.pass(second(9));
    assert!(!gate.wait("t").is_zero());
    gate.pass(second(2));
    gate.tick();
    assert!(gate.passes("t"));
}

#[test]
fn failures_are_free_where_that_is_wanted() {
    let limit = Limit { charge: Charge::OnSuccess, ..quota("x", Unit::Tokens, 100, Period::Month, 0) };
    let mut gate = Gate::new(vec![limit]);
    for _ in 0..3 {
        let (verdict, ticket) = gate.call("t");
        assert!(matches!(verdict, Verdict::Allow { .. }));
        gate.end(ticket, Outcome { success: false, ..used(100) });
    }
    let (_, ticket) = gate.call("t");
    gate.end(ticket, used(200));
    assert!(!gate.passes("t"));
}

#[test]
fn calls_have_prices() {
    let price = |tools: &[&str], per_call, per_second, per_1k_tokens| Price {
        tools: names(tools),
        per_call,
        per_second,
        per_1k_tokens,
        ..Price::default()
    };
    let prices = vec![price(&["gpu_*"], 2_000, 10_000, 0), price(&["ask"], 0, 0, 500_000)];
    let limits = vec![quota("x", Unit::Cost, 1_000_000, Period::Day, 0)];
    let mut gate = Gate::with(limits, prices, PlainLedger::default());
    let mut cost = |tool: &str, tokens, time| {
        let (verdict, ticket) = gate.call(tool);
        assert!(matches!(verdict, Verdict::Allow { .. }), "{tool}");
        gate.end(ticket, Outcome { tokens, time, ..GOOD }).cost
    };
    assert_eq!(cost("gpu_x", 0, millis(2_500)), 27_000);
    assert_eq!(cost("ask", 1, Duration::ZERO), 500);
    assert_eq!(cost("other", 1_000, second(9)), 0);
    assert_eq!(cost("ask", 2_000, Duration::ZERO), 1_000_000);
    assert!(!gate.passes("other"), "the budget is of all calls");
    assert_eq!(*gate.alerts.borrow(), [80, 100]);
}

#[test]
fn a_quota_of_calls_is_new_with_each_window_and_not_before() {
    // The day begins at 22:00 UTC.
    let mut gate = Gate::new(vec![quota("x", Unit::Calls, 3, Period::Day, -2 * 3_600)]);
    assert_eq!(gate.passed("t", 9), 3);
    assert_eq!(gate.wait("t"), second(10 * 3_600));
    gate.pass(second(10 * 3_600 - 1));
    assert_eq!(gate.passed("t", 9), 0);
    gate.pass(second(1));
    assert_eq!(gate.passed("t", 9), 3);
}

#[test]
fn a_clock_that_is_set_back_gives_no_quota_back() {
    let mut gate = Gate::new(vec![quota("x", Unit::Calls, 3, Period::Hour, 0)]);
    assert_eq!(gate.passed("t", 9), 3);
    gate.now.wall -= 3_600;
    assert_eq!(gate.passed("t", 9), 0);
    gate.now.wall += 2 * 3_600;
    assert_eq!(gate.passed("t", 9), 3);
    gate.now.wall -= 3_600;
    assert_eq!(gate.passed("t", 9), 0);
}

#[test]
fn quotas_give_alerts_once_each() {
    let mut gate = Gate::new(vec![quota("x", Unit::Calls, 100, Period::Day, 0)]);
    gate.passed("t", 79);
    assert_eq!(*gate.alerts.borrow(), [] as [u8; 0]);
    gate.passed("t", 1);
    assert_eq!(*gate.alerts.borrow(), [80]);
    gate.passed("t", 50);
    assert_eq!(*gate.alerts.borrow(), [80, 100]);
}

#[test]
fn a_budget_that_hovers_at_a_mark_is_told_once_and_again_after_it_has_recovered() {
    let window =
        Window { alerts: Marks::USUAL, ..Window::steady(number(1_000), second(1_000), number(1_000)) };
    let mut gate = Gate::new(vec![limit("x", Unit::Tokens, vec![window])]);
    let spend = |gate: &mut Gate, units: u64| {
        let (_, ticket) = gate.call("t");
        gate.end(ticket, used(units));
    };
    spend(&mut gate, 790);
    assert_eq!(*gate.alerts.borrow(), [] as [u8; 0]);
    // A unit comes back each second, and a little more than that is used: it crosses the mark again and again.
    for _ in 0..50 {
        spend(&mut gate, 20);
        gate.pass(second(20));
    }
    assert_eq!(*gate.alerts.borrow(), [80]);
    // 150 more come back: well above the mark, which is worth telling again.
    gate.pass(second(150));
    spend(&mut gate, 200);
    assert_eq!(*gate.alerts.borrow(), [80, 80]);
    spend(&mut gate, 300);
    assert_eq!(*gate.alerts.borrow(), [80, 80, 100]);
    // All of it came back without anybody asking.
    gate.pass(second(2_000));
    spend(&mut gate, 1_001);
    assert_eq!(*gate.alerts.borrow(), [80, 80, 100, 80, 100]);
}

#[test]
fn only_so_many_buckets_are_remembered_and_none_is_told_twice_for_that() {
    let window =
        Window { alerts: Marks::of([50]), ..Window::steady(number(10), second(1_000_000), number(10)) };
    let mut alerts = alerts::Alerts::new();
    let mut told = 0;
    for round in 0..3_u64 {
        for key in 0..2_000 {
            alerts.note(0, BucketKey(key), &window, 6, 5, Ticks(round + 1));
            alerts.take(|_| told += 1);
        }
    }
    assert_eq!(told, 1_024);
}

#[test]
fn what_is_in_flight_is_held_until_the_end() {
    let window = Window::new(Fill::Held { count: number(2) });
    let mut gate = Gate::new(vec![limit("x", Unit::InFlight, vec![window])]);
    let (_, first) = gate.call("t");
    let (_, other) = gate.call("t");
    gate.pass(second(3_600));
    gate.tick();
    let (Verdict::Deny(denial), _) = gate.call("t") else { panic!("refused") };
    assert_eq!((denial.why, denial.wait), (Why::Busy, second(1)));
    assert!(matches!(gate.send("notifications/x", Target::Protocol).0, Verdict::Allow { .. }));
    gate.end(first, BAD);
    let (verdict, third) = gate.call("t");
    assert!(matches!(verdict, Verdict::Allow { .. }));
    gate.end(other, GOOD);
    let mut third = third;
    gate.limits.refund(&mut gate.leases, &gate.ledger, &mut third, gate.now);
    assert!(gate.passes("t") && gate.passes("t"));
}
