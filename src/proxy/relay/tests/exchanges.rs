//! Whole exchanges with a filter, over a simulated network.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{LIST, NoX, SHOWN, unchunked};
use crate::base::Buf;
use crate::config::world::System;
use crate::config::{Findings, check::check, compile::Context};
use crate::io::bell::bell;
use crate::io::sim::{Faults, Sim};
use crate::io::{Address, Peer};
use crate::link::{Deployment, Shared, WorkerHandle};
use crate::policy::rate_limit::{Estimator, o200k};
use crate::proxy::Worker;
use crate::proxy::admit::{Admission, admit};
use crate::proxy::client::Client;
use crate::proxy::connection::Next;
use crate::proxy::exchange::{Exchange, handle_exchange};
use crate::shared::{Gauge, Mailbox, Slot, StageCell};
use crate::telemetry::{Counted, TokenStats, WorkerStats};

const SERVER: &str = "127.0.0.1:9000";
const AGES: Duration = Duration::from_secs(3600);

/// What the client got, and what became of its connection and of the server's.
struct Outcome {
    status: u16,
    head: String,
    body: Vec<u8>,
    next: Next,
    /// Connections to the server that are still open.
    kept: u64,
}

/// One exchange to be tried.
#[derive(Clone, Copy)]
struct Case<'a> {
    seed: u64,
    config: &'a str,
    request: &'a str,
    transport: &'a str,
    /// Closes the connection behind its answer.
    closes: bool,
}

const ASK: &str = "POST /s/mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-06-18\r\ncontent-length: 46\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/list\"}";
const GET: &str = "GET /s/mcp HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\nmcp-protocol-version: 2025-06-18\r\nmcp-session-id: 1\r\n\r\n";

const CASE: Case<'_> =
    Case { seed: 0, config: "", request: ASK, transport: "streamable_http", closes: false };

fn run(case: Case<'_>, answer: &str) -> Outcome {
    run_in(case, answer, shared(&case)).0
}

/// The same in a process of which the test knows more; and what the worker counted.
fn run_in(case: Case<'_>, answer: &str, shared: Arc<Shared>) -> (Outcome, WorkerStats) {
    let faults = if case.seed == 0 { Faults::none() } else { Faults::awkward() };
    let sim = Rc::new(Sim::new(case.seed, faults));
    let worker = Worker::new(0, sim.net(), shared);
    let listener = Rc::new(sim.listen(&Address::Tcp(SERVER.parse().unwrap())).unwrap());
    let (remotes, answer, closes) = (sim.clone(), answer.as_bytes().to_vec(), case.closes);
    let asked = case.request.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
    sim.spawn(async move {
        let mut server = remotes.remote(listener.accept().await.unwrap());
        server.take_until(b"\r\n\r\n").await.unwrap();
        server.take(asked).await.unwrap();
        server.send(&answer).await.unwrap();
        if !closes {
            while server.hear().await.is_ok_and(|count| count > 0) {}
        }
    });
    let (near, far) = sim.connect_pair();
    let request = case.request.to_owned();
    let gateway = worker.clone();
    let served = sim.spawn(async move {
        let mut inbox = Buf::with_capacity(4096);
        assert!(inbox.append(request.as_bytes()));
        let peer = Peer::Tcp("127.0.0.1:5000".parse().unwrap());
        let mut client = Client::new(&gateway, far, peer, inbox);
        let live = gateway.live();
        let Admission::Forward(mut forward) = admit(&gateway, &live, &mut client, gateway.net.now()) else {
            panic!("the request is fine");
        };
        let limits = &live.deployment.snapshot.limits;
        forward.filter = Some(Box::new(NoX { items: limits.list_items_max, steps: limits.list_steps_max }));
        let mut exchange = Exchange::new(&gateway, forward);
        handle_exchange(&mut exchange, &mut client).await
    });
    let mut client = sim.remote(near);
    let got = sim.block_on(async move { client.take_rest().await.unwrap() }, AGES).unwrap();
    let next = served.take().unwrap();
    let stats = worker.report();
    worker.close();
    let head_len = got.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(got[..head_len].to_vec()).unwrap().to_ascii_lowercase();
    let status = head[9..12].parse().unwrap();
    let kept = stats.upstream_open;
    (Outcome { status, head, body: got[head_len..].to_vec(), next, kept }, stats)
}

fn shared(case: &Case<'_>) -> Arc<Shared> {
    let Case { config, transport, .. } = case;
    let config =
        format!("{config}\nservers:\n- {{name: s, url: 'http://{SERVER}/up', transport: {transport}}}\n");
    let context = Context { world: &System, directory: Path::new("") };
    let snapshot = check(&config, 1, &context, Findings::default());
    let snapshot = snapshot.unwrap_or_else(|findings| panic!("{findings}\n{config}"));
    let deployment = Deployment {
        listener_tls: snapshot.listeners.iter().map(|_| None).collect(),
        snapshot: Arc::new(snapshot),
        endpoint_tls: [None].into(),
        addresses: [[SERVER.parse().unwrap()].into()].into(),
        keys: Box::default(),
    };
    let ((bell_of_worker, _), (orders_bell, _)) = (bell().unwrap(), bell().unwrap());
    let handle = WorkerHandle {
        mailbox: Mailbox::new(8),
        bell: bell_of_worker,
        connections: Gauge::default(),
        listening: Gauge::default(),
    };
    Arc::new(Shared {
        book: crate::shared::ledger::Book::new(1024, 1),
        limit_secret: Default::default(),
        session_key: crate::policy::session::SessionKey::new(&[7; 32]),
        deployment: Slot::new(Arc::new(deployment)),
        stage: StageCell::default(),
        workers: [handle].into(),
        orders: Mailbox::new(8),
        orders_bell,
        counting: Default::default(),
        connections_room: usize::MAX,
        bodies: Default::default(),
    })
}

fn with_length(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}content-length: {}\r\n\r\n{body}", body.len())
}

fn chunked(head: &str, body: &str) -> String {
    let chunks: String = body
        .as_bytes()
        .chunks(11)
        .map(|part| format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part)))
        .collect();
    format!("HTTP/1.1 {head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
}

const JSON: &str = "200 OK\r\ncontent-type: application/json\r\nx-request-id: yes\r\n";

/// The client gets exactly this body, with its length.
#[track_caller]
fn gets(case: Case<'_>, answer: &str, status: u16, body: &str) -> Outcome {
    let got = run(case, answer);
    assert_eq!(got.status, status, "{}", got.head);
    assert_eq!(String::from_utf8_lossy(&got.body), body);
    let length = format!("\r\ncontent-length: {}\r\n", body.len());
    assert_eq!(got.head.matches("content-length").count(), 1, "{}", got.head);
    assert!(got.head.contains(&length) && !got.head.contains("transfer-encoding"), "{}", got.head);
    got
}

/// The client is told with its own id that there is no answer for it, and nothing of the server's is in it.
#[track_caller]
fn is_refused(case: Case<'_>, answer: &str, why: &str) {
    let got = run(case, answer);
    assert_eq!(got.status, 502, "{}", got.head);
    let body: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains(why), "{message}");
    if case.request == ASK {
        assert_eq!(body["id"], 7);
    }
    assert!(!String::from_utf8_lossy(&got.body).contains("\"name\""), "{body}");
    assert_eq!(got.next, Next::Keep);
}

#[test]
fn json_is_filtered_however_it_is_framed_and_cut() {
    for seed in 0..30 {
        let case = Case { seed, ..CASE };
        let got = gets(case, &with_length(JSON, LIST), 200, SHOWN);
        assert!(got.head.contains("\r\nx-request-id: yes\r\n"), "{}", got.head);
        assert_eq!((got.next, got.kept), (Next::Keep, 1), "the server's connection serves again");
        let got = gets(case, &chunked(JSON, LIST), 200, SHOWN);
        assert_eq!((got.next, got.kept), (Next::Keep, 1));
        let got = gets(Case { closes: true, ..case }, &format!("HTTP/1.1 {JSON}\r\n{LIST}"), 200, SHOWN);
        assert_eq!((got.next, got.kept), (Next::Keep, 0));
        let old = ASK.replace("HTTP/1.1", "HTTP/1.0");
        let got = gets(Case { request: &old, ..case }, &chunked(JSON, LIST), 200, SHOWN);
        assert_eq!(got.next, Next::Close);
    }
}

#[test]
fn what_shows_no_list_passes_as_it_is() {
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"x"}}"#;
    let json = |status: &str| format!("{status}\r\ncontent-type: application/json\r\n");
    gets(CASE, &with_length(&json("200 OK"), SHOWN), 200, SHOWN);
    gets(CASE, &chunked(&json("200 OK"), error), 200, error);
    gets(CASE, &with_length(&json("404 Not Found"), error), 404, error);
    gets(CASE, &with_length("404 Not Found\r\ncontent-type: text/plain\r\n", "gone"), 404, "gone");
    gets(CASE, &with_length("202 Accepted\r\n", "Accepted"), 202, "Accepted");
    gets(CASE, &chunked("202 Accepted\r\n", ""), 202, "");
    gets(CASE, &with_length("202 Accepted\r\n", ""), 202, "");
    let got = run(CASE, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!((got.status, got.body.len(), got.next), (204, 0, Next::Keep));
}

#[test]
fn a_list_in_disguise_is_filtered() {
    gets(CASE, &with_length("500 Oh\r\ncontent-type: text/plain\r\n", LIST), 500, SHOWN);
    gets(CASE, &with_length("202 Accepted\r\n", LIST), 202, SHOWN);
}

#[test]
fn what_cannot_be_filtered_is_not_passed_on() {
    for seed in 0..10 {
        let case = Case { seed, ..CASE };
        is_refused(case, &with_length(JSON, "{\"name\":"), "not JSON");
        let twice = r#"{"id":7,"result":{"tools":[{"name":"a"}],"tools":[{"name":"x"}]}}"#;
        is_refused(case, &chunked(JSON, twice), "twice");
        is_refused(case, &with_length(&format!("{JSON}content-encoding: gzip\r\n"), "zzz"), "compressed");
        is_refused(case, &with_length("200 OK\r\ncontent-type: text/plain\r\n", LIST), "content type");
        is_refused(case, &with_length("206 Part\r\ncontent-type: application/json\r\n", "\"name\""), "part");
        let short = with_length(JSON, LIST);
        is_refused(Case { closes: true, ..case }, &short[..short.len() - 1], "ended within the body");
        is_refused(case, &with_length("500 Oh\r\ncontent-type: text/plain\r\n", "{name"), "not JSON");
    }
}

#[test]
fn a_post_that_is_only_acknowledged_may_be_so_in_any_words() {
    let post = ASK.replace("/s/mcp ", "/s/mcp/~/message ");
    let case = Case { request: &post, transport: "sse", ..CASE };
    gets(case, &with_length("200 OK\r\n", "ok"), 200, "ok");
    gets(case, &with_length("200 OK\r\n", LIST), 200, SHOWN);
    is_refused(case, &with_length(JSON, "ok"), "not JSON");
}

#[test]
fn a_large_list_passes_whole_over_a_slow_path() {
    let item = |name: &str| format!(r#"{{"name":"{name}","description":"{}"}}"#, "d".repeat(500));
    let list = |items: &[String]| format!(r#"{{"id":7,"result":{{"tools":[{}]}}}}"#, items.join(","));
    let all: Vec<_> = (0..400).flat_map(|at| [item(&format!("a{at}")), item(&format!("x{at}"))]).collect();
    let kept: Vec<_> = all.iter().step_by(2).cloned().collect();
    gets(CASE, &with_length(JSON, &list(&all)), 200, &list(&kept));
    gets(Case { seed: 3, ..CASE }, &chunked(JSON, &list(&all)), 200, &list(&kept));
}

#[test]
fn list_bytes_max_bounds_what_is_gathered() {
    let config = "limits: {list_bytes_max: 1KiB}";
    let case = Case { config, ..CASE };
    let body = |length: usize| format!("\"{}\"", "y".repeat(length - 2));
    let fits = body(1024);
    gets(case, &with_length(JSON, &fits), 200, &fits);
    gets(case, &chunked(JSON, &fits), 200, &fits);
    is_refused(case, &with_length(JSON, &body(1025)), "limits.list_bytes_max");
    is_refused(case, &chunked(JSON, &body(1025)), "limits.list_bytes_max");
    is_refused(case, &format!("HTTP/1.1 {JSON}\r\n{}", body(5000)), "limits.list_bytes_max");
    // Refused as soon as it is announced.
    is_refused(case, &format!("HTTP/1.1 {JSON}content-length: 1025\r\n\r\n"), "limits.list_bytes_max");
}

#[test]
fn the_lists_of_an_answer_have_a_budget() {
    let item = |at: usize| format!(r#"{{"name":"a{at}"}}"#);
    let list = |count: usize| {
        let items: Vec<_> = (0..count).map(item).collect();
        format!(r#"{{"id":7,"result":{{"tools":[{}]}}}}"#, items.join(","))
    };
    let case = Case { config: "limits: {list_items_max: 16}", ..CASE };
    gets(case, &with_length(JSON, &list(16)), 200, &list(16));
    is_refused(case, &with_length(JSON, &list(17)), "limits.list_items_max");
    let case = Case { config: "limits: {list_steps_max: 10000}", ..CASE };
    gets(case, &with_length(JSON, &list(100)), 200, &list(100));
    is_refused(case, &with_length(JSON, &list(400)), "limits.list_steps_max");
    // Work that takes several parts comes to the same, in JSON and in events.
    gets(CASE, &with_length(JSON, &list(40_000)), 200, &list(40_000));
    let events = |count: usize| format!("data: {}\n\ndata: {{\"id\":8}}\n\n", list(count));
    let head = "200 OK\r\ncontent-type: text/event-stream\r\n";
    for answer in [with_length(head, &events(40_000)), chunked(head, &events(40_000))] {
        let got = run(CASE, &answer);
        assert_eq!((got.status, String::from_utf8(unchunked(&got.body).0).unwrap()), (200, events(40_000)));
        assert_eq!(got.next, Next::Keep);
    }
    let case = Case { config: "limits: {list_items_max: 16}", ..CASE };
    is_refused(case, &with_length(head, &events(17)), "limits.list_items_max");
}

#[test]
fn event_streams_are_filtered_as_they_come() {
    let stream = format!(": hi\n\nid: 1\ndata: {LIST}\n\ndata: {{\"id\":2}}\n\n");
    let shown = format!(": hi\n\nid: 1\ndata: {SHOWN}\n\ndata: {{\"id\":2}}\n\n");
    let head = "200 OK\r\ncontent-type: text/event-stream\r\n";
    for seed in 0..30 {
        for request in [ASK, GET] {
            let case = Case { seed, request, ..CASE };
            for answer in [with_length(head, &stream), chunked(head, &stream)] {
                let got = run(case, &answer);
                assert!(
                    got.head.contains("transfer-encoding: chunked") && !got.head.contains("content-length")
                );
                assert_eq!(unchunked(&got.body), (shown.clone().into_bytes(), true));
                assert_eq!((got.next, got.kept), (Next::Keep, 1));
            }
        }
        let old = ASK.replace("HTTP/1.1", "HTTP/1.0");
        let got = run(Case { seed, request: &old, ..CASE }, &with_length(head, &stream));
        assert!(got.head.contains("connection: close") && !got.head.contains("content-length"));
        assert_eq!((got.body, got.next), (shown.clone().into_bytes(), Next::Close));
    }
}

#[test]
fn an_event_that_is_not_understood_cuts_the_stream() {
    let bad = LIST.replace("tools", "Tools");
    let stream = format!("data: {LIST}\n\ndata: {bad}\n\n");
    let head = "200 OK\r\ncontent-type: text/event-stream\r\n";
    for seed in 1..30 {
        let got = run(Case { seed, ..CASE }, &chunked(head, &stream));
        if got.status == 502 {
            assert!(!String::from_utf8_lossy(&got.body).contains("\"name\""), "it was all there at once");
            continue;
        }
        let (passed, ended) = unchunked(&got.body);
        // The last event is the gateway's own: the request has no other answer.
        let passed = String::from_utf8(passed).unwrap();
        let (own, last) = passed.split_once("event: message\n").unwrap_or((&passed, ""));
        assert!(format!("data: {SHOWN}\n\n").starts_with(own), "{passed}");
        assert_eq!(ended, last.contains("\"error\":{\"code\":502"), "{passed}");
        assert_eq!((got.next, got.kept), (if ended { Next::Keep } else { Next::Drop }, 0));
    }
    is_refused(CASE, &chunked(head, &stream), "another case");
}

#[test]
fn tokens_are_handed_over_to_be_counted_and_estimated_where_that_cannot_be() {
    const COUNTED: &str = "rate_limits:\n  tokens: {count: reported, from: /usage, otherwise: o200k, max_bytes: 1KiB}\n  limits: [{name: x, unit: tokens, rate: 9000/day}]\n";
    const CALL: &str = "POST /s/mcp HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-06-18\r\ncontent-length: 93\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"arguments\":{\"q\":\"word\"}}}";
    let case = Case { config: COUNTED, request: CALL, ..CASE };
    let said = r#"{"jsonrpc":"2.0","id":7,"result":{"text":"what the server says"}}"#;
    let count = |text: &str| o200k::count(text.as_bytes());
    let exact = count(r#"{"q":"word"}"#) + count(said);
    let go = |answer: &str, is_counting: bool| {
        let shared = shared(&case);
        assert!(!is_counting || shared.counting.begin());
        let (_, stats) = run_in(case, &with_length(JSON, answer), shared.clone());
        (
            shared.counting.take().map(|count| (count.transcript.count(), count.transcript.bill.tokens())),
            stats.tokens,
        )
    };
    let (handed_over, tokens) = go(said, true);
    let (counted, estimate) = handed_over.unwrap();
    assert_eq!((counted, tokens), (exact, TokenStats::default()));
    assert!(estimate.abs_diff(exact) * 2 < exact, "{estimate} is an estimate of {exact}");
    // Nobody counts: the estimate stays, and that is told.
    let estimated = Counted { exchanges: 1, tokens: estimate };
    let expected = TokenStats { estimated, missed: 1, ..TokenStats::default() };
    assert_eq!(go(said, false), (None, expected));
    // What the server says itself counts, and nobody else need.
    let reported = Counted { exchanges: 1, tokens: 77 };
    let expected = TokenStats { reported, ..TokenStats::default() };
    let told = said.replace("\"text\"", "\"usage\":77,\"text\"");
    assert_eq!((go(&told, true), go(&told, false)), ((None, expected), (None, expected)));
    // A list that is read as a whole is counted like any other answer.
    let pieces = chunked("200 OK\r\ncontent-type: application/json\r\n", said);
    let shared = shared(&case);
    assert!(shared.counting.begin());
    run_in(case, &pieces, shared.clone());
    assert_eq!(shared.counting.take().map(|count| count.transcript.count()), Some(exact));
    // Of a long answer the beginning is counted.
    let long = said.replace("what", &"long ".repeat(1000));
    let (counted, _) = go(&long, true).0.unwrap();
    let (first, rest) = long.split_at(1024 - r#"{"q":"word"}"#.len() - 4);
    let mut estimator = Estimator::default();
    estimator.feed(rest.as_bytes());
    assert_eq!(counted, count(r#"{"q":"word"}"#) + count(first) + estimator.tokens());
}
