//! `rate_limits`: what is compiled, and what is refused.

use std::time::Duration;

use super::{findings, good, with};
use crate::policy::rate_limit::{Charge, DenyAs, Fill, KeyPart, Limits, Mode, Period, Price, Tokens, Unit};

/// A file with these options of one limit.
fn limit(options: &str) -> String {
    with(&format!("rate_limits: {{limits: [{{name: x, {options}}}]}}\n"))
}

fn limits(options: &str) -> Limits {
    good(&limit(options)).rate_limits.unwrap()
}

/// The fills of the only limit.
fn fills(options: &str) -> Vec<Fill> {
    limits(options).list()[0].windows.iter().map(|window| window.fill).collect()
}

fn steady(count: u64, per: Duration, burst: u64) -> Fill {
    Fill::Steady { count: count.try_into().unwrap(), per, burst: burst.try_into().unwrap() }
}

#[test]
fn rates_become_buckets() {
    let seconds = Duration::from_secs;
    for (options, expected) in [
        ("rate: 10/min", vec![steady(10, seconds(60), 10)]),
        ("rate: 10/min, burst: 3", vec![steady(10, seconds(60), 3)]),
        ("rate: [25/10s, 60/min], burst: 30", vec![steady(25, seconds(10), 30), steady(60, seconds(60), 60)]),
        ("unit: tokens, rate: 100_000 tokens/day", vec![steady(100_000, seconds(86_400), 100_000)]),
        ("unit: requests, rate: unlimited", vec![]),
        ("unit: in_flight, max: 10", vec![Fill::Held { count: 10.try_into().unwrap() }]),
        (
            "unit: tokens, rate: 5/month, window: calendar, resets_at: '00:00+02:00'",
            vec![Fill::Calendar { count: 5.try_into().unwrap(), period: Period::Month, begins: -7_200 }],
        ),
    ] {
        assert_eq!(fills(options), expected, "{options}");
    }
}

#[test]
fn tokens_are_counted_as_it_is_written() {
    let reported = || Some("/a".into());
    for (options, expected, thread) in [
        ("{}", Tokens::default(), false),
        ("{count: o200k}", Tokens { reported: None, o200k: Some(1 << 20) }, true),
        ("{count: o200k, max_bytes: 1KiB}", Tokens { reported: None, o200k: Some(1 << 10) }, true),
        ("{count: reported, from: /a}", Tokens { reported: reported(), o200k: None }, false),
        (
            "{count: reported, from: /a, otherwise: estimate}",
            Tokens { reported: reported(), o200k: None },
            false,
        ),
        (
            "{count: reported, from: /a, otherwise: o200k, max_bytes: 8MiB}",
            Tokens { reported: reported(), o200k: Some(8 << 20) },
            true,
        ),
    ] {
        let of = |unit: &str, prices: &str| {
            let limits = format!(
                "{{tokens: {options}, prices: [{prices}], limits: [{{name: x, unit: {unit}, rate: 9/h}}]}}"
            );
            good(&format!("servers:\n- {{name: a, url: 'http://a'}}\nrate_limits: {limits}\n"))
                .rate_limits
                .unwrap()
        };
        let limits = of("tokens", "");
        assert_eq!((&limits.tokens, limits.wants_tokenizer()), (&expected, thread), "{options}");
        // Where nothing is counted, nothing is loaded.
        assert!(
            !of("calls", "{per_1k_tokens: 1}").wants_tokenizer()
                && !of("cost", "{per_call: 1}").wants_tokenizer()
        );
        assert_eq!(of("cost", "{per_1k_tokens: 1}").wants_tokenizer(), thread, "{options}");
    }
}

#[test]
fn everything_that_is_written_counts() {
    let text = "servers:\n- {name: a, url: 'http://a'}\n- {name: b, url: 'http://b'}\n\
        rate_limits:\n\
        \x20 keys_max: 5000\n  headers: true\n\
        \x20 loop_breaker: {calls: 7, within: 2m, except: [wait_*]}\n\
        \x20 tokens: {count: reported, from: /_meta/usage}\n\
        \x20 prices: [{servers: [b], tools: [gpu_*], per_call: 0.002, per_second: 0.01, per_1k_tokens: 1}]\n\
        \x20 limits:\n\
        \x20 - name: day\n    unit: cost\n    rate: 2.50/day\n    window: calendar\n    mode: report\n\
        \x20   charge: on_success\n    deny_as: result\n    servers: [b]\n    tools: [gpu_*]\n\
        \x20   key: [agent, source/24, 'claim:team.id', 'header:X-Team', 'cel: tool + server']\n\
        \x20   overrides: [{roles: [gold], rate: 10/day}, {tenants: [inside], rate: unlimited}]\n";
    let limits = good(text).rate_limits.unwrap();
    assert_eq!((limits.keys_max, limits.headers), (5000, true));
    assert_eq!(limits.tokens, Tokens { reported: Some("/_meta/usage".into()), o200k: None });
    let [breaker, day] = limits.list() else { panic!("two limits") };
    assert_eq!(
        (&*breaker.name, breaker.unit, breaker.deny_as),
        ("loop_breaker", Unit::Calls, DenyAs::Result)
    );
    assert_eq!(breaker.windows[0].fill, steady(7, Duration::from_secs(120), 7));
    assert_eq!((&*day.servers, day.mode, day.charge), (&[1_u16][..], Mode::Report, Charge::OnSuccess));
    let count = |count: u64| count.try_into().unwrap();
    let fill = |units| Fill::Calendar { count: count(units), period: Period::Day, begins: 0 };
    assert_eq!(day.windows[0].fill, fill(2_500_000));
    assert_eq!(day.overrides[0].windows[0].fill, fill(10_000_000));
    assert!(day.overrides[1].windows.is_empty());
    let labels: Vec<String> = day.key.iter().map(KeyPart::label).collect();
    assert_eq!(labels, ["agent", "source/24/64", "claim:team.id", "header:x-team", "cel:tool + server"]);
    assert_eq!(Price::default().per_call, 0);
    assert_ne!(good(text), good(&text.replace("2.50", "2.51")));
    assert_eq!(good(text), good(text));
}

#[test]
fn without_the_section_there_is_no_limit() {
    assert!(good(&with("")).rate_limits.is_none());
    let empty = good(&with("rate_limits: {}\n")).rate_limits.unwrap();
    assert!(empty.is_empty() && !empty.headers && empty.keys_max == 1_000_000);
}

#[test]
fn each_mistake_is_found_where_it_stands() {
    let cases: &[(String, &str)] = &[
        (with("rate_limits: {limits: [{rate: 1/s}]}\n"), "limits[0].name: is missing"),
        (limit("unit: call, rate: 1/s"), "did you mean `calls`?"),
        (limit("burst: 5"), "has no rate (add `rate: 60/min`)"),
        (limit("rate: 0/min"), "limits[0].rate: `0/min` permits nothing"),
        (limit("rate: 10"), "limits[0].rate: is a number"),
        (limit("rate: 10 per minute"), "has no `/`"),
        (limit("rate: 10/fortnight"), "has a time that is not understood"),
        (limit("rate: 10/32days"), "not from 100ms to 31 days"),
        (limit("rate: [1/s, 0/min]"), "limits[0].rate[1]: `0/min` permits nothing"),
        (limit("rate: [10/min, 20/60s]"), "limits[0].rate[1]: is a second rate for 1m"),
        (limit("rate: [10/min, unlimited]"), "is `unlimited` beside other rates"),
        (limit("rate: 2.5/min"), "is a fraction of `calls`"),
        (limit("rate: 10 tokens/min"), "counts `tokens`, but the unit is `calls`"),
        (limit("rate: 9000000000000/min"), "is too large (write at most 1000000000000)"),
        (limit("rate: 10/month"), "is a rate per month, which has no one length"),
        (limit("rate: 10/min, burst: 0"), "limits[0].burst: is 0, so that nothing would ever pass"),
        (limit("rate: 10/min, burst: 0.5"), "limits[0].burst: is a fraction"),
        (limit("rate: 10/min, burst: few"), "limits[0].burst: `few` is not an amount"),
        (limit("rate: unlimited, burst: 5"), "burst: has no effect on `unlimited`"),
        (limit("rate: 10/10s, window: calendar"), "has a time that is no period of the calendar"),
        (limit("rate: 10/2days, window: calendar"), "has a time that is no period of the calendar"),
        (limit("rate: 10/day, window: calendar, burst: 5"), "burst: has no effect with `window: calendar`"),
        (limit("rate: 10/day, resets_at: '00:00Z'"), "resets_at: has no effect without `window: calendar`"),
        (limit("rate: 10/day, window: calendar, resets_at: '25:00Z'"), "`25:00Z` is not a time of the day"),
        (limit("rate: 10/day, max: 5"), "max: is only for `in_flight`"),
        (limit("max: 5"), "max: is only for `in_flight`"),
        (limit("unit: in_flight"), "does not say how many may be in flight (add `max: 10`)"),
        (limit("unit: in_flight, rate: 10/min"), "rate: has no effect on `in_flight` (give `max` instead)"),
        (limit("unit: in_flight, max: 1, burst: 1"), "burst: has no effect on `in_flight`"),
        (limit("unit: in_flight, max: 1, charge: on_success"), "charge: has no effect on `in_flight`"),
        (limit("unit: in_flight, max: 1, window: calendar"), "window: has no effect on `in_flight`"),
        (limit("unit: cost, rate: 1/day"), "unit: is `cost`, but nothing has a price"),
        (limit("rate: 1/s, servers: [b]"), "servers[0]: `b` is no server (name one of `servers`)"),
        (limit("rate: 1/s, methods: [tools/list]"), "methods: names no method that is a call of a tool"),
        (limit("rate: 1/s, tools: ['a\\b']"), "tools[0]: `a\\\\b` has a lone backslash"),
        (limit("rate: 1/s, when: 'tool =='"), "limits[0].when: is not CEL"),
        (limit("rate: 1/s, when: 'nobody == 1'"), "names `nobody`, which is not known here"),
        (limit("rate: 1/s, key: [agents]"), "key[0]: `agents` is no part of a key"),
        (limit("rate: 1/s, key: [agent, agent]"), "key[1]: `agent` stands there twice"),
        (limit("rate: 1/s, key: [source/33]"), "key[0]: `source/33` is no network"),
        (limit("rate: 1/s, key: ['claim:a..b']"), "key[0]: `claim:a..b` has an empty step"),
        (limit("rate: 1/s, key: ['header:Authorization']"), "key[0]: `authorization` holds a credential"),
        (limit("rate: 1/s, key: ['header:a b']"), "is no name of a header"),
        (limit("rate: 1/s, key: ['cel: 1 +']"), "key[0]: is not CEL"),
        (limit("rate: 1/s, overrides: [{rate: 2/s}]"), "overrides[0]: is for everybody"),
        (limit("rate: 1/s, overrides: [{roles: [a]}]"), "overrides[0]: has no rate"),
        (
            limit("rate: 1/s, overrides: [{roles: [a], rate: 0/s}]"),
            "overrides[0].rate: `0/s` permits nothing",
        ),
        (
            with("rate_limits: {limits: [{name: x, rate: 1/s}, {name: x, rate: 1/s}]}\n"),
            "limits[1].name: `x` is also the name of the limit on line 4",
        ),
        (
            with("rate_limits: {limits: [{name: loop_breaker, rate: 1/s}]}\n"),
            "limits[0].name: is the name of `rate_limits.loop_breaker`",
        ),
        (with("rate_limits: {loop_breaker: {calls: 1}}\n"), "loop_breaker.calls: `1` is too small"),
        (with("rate_limits: {prices: [{per_call: 0}]}\n"), "prices[0]: makes everything free"),
        (
            with("rate_limits: {prices: [{tools: [a], per_call: 0.0000001}]}\n"),
            "per_call: `0.0000001` is not an amount",
        ),
        (with("rate_limits: {tokens: {count: reported}}\n"), "does not say where the number stands"),
        (with("rate_limits: {tokens: {from: /a}}\n"), "from: has no effect without `count: reported`"),
        (with("rate_limits: {tokens: {count: reported, from: a}}\n"), "`a` is not a JSON pointer"),
        (
            with("rate_limits: {tokens: {count: o200k, from: /a}}\n"),
            "from: has no effect without `count: reported`",
        ),
        (with("rate_limits: {tokens: {count: cl100k}}\n"), "tokens.count: `cl100k` is not known"),
        (
            with("rate_limits: {tokens: {otherwise: o200k}}\n"),
            "otherwise: has no effect without `count: reported`",
        ),
        (
            with("rate_limits: {tokens: {count: reported, from: /a, otherwise: reported}}\n"),
            "tokens.otherwise: `reported` is not known",
        ),
        (with("rate_limits: {tokens: {max_bytes: 1MiB}}\n"), "max_bytes: has no effect without `o200k`"),
        (with("rate_limits: {tokens: {count: o200k, max_bytes: 1023}}\n"), "max_bytes: `1023` is too small"),
        (with("rate_limits: {tokens: {count: o200k, max_bytes: 9MiB}}\n"), "max_bytes: `9MiB` is too large"),
        (with("rate_limits: {keys_max: 5}\n"), "keys_max: `5` is too small"),
    ];
    for (text, expected) in cases {
        let found = findings(text);
        assert!(found.contains(expected), "{text}\n{found}\nwanted: {expected}");
        assert_eq!(found.lines().count(), 1, "{text}\n{found}");
    }
}

#[test]
fn the_examples_of_the_document_compile() {
    let document = include_str!("../../../../docs/limits.md");
    let mut count = 0;
    for example in document.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let servers =
            if example.contains("servers:\n") { "" } else { "servers:\n- {name: a, url: 'http://a'}\n" };
        let limits = good(&format!("{servers}{example}")).rate_limits.unwrap();
        assert!(!limits.is_empty() || limits.headers, "{example}");
        count += 1;
    }
    assert!(count >= 5, "{count} examples");
}

#[test]
fn a_limit_that_cannot_hold_for_http_sse_is_refused_with_a_way_out() {
    let of = |options: &str| {
        super::checked(&format!(
            "servers: [{{name: old, transport: sse, url: 'http://a.example/sse'}}, {{name: new, url: 'http://b.example'}}]\n\
             rate_limits: {{limits: [{{name: x, {options}}}]}}\n"
        ))
        .map(drop)
        .map_err(|findings| findings.to_string())
    };
    for options in
        ["unit: tokens, rate: 5/h", "unit: in_flight, max: 3", "unit: bytes, rate: 5/h, servers: [new, old]"]
    {
        let found = of(options).unwrap_err();
        assert!(
            found.contains("for the server `old`: with `transport: sse`") && found.contains("count `calls`"),
            "{found}"
        );
    }
    for options in ["unit: tokens, rate: 5/h, servers: [new]", "unit: calls, rate: 5/h"] {
        assert_eq!(of(options), Ok(()), "{options}");
    }
}
