//! What is filtered for its caller, and counted by limits all the same.

use super::access::{RULES, Scene, json_server, list, sse_server};
use crate::harness::Message;

#[test]
fn what_is_left_of_a_list_counts_for_limits() {
    let limits = "rate_limits:\n  headers: true\n  limits: [{name: volume, unit: bytes, rate: 100_000/week}]";
    let left = |answer: &Message| -> usize {
        let field = answer.header("ratelimit").unwrap();
        field.strip_prefix("\"volume\";r=").and_then(|rest| rest.split(';').next()).unwrap().parse().unwrap()
    };
    for (upstream, framing) in [(json_server(), 0..1), (sse_server(), 4..60)] {
        let scene = Scene::new(upstream, &format!("{RULES}{limits}"));
        let headers = scene.who("support");
        let mut client = scene.gateway.connect();
        let request = list("tools/list", &headers);
        let body = request.len() - request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() - 4;
        let (first, second) = (client.ask(&request), client.ask(&request));
        let used = left(&first) - left(&second);
        // Chunks count as they are sent.
        assert!(framing.contains(&(used - body - first.body.len())), "{used} {body} {first:?}");
    }
}
