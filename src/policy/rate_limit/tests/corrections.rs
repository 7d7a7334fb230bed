//! An estimate is put right when the tokens are counted.

use super::*;

/// A call whose tokens were estimated, and what is to be put right of it.
fn estimated(gate: &mut Gate, outcome: Outcome) -> Bill {
    let (verdict, ticket) = gate.call("t");
    assert!(matches!(verdict, Verdict::Allow { .. }));
    let mut bill = Bill::default();
    gate.limits.write_bill(&mut gate.leases, &ticket, &outcome, gate.now, &mut bill);
    gate.end(ticket, outcome);
    bill
}

fn correct(gate: &mut Gate, mut bill: Bill, tokens: u64) -> u32 {
    let lost = gate.limits.correct(&mut gate.leases, &gate.ledger, &mut bill, tokens, gate.now);
    assert!(bill.is_empty());
    let mut alerts = gate.alerts.borrow_mut();
    gate.leases.take_alerts(|alert| alerts.push(alert.percent));
    lost
}

fn used(tokens: u64) -> Outcome {
    Outcome { tokens, ..GOOD }
}

#[test]
fn a_quota_ends_with_the_count_and_not_with_the_estimate() {
    for (estimate, count, passes) in
        [(90, 100, false), (90, 99, true), (120, 99, true), (120, 100, false), (100, 0, true)]
    {
        let mut gate = Gate::new(vec![quota("x", Unit::Tokens, 100, Period::Day, 0)]);
        let bill = estimated(&mut gate, used(estimate));
        assert_eq!(gate.passes("t"), estimate < 100, "until it is counted");
        gate.pass(millis(5));
        assert_eq!(correct(&mut gate, bill, count), 0);
        assert_eq!(gate.passes("t"), passes, "{estimate} estimated, {count} counted");
    }
}

#[test]
fn money_follows_the_count_and_other_units_do_not() {
    let price = Price { per_call: 7, per_1k_tokens: 1_000, ..Price::default() };
    let other = calls("calls", 1_000, 60, 1_000);
    let bytes = quota("bytes", Unit::Bytes, 1_000, Period::Day, 0);
    let limits = vec![quota("money", Unit::Cost, 100_000, Period::Day, 0), other, bytes];
    let mut gate = Gate::with(limits, vec![price], PlainLedger::default());
    let bill = estimated(&mut gate, Outcome { bytes: 999, ..used(50_000) });
    assert_eq!(bill.tokens(), 50_000);
    correct(&mut gate, bill, 99_992);
    assert!(gate.passes("t"), "7 and 99,992 of 100,000");
    // That call was 7 as well, and it was the last.
    assert!(!gate.passes("t"));
}

#[test]
fn what_was_not_charged_is_not_put_right() {
    let of = |charge| Limit { charge, ..quota("x", Unit::Tokens, 100, Period::Day, 0) };
    let mut gate = Gate::new(vec![of(Charge::OnSuccess)]);
    let failed = Outcome { success: false, ..used(50) };
    assert!(estimated(&mut gate, failed).is_empty());
    let mut gate = Gate::new(vec![of(Charge::Always)]);
    assert!(!estimated(&mut gate, failed).is_empty());
    let mut gate = Gate::new(vec![calls("calls", 10, 60, 10)]);
    assert!(estimated(&mut gate, used(50)).is_empty());
}

#[test]
fn a_window_of_the_calendar_that_is_over_stays_as_it_was() {
    for count in [0, 1_000] {
        let mut gate = Gate::new(vec![quota("x", Unit::Tokens, 100, Period::Hour, 0)]);
        let bill = estimated(&mut gate, used(100));
        assert!(!gate.passes("t"));
        gate.pass(second(3_600));
        assert_eq!(correct(&mut gate, bill, count), 0);
        let next = estimated(&mut gate, used(99));
        assert!(gate.passes("t"), "{count}: nothing of it came into the new hour");
        correct(&mut gate, next, 100);
        assert!(!gate.passes("t"));
    }
}

#[test]
fn a_steady_bucket_gets_back_no_more_than_is_missing() {
    let window = || Window::steady(number(100), second(1), number(100));
    // 200 were 20: of the 180, what came back in half a second by itself is not given back.
    let mut gate = Gate::new(vec![limit("x", Unit::Tokens, vec![window()])]);
    let bill = estimated(&mut gate, used(200));
    gate.pass(millis(500));
    correct(&mut gate, bill, 20);
    assert!(gate.passes("t"));
    // However much is given back, a bucket is never more than full.
    let mut gate = Gate::new(vec![limit("x", Unit::Tokens, vec![window()])]);
    let bill = estimated(&mut gate, used(10));
    gate.pass(second(1));
    correct(&mut gate, bill, 0);
    let bill = estimated(&mut gate, used(101));
    assert!(!gate.passes("t"), "100 are all there ever is");
    gate.pass(millis(1));
    correct(&mut gate, bill, 1_000);
    assert!(gate.wait("t") > second(8), "and a debt is repaid in its time");
}

#[test]
fn marks_are_noted_when_the_count_passes_them() {
    let mut gate = Gate::new(vec![quota("x", Unit::Tokens, 100, Period::Day, 0)]);
    let bill = estimated(&mut gate, used(70));
    assert!(gate.alerts.borrow().is_empty());
    correct(&mut gate, bill, 100);
    assert_eq!(*gate.alerts.borrow(), [80, 100]);
}

#[test]
fn what_there_is_no_room_for_is_told() {
    let limits = vec![quota("x", Unit::Tokens, 1_000, Period::Day, 0)];
    let mut gate = Gate::with(limits, Vec::new(), PlainLedger::with_room(1));
    let bill = estimated(&mut gate, used(0));
    gate.ledger = PlainLedger::with_room(0);
    assert_eq!(correct(&mut gate, bill, 5), 1);
}

#[test]
fn a_reload_in_between_is_settled_by_the_limits_that_admitted() {
    // The bucket is the limit's by its name, so what the old limits put right counts under the new ones.
    let limits = |count| vec![quota("x", Unit::Tokens, count, Period::Day, 0)];
    let mut gate = Gate::new(limits(100));
    let bill = estimated(&mut gate, used(100));
    let old = std::mem::replace(&mut gate.limits, Limits::new(limits(200), Vec::new(), vec!["one".into()]));
    assert!(gate.passes("t"));
    let mut bill = bill;
    old.correct(&mut gate.leases, &gate.ledger, &mut bill, 200, gate.now);
    gate.pass(millis(5));
    assert!(!gate.passes("t"));
}
