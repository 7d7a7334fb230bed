//! Bodies and what is to be said of them.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::base::PAD;
use crate::wire::json::Padded;

/// The body followed by `behind`, repeated to fill the padding.
pub(super) fn padded(body: &[u8], behind: &[u8]) -> Vec<u8> {
    body.iter().chain(behind.iter().cycle().take(PAD)).copied().collect()
}

fn check(body: &str, expected: Result<Kind, (FaultKind, Option<&str>)>) {
    for behind in [&b"\0"[..], b"}", b"\"", b" ", b"POST /mcp HTTP/1.1\r\n", b"1", b"]"] {
        let all = padded(body.as_bytes(), behind);
        let padded = Padded::new(&all, body.len()).unwrap();
        for extract in [extract_envelope, extract_envelope_portable] {
            let got = match extract(padded, &JsonLimits::default()) {
                Ok(Message::Single(envelope)) => Ok(envelope.kind()),
                Ok(Message::Batch(facts)) => panic!("{body} is a batch: {facts:?}"),
                Err(fault) => Err((fault.kind, fault.id.map(|id| std::str::from_utf8(id).unwrap()))),
            };
            assert_eq!(got, expected, "{body} followed by {behind:?}");
        }
    }
}

#[test]
fn requests_notifications_and_responses_are_told_apart() {
    check(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Ok(Kind::Request));
    check(" { \"jsonrpc\" : \"2.0\" ,\r\n\t\"id\" : \"x\" , \"method\" : \"ping\" } ", Ok(Kind::Request));
    check(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Ok(Kind::Notification));
    check(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Ok(Kind::Response));
    check(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}"#, Ok(Kind::Response));
    check(r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#, Ok(Kind::Response));
    check(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{},"ref":{}}}"#, Ok(Kind::Request));
    check(r#"{"jsonrpc":"2\u002e0","id":-0,"method":"tools\/call"}"#, Ok(Kind::Request));
    check(
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":null,"cursor":null,"name":null}}"#,
        Ok(Kind::Request),
    );
}

#[test]
fn what_is_not_json_is_a_parse_error_without_id() {
    for body in [
        "",
        " ",
        "{",
        r#"{"jsonrpc":"2.0","id":1,"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x"}{}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x"}]"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x",}"#,
        r#"{"jsonrpc":"2.0","id":1 "method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":01,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a\x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"\u12g4"}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\nb\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"\u{a0}}",
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}",
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[1,2,]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":tru}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":-}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1.}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":.5}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1e}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":+1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{a:1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{,}}"#,
        r#"{"jsonrpc":"1.0","id":1,"id":2,"#,
        "[",
        "[]x",
        r#"[{"jsonrpc":"2.0"}"#,
        "nul",
    ] {
        check(body, Err((FaultKind::Syntax, None)));
    }
}

#[test]
fn bytes_that_are_not_utf8_are_a_parse_error() {
    for bad in [&[0xff][..], &[0xc0, 0x80], &[0xed, 0xa0, 0x80], &[0xf4, 0x90, 0x80, 0x80], &[0xe2, 0x82]] {
        let mut body = br#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"a":""#.to_vec();
        body.extend_from_slice(bad);
        body.extend_from_slice(br#""}}}"#);
        let all = padded(&body, b"\0");
        let got = extract_envelope(Padded::new(&all, body.len()).unwrap(), &JsonLimits::default());
        assert_eq!(got.unwrap_err(), Fault { kind: FaultKind::Utf8, id: None }, "{bad:?}");
    }
}

#[test]
fn broken_rules_of_json_rpc_echo_the_id() {
    let fault = |kind, id| Err((kind, id));
    check(r#"{"id":1,"method":"x"}"#, fault(FaultKind::Version, Some("1")));
    check(r#"{"jsonrpc":"1.0","method":"x","id":"late"}"#, fault(FaultKind::Version, Some("\"late\"")));
    check(r#"{"jsonrpc":2.0,"method":"x","id":1}"#, fault(FaultKind::Version, Some("1")));
    for id in ["null", "true", "{}", "[]", "1.5", "1e3", "1E3"] {
        check(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#), fault(FaultKind::Id, None));
    }
    check(r#"{"jsonrpc":"2.0","result":{}}"#, fault(FaultKind::Id, None));
    check(r#"{"jsonrpc":"2.0","id":1}"#, fault(FaultKind::Ambiguous, Some("1")));
    check(r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#, fault(FaultKind::Ambiguous, Some("1")));
    check(r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, fault(FaultKind::Ambiguous, Some("1")));
    check(r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#, fault(FaultKind::Ambiguous, Some("1")));
    check(r#"{"jsonrpc":"2.0","id":1,"method":7}"#, fault(FaultKind::Shape, Some("1")));
    check(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#, fault(FaultKind::Shape, Some("1")));
    check(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":null}"#, fault(FaultKind::Shape, Some("1")));
    check(
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":1}}"#,
        fault(FaultKind::ParamType, Some("1")),
    );
    check(
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":[]}}"#,
        fault(FaultKind::ParamType, Some("1")),
    );
    check("7", fault(FaultKind::NotObject, None));
    check("[]", fault(FaultKind::BatchEmpty, None));
    check("[ ]", fault(FaultKind::BatchEmpty, None));
    check("[1]", fault(FaultKind::NotObject, None));
    let long = format!(r#"{{"jsonrpc":"2.0","id":{},"method":"x"}}"#, "1".repeat(1025));
    check(&long, fault(FaultKind::IdTooLong, None));
}

#[test]
fn a_second_spelling_of_a_governed_key_is_refused() {
    let in_params =
        |members: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{members}}}}}"#);
    for (members, kind) in [
        (r#""name":"safe","name":"danger""#, FaultKind::KeyTwice),
        (r#""name":"safe","na\u006de":"danger""#, FaultKind::KeyVariant),
        (r#""na\u006de":"danger""#, FaultKind::KeyVariant),
        (r#""name":"safe","Name":"danger""#, FaultKind::KeyVariant),
        (r#""_meta":{},"_meta":{}"#, FaultKind::KeyTwice),
        (r#""_meta":{"progressToken":1,"progresstoken":2}"#, FaultKind::KeyVariant),
        (r#""ref":{"type":"ref/prompt","name":"a","name":"b"}"#, FaultKind::KeyTwice),
        ("\"argument\u{17f}\":{}", FaultKind::KeyVariant),
        (r#""name":"a\ud800""#, FaultKind::LoneSurrogate),
        (r#""name":"\udc00\ud800""#, FaultKind::LoneSurrogate),
    ] {
        check(&in_params(members), Err((kind, Some("1"))));
    }
    // What is in the arguments is not ours to judge.
    check(&in_params(r#""name":"a","arguments":{"name":1,"name":2,"x":"\ud800"}"#), Ok(Kind::Request));
    // A message whose own keys are ambiguous has no id to echo.
    check(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#, Err((FaultKind::KeyTwice, None)));
    check(r#"{"jsonrpc":"2.0","id":1,"ID":2,"method":"x"}"#, Err((FaultKind::KeyVariant, None)));
    check(
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{},"params":{"name":"x"}}"#,
        Err((FaultKind::KeyTwice, None)),
    );
}

#[test]
fn nesting_is_bounded_and_so_is_the_stack() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"arguments":{open}{close}}}}}"#)
    };
    check(&nested(DEPTH_CAP as usize - 2), Ok(Kind::Request));
    check(&nested(DEPTH_CAP as usize - 1), Err((FaultKind::Depth, None)));
    check(&nested(100_000), Err((FaultKind::Depth, None)));
    check(&"[".repeat(100_000), Err((FaultKind::Depth, None)));
    check(&"{\"a\":".repeat(100_000), Err((FaultKind::Depth, None)));

    let limits = JsonLimits { depth_max: 3, ..JsonLimits::default() };
    let verdict = |body: &str| {
        let all = padded(body.as_bytes(), b"\0");
        extract_envelope(Padded::new(&all, body.len()).unwrap(), &limits)
            .map(|_| ())
            .map_err(|fault| fault.kind)
    };
    let meta = r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{}}}"#;
    assert_eq!(verdict(meta), Ok(()));
    assert_eq!(verdict(&format!("[{meta}]")), Err(FaultKind::Depth));
    assert_eq!(verdict(&meta.replace("{}", r#"{"a":[]}"#)), Err(FaultKind::Depth));
}

const FULL: &str = r#"{"jsonrpc":"2.0","id":"a1","method":"tools\/call","params":{
    "name":"get_weather","uri":"file:///x","ref":{"type":"ref/prompt","name":"p","uri":"u"},
    "taskId":"t","cursor":"","requestState":"s\u0041","requestId":7,"protocolVersion":"2025-06-18",
    "arguments":{"city":"Genève"},"inputResponses":{"k":1},
    "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
      "io.modelcontextprotocol/clientCapabilities":{},"progressToken":9,"traceparent":"00-1",
      "tracestate":5,"baggage":"b","com.example/x":[1]}}}"#;

#[test]
fn every_governed_field_is_found_where_it_stands() {
    let all = padded(FULL.as_bytes(), b"\0");
    let message = extract_envelope(Padded::new(&all, FULL.len()).unwrap(), &JsonLimits::default()).unwrap();
    let Message::Single(envelope) = message else { panic!("not a batch") };
    assert_eq!(envelope.id(), Some(&b"\"a1\""[..]));
    let method = envelope.method().unwrap();
    assert!(method.is_escaped() && method.eq(b"tools/call"));
    assert_eq!(method.raw(), br"tools\/call");
    assert_eq!(envelope.name().unwrap().plain(), Some("get_weather"));
    assert_eq!(envelope.name().unwrap().span().of(FULL.as_bytes()), b"get_weather");
    assert!(envelope.uri().unwrap().eq(b"file:///x"));
    assert!(envelope.ref_name().unwrap().eq(b"p"));
    assert!(envelope.ref_uri().unwrap().eq(b"u"));
    assert!(envelope.text(Field::RefType).unwrap().eq(b"ref/prompt"));
    assert!(envelope.task_id().unwrap().eq(b"t"));
    assert_eq!(envelope.cursor().unwrap().raw(), b"");
    assert!(envelope.request_state().unwrap().eq(b"sA"));
    assert_eq!(envelope.request_id(), Some(&b"7"[..]));
    assert!(envelope.protocol_version().unwrap().eq(b"2025-06-18"));
    assert_eq!(envelope.arguments(), Some("{\"city\":\"Genève\"}".as_bytes()));
    assert_eq!(envelope.raw(Field::InputResponses), Some(&br#"{"k":1}"#[..]));
    assert!(envelope.meta_version().unwrap().eq(b"2026-07-28"));
    assert_eq!(envelope.meta_capabilities(), Some(&b"{}"[..]));
    assert_eq!(envelope.progress_token(), Some(&b"9"[..]));
    assert!(envelope.traceparent().unwrap().eq(b"00-1"));
    assert!(envelope.text(Field::MetaTracestate).is_none(), "a trace state that is no string is ignored");
    assert!(envelope.raw(Field::Task).is_none());
    assert_eq!(envelope.parts().whole().of(FULL.as_bytes()), FULL.as_bytes());
    let params = envelope.raw(Field::Params).unwrap();
    assert!(params.starts_with(b"{\n    \"name\"") && params.ends_with(b"[1]}}"));
}

#[test]
fn every_truncation_is_refused() {
    for length in 0..FULL.len() {
        let all = padded(&FULL.as_bytes()[..length], &FULL.as_bytes()[length..]);
        for extract in [extract_envelope, extract_envelope_portable] {
            let got = extract(Padded::new(&all, length).unwrap(), &JsonLimits::default());
            assert_eq!(got.unwrap_err(), Fault { kind: FaultKind::Syntax, id: None }, "{length}");
        }
    }
}

#[test]
fn too_little_room_behind_a_body_is_refused() {
    let all = [b' '; 100];
    assert!(Padded::new(&all, 100 - PAD).is_some());
    assert!(Padded::new(&all, 101 - PAD).is_none());
    assert!(Padded::new(&all, usize::MAX).is_none());
}

#[test]
fn a_batch_is_counted_and_each_message_can_be_visited() {
    let body = br#" [ {"jsonrpc":"2.0","id":1,"method":"initialize"} , {"jsonrpc":"2.0","method":"n"},
        {"jsonrpc":"2.0","id":2,"result":1},{"jsonrpc":"2.0","id":3,"method":"x","params":{"name":"b"}}] "#;
    let all = padded(body, b"]");
    let padded = Padded::new(&all, body.len()).unwrap();
    let Message::Batch(facts) = extract_envelope(padded, &JsonLimits::default()).unwrap() else {
        panic!("not a single message")
    };
    let expected = BatchFacts {
        count: 4,
        requests: 2,
        notifications: 1,
        responses: 1,
        has_initialize: true,
        has_meta_version: false,
    };
    assert_eq!(facts, expected);
    let mut seen = Vec::new();
    for_each_envelope(padded, &JsonLimits::default(), |envelope| {
        seen.push((envelope.kind(), envelope.parts().whole().of(envelope.body())[0]));
    })
    .unwrap();
    let kinds = [Kind::Request, Kind::Notification, Kind::Response, Kind::Request];
    assert_eq!(seen, kinds.map(|kind| (kind, b'{')));

    let few = JsonLimits { batch_max: 3, ..JsonLimits::default() };
    assert_eq!(extract_envelope(padded, &few).unwrap_err().kind, FaultKind::BatchTooLong);
}
