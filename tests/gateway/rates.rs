//! How often, how much and at what cost: limits through the real gateway, on two workers.

use serde_json::{Value as Json, json};

use super::harness::{Gateway, META, Message, Upstream, modern, ok, post, post_to};
use super::scenes::{LAST, SSE, chunk, door, get, legacy, wait_until};

fn gateway(upstream: &Upstream, limits: &str) -> Gateway {
    Gateway::before(upstream.address, &format!("rate_limits:\n{limits}"))
}

fn call(tool: &str, arguments: &Json) -> Vec<u8> {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
    post(&body.to_string(), "")
}

fn status(gateway: &Gateway, request: &[u8]) -> u16 {
    gateway.connect().ask(request).status()
}

#[test]
fn a_limit_is_exact_over_all_workers_and_says_when_to_come_again() {
    let upstream = Upstream::echo();
    let gateway = gateway(
        &upstream,
        "  headers: true\n  limits:\n  - {name: few, deny_as: error, unit: calls, rate: 50/h}",
    );
    let answers: Vec<Message> = (0..120).map(|_| gateway.connect().ask(&call("x", &json!({})))).collect();
    let admitted = answers.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!(admitted, 50, "never one more, whoever is asked");
    let refused = answers.iter().find(|answer| answer.status() == 429).unwrap();
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=72).contains(&wait), "one comes back every 72 s: {wait}");
    assert!(refused.header("ratelimit").unwrap().starts_with("\"few\";r=0;t="), "{refused:?}");
    assert!(refused.header("ratelimit-policy").unwrap().contains("\"few\";q=50;w=3600"), "{refused:?}");
    assert_eq!(
        (refused.json()["id"].clone(), refused.json()["error"]["data"]["limit"].clone()),
        (json!(7), json!("few"))
    );
    assert!(answers[0].header("ratelimit").unwrap().starts_with("\"few\";r="), "{:?}", answers[0]);
    assert!((gateway.metric("ringgate_limited_total", "mode=\"enforce\"") - 70.0).abs() < 0.1);
}

#[test]
fn two_tools_of_one_server_have_rates_of_their_own() {
    let upstream = Upstream::echo();
    let gateway = gateway(
        &upstream,
        "  limits:
  - {name: sql, deny_as: error, when: 'body.method == \"tools/call\" && body.params.name == \"run_sql_query\"', rate: 10/min}
  - {name: tables, deny_as: error, when: 'body.method == \"tools/call\" && body.params.name == \"list_tables\"', rate: 200/min}",
    );
    let admitted = |tool: &str, count: usize| {
        (0..count).filter(|_| status(&gateway, &call(tool, &json!({}))) == 200).count()
    };
    assert_eq!(admitted("run_sql_query", 30), 10);
    assert_eq!(admitted("list_tables", 60), 60);
    assert_eq!(admitted("other", 30), 30);
}

#[test]
fn the_five_requests_of_one_legacy_call_count_once() {
    let upstream = Upstream::echo();
    let gateway = gateway(
        &upstream,
        "  limits:\n  - {name: calls, deny_as: error, unit: calls, rate: 2/h}\n  - {name: requests, unit: requests, rate: 11/h}",
    );
    for life in 0..2 {
        let mut client = gateway.connect();
        for request in [
            legacy(
                1,
                "initialize",
                r#""protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}"#,
            ),
            legacy(2, "tools/list", ""),
            call("x", &json!({})),
            get("/up/mcp", ""),
            b"DELETE /up/mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: s\r\n\r\n".to_vec(),
        ] {
            assert_eq!(client.ask(&request).status(), 200, "life {life}");
        }
    }
    let third = gateway.connect().ask(&call("x", &json!({})));
    assert_eq!((third.status(), third.json()["error"]["data"]["limit"].clone()), (429, json!("calls")));
    // The refused call took nothing of the other limit either.
    assert_eq!(status(&gateway, &legacy(3, "ping", "")), 200);
    let last = gateway.connect().ask(&legacy(4, "ping", ""));
    assert_eq!((last.status(), last.json()["error"]["data"]["limit"].clone()), (429, json!("requests")));
}

#[test]
fn a_refused_call_is_a_result_that_the_model_reads() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "  limits:\n  - {name: few, rate: 1/h}");
    assert_eq!(status(&gateway, &call("x", &json!({}))), 200);
    let answer = gateway.connect().ask(&call("x", &json!({})));
    assert_eq!(
        (answer.status(), answer.json()["result"]["isError"].clone()),
        (200, json!(true)),
        "{answer:?}"
    );
    assert!(answer.json()["result"]["content"][0]["text"].as_str().unwrap().contains("few"), "{answer:?}");
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn a_refused_batch_is_no_result_as_that_would_answer_one_of_its_messages_only() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "  limits:\n  - {name: few, rate: 1/h}");
    let call =
        |id: u8| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x"}}}}"#);
    let answer = gateway.connect().ask(&post(&format!("[{},{}]", call(1), call(2)), ""));
    assert_eq!((answer.status(), answer.json()["error"]["code"].clone()), (429, json!(429)), "{answer:?}");
    upstream.assert_untouched();
    assert_eq!(status(&gateway, &post(&format!("[{}]", call(3)), "")), 200, "nothing was taken");
}

#[test]
fn a_refused_call_over_http_sse_is_no_result_as_nobody_looks_for_one_there() {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(&format!(
        "servers:\n  - {{name: old, transport: sse, url: 'http://{}/sse'}}\nrate_limits:\n  limits:\n  - {{name: few, rate: 1/h}}\n",
        upstream.address
    ));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#;
    let request = post_to("/old/mcp/~/message?sessionId=7", body, "");
    assert_eq!([status(&gateway, &request), status(&gateway, &request)], [200, 429]);
}

#[test]
fn the_end_of_a_session_passes_whatever_is_left_and_its_stream_does_not() {
    let upstream = Upstream::echo();
    let delete = b"DELETE /up/mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: s\r\n\r\n";
    let gateway_of = |more: &str| {
        gateway(&upstream, &format!("  limits:\n  - {{name: requests, unit: requests, rate: 3/h}}{more}"))
    };
    let gateway = gateway_of("");
    let mut client = gateway.connect();
    // It counts as long as there is something left, and never makes a debt.
    assert_eq!(client.ask(delete).status(), 200);
    assert!((0..2).all(|id| client.ask(&legacy(id, "ping", "")).status() == 200));
    assert_eq!(client.ask(&legacy(3, "ping", "")).status(), 429);
    assert!((0..5).all(|_| client.ask(delete).status() == 200));
    let stream = client.ask(&get("/up/mcp", ""));
    let wait: u64 = stream.header("retry-after").unwrap().parse().unwrap();
    assert!(stream.status() == 429 && wait <= 1200, "{stream:?}");
    // A limit that is about these by name refuses them.
    let gateway = gateway_of("\n  - {name: ends, unit: requests, when: 'method == \"(delete)\"', rate: 1/h}");
    let mut client = gateway.connect();
    assert_eq!([client.ask(delete).status(), client.ask(delete).status()], [200, 429]);
}

#[test]
fn a_header_that_is_there_twice_or_that_ends_here_chooses_no_bucket() {
    let upstream = Upstream::echo();
    let gateway = gateway(
        &upstream,
        "  limits:
  - {name: team, deny_as: error, key: ['header:x-team'], rate: 1/h}
  - {name: free, deny_as: error, when: 'headers[\"x-free\"] != \"yes\"', rate: 5/h}",
    );
    let body =
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "x"}}).to_string();
    let ask = |headers: &str| gateway.connect().ask(&post(&body, headers)).status();
    assert_eq!([ask("X-Team: a\r\nX-Free: yes\r\n"), ask("X-Team: a\r\nX-Free: yes\r\n")], [200, 429]);
    // Two lines: one bucket, whatever they say.
    assert_eq!(ask("X-Team: b\r\nX-Team: c\r\nX-Free: yes\r\n"), 200);
    assert_eq!(ask("X-Team: d\r\nX-Team: e\r\nX-Free: yes\r\n"), 429);
    // So does a second spelling, which reaches the server though Connection takes the first away.
    assert_eq!(ask("X-Team: f\r\nX_Team: g\r\nConnection: x-team\r\nX-Free: yes\r\n"), 429);
    // What Connection names does not reach the server: as if it were not there.
    assert_eq!(ask("X-Free: yes\r\n"), 200);
    assert_eq!(ask("X-Team: f\r\nConnection: x-team\r\nX-Free: yes\r\n"), 429);
    // A condition on what is there twice counts as met.
    for team in 0..5 {
        assert_eq!(ask(&format!("X-Team: g{team}\r\nX-Free: yes\r\nX-Free: yes\r\n")), 200);
    }
    assert_eq!(ask("X-Team: h\r\nX-Free: yes\r\nX-Free: yes\r\n"), 429);
    assert_eq!(ask("X-Team: h\r\nX-Free: yes\r\n"), 200);
}

#[test]
fn no_more_calls_are_under_way_than_may_be() {
    let (handle, upstream) = behind_a_door();
    let gateway = gateway(&upstream, "  limits:\n  - {name: busy, deny_as: error, unit: in_flight, max: 2}");
    let mut under_way: Vec<_> = (0..2)
        .map(|_| {
            let mut client = gateway.connect();
            client.send(&call("x", &json!({})));
            upstream.request();
            client
        })
        .collect();
    let refused = gateway.connect().ask(&call("x", &json!({})));
    assert_eq!((refused.status(), refused.json()["error"]["data"]["reason"].clone()), (429, json!("busy")));
    // From here on nothing waits.
    (0..1000).for_each(|_| handle.open());
    assert!(under_way.iter_mut().all(|client| client.message().unwrap().status() == 200));
    wait_until("a place is free again", || status(&gateway, &call("x", &json!({}))) == 200);
    // A client that leaves gives its place back too.
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x",{META}}}}}"#);
    for _ in 0..6 {
        let mut client = gateway.connect();
        client.send(&post(&body, &modern("tools/call", "x")));
        drop(client);
    }
    wait_until("places are free again", || status(&gateway, &call("x", &json!({}))) == 200);
}

#[test]
fn the_same_call_over_and_over_is_stopped() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "  loop_breaker: {calls: 3, within: 1h}");
    let same = call("search", &json!({"q": "the same"}));
    let statuses: Vec<bool> = (0..5)
        .map(|_| {
            gateway.connect().ask(&same).json()["result"]["isError"] == true
                || status(&gateway, &call("search", &json!({"q": "else"}))) > 400
        })
        .collect();
    let stopped = gateway.connect().ask(&same);
    let text = stopped.text();
    assert!(stopped.status() == 429 || text.contains("isError"), "{stopped:?}");
    assert!(statuses[..3].iter().all(|stopped| !stopped), "{statuses:?}");
    assert_eq!(status(&gateway, &call("search", &json!({"q": "something new"}))), 200);
}

#[test]
fn tokens_that_run_out_within_a_stream_end_the_next_call_and_not_the_stream() {
    let upstream = Upstream::new(|request, client| {
        let body: Json = serde_json::from_slice(&request.body).unwrap();
        client.send(SSE.as_bytes());
        for part in 0..4 {
            let note = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": part, "message": "word ".repeat(200)}});
            client.send(&chunk(&format!("data: {note}\n\n")));
        }
        let result = json!({"jsonrpc": "2.0", "id": body["id"], "result": {"content": [{"type": "text", "text": "done"}]}});
        client.send(&chunk(&format!("data: {result}\n\n")));
        client.send(LAST);
        true
    });
    let gateway =
        gateway(&upstream, "  limits:\n  - {name: quota, deny_as: error, unit: tokens, rate: 500/h}");
    let answer = gateway.connect().ask(&call("x", &json!({})));
    assert_eq!(answer.status(), 200);
    assert!(answer.text().contains("done"), "the stream goes on to its end");
    wait_until("the next call is refused", || status(&gateway, &call("x", &json!({}))) == 429);
}

#[test]
fn a_failed_call_costs_nothing_where_only_success_is_charged() {
    let upstream = Upstream::new(|request, client| {
        let body: Json = serde_json::from_slice(&request.body).unwrap();
        let failed = body["params"]["name"] == "bad";
        let answer =
            json!({"jsonrpc": "2.0", "id": body["id"], "result": {"content": [], "isError": failed}});
        client.send(&ok(&answer.to_string()));
        true
    });
    let gateway =
        gateway(&upstream, "  limits:\n  - {name: good, deny_as: error, rate: 3/h, charge: on_success}");
    let mut client = gateway.connect();
    for _ in 0..10 {
        assert_eq!(client.ask(&call("bad", &json!({}))).status(), 200);
    }
    let admitted = (0..10).filter(|_| client.ask(&call("good", &json!({}))).status() == 200).count();
    assert_eq!(admitted, 3);
}

#[test]
fn who_leaves_before_the_last_byte_has_had_the_call() {
    let upstream = Upstream::new(|_, client| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(&[head.as_bytes(), &super::scenes::chunk("data: the result\n\n")].concat());
        client.is_at_end();
        false
    });
    let gateway = gateway(
        &upstream,
        "  limits:\n  - {name: good, deny_as: error, rate: 3/h, charge: on_success}\ntimeouts: {abandoned: 200ms}",
    );
    let taken = (0..8).filter(|_| {
        let mut client = gateway.connect();
        client.send(&call("good", &json!({})));
        let status = client.head().unwrap().status();
        if status == 200 {
            assert!(client.chunk().unwrap().starts_with(b"data: the result"));
        }
        drop(client);
        gateway.await_metric("ringgate_exchanges_open", "", 0.0);
        status == 200
    });
    assert_eq!(taken.count(), 3);
}

#[test]
fn a_refusal_can_be_a_plain_text() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "  limits:\n  - {name: few, deny_as: text, rate: 1/h}");
    let mut client = gateway.connect();
    assert_eq!(client.ask(&call("x", &json!({}))).status(), 200);
    let answer = client.ask(&call("x", &json!({})));
    let result = &answer.json()["result"];
    assert!(result["content"][0]["text"].as_str().unwrap().starts_with("Limit few is used up"), "{answer:?}");
    assert_eq!((answer.status(), result.get("isError")), (200, None));
}

#[test]
fn a_reload_leaves_what_was_used_as_it_is() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "  limits:\n  - {name: few, deny_as: error, rate: 5/h}");
    assert_eq!((0..9).filter(|_| status(&gateway, &call("x", &json!({}))) == 200).count(), 5);
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&gateway.config, format!("{text}timeouts: {{head: 11s}}\n")).unwrap();
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_generation", "", 2.0);
    assert_eq!(status(&gateway, &call("x", &json!({}))), 429);
}

#[test]
fn a_limit_in_report_mode_is_counted_and_refuses_nothing() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream, "  limits:\n  - {name: trial, rate: 2/h, mode: report}");
    assert_eq!((0..6).filter(|_| status(&gateway, &call("x", &json!({}))) == 200).count(), 6);
    gateway.await_metric("ringgate_limited_total", "mode=\"report\"", 4.0);
}

/// An upstream that answers once its door is opened.
fn behind_a_door() -> (super::scenes::Handle, Upstream) {
    let (handle, shut) = door();
    let upstream = Upstream::new(move |request, client| {
        shut.pass();
        client.send(&ok(&super::harness::echoed(request)));
        true
    });
    (handle, upstream)
}

#[test]
fn a_busy_server_is_shielded_and_its_callers_are_told_to_come_again() {
    let (handle, upstream) = behind_a_door();
    let gateway = Gateway::with(&format!(
        "servers:\n  - {{name: up, url: 'http://{0}/mcp', adaptive: {{{1}}}}}\n  - {{name: plain, url: 'http://{0}/mcp', \
         adaptive: {{{1}, deny_as: error}}}}\nworkers: 1\n",
        upstream.address, "min: 1, max: 1, queue: 1, queue_time: 100ms"
    ));
    let to_plain = |request: &[u8]| {
        String::from_utf8(request.to_vec()).unwrap().replacen("/up/mcp", "/plain/mcp", 1).into_bytes()
    };
    let mut first = gateway.connect();
    first.send(&call("x", &json!({})));
    upstream.request();
    let shed = gateway.connect().ask(&call("x", &json!({})));
    assert_eq!((shed.status(), &shed.json()["result"]["isError"]), (200, &json!(true)), "{shed:?}");
    assert!(shed.header("retry-after").is_some() && shed.json()["id"] == 7, "{shed:?}");
    let words = shed.json()["result"]["content"][0]["text"].to_string();
    assert!(words.contains("was not called") && words.contains("Try again in 2 s"), "{words}");
    // What is no call of a tool has no result that could say so.
    let prompt = gateway.connect().ask(&legacy(7, "prompts/get", r#""name":"p""#));
    assert_eq!((prompt.status(), &prompt.json()["error"]["code"]), (503, &json!(503)), "{prompt:?}");
    upstream.assert_untouched();
    let mut other = gateway.connect();
    other.send(&to_plain(&call("x", &json!({}))));
    upstream.request();
    let shed = gateway.connect().ask(&to_plain(&call("x", &json!({}))));
    assert_eq!((shed.status(), &shed.json()["error"]["data"]["retryAfter"]), (503, &json!(2)), "{shed:?}");
    upstream.assert_untouched();
    (0..2).for_each(|_| handle.open());
    assert!([first, other].iter_mut().all(|client| client.message().unwrap().status() == 200));
    handle.open();
    assert_eq!(status(&gateway, &call("x", &json!({}))), 200);
}

#[test]
fn a_call_that_got_no_place_gives_its_unit_back() {
    let (handle, upstream) = behind_a_door();
    let gateway = Gateway::with(&format!(
        "servers:\n  - {{name: up, url: 'http://{}/mcp', adaptive: {{min: 1, max: 1, queue: 0, deny_as: error}}}}\nworkers: 1\n\
         rate_limits:\n  limits:\n  - {{name: few, unit: calls, rate: 3/h, deny_as: error}}\n",
        upstream.address
    ));
    let mut first = gateway.connect();
    first.send(&call("x", &json!({})));
    upstream.request();
    for _ in 0..5 {
        assert_eq!(gateway.connect().ask(&call("x", &json!({}))).status(), 503);
    }
    (0..3).for_each(|_| handle.open());
    assert_eq!(first.message().unwrap().status(), 200);
    let later: Vec<u16> = (0..3).map(|_| status(&gateway, &call("x", &json!({})))).collect();
    assert_eq!(later, [200, 200, 429]);
}

#[test]
fn a_batch_is_one_request_of_each_limit_that_any_of_its_messages_is_about() {
    let upstream = Upstream::echo();
    let call = |id: u32, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"});
    for (options, messages) in [
        ("tools: [x]", vec![ping.clone(), call(1, "x")]),
        ("tools: [x]", vec![call(1, "x"), call(2, "x")]),
        ("key: [tool]", vec![ping.clone(), call(1, "x"), call(2, "x")]),
        ("key: [agent]", vec![ping, call(1, "x"), call(2, "y")]),
    ] {
        let gateway = gateway(
            &upstream,
            &format!("  limits:\n  - {{name: few, unit: requests, {options}, rate: 2/h, deny_as: error}}"),
        );
        let batch =
            super::harness::post(&json!(messages).to_string(), "MCP-Protocol-Version: 2025-03-26\r\n");
        let seen: Vec<u16> = (0..3).map(|_| status(&gateway, &batch)).collect();
        assert_eq!(seen, [200, 200, 429], "{options}");
    }
}

#[test]
fn the_rounds_of_a_call_that_asks_for_input_are_one_call() {
    for sse in [false, true] {
        let upstream = Upstream::new(move |request, client| {
            let body: Json = serde_json::from_slice(&request.body).unwrap();
            let kind = if body["params"]["name"] == "ask" { "input_required" } else { "complete" };
            // The words alone, which a caller can have echoed, make nothing free.
            let content = json!([{"type": "text", "text": "input_required"}]);
            let result = json!({"resultType": kind, "content": content});
            let answer = json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string();
            if sse {
                let head = super::scenes::SSE.as_bytes();
                let event = super::scenes::chunk(&format!("data: {answer}\n\n"));
                client.send(head);
                client.send(&[&event[..], super::scenes::LAST].concat());
            } else {
                client.send(&ok(&answer));
            }
            true
        });
        let gateway =
            gateway(&upstream, "  limits:\n  - {name: few, unit: calls, rate: 2/h, deny_as: error}");
        let call = |tool: &str| {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}",{}}}}}"#,
                super::harness::META
            );
            super::harness::post(&body, &super::harness::modern("tools/call", tool))
        };
        for _ in 0..6 {
            assert_eq!(status(&gateway, &call("ask")), 200, "sse: {sse}");
        }
        let done: Vec<u16> = (0..3).map(|_| status(&gateway, &call("do"))).collect();
        assert_eq!(done, [200, 200, 429], "sse: {sse}");
    }
}

#[test]
fn a_shed_call_can_be_a_plain_text_too() {
    let (handle, upstream) = behind_a_door();
    let gateway = Gateway::with(&format!(
        "servers:\n  - {{name: up, url: 'http://{}/mcp', adaptive: {{min: 1, max: 1, queue: 0, deny_as: text}}}}\nworkers: 1\n",
        upstream.address
    ));
    let mut first = gateway.connect();
    first.send(&call("x", &json!({})));
    upstream.request();
    let shed = gateway.connect().ask(&call("x", &json!({})));
    let result = &shed.json()["result"];
    assert!(result["content"][0]["text"].as_str().unwrap().contains("was not called"), "{shed:?}");
    assert_eq!((shed.status(), result.get("isError")), (200, None));
    handle.open();
    assert_eq!(first.message().unwrap().status(), 200);
}
