//! Limits under more load than they let through, on two workers: in the time that it took, no more than burst + rate × time,
//! and nearly that. `bench limits` does the same with real loads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::harness::{Gateway, Upstream, post};

/// Calls per second and burst, of the tool that is named after the rate.
const LIMITS: [(u64, u64); 4] = [(1, 5), (10, 10), (100, 20), (1000, 50)];
const CLIENTS: u64 = 6;
const LASTS: Duration = Duration::from_millis(2500);

/// A call: when it was sent and answered, and whether it was let through.
#[derive(Clone, Copy)]
struct Call {
    sent: Instant,
    answered: Instant,
    admitted: bool,
}

/// Calls of each tool in turn, one after another on one connection.
fn load(gateway: &Gateway, go: &AtomicBool) -> Vec<(u64, Call)> {
    let mut client = gateway.connect();
    let requests = LIMITS.map(|(rate, _)| {
        let params = json!({"name": format!("tool-{rate}"), "arguments": {}});
        let body = json!({"jsonrpc": "2.0", "id": rate, "method": "tools/call", "params": params});
        (rate, post(&body.to_string(), ""))
    });
    let mut calls = Vec::new();
    while go.load(Ordering::Relaxed) {
        for (rate, request) in &requests {
            let sent = Instant::now();
            let answer = client.ask(request);
            assert!(matches!(answer.status(), 200 | 429), "{answer:?}");
            calls.push((*rate, Call { sent, answered: Instant::now(), admitted: answer.status() == 200 }));
        }
    }
    calls
}

/// What one bucket would let through if the calls had come when their answers did: of a client that the machine keeps
/// waiting, later than they came.
fn ideal(mut calls: Vec<Call>, rate: u64, burst: u64) -> f64 {
    calls.sort_by_key(|call| call.answered);
    let (mut level, mut admitted, mut before) = (burst as f64, 0.0, calls[0].answered);
    for call in calls {
        let passed = call.answered.duration_since(before).as_secs_f64();
        level = (level + passed * rate as f64).min(burst as f64);
        before = call.answered;
        if level >= 1.0 {
            level -= 1.0;
            admitted += 1.0;
        }
    }
    admitted
}

#[test]
fn under_load_a_limit_admits_its_burst_and_its_rate_and_no_more() {
    let upstream = Upstream::echo();
    let limits: Vec<Json> = LIMITS
        .map(|(rate, burst)| {
            let tools = [format!("tool-{rate}")];
            json!({"name": format!("of-{rate}"), "deny_as": "error", "tools": tools, "rate": format!("{rate}/s"),
                "burst": burst})
        })
        .into();
    let gateway = Gateway::before(upstream.address, &format!("rate_limits: {}", json!({"limits": limits})));
    let go = AtomicBool::new(true);
    let mut calls: BTreeMap<u64, Vec<Call>> = BTreeMap::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| load(&gateway, &go))).collect();
        thread::sleep(LASTS);
        go.store(false, Ordering::Relaxed);
        for (rate, call) in clients.into_iter().flat_map(|client| client.join().unwrap()) {
            calls.entry(rate).or_default().push(call);
        }
    });
    let mut all_admitted = 0;
    for (rate, burst) in LIMITS {
        let calls = &calls[&rate];
        let admitted = calls.iter().filter(|call| call.admitted).count();
        all_admitted += admitted;
        let first = calls.iter().map(|call| call.sent).min().unwrap();
        let took = calls.iter().map(|call| call.answered).max().unwrap().duration_since(first).as_secs_f64();
        let what = format!("{rate}/s, burst {burst}: {admitted} of {} in {took:.3} s", calls.len());
        println!("{what}");
        assert!(admitted as f64 <= burst as f64 + rate as f64 * took, "{what}");
        // At first the bucket is full, and of that at most a quarter lies in the leases of others.
        assert!(admitted as u64 >= (burst - burst / 4).min(calls.len() as u64), "{what}");
        let ideal = ideal(calls.clone(), rate, burst);
        assert!(admitted as f64 + CLIENTS as f64 >= 0.8 * ideal, "{what}; one bucket would admit {ideal}");
        let refused = (calls.len() - admitted) as f64;
        gateway.await_metric(
            "ringgate_limited_total",
            &format!("limit=\"of-{rate}\",mode=\"enforce\""),
            refused,
        );
    }
    assert_eq!(upstream.requests.try_iter().count(), all_admitted, "calls that reached the server");
}
