#![allow(clippy::unwrap_used)]

use std::num::NonZeroU64;

use super::*;
use crate::policy::Principal;
use crate::policy::authz::Target;
use crate::policy::expr::ParsedMessage;
use crate::policy::rate_limit::{KeyPart, Limit, Message, Unit, VALUE_BYTES_MAX, Window};

fn limits(names: &[&str]) -> Limits {
    let window = Window::steady(NonZeroU64::MIN, Duration::from_secs(1), NonZeroU64::MIN);
    let one = |name: &&str| Limit::new(name, Unit::Calls, vec![KeyPart::Agent, KeyPart::Tool], vec![window]);
    Limits::new(names.iter().map(one).collect(), Vec::new(), vec!["up".into()])
}

fn at(seconds: u64) -> Now {
    Now { ticks: Ticks(seconds * 1_000_000_000), wall: 1_767_614_400 + seconds }
}

/// Calls `tool` as the agent `a` and lets `act` see it.
fn call(limits: &Limits, tool: &str, act: impl FnOnce(&Secret, &Facts<'_>)) {
    let secret = Secret::new([7; 16]);
    let mut principal = Principal::anonymous([]);
    principal.agent = Some("a".into());
    let keys = limits.caller(&secret, &principal);
    let none = |_: &str| Ok(None);
    act(
        &secret,
        &Facts {
            message: Message::Request,
            method: "tools/call",
            target: Target::Tool(tool),
            is_first: true,
            server: 0,
            principal: &principal,
            keys: &keys,
            source: None,
            body: b"{}",
            arguments: None,
            header: &none,
            parsed: &ParsedMessage::default(),
        },
    );
}

fn refuse(hot: &Hot, limits: &Limits, tool: &str, seconds: u64) {
    call(limits, tool, |secret, facts| {
        hot.note(limits, secret, facts, at(seconds), Some(0), Fate::Refused);
    });
}

fn tool(key: &HotKey) -> &str {
    &key.key[1].1
}

#[test]
fn refusals_are_told_with_their_limit_and_key_in_words() {
    let (hot, limits) = (Hot::default(), limits(&["first", "second"]));
    for _ in 0..3 {
        refuse(&hot, &limits, "query", 1);
    }
    let told = hot.report(at(2).ticks);
    assert_eq!(told.len(), 1, "only the limit that refused: {told:?}");
    assert_eq!((&*told[0].limit, told[0].refused, told[0].seen), ("first", 3, 0));
    let words: Vec<_> = told[0].key.iter().map(|(part, value)| format!("{part}={value}")).collect();
    assert_eq!(words, ["agent=a", "tool=query"]);
}

#[test]
fn of_what_passes_one_in_so_many_stands_for_all() {
    let (hot, limits) = (Hot::default(), limits(&["first", "second"]));
    let pass = |count: u32| {
        for _ in 0..count {
            call(&limits, "query", |secret, facts| hot.passed(&limits, secret, facts, at(1)));
        }
    };
    pass(SAMPLE - 1);
    assert!(hot.report(at(1).ticks).is_empty());
    pass(1);
    let seen: Vec<u64> = hot.report(at(1).ticks).iter().map(|key| key.seen).collect();
    assert_eq!(seen, [u64::from(SAMPLE); 2], "at each limit");
    pass(SAMPLE * 2);
    assert_eq!(hot.report(at(1).ticks)[0].seen, u64::from(SAMPLE) * 3);
}

#[test]
fn a_flood_of_new_keys_is_bounded_and_does_not_hide_who_is_refused_most() {
    let (hot, limits) = (Hot::default(), limits(&["first"]));
    for number in 0..KEYS_MAX * 4 {
        refuse(&hot, &limits, &format!("t{number}"), 1);
        for _ in 0..5 {
            refuse(&hot, &limits, "loop", 1);
        }
    }
    let told = hot.report(at(1).ticks);
    assert_eq!(told.len(), KEYS_MAX);
    let loop_key = told.iter().find(|key| tool(key) == "loop").unwrap();
    assert_eq!(loop_key.refused, 5 * 4 * KEYS_MAX as u64);
}

#[test]
fn what_is_over_is_forgotten_and_gives_way_first() {
    let (hot, limits) = (Hot::default(), limits(&["first"]));
    for _ in 0..1_000 {
        refuse(&hot, &limits, "yesterday", 0);
    }
    let later = FORGET.as_secs() + 1;
    assert_eq!(hot.report(at(later - 1).ticks).len(), 1);
    assert!(hot.report(at(later).ticks).is_empty());
    for number in 0..KEYS_MAX {
        refuse(&hot, &limits, &format!("t{number}"), later);
    }
    let told = hot.report(at(later).ticks);
    assert!(told.len() == KEYS_MAX && told.iter().all(|key| key.refused == 1));
}

#[test]
fn a_long_value_is_cut_where_a_character_ends() {
    let (hot, limits) = (Hot::default(), limits(&["first"]));
    refuse(&hot, &limits, &"ä€".repeat(1_000), 1);
    let told = hot.report(at(1).ticks);
    let text = tool(&told[0]);
    assert!(text.ends_with('…') && text.len() <= VALUE_BYTES_MAX + '…'.len_utf8(), "{text}");
}
