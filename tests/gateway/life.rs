//! The process: reload, drain, stop, its commands, and how connections are placed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Output};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};

use super::harness::{Client, Gateway, TempDir, Upstream, echoed, free_port, ok, post_to, spawn};
use super::scenes::{LAST, SSE, chunk, door, legacy_body, legacy_call, modern_call, told, wait_until};

/// Puts another configuration in the place of the gateway's, with what the harness has added to it.
fn rewrite(gateway: &Gateway, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&gateway.config, change(text)).unwrap();
}

fn list_at(path: &str) -> Vec<u8> {
    post_to(path, &legacy_body(1, "tools/list", ""), "")
}

#[test]
fn a_reload_takes_over_all_of_it_and_lets_what_runs_end() {
    let (handle, door) = door();
    let old = Upstream::new(move |request, client| {
        door.pass();
        client.send(&ok(&echoed(request)));
        true
    });
    let new = Upstream::echo();
    let gateway = Gateway::before(old.address, "");
    let mut running = gateway.connect();
    running.send(&modern_call(1));
    old.request();
    rewrite(&gateway, |text| {
        text.replace("name: up", "name: two").replace(&old.address.to_string(), &new.address.to_string())
    });
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_reloads_total", "", 1.0);
    assert_eq!(gateway.metric("ringgate_config_generation", ""), 2.0);
    // Every worker has heard of it before it reports to the page above.
    let mut client = gateway.connect();
    assert_eq!(client.ask(&list_at("/two/mcp")).status(), 200);
    assert_eq!(client.ask(&list_at("/up/mcp")).status(), 404);
    handle.open();
    assert_eq!(running.message().unwrap().json()["id"], 1);
    assert_eq!(running.ask(&list_at("/two/mcp")).status(), 200, "the next request is under the new one");
    assert_eq!(running.ask(&list_at("/up/mcp")).status(), 404);
    drop((running, client));
    gateway.assert_nothing_left();
}

#[test]
fn counts_stay_with_their_server_through_a_reload() {
    let (handle, door) = door();
    let upstream = Upstream::new(move |request, client| {
        if request.start.contains("slow") {
            door.pass();
        }
        client.send(&ok(&echoed(request)));
        true
    });
    let line = |name: &str| format!("  - {{name: {name}, url: 'http://{}/{name}'}}\n", upstream.address);
    let gateway = Gateway::with(&format!("servers:\n{}{}", line("one"), line("slow")));
    let mut running = gateway.connect();
    running.send(&list_at("/slow/mcp"));
    upstream.request();
    assert_eq!(gateway.connect().ask(&list_at("/one/mcp")).status(), 200);
    assert_eq!(gateway.connect().ask(&list_at("/none/mcp")).status(), 404);
    let turned = format!("{}{}{}", line("slow"), line("new"), line("one"));
    rewrite(&gateway, |text| text.replace(&line("slow"), "").replace(&line("one"), &turned));
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_reloads_total", "", 1.0);
    handle.open();
    assert_eq!(running.message().unwrap().status(), 200);
    for (server, count) in [("one", 1.0), ("slow", 1.0), ("new", 0.0), ("none", 1.0)] {
        gateway.await_metric("ringgate_exchanges_total", &format!("server=\"{server}\""), count);
    }
}

#[test]
fn a_bad_file_changes_nothing_and_is_explained() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let good = std::fs::read_to_string(&gateway.config).unwrap();
    for (round, (bad, words)) in [
        (good.replace("name: up", "name: UP"), "servers[0].name"),
        (format!("{good}surprise: 1\n"), "surprise"),
        (String::new(), "servers"),
        (format!("{good}limits:\n  body_bytes_max: 9GiB\n"), "limits.body_bytes_max"),
    ]
    .into_iter()
    .enumerate()
    {
        rewrite(&gateway, |_| bad);
        gateway.signal("HUP");
        gateway.await_metric("ringgate_config_reloads_failed_total", "", (round + 1) as f64);
        wait_until("the log has the finding", || gateway.log().contains(words));
        assert!(gateway.log().contains("the old one stays in force"));
        assert_eq!(gateway.connect().ask(&legacy_call(1)).status(), 200);
    }
    rewrite(&gateway, |_| good);
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_reloads_total", "", 1.0);
}

#[test]
fn a_listener_keeps_its_own_rules_when_another_is_put_before_it() {
    let upstream = Upstream::echo();
    let other = free_port();
    let gateway = Gateway::before(
        upstream.address,
        "listeners:\n  - address: 127.0.0.1:PORT\n    proxy_protocol: v1\n",
    );
    rewrite(&gateway, |text| {
        text.replace("listeners:\n", &format!("listeners:\n  - address: 127.0.0.1:{other}\n"))
    });
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_reloads_total", "", 1.0);
    wait_until("the log says what needs a restart", || gateway.log().contains("after a restart"));
    let mut bare = gateway.connect();
    bare.send(&legacy_call(1));
    assert_eq!(
        bare.message().map(|answer| answer.status()),
        None,
        "a client without a PROXY header is not served"
    );
    let mut client = gateway.connect();
    client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    assert_eq!(client.ask(&legacy_call(1)).status(), 200);
}

#[test]
fn a_drain_ends_what_is_idle_and_lets_the_rest_finish() {
    let (json, json_door) = door();
    let (sse, sse_door) = door();
    let upstream = Upstream::new(move |request, client| {
        if request.text().contains("\"id\":1") {
            client.send(&ok(&echoed(request)));
        } else if request.text().contains("\"id\":2") {
            json_door.pass();
            client.send(&ok(&echoed(request)));
        } else {
            client.send(&[SSE.as_bytes(), &chunk("data: 1\n\n")].concat());
            sse_door.pass();
            client.send(&[chunk("data: 2\n\n"), LAST.to_vec()].concat());
        }
        true
    });
    let mut gateway = Gateway::before(upstream.address, "");
    let (mut idle, mut fresh) = (gateway.connect(), gateway.connect());
    assert_eq!(idle.ask(&modern_call(1)).status(), 200);
    upstream.request();
    let (mut call, mut stream) = (gateway.connect(), gateway.connect());
    call.send(&modern_call(2));
    upstream.request();
    stream.send(&modern_call(3));
    assert_eq!(stream.head().unwrap().status(), 200);
    assert_eq!(stream.chunk().unwrap(), b"data: 1\n\n");
    gateway.await_metric("ringgate_worker_connections", "", 4.0);
    gateway.signal("TERM");
    assert!(idle.is_at_end() && fresh.is_at_end());
    let (status, text) = gateway.admin_get("/readyz").unwrap();
    assert_eq!((status, &*text), (503, "draining\n"));
    assert_eq!(gateway.admin_get("/healthz").unwrap().0, 200);
    assert_eq!(gateway.metric("ringgate_draining", ""), 1.0);
    wait_until("no new connections", || std::net::TcpStream::connect(gateway.address).is_err());
    json.open();
    let answer = call.message().unwrap();
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    assert!(call.is_at_end());
    sse.open();
    assert_eq!(stream.chunk().unwrap(), b"data: 2\n\n");
    assert_eq!(stream.chunk().unwrap(), b"");
    assert!(stream.is_at_end());
    assert_eq!(gateway.wait(), Some(0), "{}", gateway.log());
    wait_until("the log says so", || gateway.log().contains("drained"));
}

/// Calls once, waits for the end of its connection, and then connects and calls again at once, as often as anybody accepts.
/// Gives how many of its connections got no answer.
fn persist<S: Read + Write>(connect: impl Fn() -> std::io::Result<S>, settled: &Barrier) -> usize {
    let (mut lost, mut first) = (0, true);
    while let Ok(stream) = connect() {
        let mut client = Client::over(stream);
        // To send on a connection that was closed may fail, which is a loss as well.
        let sent = client.stream.write_all(&modern_call(1)).is_ok();
        match sent.then(|| client.message()).flatten() {
            Some(answer) => assert_eq!(answer.status(), 200),
            None => lost += 1,
        }
        if std::mem::take(&mut first) {
            settled.wait();
        }
        client.is_at_end();
    }
    lost
}

#[test]
fn a_drain_answers_all_that_it_accepts_of_clients_that_connect_again_at_once() {
    let upstream = Upstream::echo();
    let mut gateway = Gateway::before(
        upstream.address,
        "listeners:\n  - address: 127.0.0.1:PORT\n  - address: unix:DIR/drain.sock\n",
    );
    let (address, path) = (gateway.address, gateway.dir.0.join("drain.sock"));
    let settled = Arc::new(Barrier::new(33));
    let clients: Vec<_> = (0..32)
        .map(|index| {
            let (settled, path) = (settled.clone(), path.clone());
            std::thread::spawn(move || match index % 2 {
                0 => persist(|| TcpStream::connect(address), &settled),
                _ => persist(|| UnixStream::connect(&path), &settled),
            })
        })
        .collect();
    settled.wait();
    gateway.signal("TERM");
    let lost: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert_eq!(lost, 0, "accepted and closed without an answer\n{}", gateway.log());
    assert_eq!(gateway.wait(), Some(0), "{}", gateway.log());
}

#[test]
fn a_drain_that_is_announced_serves_on_and_is_not_ready() {
    let upstream = Upstream::echo();
    let mut gateway = Gateway::before(upstream.address, "drain: {announce: 10m}\n");
    let mut old = gateway.connect();
    assert_eq!(old.ask(&modern_call(1)).header("connection"), None);
    gateway.signal("TERM");
    wait_until("not ready", || gateway.admin_get("/readyz").is_some_and(|(status, _)| status == 503));
    assert_eq!(gateway.metric("ringgate_draining", ""), 1.0, "every worker knows before it reports");
    for client in [&mut old, &mut gateway.connect()] {
        let answer = client.ask(&modern_call(2));
        assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
        assert!(client.is_at_end());
    }
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(1), "a second signal ends it at once");
}

#[test]
fn the_drain_deadline_cuts_what_is_left() {
    let (tell, ended) = channel();
    let upstream = Upstream::new(move |_, client| {
        client.send(&[SSE.as_bytes(), &chunk("data: 1\n")].concat());
        tell.send(client.is_at_end()).unwrap();
        false
    });
    let mut gateway = Gateway::before(upstream.address, "timeouts:\n  drain: 200ms\n");
    let mut stream = gateway.connect();
    stream.send(&legacy_call(1));
    stream.head().unwrap();
    assert_eq!(stream.chunk().unwrap(), b"data: 1\n");
    gateway.signal("INT");
    assert_eq!(stream.chunk(), None, "half an event has no last chunk");
    assert!(told(&ended, "the server sees the end"));
    assert_eq!(gateway.wait(), Some(0));
    wait_until("the log says so", || gateway.log().contains("drain deadline"));
}

#[test]
fn a_second_signal_ends_at_once() {
    let upstream = Upstream::new(|_, client| {
        client.send(&[SSE.as_bytes(), &chunk("data: 1\n\n")].concat());
        client.is_at_end();
        false
    });
    let mut gateway = Gateway::before(upstream.address, "timeouts:\n  drain: 1h\n");
    let mut stream = gateway.connect();
    stream.send(&legacy_call(1));
    stream.head().unwrap();
    gateway.signal("TERM");
    wait_until("draining", || gateway.admin_get("/readyz").is_some_and(|(status, _)| status == 503));
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(1));
    wait_until("the log says why", || gateway.log().contains("second signal"));
}

fn run(arguments: &[&str], dir: &TempDir) -> Output {
    let child: Child = spawn(arguments, &dir.0);
    child.wait_with_output().unwrap()
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = TempDir::new();
    let server = "a=http://127.0.0.1:1/mcp";
    for arguments in [
        ["serve", "--server", server, "--listen", &address, "--admin", "off"],
        ["serve", "--server", server, "--listen", "127.0.0.1:0", "--admin", &address],
    ] {
        let output = run(&arguments, &dir);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&address) && text.contains("in use"), "{text}");
    }
}

#[test]
fn a_second_gateway_does_not_share_the_first_ones_port_unnoticed() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let output = run(&["serve", "--config", gateway.config.to_str().unwrap()], &gateway.dir);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let address = gateway.address.to_string();
    let server = format!("a=http://{}/mcp", upstream.address);
    let arguments = ["serve", "--server", &server, "--listen", &address, "--workers", "2", "--admin", "off"];
    let output = run(&arguments, &gateway.dir);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("in use"), "{text}");
}

#[test]
fn gateways_that_say_so_share_a_port() {
    let upstream = Upstream::echo();
    let listener = "listeners:\n  - {address: '127.0.0.1:PORT', shared: true}\n";
    let first = Gateway::before(upstream.address, listener);
    let again = listener.replace("PORT", &first.address.port().to_string());
    let second = Gateway::before(upstream.address, &again);
    // The kernel spreads connections by their ports: some come to each.
    wait_until("both are asked", || {
        let answer = Client::new(std::net::TcpStream::connect(first.address).unwrap()).ask(&modern_call(1));
        assert_eq!(answer.status(), 200);
        let count = |gateway: &Gateway| gateway.metric("ringgate_connections_accepted_total", "");
        count(&first) > 0.0 && count(&second) > 0.0
    });
}

#[test]
fn the_commands_do_what_they_say() {
    let dir = TempDir::new();
    let good = dir.file("good.yaml", "servers:\n  - {name: a, url: 'http://127.0.0.1:1/mcp'}\n");
    let bad = dir.file("bad.yaml", "servers:\n  - {name: A, url: 'ftp://x'}\nworkers: 0\nsurprise: 1\n");
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let text = |arguments: &[&str], code: i32| {
        let output = run(arguments, &dir);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    };
    text(&["check", good], 0);
    for arguments in [&["check", bad][..], &["serve", "--config", bad]] {
        let findings = text(arguments, 1);
        for words in ["servers[0].name", "servers[0].url", "workers", "surprise", "bad.yaml:4"] {
            assert!(findings.contains(words), "{words} is not in:\n{findings}");
        }
    }
    assert!(text(&["check", "none.yaml"], 1).contains("none.yaml"));
    let schema: serde_json::Value = serde_json::from_str(&text(&["schema"], 0)).unwrap();
    assert!(schema["properties"]["servers"].is_object(), "{schema}");
    assert!(text(&["schema", "--markdown"], 0).contains("body_bytes_max"));
    assert_eq!(text(&["--version"], 0).trim(), concat!("ringgate ", env!("CARGO_PKG_VERSION")));
    assert!(text(&["--help"], 0).contains("ringgate demo"));
    assert!(text(&["serve", "--help"], 0).contains("SIGHUP"));
    assert!(text(&["frobnicate"], 2).contains("frobnicate"));
    let output = run(&["doctor"], &dir);
    assert!(String::from_utf8_lossy(&output.stdout).contains("io_uring"));
}

#[test]
fn balanced_placement_spreads_64_connections_evenly_over_8_workers() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "placement: balanced\nworkers: 8\n");
    let mut clients: Vec<Client> = (0..64).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&modern_call(1)).status(), 200);
    }
    gateway.await_metric("ringgate_worker_connections", "", 64.0);
    let counts: Vec<f64> = (0..8)
        .map(|worker| gateway.metric("ringgate_worker_connections", &format!("worker=\"{worker}\"")))
        .collect();
    let busiest = counts.iter().copied().fold(0.0, f64::max);
    assert!(busiest <= 1.25 * 64.0 / 8.0, "{counts:?}");
    assert!(gateway.metric("ringgate_connections_handed_over_total", "") > 0.0);
    drop(clients);
    gateway.assert_nothing_left();
}
