//! What the process asks of the kernel for itself.

use super::harness::{Gateway, TempDir, Upstream, free_port, spawn};
use super::scenes::wait_until;

fn of_process(pid: u32, file: &str, line: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    text.lines().find(|found| found.starts_with(line)).unwrap_or_default().to_owned()
}

/// Kibibytes of memory in use.
fn resident(gateway: &Gateway) -> u64 {
    let line = of_process(gateway.child.id(), "status", "RssAnon:");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_reload_that_is_asked_for_at_the_start_waits() {
    let (dir, port) = (TempDir::new(), free_port());
    let text = format!(
        "servers: [{{name: up, url: 'http://127.0.0.1:9/mcp'}}]\nlisteners: [{{address: '127.0.0.1:{port}'}}]\nadmin: {{address: off}}\n"
    );
    let config = dir.file("ringgate.yaml", &text);
    let mut child = spawn(&["serve", "--config", config.to_str().unwrap()], &dir.0);
    // From its first instruction the program holds the signal; before that there is no program yet.
    let holds = |line: &str| {
        line.chars().last().and_then(|digit| digit.to_digit(16)).is_some_and(|bits| bits & 1 == 1)
    };
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    wait_until("the signal is held", || holds(&of_process(child.id(), "status", "SigBlk:")) || listens());
    let sent = std::process::Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    wait_until("it listens", listens);
    assert_eq!(child.try_wait().unwrap(), None, "it lives");
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn core_files_hold_nothing_unless_they_are_wanted() {
    let upstream = Upstream::echo();
    for (option, wanted) in [("", false), ("core_files: true\n", true)] {
        let gateway = Gateway::before(upstream.address, option);
        let line = of_process(gateway.child.id(), "limits", "Max core file size");
        let hard = line.split_whitespace().rev().nth(1).unwrap().to_owned();
        assert_eq!(hard == "0", !wanted, "{line}");
    }
}

#[test]
fn a_length_that_was_only_announced_takes_no_memory() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let before = resident(&gateway);
    let head = "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Accept: application/json, text/event-stream\r\nContent-Length: 4000000\r\n\r\n{";
    let mut clients: Vec<_> = (0..100).map(|_| gateway.connect()).collect();
    clients.iter_mut().for_each(|client| client.send(head.as_bytes()));
    gateway.await_metric("ringgate_worker_connections", "", 100.0);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let more = resident(&gateway).saturating_sub(before);
    assert!(more < 20 << 10, "100 heads of 4 MB took {more} KiB");
}

#[test]
fn too_few_descriptors_for_the_connections_that_may_come_are_told_at_the_start() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "limits: {connections_max: 1000000}\nworkers: 2\n");
    let limit = of_process(gateway.child.id(), "limits", "Max open files");
    let words: Vec<&str> = limit.split_whitespace().rev().collect();
    // Units, hard limit, soft limit.
    assert_eq!(words[1], words[2], "as many as may be had: {limit}");
    if words[1].parse::<u64>().is_ok_and(|most| most < 2_000_000) {
        gateway.await_log("fewer descriptors than limits.connections_max may take");
    }
    let modest = Gateway::before(upstream.address, "limits: {connections_max: 16}\n");
    assert!(!modest.log().contains("fewer descriptors"));
}

#[test]
fn the_service_manager_is_told_what_the_process_does() {
    let (dir, port) = (TempDir::new(), free_port());
    let socket = std::os::unix::net::UnixDatagram::bind(dir.0.join("notify")).unwrap();
    socket.set_read_timeout(Some(super::harness::PATIENCE)).unwrap();
    let text = format!(
        "servers: [{{name: up, url: 'http://127.0.0.1:9/mcp'}}]\nlisteners: [{{address: '127.0.0.1:{port}'}}]\nadmin: {{address: off}}\n"
    );
    let config = dir.file("ringgate.yaml", &text);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_ringgate"))
        .args(["serve", "--config", config.to_str().unwrap()])
        .env("NOTIFY_SOCKET", dir.0.join("notify"))
        .env("WATCHDOG_USEC", "100000")
        .env_remove("WATCHDOG_PID")
        .env("XDG_STATE_HOME", dir.0.join("state"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let hears = |wanted: &str| {
        let mut buffer = [0; 256];
        loop {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            if buffer[..length].starts_with(wanted.as_bytes()) {
                return String::from_utf8_lossy(&buffer[..length]).into_owned();
            }
        }
    };
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    hears("READY=1");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), "ready means that it listens");
    (0..2).for_each(|_| assert_eq!(hears("WATCHDOG=1"), "WATCHDOG=1"));
    signal("-HUP");
    let reloading = hears("RELOADING=1");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    hears("READY=1");
    signal("-TERM");
    hears("STOPPING=1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_admin_listener_answers_what_health_checkers_send() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let ask = |request: &str| {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(gateway.admin).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    for (request, start, body) in [
        ("GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ", "ok\n"),
        ("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 ", ""),
        ("OPTIONS /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 204 ", ""),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 204 ", ""),
        (
            "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 405 ",
            "these pages",
        ),
        ("GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 ", "ok\n"),
    ] {
        let answer = ask(request);
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(start), "{request}{answer}");
        assert!(if body.is_empty() { rest.is_empty() } else { rest.starts_with(body) }, "{request}{answer}");
        assert_eq!(
            head.contains("allow: GET, HEAD, OPTIONS"),
            start.contains("204") || start.contains("405")
        );
    }
    let head = ask("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.contains("content-length: 3"), "the length of a GET: {head}");
}

#[test]
fn silent_connections_to_the_admin_listener_take_no_more_than_their_places() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let silent: Vec<_> = (0..64).map(|_| std::net::TcpStream::connect(gateway.admin).unwrap()).collect();
    wait_until("one more is closed", || {
        use std::io::Read;
        let mut more = std::net::TcpStream::connect(gateway.admin).unwrap();
        more.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        matches!(more.read(&mut [0; 1]), Ok(0))
    });
    drop(silent);
    wait_until("it answers again", || gateway.admin_get("/healthz").is_some_and(|(status, _)| status == 200));
}
