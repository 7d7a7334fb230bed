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
fn explain_says_what_is_left_on_a_running_gateway() {
    let upstream = Upstream::echo();
    let limits = "rate_limits:\n  limits:\n  - {name: few, unit: calls, key: [tool], rate: 5/h}";
    let gateway = Gateway::before(upstream.address, limits);
    for _ in 0..6 {
        gateway.connect().ask(&call("query", "a"));
    }
    let (config, admin) = (gateway.config.to_str().unwrap(), gateway.admin.to_string());
    let (text, code) = ringgate(&["explain", "-c", config, "--tool", "query", "--admin", &admin]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("few: 5 calls in 1h; tool=query; 0 left now\n"), "{text}");
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
