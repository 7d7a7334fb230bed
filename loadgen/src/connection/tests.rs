use super::*;
use crate::http::HttpFault;

const ID: u64 = 100_000_000_007;
const RIGHT: &str =
    r#"{"jsonrpc":"2.0","id":100000000007,"result":{"content":[{"type":"text","text":"marker"}]}}"#;
const CALL: Expectation<'static> = expect(Act::Call);

const fn expect(act: Act) -> Expectation<'static> {
    Expectation { act, text: None, refusals: Refusals { status: false, result: false } }
}

fn waiting() -> Connection {
    let mut connection = Connection::new();
    connection.doing = Doing::Waiting;
    connection.id = ID;
    connection.expect_answer();
    connection
}

fn json(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn sse(events: &[&str]) -> String {
    let mut text =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for event in events {
        let event = format!("data: {event}\n\n");
        text.push_str(&format!("{:x}\r\n{event}\r\n", event.len()));
    }
    text + "0\r\n\r\n"
}

/// The outcome of `bytes`, the same whole and split at every byte.
fn check(bytes: &str, expectation: Expectation<'_>, expected: Result<Judged, Fault>) {
    let expected = Taken::Complete { keep_alive: true, outcome: expected };
    assert_eq!(waiting().take_in(bytes.as_bytes(), expectation, || {}), expected, "{bytes}");
    for at in 1..bytes.len() {
        let mut connection = waiting();
        let (first, second) = bytes.as_bytes().split_at(at);
        assert_eq!(connection.take_in(first, expectation, || {}), Taken::More, "split at {at}");
        assert_eq!(connection.take_in(second, expectation, || {}), expected, "split at {at}");
    }
}

#[test]
fn the_right_answer_is_right_as_json_and_as_a_stream() {
    check(&json(200, RIGHT), CALL, Ok(Judged::Right));
    check(&sse(&[RIGHT]), CALL, Ok(Judged::Right));
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
    check(&sse(&["", progress, RIGHT]), CALL, Ok(Judged::Right));
}

#[test]
fn wrong_answers_are_named() {
    let other = RIGHT.replace("007", "008");
    check(&json(200, &other), CALL, Err(Fault::WrongId));
    check(&sse(&[&other]), CALL, Err(Fault::WrongId));
    check(&sse(&[RIGHT, RIGHT]), CALL, Err(Fault::Unsolicited));
    check(&sse(&[]), CALL, Err(Fault::NoAnswer));
    check(&json(503, RIGHT), CALL, Err(Fault::Status(503)));
    check(&json(200, "{}"), CALL, Err(Fault::MalformedJson));
    let error = r#"{"jsonrpc":"2.0","id":100000000007,"error":{"code":-32601,"message":"no"}}"#;
    check(&json(200, error), CALL, Err(Fault::RpcError(-32601)));
    check(&json(200, RIGHT).replace("application/json", "text/html"), CALL, Err(Fault::ContentType));
}

#[test]
fn expected_text_must_be_there() {
    let with = |text| Expectation { text: Some(text), ..CALL };
    check(&json(200, RIGHT), with(b"marker"), Ok(Judged::Right));
    check(&json(200, RIGHT), with(b"absent"), Err(Fault::WrongText));
    check(&sse(&[RIGHT]), with(b"absent"), Err(Fault::WrongText));
}

#[test]
fn each_act_has_its_status() {
    let accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    check(accepted, expect(Act::Initialized), Ok(Judged::Right));
    check(accepted, CALL, Err(Fault::Status(202)));
    check(&json(200, RIGHT), expect(Act::Initialized), Err(Fault::Status(200)));
    check("HTTP/1.1 204 Gone\r\n\r\n", expect(Act::Delete), Ok(Judged::Right));
}

#[test]
fn the_session_of_initialize_is_kept_for_later_heads() {
    let mut connection = waiting();
    let answer = json(200, RIGHT).replace("Content-Length", "Mcp-Session-Id: abc\r\nContent-Length");
    connection.take_in(answer.as_bytes(), expect(Act::Initialize), || {});
    assert_eq!(connection.head_tail, b"Mcp-Session-Id: abc\r\n\r\n");
    connection.close(0);
    assert_eq!(connection.head_tail, b"\r\n");
}

#[test]
fn closes_are_told_apart() {
    let mut fresh = waiting();
    assert_eq!(fresh.on_end(CALL), Taken::Broken(Fault::EarlyClose));
    let mut reused = waiting();
    reused.answers = 1;
    assert_eq!(reused.on_end(CALL), Taken::Broken(Fault::LateClose));
    let mut begun = waiting();
    begun.answers = 1;
    let _ = begun.take_in(b"HTTP/1.1 200", CALL, || {});
    assert_eq!(begun.on_end(CALL), Taken::Broken(Fault::EarlyClose));
    let mut unframed = waiting();
    let text = json(200, RIGHT);
    let framing = format!("Content-Length: {}\r\n", RIGHT.len());
    assert_eq!(unframed.take_in(text.replace(&framing, "").as_bytes(), CALL, || {}), Taken::More);
    assert_eq!(unframed.on_end(CALL), Taken::Complete { keep_alive: false, outcome: Ok(Judged::Right) });
}

#[test]
fn bytes_nobody_asked_for_break_the_connection() {
    let twice = json(200, RIGHT).repeat(2);
    assert_eq!(waiting().take_in(twice.as_bytes(), CALL, || {}), Taken::Broken(Fault::Unsolicited));
    let mut idle = waiting();
    idle.doing = Doing::Ready;
    assert_eq!(idle.take_in(b"H", CALL, || {}), Taken::Broken(Fault::Unsolicited));
    let broken = Taken::Broken(Fault::MalformedHttp(HttpFault::StatusLine));
    assert_eq!(waiting().take_in(b"hello\r\n\r\n", CALL, || {}), broken);
}

#[test]
fn a_held_stream_opens_at_its_head_and_counts_events() {
    let hold = expect(Act::Hold);
    let stream = sse(&[r#"{"jsonrpc":"2.0","method":"a"}"#, r#"{"jsonrpc":"2.0","method":"b"}"#]);
    let open = stream.strip_suffix("0\r\n\r\n").unwrap_or(&stream);
    let mut connection = waiting();
    let mut events = 0;
    assert_eq!(connection.take_in(open.as_bytes(), hold, || events += 1), Taken::Opened);
    assert_eq!(events, 2);
    connection.doing = Doing::Holding;
    assert_eq!(connection.take_in(b"9\r\ndata: x\n\n\r\n", hold, || {}), Taken::Broken(Fault::MalformedJson));
}

#[test]
fn a_refusal_is_one_only_where_its_kind_is_named_and_for_the_own_id() {
    let by = |names: &[RefusalName]| Expectation { refusals: Refusals::named(names), ..CALL };
    let (status, result) = (by(&[RefusalName::Status]), by(&[RefusalName::Result]));
    let error = r#"{"jsonrpc":"2.0","id":100000000007,"error":{"code":429,"message":"m"}}"#;
    check(&json(429, error), status, Ok(Judged::Refused));
    check(&json(429, error), result, Err(Fault::Status(429)));
    check(&json(200, error), status, Err(Fault::RpcError(429)));
    check(&json(503, error), status, Err(Fault::Status(503)));
    check(&json(429, RIGHT), status, Err(Fault::Status(429)));
    check(&json(429, "{}"), status, Err(Fault::MalformedJson));
    check(&json(429, &error.replace("007", "008")), status, Err(Fault::WrongId));
    let said = r#"{"jsonrpc":"2.0","id":100000000007,"result":{"content":[],"isError":true}}"#;
    check(&json(200, said), result, Ok(Judged::Refused));
    check(&sse(&[said]), result, Ok(Judged::Refused));
    check(&json(200, said), status, Ok(Judged::Right));
    check(&json(200, RIGHT), by(&[RefusalName::Status, RefusalName::Result]), Ok(Judged::Right));
}
