//! What callers are told, and what people are shown.

use super::*;

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn denied(gate: &mut Gate, tool: &str) -> Denial {
    match gate.call(tool).0 {
        Verdict::Deny(denial) => denial,
        Verdict::Allow { .. } => panic!("{tool} passes"),
    }
}

#[test]
fn a_refusal_says_when_to_come_back() {
    let mut gate = Gate::new(vec![calls("sql", 10, 60, 1)]);
    assert!(gate.passes("t"));
    for (passed, seconds) in [(0, 6), (1, 6), (999, 5), (1_000, 4), (3_999, 1), (1, 0)] {
        gate.pass(millis(passed));
        if seconds == 0 {
            assert!(gate.passes("t"));
            continue;
        }
        let denial = denied(&mut gate, "t");
        let fields = text(|out| gate.limits.write_refusal_fields(&denial, out));
        assert_eq!(
            fields,
            format!(
                "retry-after: {seconds}\r\nratelimit-policy: \"sql\";q=10;w=60\r\nratelimit: \"sql\";r=0;t={seconds}\r\n"
            )
        );
    }
    gate.limits.headers = false;
    let denial = denied(&mut gate, "t");
    assert_eq!(text(|out| gate.limits.write_refusal_fields(&denial, out)), "retry-after: 6\r\n");
}

#[test]
fn a_governed_answer_tells_what_is_left() {
    let windows = vec![
        Window::steady(number(25), second(10), number(25)),
        Window::steady(number(60), second(60), number(60)),
    ];
    let held = Window::new(Fill::Held { count: number(4) });
    let mut gate = Gate::new(vec![
        limit("calls", Unit::Calls, windows),
        limit("busy", Unit::InFlight, vec![held]),
        quota("tokens", Unit::Tokens, 1_000, Period::Day, 0),
    ]);
    gate.passed("t", 4);
    let (_, ticket) = gate.call("t");
    let fields = text(|out| gate.limits.write_fields(&mut gate.leases, &gate.ledger, &ticket, gate.now, out));
    assert_eq!(
        fields,
        "ratelimit-policy: \"calls\";q=25;w=10, \"calls.1m\";q=60;w=60, \
         \"busy\";q=4;qu=\"concurrent-requests\", \"tokens\";q=1000;qu=\"tokens\";w=86400\r\n\
         ratelimit: \"calls\";r=20;t=2, \"calls.1m\";r=55;t=5, \"busy\";r=3, \"tokens\";r=1000;t=43200\r\n"
    );
    gate.end(ticket, GOOD);
    let empty = Ticket::new();
    let fields = text(|out| gate.limits.write_fields(&mut gate.leases, &gate.ledger, &empty, gate.now, out));
    assert_eq!(fields, "");
}

#[test]
fn errors_name_the_limit_and_results_are_for_the_model() {
    let advice = Some("Say \"stop\".".into());
    let mut gate = Gate::new(vec![Limit { deny_as: DenyAs::Result, advice, ..calls("sql", 10, 60, 1) }]);
    assert!(gate.passes("t"));
    let denial = denied(&mut gate, "t");
    let message = "Limit sql is used up: 10 calls in 1m. Say \"stop\". Try again in 6 s.";
    assert_eq!(gate.limits.message(&denial), message);

    let error: serde_json::Value =
        serde_json::from_str(&text(|out| gate.limits.write_error(&denial, b"\"7\"", out))).unwrap();
    let data = json!({"limit": "sql", "reason": "spent", "retryAfter": 6});
    assert_eq!(
        error,
        json!({"jsonrpc": "2.0", "id": "7", "error": {"code": 429, "message": message, "data": data}})
    );
    for modern in [false, true] {
        let result: serde_json::Value =
            serde_json::from_str(&text(|out| gate.limits.write_result(&denial, b"7", modern, out))).unwrap();
        let mut expected = json!({"content": [{"type": "text", "text": message}], "isError": true});
        if modern {
            expected["resultType"] = "complete".into();
        }
        assert_eq!(result, json!({"jsonrpc": "2.0", "id": 7, "result": expected}));
    }
    let answer = |gate: &Gate, method: &str, target| {
        gate.facts(method, target, |facts| gate.limits.answer(&denial, facts))
    };
    assert_eq!(answer(&gate, "tools/call", Target::Tool("t")), Answer::Result);
    assert_eq!(answer(&gate, "tools/list", Target::Protocol), Answer::Error(429));
}

#[test]
fn each_kind_of_limit_has_words_of_its_own() {
    let message = |limit: Limit, expected: &str| {
        let price = Price { per_call: 3_000_000, ..Price::default() };
        let mut gate = Gate::with(vec![limit], vec![price], PlainLedger::default());
        let (_, ticket) = gate.call("t");
        // What is held stays so; the rest is used up.
        if gate.limits.list()[0].unit != Unit::InFlight {
            gate.end(ticket, Outcome { tokens: 10, ..GOOD });
        }
        let denial = denied(&mut gate, "t");
        assert_eq!(gate.limits.message(&denial), expected);
    };
    message(
        quota("x", Unit::Cost, 2_500_000, Period::Day, 0),
        "Limit x is used up: a cost of 2.5 a day. Try again in 43200 s.",
    );
    message(
        quota("x", Unit::Tokens, 10, Period::Month, 0),
        "Limit x is used up: 10 tokens a month. Try again in 2289600 s.",
    );
    message(
        limit("x", Unit::InFlight, vec![Window::new(Fill::Held { count: number(1) })]),
        "Limit x: 1 requests are under way, and no more may be. Try again in 1 s.",
    );
}

#[test]
fn what_a_request_would_touch_is_shown() {
    let key = [KeyPart::Agent, KeyPart::Tool, KeyPart::Arguments];
    let mut gate = Gate::new(vec![
        Limit { key: key.into(), ..calls("x", 10, 60, 3) },
        Limit { mode: Mode::Report, ..calls("y", 1, 60, 1) },
        Limit { tools: names(&["other"]), ..calls("z", 1, 60, 1) },
    ]);
    gate.passed("t", 2);
    gate.tick();
    let lines = gate.facts("tools/call", Target::Tool("t"), |facts| {
        gate.limits.explain(gate.leases.secret(), &gate.ledger, facts, gate.now.wall, gate.now)
    });
    let [x, y] = lines.as_slice() else { panic!("{lines:?}") };
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!((&*x.limit, &*x.rate, x.is_report, x.passes), ("x", "10 calls in 1m", false, true));
    assert_eq!(x.key, [text("agent", "a"), text("tool", "t"), text("arguments", "2 bytes #9baea07c")]);
    assert_eq!((x.level.available, x.exception), (1, None));
    assert_eq!((&*y.limit, y.is_report, y.passes), ("y", true, false));
}
