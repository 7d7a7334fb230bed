//! Unix sockets on both sides, and the PROXY protocol.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::channel;

use super::harness::{Client, Gateway, PATIENCE, TempDir, Upstream, echoed, ok, spawn};
use super::scenes::{legacy_call, modern_call, told};

fn unix_client(path: &Path) -> Client<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream)
}

const UNIX: &str = "listeners:\n  - address: unix:DIR/gate.sock\n    mode: \"0600\"\n";

#[test]
fn a_unix_listener_serves_with_the_mode_it_was_given() {
    let upstream = Upstream::echo();
    for mode in ["0600", "0666"] {
        let gateway = Gateway::before(upstream.address, &UNIX.replace("0600", mode));
        let path = gateway.dir.0.join("gate.sock");
        let bits = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(format!("{bits:04o}"), mode);
        let mut clients: Vec<_> = (0..4).map(|_| unix_client(&path)).collect();
        for client in &mut clients {
            for id in 1..=3 {
                assert_eq!(client.ask(&modern_call(id)).json()["id"], id);
            }
        }
        drop(clients);
        gateway.assert_nothing_left();
    }
}

#[test]
fn a_socket_that_nobody_listens_on_is_replaced_and_no_other_file() {
    let upstream = Upstream::echo();
    let dir = TempDir::new();
    let path = dir.0.join("gate.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener leaves its file behind");
    let own = format!("listeners:\n  - address: unix:{}\n", path.display());
    let gateway = Gateway::before(upstream.address, &own);
    assert_eq!(unix_client(&path).ask(&modern_call(1)).status(), 200);

    let fails = |place: &Path| {
        let listen = format!("unix:{}", place.display());
        let server = format!("a=http://{}", upstream.address);
        let child = spawn(&["serve", "--server", &server, "--listen", &listen, "--admin", "off"], &dir.0);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(fails(&path).contains("in use"), "a socket that is listened on is left alone");
    assert_eq!(unix_client(&path).ask(&modern_call(1)).status(), 200);
    let file = dir.file("precious.txt", "precious");
    assert!(fails(&file).contains("no socket"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    drop(gateway);
}

#[test]
fn a_server_behind_a_unix_socket_is_reached() {
    let dir = TempDir::new();
    let path = dir.0.join("server.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (tell, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            std::thread::spawn(move || {
                let mut client = Client::over(stream);
                while let Some(request) = client.message() {
                    client.send(&ok(&echoed(&request)));
                    tell.send(request).unwrap();
                }
            });
        }
    });
    let gateway =
        Gateway::with(&format!("servers:\n  - name: up\n    url: unix:{}:/mcp?a=b\n", path.display()));
    let mut client = gateway.connect();
    for id in 1..=3 {
        assert_eq!(client.ask(&modern_call(id)).json()["id"], id);
        let seen = told(&requests, "a request");
        assert_eq!((&*seen.start, seen.header("host")), ("POST /mcp?a=b HTTP/1.1", Some("localhost")));
    }
    assert_eq!(gateway.metric("ringgate_upstream_dials_total", ""), 1.0);
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn a_server_whose_unix_socket_is_gone_is_a_502() {
    let gateway = Gateway::with("servers:\n  - name: up\n    url: unix:DIR/none.sock:/mcp\n");
    let mut client = gateway.connect();
    for id in 1..=2 {
        let answer = client.ask(&modern_call(id));
        assert_eq!((answer.status(), &answer.json()["id"]), (502, &id.into()));
    }
}

fn with_proxy_protocol(upstream: &Upstream, version: &str, more: &str) -> Gateway {
    let listeners = format!("listeners:\n  - address: 127.0.0.1:PORT\n    proxy_protocol: {version}\n{more}");
    Gateway::before(upstream.address, &listeners)
}

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n";

/// A version 2 preface for TCP over IPv4, with an extension of the type for padding.
fn v2() -> Vec<u8> {
    let mut preface = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    preface.extend([0, 12 + 5]);
    preface.extend([192, 0, 2, 7, 198, 51, 100, 1, 0xC8, 0x22, 0x01, 0xBB]);
    preface.extend([4, 0, 2, 0, 0]);
    preface
}

/// Version 2, `LOCAL`: the balancer speaks for itself.
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";

#[test]
fn a_proxy_header_of_the_expected_version_opens_a_connection() {
    let upstream = Upstream::echo();
    for (version, headers) in [
        (
            "v1",
            vec![V1.to_vec(), b"PROXY UNKNOWN\r\n".to_vec(), b"PROXY TCP6 ::1 2001:db8::1 1 2\r\n".to_vec()],
        ),
        ("v2", vec![v2(), V2_LOCAL.to_vec()]),
        ("any", vec![V1.to_vec(), v2()]),
    ] {
        let gateway = with_proxy_protocol(&upstream, version, "");
        for header in headers {
            // In one piece with the request, and byte by byte.
            let whole = [&header[..], &modern_call(1)].concat();
            for size in [whole.len(), 1] {
                let mut client = gateway.connect();
                whole.chunks(size).for_each(|piece| client.send(piece));
                assert_eq!(client.message().unwrap().status(), 200, "{version} {header:?}");
                assert_eq!(client.ask(&modern_call(2)).json()["id"], 2);
            }
        }
        gateway.assert_nothing_left();
        assert_eq!(gateway.metric("ringgate_handshakes_failed_total", ""), 0.0);
    }
}

#[test]
fn a_connection_without_the_expected_header_is_closed_unanswered() {
    let upstream = Upstream::echo();
    for (version, wrong) in [
        (
            "v1",
            vec![
                v2(),
                modern_call(1),
                b"PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n".to_vec(),
                b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\n".to_vec(),
                vec![b'P'; 200],
            ],
        ),
        (
            "v2",
            vec![
                V1.to_vec(),
                modern_call(1),
                b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c".to_vec(),
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02..".to_vec(),
            ],
        ),
        ("any", vec![modern_call(1), b"\r\n\r\nGET".to_vec()]),
    ] {
        let gateway = with_proxy_protocol(&upstream, version, "");
        let count = wrong.len();
        for bytes in wrong {
            let mut client = gateway.connect();
            client.send(&bytes);
            // The gateway may have closed already.
            let _ = client.stream.write_all(&legacy_call(1));
            assert!(client.is_at_end(), "{version} {bytes:?}");
        }
        // A balancer that only looks whether the port is open is no failure.
        drop(gateway.connect());
        gateway.assert_nothing_left();
        gateway.await_metric("ringgate_handshakes_failed_total", "", count as f64);
    }
    upstream.assert_untouched();
}

#[test]
fn a_proxy_header_must_come_in_time() {
    let upstream = Upstream::echo();
    let gateway = with_proxy_protocol(&upstream, "v1", "timeouts:\n  head: 200ms\n");
    for part in [0, 5, V1.len() - 1] {
        let mut client = gateway.connect();
        client.send(&V1[..part]);
        assert!(client.is_at_end());
    }
    gateway.assert_nothing_left();
}

#[test]
fn only_trusted_balancers_are_served() {
    let upstream = Upstream::echo();
    let gateway = with_proxy_protocol(&upstream, "any", "    trusted_sources: [10.0.0.0/8, 127.0.0.1]\n");
    let mut client = gateway.connect();
    client.send(V1);
    assert_eq!(client.ask(&modern_call(1)).status(), 200);
    upstream.request();

    let gateway = with_proxy_protocol(&upstream, "any", "    trusted_sources: [10.0.0.0/8]\n");
    for bytes in [V1.to_vec(), v2(), Vec::new()] {
        let mut client = gateway.connect();
        client.send(&bytes);
        let _ = client.stream.write_all(&legacy_call(1));
        assert!(client.is_at_end(), "{bytes:?}");
    }
    upstream.assert_untouched();
    gateway.assert_nothing_left();
}
