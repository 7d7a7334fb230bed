//! Connections of one source, and silent ones.

use super::harness::{Gateway, Upstream};
use super::scenes::{modern_call, wait_until};

#[test]
fn a_fresh_connection_may_be_silent_for_a_time_of_its_own() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "timeouts: {first_request: 200ms, keep_alive: 1h}\n");
    let mut known = gateway.connect();
    assert_eq!(known.ask(&modern_call(1)).status(), 200);
    assert!(gateway.connect().is_at_end(), "the silent one is closed");
    assert_eq!(known.ask(&modern_call(2)).status(), 200, "the other waits for its next request");
}

#[test]
fn a_source_has_only_so_many_connections() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "limits: {connections_per_source_max: 2}\nworkers: 1\n");
    let mut held = [gateway.connect(), gateway.connect()];
    for client in &mut held {
        assert_eq!(client.ask(&modern_call(1)).status(), 200);
    }
    let mut third = gateway.connect();
    let refused = third.message().unwrap();
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("1")), "{refused:?}");
    assert!(refused.text().contains("from this address"), "{}", refused.text());
    gateway.await_metric("ringgate_handshakes_failed_total", "source_full", 1.0);
    drop(held);
    wait_until("a place is free again", || {
        let mut client = gateway.connect();
        client.send(&modern_call(1));
        client.message().is_some_and(|answer| answer.status() == 200)
    });
}
