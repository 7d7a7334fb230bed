//! Looking at limits on a running gateway: the admin page, the command, the metrics.

use std::process::Command;

use serde_json::{Value as Json, json};

use super::harness::{Gateway, Upstream, post};

fn call(tool: &str, agent: &str) -> Vec<u8> {
    let body =
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
    post(&body.to_string(), &format!("X-Agent: {agent}\r\n"))
}

fn page(gateway: &Gateway) -> Json {
    let (status, body) = gateway.admin_get("/limits").unwrap();
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Output and exit code of `ringgate` with these words.
fn ringgate(words: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringgate")).args(words).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

#[test]
fn who_is_refused_most_is_shown_first_with_what_is_left() {
    let upstream = Upstream::echo();
    let limits = "rate_limits:
  limits:
  - {name: per_agent, unit: calls, key: ['header:x-agent', tool], rate: 5/h}
  - {name: trial, mode: report, unit: calls, rate: 20/h}";
    let gateway = Gateway::before(upstream.address, limits);
    for (agent, count) in [("quiet", 6), ("loud", 30)] {
        for _ in 0..count {
            gateway.connect().ask(&call("query", agent));
        }
    }
    let page = page(&gateway);
    let [per_agent, trial] = [0, 1].map(|at| &page["limits"][at]);
    assert_eq!(
        (&per_agent["name"], &per_agent["refused"]),
        (&json!("per_agent"), &json!(1 + 25)),
        "{page:#}"
    );
    let rows: Vec<_> = per_agent["hottest"].as_array().unwrap().iter().collect();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row["key"]["header:x-agent"].as_str().unwrap(), row["refused"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [("loud", 25), ("quiet", 1)], "the numbers of both workers, added up");
    assert_eq!((&rows[0]["available"], &rows[0]["key"]["tool"]), (&json!(0), &json!("query")), "{page:#}");
    assert_eq!((&trial["mode"], &trial["refused"]), (&json!("report"), &json!(0)));
    assert_eq!((&page["workers"], &page["workers_answered"]), (&json!(2), &json!(2)));

    let admin = gateway.admin.to_string();
    let (text, code) = ringgate(&["limits", "--admin", &admin]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("per_agent: 5 calls in 1h; refused 26, reported 0"), "{text}");
    assert!(text.find("x-agent=loud") < text.find("x-agent=quiet"), "{text}");
    let (text, code) = ringgate(&["limits", "--config", gateway.config.to_str().unwrap(), "--json"]);
    assert_eq!(
        (serde_json::from_str::<Json>(&text).unwrap()["limits"][0]["refused"].clone(), code),
        (json!(26), Some(0))
    );
}

#[test]
fn explain_says_what_is_left_of_any_key_on_a_running_gateway() {
    let upstream = Upstream::echo();
    let limits =
        "rate_limits:\n  limits:\n  - {name: few, unit: calls, key: ['header:x-agent', tool], rate: 5/h}";
    let gateway = Gateway::before(upstream.address, limits);
    for _ in 0..3 {
        assert_eq!(gateway.connect().ask(&call("query", "a")).status(), 200);
    }
    let explain = |agent: &str| {
        let (status, body) =
            gateway.admin_get(&format!("/explain?tool=query&header=x-agent:+{agent}")).unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Json>(&body).unwrap()["limits"][0].clone()
    };
    let used = explain("a");
    assert_eq!(used["key"], json!({"header:x-agent": "a", "tool": "query"}), "{used:#}");
    assert_eq!(
        (&used["available"], &used["size"], &used["rate"]),
        (&json!(2), &json!(5), &json!("5 calls in 1h"))
    );
    // Nobody has ever seen it, and to ask takes nothing and makes no key of it.
    for _ in 0..10 {
        assert_eq!(explain("never%20seen")["available"], json!(5));
    }
    assert_eq!(
        page(&gateway)["limits"][0]["hottest"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["key"]["header:x-agent"] != "a")
            .count(),
        0
    );
    let (config, admin) = (gateway.config.to_str().unwrap(), gateway.admin.to_string());
    let by_words = |header: &str| {
        let (text, code) =
            ringgate(&["explain", "-c", config, "--tool", "query", "--header", header, "--admin", &admin]);
        assert_eq!(code, Some(0), "{text}");
        text
    };
    let text = by_words("X-Agent: a");
    assert!(text.contains("few: 5 calls in 1h; header:x-agent=a tool=query; 2 of 5 left now\n"), "{text}");
    let text = by_words("X-Agent: a+b & c");
    assert!(text.contains("header:x-agent=a+b & c tool=query; 5 of 5 left now\n"), "{text}");
    for _ in 0..3 {
        gateway.connect().ask(&call("query", "a"));
    }
    let (used, text) = (explain("a"), by_words("X-Agent: a"));
    let wait = used["next_unit_seconds"].as_u64().unwrap();
    assert!(used["passes"] == false && (1..=720).contains(&wait), "one comes back every 720 s: {used:#}");
    assert!(text.contains(&format!("; 0 of 5 left now, the next in {wait} s at most\n")), "{text}");
}

#[test]
fn explain_refuses_what_makes_no_question() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let long = |bytes: usize| format!("tool={}", "a".repeat(bytes));
    for (query, part) in [
        ("", "`method`: say what is asked for"),
        ("tool=x&server=none", "there is no server `none`"),
        ("tool=x&as=agent", "none of server, method"),
        ("tool=x&caller=agent", "`caller`: `agent`: write agent="),
        ("tool=x&tool=y", "`tool`: is there twice"),
        ("tool=%zz", "`tool`: is empty, not UTF-8"),
        ("tool=x&arguments=%7B", "`arguments`: is not JSON"),
        (&*long(6_140), "longer than 6144 bytes"),
    ] {
        let (status, body) = gateway.admin_get(&format!("/explain?{query}")).unwrap();
        let page: Json = serde_json::from_str(&body).unwrap();
        assert!(status == 400 && page["error"].as_str().unwrap().contains(part), "{query}: {body}");
    }
    assert_eq!(gateway.admin_get(&format!("/explain?{}", long(6_139))).unwrap().0, 200);
    assert_eq!(gateway.admin_get("/explain?tool=a b").unwrap().0, 400);
    let (config, admin) = (gateway.config.to_str().unwrap(), gateway.admin.to_string());
    let tool = "a".repeat(7_000);
    let (text, code) = ringgate(&["explain", "-c", config, "--tool", &tool, "--admin", &admin]);
    assert!(code == Some(2) && text.contains("the query is longer than 6144 bytes"), "{text}");
}

#[test]
fn what_a_limit_in_report_mode_would_refuse_is_shown_as_such() {
    let upstream = Upstream::echo();
    let limits =
        "rate_limits:\n  limits:\n  - {name: trial, mode: report, unit: calls, key: [tool], rate: 5/h}";
    let gateway = Gateway::before(upstream.address, limits);
    for _ in 0..12 {
        assert_eq!(gateway.connect().ask(&call("query", "a")).status(), 200);
    }
    let page = page(&gateway);
    let row = &page["limits"][0]["hottest"][0];
    assert_eq!(
        (&row["key"]["tool"], &row["reported"], &row["refused"]),
        (&json!("query"), &json!(7), &json!(0)),
        "{page:#}"
    );
}

#[test]
fn a_gateway_without_limits_says_so_and_one_that_is_gone_is_named() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    assert_eq!(page(&gateway)["limits"], json!([]));
    let admin = gateway.admin.to_string();
    assert!(ringgate(&["limits", "--admin", &admin]).0.contains("has no limits"));
    drop(gateway);
    let (text, code) = ringgate(&["limits", "--admin", &admin]);
    assert_eq!(code, Some(1));
    assert!(text.contains(&format!("no gateway answers at {admin}")), "{text}");
}

#[test]
fn the_metrics_tell_what_an_adaptive_limit_does() {
    let upstream = Upstream::echo();
    let config = format!(
        "servers:\n  - name: up\n    url: http://{}/mcp\n    adaptive: {{min: 4, max: 100}}\n",
        upstream.address
    );
    let gateway = Gateway::with(&config);
    assert_eq!(gateway.connect().ask(&call("query", "a")).status(), 200);
    assert!(gateway.metric("ringgate_adaptive_limit", "server=\"up\"") >= 4.0);
    gateway.await_metric("ringgate_adaptive_in_flight", "server=\"up\"", 0.0);
    let (_, page) = gateway.admin_get("/metrics").unwrap();
    assert!(
        page.contains("ringgate_adaptive_shed_total{server=\"up\",class=\"low\",reason=\"busy\"} 0"),
        "{page}"
    );
    assert!(page.contains("ringgate_ledger_turned_away_total 0"), "{page}");
}
