//! Messages with lists, and what becomes of them.
#![allow(clippy::unwrap_used)]

use super::naive;
use super::*;
use crate::base::PAD;

/// Keeps what does not begin with `x`.
fn no_x(_: Kind, name: &str) -> bool {
    !name.starts_with('x')
}

#[track_caller]
fn becomes(body: &str, expected: &str) {
    for behind in [&b"\0"[..], b"}", b"\"", b",", b"]", b" ", b"1"] {
        let got = naive::check(body.as_bytes(), behind, &no_x);
        assert_eq!(got.map(|out| String::from_utf8(out).unwrap()), Ok(expected.to_owned()), "{body}");
    }
}

#[track_caller]
fn refused(body: &str, fault: ListFault) {
    for behind in [&b"\0"[..], b"}", b"\"", b",", b"]", b" "] {
        assert_eq!(naive::check(body.as_bytes(), behind, &no_x), Err(fault), "{body}");
    }
}

/// A result inside a response.
fn response(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)
}

#[track_caller]
fn list(items: &str, expected: &str) {
    becomes(
        &response(&format!(r#"{{"tools":{items},"nextCursor":"c"}}"#)),
        &response(&format!(r#"{{"tools":{expected},"nextCursor":"c"}}"#)),
    );
}

#[test]
fn items_go_with_their_commas_and_nothing_else_changes() {
    list("[]", "[]");
    list("[ ]", "[ ]");
    list(r#"[{"name":"x"}]"#, "[]");
    list(r#"[ {"name":"x"} , {"name":"x"} ]"#, "[]");
    list(r#"[{"name":"a"},{"name":"b"}]"#, r#"[{"name":"a"},{"name":"b"}]"#);
    list(r#"[{"name":"x"},{"name":"b"}]"#, r#"[{"name":"b"}]"#);
    list(r#"[{"name":"a"},{"name":"x"}]"#, r#"[{"name":"a"}]"#);
    list(r#"[{"name":"a"},{"name":"x"},{"name":"b"}]"#, r#"[{"name":"a"},{"name":"b"}]"#);
    list(r#"[{"name":"x"},{"name":"x1"},{"name":"b"},{"name":"x"}]"#, r#"[{"name":"b"}]"#);
    list(
        "[\n  {\"name\":\"a\"},\n  {\"name\":\"x\"},\n  {\"name\":\"b\"}\n]",
        "[\n  {\"name\":\"a\"},\n  {\"name\":\"b\"}\n]",
    );
    list("[\n  {\"name\":\"x\"},\n  {\"name\":\"b\"}\n]", "[\n  {\"name\":\"b\"}\n]");
    // The name comes last; other names inside the item are not its own.
    list(
        r#"[{"inputSchema":{"properties":{"name":{"enum":["x"]}}},"name":"a"},{"_meta":{"name":"a"},"name":"x"}]"#,
        r#"[{"inputSchema":{"properties":{"name":{"enum":["x"]}}},"name":"a"}]"#,
    );
}

#[test]
fn names_are_compared_unescaped() {
    list(
        r#"[{"name":"\u0078y"},{"name":"a\"x"},{"name":"é\u00e9"}]"#,
        r#"[{"name":"a\"x"},{"name":"é\u00e9"}]"#,
    );
    let body = response(r#"{"tools":[{"name":"\u00e9\ud83d\ude00\/"},{"name":"é😀/"}]}"#);
    let out = naive::check(body.as_bytes(), b"\0", &|_, name| name != "é😀/").unwrap();
    assert_eq!(out, response(r#"{"tools":[]}"#).as_bytes());
}

#[test]
fn each_kind_of_list_is_known_by_its_own_key() {
    let kinds = std::cell::RefCell::new(Vec::new());
    let body = response(
        r#"{"resources":[{"uri":"x://r","name":"n"}],"prompts":[{"name":"p","uri":"u"}],"tools":[{"name":"t"}],"resourceTemplates":[{"uriTemplate":"t://{a}","uri":"u","name":"n"}]}"#,
    );
    let keep = |kind: Kind, name: &str| {
        kinds.borrow_mut().push((kind, name.to_owned()));
        true
    };
    assert_eq!(naive::check(body.as_bytes(), b"\0", &keep).unwrap(), body.as_bytes());
    let expected = [
        (Kind::Resource, "x://r"),
        (Kind::Prompt, "p"),
        (Kind::Tool, "t"),
        (Kind::ResourceTemplate, "t://{a}"),
    ];
    assert_eq!(kinds.borrow()[..4], expected.map(|(kind, name)| (kind, name.to_owned())));
    becomes(&response(r#"{"resources":[{"name":"a","uri":"x"}]}"#), &response(r#"{"resources":[]}"#));
    becomes(
        &response(r#"{"resourceTemplates":[{"uriTemplate":"x"}]}"#),
        &response(r#"{"resourceTemplates":[]}"#),
    );
}

#[test]
fn a_filtered_answer_is_private() {
    becomes(
        &response(r#"{"cacheScope":"public","tools":[{"name":"x"}],"ttlMs":1}"#),
        &response(r#"{"cacheScope":"private","tools":[],"ttlMs":1}"#),
    );
    becomes(
        &response(r#"{"tools":[],"cacheScope": "Public"}"#),
        &response(r#"{"tools":[],"cacheScope": "private"}"#),
    );
    becomes(
        &response(r#"{"tools":[],"cacheScope":"pub\u006cic"}"#),
        &response(r#"{"tools":[],"cacheScope":"private"}"#),
    );
    // What was read or discovered for one caller, too; but what is private stays as it is written.
    becomes(
        &response(r#"{"contents":[],"cacheScope":"public"}"#),
        &response(r#"{"contents":[],"cacheScope":"private"}"#),
    );
    for same in [r#"{"tools":[],"cacheScope":"private"}"#, r#"{"tools":[],"cacheScope":null}"#] {
        becomes(&response(same), &response(same));
    }
}

#[test]
fn a_filtered_answer_is_not_kept_for_long() {
    for (time, shown) in [
        ("60001", "60000"),
        ("3600000", "60000"),
        ("6.1e4", "60000"),
        ("18446744073709551616", "60000"),
        ("\"1\"", "60000"),
    ] {
        becomes(
            &response(&format!(r#"{{"ttlMs" : {time} ,"tools":[{{"name":"x"}}]}}"#)),
            &response(&format!(r#"{{"ttlMs" : {shown} ,"tools":[]}}"#)),
        );
    }
    for same in ["60000", "0", "-1", "-90000", "6e4", "1.5", "null", "true", "[90000]", "{\"ttlMs\":90000}"] {
        let same = response(&format!(r#"{{"tools":[],"cacheScope":"private","ttlMs":{same}}}"#));
        becomes(&same, &same);
    }
    // Of a message that is none of these, it is somebody else's.
    let other = r#"{"id":1,"ttlMs":90000,"params":{"ttlMs":90000},"result":{"task":{"ttlMs":90000}}}"#;
    becomes(other, other);
}

#[test]
fn batches_are_filtered_message_by_message() {
    let one = response(r#"{"tools":[{"name":"x"},{"name":"a"}]}"#);
    let cut = response(r#"{"tools":[{"name":"a"}]}"#);
    becomes(
        &format!(" [ {one} , {{\"method\":\"m\"}},{one}]"),
        &format!(" [ {cut} , {{\"method\":\"m\"}},{cut}]"),
    );
    becomes("[]", "[]");
    becomes("[1,null]", "[1,null]");
    refused(&format!("[[{one}]]"), ListFault::NotMessage);
}

#[test]
fn what_holds_no_list_passes_as_it_is() {
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"tools":[{"name":"x"}]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":{"tools":[{"name":"x"}]}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"tools":[{"name":"x"}]}],"structuredContent":{"tools":7}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#" {"id":1,"result":[{"tools":[{"name":"x"}]}]} "#,
        r#"{"id":1,"result":null}"#,
        r#"{"id":1,"result":{"tools":null,"prompts": null }}"#,
        r#"{"tools":[{"name":"x"}]}"#,
        "{}",
        "null",
        "-1.5e3",
        "\"text\"",
    ] {
        becomes(body, body);
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let tools = r#"[{"name":"x"}]"#;
    for key in ["Result", "RESULT", r"resul\u0074", r"result\u0000", "re\u{17f}ult"] {
        refused(&format!(r#"{{"id":1,"{key}":{{"tools":{tools}}}}}"#), ListFault::KeyVariant);
    }
    refused(&format!(r#"{{"result":{{}},"result":{{"tools":{tools}}}}}"#), ListFault::KeyTwice);
    for key in ["tools", "prompts", "resources", "resourceTemplates", "cacheScope", "ttlMs"] {
        refused(&response(&format!(r#"{{"{key}":null,"{key}":null}}"#)), ListFault::KeyTwice);
        let capital = key[..1].to_uppercase() + &key[1..];
        refused(&response(&format!(r#"{{"{capital}":{tools}}}"#)), ListFault::KeyVariant);
        refused(&response(&format!(r#"{{"{key}":null,"{capital}":{tools}}}"#)), ListFault::KeyVariant);
        let escaped = format!("\\u{:04x}{}", key.as_bytes()[0], &key[1..]);
        refused(&response(&format!(r#"{{"{escaped}":{tools}}}"#)), ListFault::KeyVariant);
    }
    for (list, key) in
        [("tools", "name"), ("prompts", "name"), ("resources", "uri"), ("resourceTemplates", "uriTemplate")]
    {
        for (item, fault) in [
            (format!(r#"{{"{key}":"a","{key}":"x"}}"#), ListFault::KeyTwice),
            (format!(r#"{{"{key}":"a","{}":"x"}}"#, key.to_uppercase()), ListFault::KeyVariant),
            (format!(r#"{{"{}":"x"}}"#, key.to_uppercase()), ListFault::KeyVariant),
            (format!(r#"{{"\u{:04x}{}":"x"}}"#, key.as_bytes()[0], &key[1..]), ListFault::KeyVariant),
            (format!(r#"{{"{key}":null}}"#), ListFault::NoName),
            (format!(r#"{{"{key}":["x"]}}"#), ListFault::NoName),
            (r#"{"title":"x"}"#.to_owned(), ListFault::NoName),
            ("{}".to_owned(), ListFault::NoName),
            (format!(r#"{{"{key}":"\ud800"}}"#), ListFault::LoneSurrogate),
            ("\"x\"".to_owned(), ListFault::NotItem),
            ("null".to_owned(), ListFault::NotItem),
            (format!(r#"[{{"{key}":"x"}}]"#), ListFault::NotItem),
        ] {
            refused(&response(&format!(r#"{{"{list}":[{item}]}}"#)), fault);
        }
        for odd in [r#"{"name":"x"}"#, "\"x\"", "7", "true"] {
            refused(&response(&format!(r#"{{"{list}":{odd}}}"#)), ListFault::NotList);
        }
    }
}

#[test]
fn what_is_not_json_is_refused_wherever_it_is_cut() {
    let body =
        response(r#"{"tools":[{"name":"a","n":{"x":[1,2,{"y":null}]}},{"name":"x"}],"cacheScope":"public"}"#);
    for cut in 0..body.len() {
        for behind in [&b"\0"[..], b"}", b"\"", b"]", b"}]}", body.as_bytes()] {
            let got = naive::check(&body.as_bytes()[..cut], behind, &no_x);
            assert!(got.is_err(), "{}", &body[..cut]);
        }
    }
    for bad in [
        r#"{"result":{"tools":[{"name":"a"},]}}"#,
        r#"{"result":{"tools":[{"name":"a"} {"name":"a"}]}}"#,
        r#"{"result":{"tools":[{"name":"a",}]}}"#,
        r#"{"result":{"tools":[{"name":"a"}]}} {}"#,
        r#"{"result":{"tools":[{"name":"a"}],"n":NaN}}"#,
        "",
        "<html>",
    ] {
        assert!(naive::check(bad.as_bytes(), b"\0", &no_x).is_err(), "{bad}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| {
        response(&format!(r#"{{"tools":[{{"name":"x","n":{}{}}}]}}"#, "[".repeat(levels), "]".repeat(levels)))
    };
    let room = DEPTH_CAP as usize - 4;
    becomes(&nested(room), &response(r#"{"tools":[]}"#));
    refused(&nested(room + 1), ListFault::Json(JsonError::Depth));
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    for body in [&b"{\"result\":{\"tools\":[{\"name\":\"\xff\"}]}}"[..], b"{\"result\":{\"a\":\"\xc0\x80\"}}"]
    {
        assert_eq!(naive::check(body, b"\0", &no_x), Err(ListFault::Json(JsonError::Utf8)));
    }
}

#[test]
fn edits_can_be_used_again() {
    let body = response(r#"{"tools":[{"name":"x"}]}"#);
    let all = [body.as_bytes(), &[0; PAD]].concat();
    let mut edits = Edits::default();
    for _ in 0..2 {
        edits.clear();
        find_cuts(Padded::new(&all, body.len()).unwrap(), &mut no_x, &mut edits).unwrap();
        let mut out = Vec::new();
        edits.apply(body.as_bytes(), &mut out);
        assert_eq!(out, response(r#"{"tools":[]}"#).as_bytes());
    }
}
