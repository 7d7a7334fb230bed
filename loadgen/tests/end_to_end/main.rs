//! The load generator as a program, against servers that behave and servers that do not.

#![allow(clippy::unwrap_used)]

mod mock;
mod tls;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use mock::{Manner, Mock};
use serde_json::Value;

/// Runs loadgen against `url`; the report and whether it said success.
fn load(url: &str, line: &str) -> (Value, bool) {
    let output = command(url, line);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.success())
}

fn command(url: &str, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--url", url, "--json", "-", "--timeout", "20s", "--warmup", "0"])
        .args(line.split_whitespace())
        .output()
        .unwrap()
}

/// How often the error `kind` was reported.
fn errors(report: &Value, kind: &str) -> u64 {
    let kinds = report["error_kinds"].as_array().unwrap();
    kinds.iter().find(|entry| entry["kind"] == kind).map_or(0, |entry| entry["count"].as_u64().unwrap())
}

fn expect_clean(manner: Manner, line: &str) -> (Value, Mock) {
    let mock = Mock::start(manner);
    let (report, success) = load(&mock.url, line);
    assert_eq!(report["errors"], 0, "{line}: {report:#}");
    assert!(success, "{line}");
    assert_eq!(mock.seen.lock().unwrap().complaints, Vec::<String>::new(), "{line}");
    (report, mock)
}

#[test]
fn right_answers_of_every_kind_are_no_errors_and_all_are_counted() {
    for manner in [Manner::Json, Manner::Sse, Manner::Chunked] {
        for scenario in ["modern-call", "legacy-call", "mixed"] {
            let line = format!("--scenario {scenario} -n 200 -c 4 -t 2 --expect-text hello");
            let (report, mock) = expect_clean(manner, &line);
            assert_eq!(report["latency"]["count"], 200, "{line}: {report:#}");
            assert_eq!(mock.seen.lock().unwrap().calls, 200, "{line}");
        }
    }
}

#[test]
fn large_bodies_arrive_whole() {
    let (report, mock) = expect_clean(Manner::Json, "-n 20 -c 2 --body-bytes 3000000");
    assert_eq!(mock.seen.lock().unwrap().calls, 20);
    assert!(report["bytes_sent"].as_u64().unwrap() > 60_000_000, "{report:#}");
}

#[test]
fn sessions_live_their_five_requests() {
    let (report, mock) = expect_clean(Manner::Json, "--scenario legacy-session -n 100 -c 1");
    assert_eq!(report["latency"]["count"], 100);
    let labels: Vec<_> = report["classes"].as_array().unwrap().iter().map(|class| &class["label"]).collect();
    assert_eq!(labels, ["initialize", "initialized", "tools/list", "tools/call", "delete"]);
    let seen = mock.seen.lock().unwrap();
    assert_eq!((seen.calls, seen.deletes), (20, 20));
}

#[test]
fn a_wrong_id_is_an_error_and_the_exit_code_says_so() {
    let mock = Mock::start(Manner::OtherId);
    let (report, success) = load(&mock.url, "-n 50 -c 4");
    assert_eq!(errors(&report, "wrong id"), 50, "{report:#}");
    assert_eq!(report["errors"], 50);
    assert_eq!(report["requests"], 0);
    assert!(!success);
}

#[test]
fn statuses_errors_and_texts_are_told_apart_and_may_be_tolerated() {
    for (manner, line, kind) in [
        (Manner::Unavailable, "", "status 503"),
        (Manner::RpcError, "", "rpc error -32601"),
        (Manner::Json, "--expect-text absent", "wrong text"),
    ] {
        let mock = Mock::start(manner);
        let (report, success) = load(&mock.url, &format!("-n 30 -c 3 {line}"));
        assert_eq!(errors(&report, kind), 30, "{report:#}");
        assert!(!success, "{kind}");
    }
    let mock = Mock::start(Manner::CloseUnannounced);
    let (_, success) = load(&mock.url, "-n 30 -c 3 --errors-max 30");
    assert!(success, "errors up to the bound are tolerated");
}

#[test]
fn refusals_are_counted_apart_where_they_are_expected() {
    let mock = Mock::start(Manner::OneInThree);
    let (report, success) = load(&mock.url, "-n 60 -c 1 --refusals status");
    assert!(success, "{report:#}");
    assert_eq!(
        (&report["errors"], &report["refused"], &report["requests"]),
        (&0.into(), &40.into(), &20.into())
    );
    assert_eq!((&report["whole"]["answered"], &report["whole"]["refused"]), (&20.into(), &40.into()));
    assert!(report["whole"]["elapsed_s"].as_f64().unwrap() > 0.0, "{report:#}");
    let (report, success) = load(&mock.url, "-n 60 -c 1");
    assert_eq!((errors(&report, "status 429"), &report["refused"]), (40, &0.into()), "{report:#}");
    assert!(!success);
}

#[test]
fn an_announced_close_is_no_error_and_an_unannounced_one_is() {
    let (report, _) = expect_clean(Manner::CloseAnnounced, "-n 60 -c 2");
    assert!(report["reconnects"].as_u64().unwrap() >= 18, "{report:#}");
    let mock = Mock::start(Manner::CloseUnannounced);
    let (report, success) = load(&mock.url, "-n 60 -c 2");
    assert!(errors(&report, "late close") >= 18, "{report:#}");
    assert!(!success);
}

#[test]
fn the_open_loop_sends_every_request_of_its_schedule() {
    let (report, mock) = expect_clean(Manner::Json, "--rate 500 --duration 500ms -c 4 -t 2");
    assert_eq!(report["latency"]["count"], 250, "{report:#}");
    assert_eq!(report["sent_late"]["count"], 250);
    assert_eq!(mock.seen.lock().unwrap().calls, 250);
}

#[test]
fn a_stall_is_charged_to_every_request_that_was_due_meanwhile() {
    // 400 ms without answers at 500 per second: about 200 of 500 requests are due in that time, so half
    // of those, a fifth of all, wait at least 200 ms. A closed loop would see two slow requests.
    let line = "--rate 500 --duration 1s -c 2";
    let (report, _) = expect_clean(Manner::Stall { at: 100, ms: 400 }, line);
    assert_eq!(report["latency"]["count"], 500, "{report:#}");
    assert!(report["latency"]["p90_us"].as_f64().unwrap() >= 100_000.0, "{report:#}");
    assert!(report["latency"]["p99_us"].as_f64().unwrap() >= 300_000.0, "{report:#}");
    assert!(report["sent_late"]["p99_us"].as_f64().unwrap() >= 200_000.0, "{report:#}");
}

#[test]
fn requests_that_never_leave_are_reported() {
    // One connection, and a server that stops for longer than the run and its time limit.
    let mock = Mock::start(Manner::Stall { at: 1, ms: 60_000 });
    let (report, success) = load(&mock.url, "--rate 100 --duration 300ms -c 1 --timeout 500ms");
    assert!(errors(&report, "unsent") > 0, "{report:#}");
    assert!(errors(&report, "timeout") > 0, "{report:#}");
    assert!(!success);
}

#[test]
fn streams_are_held_and_their_events_counted() {
    for hold in ["get", "listen"] {
        let line = format!("--scenario sse-hold --hold {hold} -c 20 -t 2 --duration 300ms");
        let (report, _) = expect_clean(Manner::Json, &line);
        assert_eq!(report["open_connections"], serde_json::json!([20, 20]), "{report:#}");
        assert_eq!(report["events"], 40, "{report:#}");
    }
    let mock = Mock::start(Manner::EndStreams);
    let (report, success) = load(&mock.url, "--scenario sse-hold --hold get -c 3 --duration 300ms");
    assert!(errors(&report, "early close") >= 3, "{report:#}");
    assert!(!success);
}

#[test]
fn idle_connections_do_one_request_and_stay_and_a_process_is_watched_meanwhile() {
    let own = std::process::id(); // the mock runs in this process
    let line = format!("--scenario idle -c 30 --duration 300ms --pid {own}");
    let (report, mock) = expect_clean(Manner::Json, &line);
    assert_eq!(mock.seen.lock().unwrap().calls, 30);
    assert_eq!(report["open_connections"], serde_json::json!([30, 30]));
    let process = &report["processes"][0];
    assert!(process["memory_end"]["rss_bytes"].as_u64().unwrap() > 0, "{report:#}");
    assert!(process["rss_bytes_per_connection"].is_i64(), "{report:#}");
}

#[test]
fn a_watched_process_is_charged_per_request() {
    let own = std::process::id();
    let (report, _) = expect_clean(Manner::Json, &format!("-c 2 --duration 500ms --pid {own}"));
    let process = &report["processes"][0];
    assert!(process["cpu_us_per_request"].as_f64().unwrap() > 0.0, "{report:#}");
    assert!(report["loadgen"]["cpu_us_per_request"].as_f64().unwrap() > 0.0);
}

#[test]
fn unix_sockets_are_targets_too() {
    let path = std::env::temp_dir().join(format!("loadgen-test-{}.sock", std::process::id()));
    let mock = Mock::start_unix(&path, Manner::Json);
    let (report, success) = load(&mock.url, "-n 50 -c 2");
    std::fs::remove_file(&path).unwrap();
    assert!(success, "{report:#}");
    assert_eq!(report["latency"]["count"], 50);
}

#[test]
fn wrong_targets_are_refused_before_any_load() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = command(&format!("http://{free}/"), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot connect"), "{output:?}");
    let output = command("http://192.0.2.1:80/", "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--allow-remote"), "{output:?}");
}

#[test]
fn an_interrupted_run_reports_what_it_has_and_blames_nobody_for_the_rest() {
    // The second call is never answered, and the time limit of 20 s is far off when the signal comes.
    for signal in ["INT", "TERM"] {
        let mock = Mock::start(Manner::Stall { at: 2, ms: 60_000 });
        let line = "--json - --timeout 20s --warmup 0 --duration 60s -c 1";
        let child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
            .args(["--url", &mock.url])
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The stall holds the lock; a call that is merely counted holds it for a moment.
        let mut held = 0;
        while held < 10 {
            held = if mock.seen.try_lock().is_err() { held + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(10));
        }
        let told = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(told.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["interrupted"], true, "{report:#}");
        assert_eq!((&report["whole"]["answered"], &report["errors"]), (&1.into(), &0.into()), "{report:#}");
    }
}

#[test]
fn the_table_names_what_matters() {
    let mock = Mock::start(Manner::Json);
    let output = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["--url", &mock.url, "-n", "20", "-c", "2", "-w", "0"])
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    for words in ["requests", "p99.9", "loadgen itself", "us CPU per request", "errors                  0"] {
        assert!(table.contains(words), "{words} missing in\n{table}");
    }
}
