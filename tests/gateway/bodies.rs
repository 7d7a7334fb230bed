//! Memory for bodies: one bound for all of them together.

use super::harness::{Client, Gateway, Upstream, ok};
use super::scenes::{legacy, legacy_body, wait_until};

const LIMITS: &str = "limits: {body_bytes_max: 512KiB, list_bytes_max: 512KiB, sse_event_bytes_max: 512KiB, bodies_bytes_max: 1280KiB}\nworkers: 1";

/// A client that has sent so many bytes of a body of 500,000.
fn half_way(gateway: &Gateway, sent: usize) -> Client {
    let mut client = gateway.connect();
    let head = "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Accept: application/json, text/event-stream\r\nContent-Length: 500000\r\n\r\n";
    client.send(head.as_bytes());
    client.send(&vec![b' '; sent]);
    client
}

#[test]
fn bodies_together_have_a_bound_and_give_their_room_back() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, LIMITS);
    let held: Vec<Client> = (0..2).map(|_| half_way(&gateway, 400_000)).collect();
    wait_until("both are held", || gateway.metric("ringgate_bodies_bytes", "") > 900_000.0);
    let mut third = half_way(&gateway, 400_000);
    let refused = third.message().unwrap();
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("1")), "{refused:?}");
    assert!(refused.text().contains("as many bytes of bodies as it may"), "{}", refused.text());
    let small = gateway.connect().ask(&legacy(1, "ping", ""));
    assert_eq!(small.status(), 200, "what needs no room is served: {small:?}");
    assert_eq!(gateway.metric("ringgate_bodies_bytes_max", ""), 1_310_720.0);
    drop(held);
    wait_until("the room is given back", || gateway.metric("ringgate_bodies_bytes", "") < 400_000.0);
    let mut again = half_way(&gateway, 400_000);
    let rest = legacy_body(1, "ping", "");
    again.send(&vec![b' '; 100_000 - rest.len()]);
    again.send(rest.as_bytes());
    assert_eq!(again.message().unwrap().status(), 200, "and taken again");
}

#[test]
fn an_answer_that_is_gathered_takes_of_the_same_bound() {
    let upstream = Upstream::new(|request, client| {
        let id = if request.text().contains("\"id\":77") { 77 } else { 1 };
        let filler = " ".repeat(450_000);
        client.send(&ok(&format!(r#"{{"jsonrpc":"2.0","id":{id},{filler}"result":{{"tools":[]}}}}"#)));
        true
    });
    let rules = format!("{LIMITS}\naccess: {{rules: [{{effect: allow, tools: [a]}}]}}");
    let gateway = Gateway::before(upstream.address, &rules);
    let answer = gateway.connect().ask(&legacy(1, "tools/list", ""));
    assert_eq!(answer.status(), 200, "{answer:?}");
    let held = half_way(&gateway, 400_000);
    wait_until("it is held", || gateway.metric("ringgate_bodies_bytes", "") > 400_000.0);
    let answer = gateway.connect().ask(&legacy(77, "tools/list", ""));
    assert_eq!((answer.status(), answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    drop(held);
}
