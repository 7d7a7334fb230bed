//! `GET /limits`: the limits in force, what they refused, and the keys that are used the most with what is left of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::life::Control;
use super::report;
use crate::base::ledger::{Ledger, Level};
use crate::policy::rate_limit::{self, Limit, Limits, Mode, Now, Unit, Window};
use crate::telemetry::HotKey;

/// Keys of one limit that are shown, unless all that are known are asked for.
const SHOWN: usize = 20;

/// The page. Bounded: workers know a bounded number of keys, and values in them are short.
pub async fn page(control: &Control, whole: bool) -> String {
    let (stats, answered) = report::collect(control).await;
    let keys = report::hot_keys(control).await;
    let shared = &control.shared;
    let deployment = shared.deployment.load();
    let now = Now { ticks: control.net.now(), wall: control.net.wall() };
    // A clerk that only looks; it never claims a place for a key.
    let clerk = shared.book.clerk(0);
    let counts =
        stats.limits.iter().map(|(name, refused, reported)| (&**name, (*refused, *reported))).collect();
    let limits = match &deployment.snapshot.rate_limits {
        Some(limits) => all(limits, keys, &counts, &clerk, now, if whole { usize::MAX } else { SHOWN }),
        None => Vec::new(),
    };
    let mut page = json!({
        "limits": limits,
        "turned_away": shared.book.turned_away(),
        "workers": shared.workers.len(),
        "workers_answered": answered,
    });
    if whole {
        // Looks at the whole ledger, so only where it is asked for.
        page["keys_live"] = json!(shared.book.live(now.ticks));
    }
    format!("{page:#}\n")
}

fn all<L: Ledger>(
    limits: &Limits,
    keys: Vec<HotKey>,
    counts: &BTreeMap<&str, (u64, u64)>,
    ledger: &L,
    now: Now,
    shown: usize,
) -> Vec<Json> {
    let mut by_limit: BTreeMap<Box<str>, Vec<HotKey>> = BTreeMap::new();
    for key in keys {
        by_limit.entry(key.limit.clone()).or_default().push(key);
    }
    let one = |limit: &Limit| {
        let (refused, reported) = counts.get(&*limit.name).copied().unwrap_or_default();
        let mut keys = by_limit.remove(&limit.name).unwrap_or_default();
        keys.sort_by_key(|key| std::cmp::Reverse((key.refused, key.reported, key.seen)));
        let rows = keys.iter().filter_map(|key| row(limit, key, ledger, now)).take(shown);
        json!({
            "name": limit.name,
            "unit": limit.unit.label(),
            "mode": if limit.mode == Mode::Enforce { "enforce" } else { "report" },
            "rates": words(limit, &limit.windows),
            "key": limit.key.iter().map(rate_limit::KeyPart::label).collect::<Vec<_>>(),
            "refused": refused,
            "reported": reported,
            "hottest": rows.collect::<Vec<_>>(),
        })
    };
    limits.list().iter().map(one).collect()
}

fn words(limit: &Limit, windows: &[Window]) -> Vec<String> {
    windows.iter().map(|window| rate_limit::show(limit.unit, &window.fill)).collect()
}

/// What is known of a key, and what it has left; `None` if its window is not one of the limit any more.
fn row<L: Ledger>(limit: &Limit, key: &HotKey, ledger: &L, now: Now) -> Option<Json> {
    let (plan, window) = find(limit, key.window)?;
    let Level { available, outstanding } = ledger.level(key.bucket, &window.fill.refill(now.wall), now.ticks);
    let parts: Map<String, Json> =
        key.key.iter().map(|(part, value)| (part.clone(), Json::from(&**value))).collect();
    Some(json!({
        "key": parts,
        "rate": rate_limit::show(limit.unit, &window.fill),
        "override": plan,
        "available": amount(limit.unit, available),
        "outstanding": amount(limit.unit, outstanding),
        "refused": key.refused,
        "reported": key.reported,
        "passed_about": key.seen,
        "seconds_ago": now.ticks.since(key.last).as_secs(),
    }))
}

/// So many units of a limit as people count them: money in its own unit, not in millionths.
pub fn amount(unit: Unit, count: impl TryInto<i64>) -> Json {
    let count = count.try_into().unwrap_or(i64::MAX);
    if unit == Unit::Cost { json!(count as f64 / 1e6) } else { json!(count) }
}

/// The window that this identity stands for, and the override that it is of.
fn find(limit: &Limit, identity: u128) -> Option<(Option<usize>, &Window)> {
    let own = limit.windows.iter().map(|window| (None, window));
    let others = limit.overrides.iter().enumerate();
    let others = others.flat_map(|(at, other)| other.windows.iter().map(move |window| (Some(at), window)));
    own.chain(others).find(|(_, window)| window.identity == identity)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::base::Ticks;
    use crate::base::ledger::{BucketKey, PlainLedger};
    use crate::policy::rate_limit::KeyPart;

    fn limits() -> Limits {
        let number = |number| NonZeroU64::new(number).unwrap();
        let window = Window::steady(number(10), Duration::from_secs(60), number(10));
        let limit = Limit::new("calls", Unit::Calls, vec![KeyPart::Agent], vec![window]);
        Limits::new(vec![limit], Vec::new(), Vec::new())
    }

    fn key(limits: &Limits, bucket: u128, refused: u64, seen: u64) -> HotKey {
        HotKey {
            limit: "calls".into(),
            window: limits.list()[0].windows[0].identity,
            bucket: BucketKey(bucket),
            key: Box::new([("agent".to_owned(), format!("a{bucket}"))]),
            refused,
            reported: 0,
            seen,
            last: Ticks(1_000_000_000),
        }
    }

    #[test]
    fn keys_come_by_refusals_then_by_use_with_what_is_left_of_them() {
        let (limits, ledger) = (limits(), PlainLedger::default());
        let now = Now { ticks: Ticks(5_000_000_000), wall: 1_767_614_400 };
        let refill = limits.list()[0].windows[0].fill.refill(now.wall);
        assert!(ledger.charge(BucketKey(2), &refill, 13, now.ticks));
        let gone = HotKey { window: 1, ..key(&limits, 9, 1_000, 0) };
        let keys = vec![key(&limits, 1, 0, 64), key(&limits, 2, 7, 0), key(&limits, 3, 0, 128), gone];
        let counts = BTreeMap::from([("calls", (8, 2))]);
        let page = all(&limits, keys, &counts, &ledger, now, SHOWN);
        let shown = page[0]["hottest"].as_array().unwrap();
        let agents: Vec<_> = shown.iter().map(|row| row["key"]["agent"].as_str().unwrap()).collect();
        assert_eq!(agents, ["a2", "a3", "a1"], "a window that is gone is not shown");
        assert_eq!((&shown[0]["available"], &shown[1]["available"]), (&json!(-3), &json!(10)));
        assert_eq!((&shown[0]["refused"], &shown[0]["seconds_ago"]), (&json!(7), &json!(4)));
        assert_eq!((&page[0]["refused"], &page[0]["reported"]), (&json!(8), &json!(2)));
        assert_eq!(page[0]["rates"], json!(["10 calls in 1m"]));
    }

    #[test]
    fn no_more_than_a_page_of_keys_is_shown() {
        let (limits, ledger) = (limits(), PlainLedger::default());
        let keys = (0..100).map(|bucket| key(&limits, bucket, 1, 0)).collect();
        let page = all(&limits, keys, &BTreeMap::new(), &ledger, Now::default(), SHOWN);
        assert_eq!(page[0]["hottest"].as_array().unwrap().len(), SHOWN);
    }
}
