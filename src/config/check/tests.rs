#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::snapshot::{Driver, ProxyProtocol, Roots, Transport, Workers, restart_needed};
use crate::config::world::fake::Fake;

const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
const ENCRYPTED: &[u8] =
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";

fn world() -> Fake {
    Fake {
        variables: vec![
            ("TOKEN", b"hunter2".to_vec()),
            ("SEARCH_TOKEN", b"hunter2".to_vec()),
            ("TWO_LINES", b"hunter2\nhunter3".to_vec()),
            ("EMPTY", Vec::new()),
        ],
        files: vec![
            ("/etc/rg/cert.pem", CERTIFICATE.to_vec()),
            ("/etc/rg/key.pem", KEY.to_vec()),
            ("/etc/rg/tls/mcp.example.com.pem", CERTIFICATE.to_vec()),
            ("/etc/rg/tls/mcp.example.com.key", KEY.to_vec()),
            ("/etc/rg/tls/internal-ca.pem", CERTIFICATE.to_vec()),
            ("/abs/token", b"hunter2\r\n".to_vec()),
            ("/abs/encrypted.pem", ENCRYPTED.to_vec()),
            ("/abs/cut.pem", CERTIFICATE[..30].to_vec()),
            ("/abs/broken.pem", b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n".to_vec()),
            ("/abs/other", b"hello".to_vec()),
        ],
    }
}

fn checked(text: &str) -> Result<Snapshot, Findings> {
    let world = world();
    check(text, 7, &Context { world: &world, directory: Path::new("/etc/rg") }, Findings::of("f"))
}

fn good(text: &str) -> Snapshot {
    checked(text).unwrap_or_else(|findings| panic!("{text}\n{findings}"))
}

fn findings(text: &str) -> String {
    match checked(text) {
        Ok(_) => String::new(),
        Err(findings) => findings.to_string(),
    }
}

/// A file with one good server, and these lines.
fn with(lines: &str) -> String {
    format!("servers:\n  - name: a\n    url: http://up.example:1/mcp\n{lines}")
}

/// A file whose one server also has this option.
fn server_with(option: &str) -> String {
    format!("servers:\n- name: a\n  url: https://up.example/mcp\n  {option}\n")
}

#[test]
fn the_smallest_file_gets_every_default() {
    let snapshot = good("servers:\n  - name: weather\n    url: http://127.0.0.1:3001/mcp\n");
    assert_eq!(snapshot.generation, 7);
    assert_eq!(snapshot.listeners.len(), 1);
    assert_eq!(snapshot.listeners[0].address, ListenAddress::Tcp(([127, 0, 0, 1], 8080).into()));
    assert_eq!(snapshot.admin.address, Some(([127, 0, 0, 1], 9090).into()));
    assert_eq!((&snapshot.workers, snapshot.driver), (&Workers::Auto, Driver::Auto));
    assert_eq!(snapshot.limits.head_bytes_max, 16 << 10);
    assert_eq!(snapshot.timeouts.first_byte, Some(Duration::from_secs(60)));
    assert_eq!(snapshot.timeouts.call, None);
    let server = &snapshot.servers[0];
    assert_eq!((&*server.path, &server.transport), ("/weather/mcp", &Transport::StreamableHttp));
    let endpoint = &server.endpoints[0];
    assert_eq!(endpoint.address, Address::Tcp { host: "127.0.0.1".into(), port: 3001 });
    assert_eq!((&*endpoint.authority, &*endpoint.target), ("127.0.0.1:3001", "/mcp"));
    assert!(endpoint.tls.is_none() && server.headers.reveal().is_empty());
}

/// Every kind of finding: the text, and what its only finding must say.
#[test]
fn each_mistake_is_found_where_it_stands() {
    let cases: &[(String, &str)] = &[
        // The shape of the file.
        (String::new(), "f:1:1: servers: is missing (add `servers: ...`"),
        ("- a\n".into(), "f:1:1: is not a map of options"),
        ("servers: []\n".into(), "f:1:10: servers: has 0 elements (give from 1 to 4096)"),
        ("servers: {a: 1}\n".into(), "f:1:10: servers: is not a list"),
        ("servers: x\n".into(), "f:1:10: servers: is one value"),
        ("servers: [x]\n".into(), "f:1:11: servers[0]: is not a section"),
        (with("limits:\n"), "f:4:8: limits: has no options below it (give it options (`head_bytes_max`"),
        (with("listners: []\n"), "f:4:1: listners: is not an option (did you mean `listeners`?)"),
        (
            with("body_bytes_max: 1KiB\n"),
            "body_bytes_max: is not an option (`body_bytes_max` is an option of `limits`)",
        ),
        (with("zzz: 1\n"), "f:4:1: zzz: is not an option (known here: listeners, servers"),
        (server_with("urls: x"), "f:4:3: servers[0].urls: is not an option (did you mean `url`?)"),
        (with("workers: 1\nworkers: 2\n"), "f:5:1: workers: is given twice, first on line 4"),
        // Scalars.
        (
            with("limits: {headers_max: many}\n"),
            "f:4:23: limits.headers_max: `many` is not understood (write a whole number from 8 to 256",
        ),
        (with("limits: {headers_max: \"64\"}\n"), "limits.headers_max: `64` is not understood"),
        (with("limits: {headers_max: 7}\n"), "limits.headers_max: `7` is too small"),
        (with("limits: {headers_max: 257}\n"), "limits.headers_max: `257` is too large"),
        (with("limits: {connections_max: 20_000}\n"), "only digits, without separators"),
        (
            with("limits: {body_bytes_max: 4MB}\n"),
            "limits.body_bytes_max: `4MB` is not understood (write a size from 1KiB to 1GiB; units are B, KiB",
        ),
        (with("limits: {body_bytes_max: 2GiB}\n"), "`2GiB` is too large"),
        (
            with("timeouts: {head: 5}\n"),
            "timeouts.head: `5` is not understood (write a duration from 100ms to 10m",
        ),
        (with("timeouts: {head: off}\n"), "timeouts.head: `off` is not understood"),
        (
            with("timeouts: {call: never}\n"),
            "timeouts.call: `never` is not understood (write a duration from 10ms to 24h, or `off`",
        ),
        (with("timeouts: {head: 1ms}\n"), "timeouts.head: `1ms` is too small"),
        (with("timeouts: {head: }\n"), "timeouts.head: has no value"),
        (with("timeouts: {head: true}\n"), "timeouts.head: is true or false"),
        (with("timeouts: {head: [1s]}\n"), "timeouts.head: is a list"),
        (
            with("driver: iouring\n"),
            "f:4:9: driver: `iouring` is not known (did you mean `io_uring`? write `auto`, `io_uring` or `epoll`)",
        ),
        (with("driver: 1\n"), "driver: is a number"),
        (with("admin: {allow_remote: yes}\n"), "admin.allow_remote: is neither true nor false"),
        (with("workers: some\n"), "workers: `some` is not understood"),
        // Listeners.
        (with("listeners: [{}]\n"), "listeners[0].address: is missing"),
        (with("listeners: [{address: ':8080'}]\n"), "`0.0.0.0:8080` is every IPv4 address"),
        (with("listeners: [{address: [::]:8080}]\n"), "is not YAML"),
        (with("listeners: [{address: 8080}]\n"), "listeners[0].address: is a number"),
        (
            with("listeners: [{address: '1.1.1.1:1'}, {address: '1.1.1.1:1'}]\n"),
            "listeners[1]: has the address of another listener",
        ),
        (
            with("listeners: [{address: 'unix:/a'}, {address: 'unix:/a'}]\n"),
            "listeners[1]: has the address of another listener",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', mode: \"0660\"}]\n"),
            "listeners[0].mode: has no effect on a TCP",
        ),
        (with("listeners: [{address: 'unix:/a', mode: 0660}]\n"), "listeners[0].mode: is a number"),
        (
            with("listeners: [{address: '1.1.1.1:1', trusted_sources: [10.0.0.0/8]}]\n"),
            "has no effect without the PROXY protocol",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', proxy_protocol: v2, trusted_sources: [10.0.0.1/8]}]\n"),
            "listeners[0].trusted_sources[0]: `10.0.0.1/8` has bits set",
        ),
        (with("admin: {address: '0.0.0.0:9090'}\n"), "admin.address: can be reached from other machines"),
        (with("admin: {address: '127.0.0.1:8080'}\n"), "admin.address: is also the address of listeners[0]"),
        // Files and variables.
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificate: cert.pem}}]\n"),
            "listeners[0].tls.key: is missing",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificate: no.pem, key: key.pem}}]\n"),
            "tls.certificate: the file `/etc/rg/no.pem` does not exist",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificate: cert.pem, key: 'env:NOPE'}}]\n"),
            "tls.key: the environment variable NOPE is not set",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificate: key.pem, key: key.pem}}]\n"),
            "tls.certificate: holds no PEM certificate (it holds a private key",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificate: cert.pem, key: cert.pem}}]\n"),
            "tls.key: holds no PEM private key (it holds a certificate",
        ),
        (
            with(
                "listeners: [{address: '1.1.1.1:1', tls: {certificate: cert.pem, key: /abs/encrypted.pem}}]\n",
            ),
            "tls.key: holds no PEM private key (it is encrypted",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificate: /abs/cut.pem, key: key.pem}}]\n"),
            "tls.certificate: is PEM that is cut off",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificate: /abs/broken.pem, key: key.pem}}]\n"),
            "tls.certificate: is not PEM that can be read",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificate: /abs/other, key: key.pem}}]\n"),
            "give a file that has `-----BEGIN CERTIFICATE-----`",
        ),
        (
            with(
                "listeners: [{address: '1.1.1.1:1', tls: {certificate: cert.pem, key: key.pem, client_ca: no}}]\n",
            ),
            "tls.client_ca: the file `/etc/rg/no` does not exist",
        ),
        // Origins and hosts.
        (with("public_url: https://a/b\n"), "public_url: has a path"),
        (with("public_url: ws://a\n"), "public_url: `ws` is not a scheme of a gateway"),
        (with("origins: [app.example]\n"), "origins[0]: `app.example` is not a URL"),
        (with("origins: ['null']\n"), "origins[0]: `null` is not an origin"),
        (with("origins: [\"*\", https://a]\n"), "origins: has `\"*\"` and other origins"),
        (with("origins: [*]\n"), "is not YAML"),
        (with("hosts: [https://a]\n"), "hosts[0]: has a scheme"),
        (with("hosts: []\n"), "hosts: has 0 elements"),
        // Servers.
        ("servers: [{url: 'http://a'}]\n".into(), "f:1:11: servers[0].name: is missing"),
        ("servers: [{name: A, url: 'http://a'}]\n".into(), "servers[0].name: `A` cannot be a name"),
        ("servers: [{name: a}]\n".into(), "f:1:11: servers[0]: has neither `url` nor `endpoints`"),
        (
            "servers: [{name: a, url: 'http://a', endpoints: ['http://b']}]\n".into(),
            "servers[0].endpoints: stands beside `url`",
        ),
        (
            "servers: [{name: a, endpoints: ['http://b', 'http://b/mcp']}]\n".into(),
            "servers[0].endpoints[1]: is given twice",
        ),
        (
            "servers: [{name: a, url: 'ftp://a'}]\n".into(),
            "servers[0].url: `ftp` is not a scheme of a server",
        ),
        (
            "servers: [{name: a, url: 'http://u:hunter2@a'}]\n".into(),
            "servers[0].url: has a user or password",
        ),
        ("servers: [{name: a, endpoints: []}]\n".into(), "servers[0].endpoints: has 0 elements"),
        (
            "servers:\n- name: a\n  url: http://a\n- name: a\n  url: http://b\n".into(),
            "f:4:9: servers[1].name: `a` is also the name of servers[0] on line 2",
        ),
        (
            "servers:\n- name: a\n  url: http://a\n- name: b\n  url: http://b\n  path: /a/mcp\n".into(),
            "f:6:9: servers[1].path: `/a/mcp` is also the path of servers[0] on line 2",
        ),
        (
            "servers: [{name: a, url: 'http://127.0.0.1:8080/x'}]\n".into(),
            "servers[0]: has an endpoint that is this gateway's own listeners[0]",
        ),
        ("servers: [{name: a, url: 'http://localhost:8080/x'}]\n".into(), "this gateway's own listeners[0]"),
        (server_with("path: mcp"), "servers[0].path: `mcp` does not begin with /"),
        (server_with("path: /a/~/b"), "servers[0].path: has a segment `~`"),
        (server_with("path: /.well-known/x"), "servers[0].path: is below `/.well-known/`"),
        (
            server_with("message_paths: [/m]"),
            "servers[0].message_paths: has no effect without `transport: sse`",
        ),
        (server_with("transport: stdio"), "servers[0].transport: `stdio` is not known"),
        (server_with("tls: {insecure: true}"), "servers[0].tls.insecure: is not an option"),
        (server_with("tls: {ca: key.pem}"), "servers[0].tls.ca: holds no PEM certificate"),
        (server_with("tls: {server_name: 'a b'}"), "servers[0].tls.server_name: `a b` is not a name"),
        (
            "servers: [{name: a, url: 'http://a', tls: {server_name: b}}]\n".into(),
            "servers[0].tls: has no effect: no URL",
        ),
        (
            server_with("idempotent_tools: ['']"),
            "servers[0].idempotent_tools[0]: cannot be the name of a tool",
        ),
        (server_with("timeouts: {drain: 1s}"), "servers[0].timeouts.drain: is not an option"),
        // Headers.
        (server_with("headers: {Host: a}"), "servers[0].headers.Host: is a header that the gateway"),
        (server_with("headers: {MCP-Session-Id: a}"), "servers[0].headers.MCP-Session-Id: is a header that"),
        (server_with("headers: {transfer-encoding: chunked}"), "is a header that the gateway"),
        (server_with("headers: {'a b': c}"), "`a b` cannot be the name of a header"),
        (server_with("headers: {X-A: a, x-a: b}"), "servers[0].headers.x-a: is given twice"),
        (
            server_with("headers: {X-A: 'env:NOPE'}"),
            "servers[0].headers.X-A: the environment variable NOPE is not set",
        ),
        (server_with("headers: {X-A: 'env:TWO_LINES'}"), "servers[0].headers.X-A: has bytes that"),
        (server_with("headers: {X-A: 'env:EMPTY'}"), "servers[0].headers.X-A: is empty"),
        (server_with("headers: {X-A: 'file:/abs/no'}"), "the file `/abs/no` does not exist"),
        (server_with("headers: {X-A: \"a\\r\\nb: c\"}"), "servers[0].headers.X-A: has bytes that"),
        (server_with("headers: {X-A: 5}"), "servers[0].headers.X-A: is a number"),
        (server_with("headers: [a]"), "servers[0].headers: is not a map"),
        // Options that contradict each other.
        (
            with("limits: {upstream_connections_max: 10, upstream_idle_max: 11}\n"),
            "limits.upstream_idle_max: is more than there may be",
        ),
        (
            with("limits: {head_bytes_max: 2KiB, uri_bytes_max: 3KiB}\n"),
            "limits.uri_bytes_max: is more than a whole head",
        ),
    ];
    for (text, expected) in cases {
        let found = findings(text);
        assert!(found.contains(expected), "{text}\nexpected: {expected}\nfound: {found}");
        assert_eq!(found.lines().count(), 1, "one mistake, one finding\n{text}\n{found}");
        assert!(!found.contains("hunter"), "{found}");
    }
}

#[test]
fn all_mistakes_are_named_in_one_run_in_the_order_of_the_text() {
    let found = findings(
        "workers: 0\n\
         listeners:\n  - address: nowhere\n    tls: {certificate: no.pem, key: env:NOPE}\n\
         servers:\n  - name: a\n    url: http://a:0/\n  - name: a\n    url: http://b\n    headers: {Host: x}\n\
         limts: {}\n",
    );
    let places: Vec<_> = found.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    let expected = [
        "workers",
        "listeners[0].address",
        "listeners[0].tls.certificate",
        "listeners[0].tls.key",
        "servers[0].url",
        "servers[1].name",
        "servers[1].headers.Host",
        "limts",
    ];
    assert_eq!(places, expected, "{found}");
}

#[test]
fn servers_are_compiled_to_what_is_sent() {
    let snapshot = good(
        "servers:\n\
         - name: a\n  url: https://Up.Example/x?y=1\n  tls: {ca: cert.pem, server_name: Inner.Example}\n  timeouts: {call: 1m, first_byte: off}\n\
         \x20 headers: {Authorization: Bearer env:TOKEN, X-Plain: text, X-File: 'file:/abs/token'}\n  idempotent_tools: [get]\n\
         - name: b\n  endpoints: ['http://[::1]:9', 'unix:/run/b.sock', 'unix:/run/b.sock:/other']\n\
         - name: c\n  transport: sse\n  url: http://c.example\n",
    );
    let [a, b, c] = &*snapshot.servers else { panic!("three servers") };
    let tls = a.endpoints[0].tls.as_ref().unwrap();
    assert_eq!((&*tls.server_name, &tls.roots), ("inner.example", &Roots::Pem(CERTIFICATE.into())));
    assert_eq!((&*a.endpoints[0].authority, &*a.endpoints[0].target), ("up.example", "/x?y=1"));
    assert_eq!((a.timeouts.call, a.timeouts.first_byte), (Some(Duration::from_secs(60)), None));
    assert_eq!(a.timeouts.connect, snapshot.timeouts.connect);
    assert_eq!(
        std::str::from_utf8(a.headers.reveal()),
        Ok("Authorization: Bearer hunter2\r\nX-Plain: text\r\nX-File: hunter2\r\n")
    );
    assert_eq!(&*a.header_names, &["authorization".into(), "x-plain".into(), "x-file".into()]);
    let shown: Vec<_> =
        b.endpoints.iter().map(|endpoint| (endpoint.id.0, &*endpoint.authority, &*endpoint.target)).collect();
    assert_eq!(shown, [(1, "[::1]:9", "/mcp"), (2, "localhost", "/mcp"), (3, "localhost", "/other")]);
    assert_eq!(b.endpoints[0].address, Address::Tcp { host: "::1".into(), port: 9 });
    assert_eq!(&*c.endpoints[0].target, "/sse");
    let Transport::Sse { message_paths } = &c.transport else { panic!("sse") };
    assert_eq!(&**message_paths, &["/message".into(), "/messages".into(), "/messages/".into()]);
}

#[test]
fn no_secret_is_printed_with_the_snapshot_or_the_file() {
    let text = "listeners: [{address: '127.0.0.1:1', tls: {certificate: cert.pem, key: key.pem}}]\n\
                servers:\n- name: a\n  url: http://a\n  headers: {A: 'env:TOKEN', B: hunter2, C: Bearer hunter2}\n";
    let shown = format!("{:?} {:#?}", good(text), good(text));
    assert!(shown.contains("***"));
    assert!(!shown.contains("hunter2"), "{shown}");
    // The key's own bytes, as `Debug` prints byte slices.
    assert!(!shown.contains(&format!("{KEY:?}")), "{shown}");
    let node = yaml::parse(text, &mut Findings::default()).unwrap();
    let Value::Map(entries) = &node.value else { panic!("a map") };
    let file = File::read(entries, &Place::default(), &mut Findings::default());
    assert!(!format!("{file:?}").contains("hunter2"));
}

#[test]
fn listeners_keep_what_was_written() {
    let snapshot = good(&with(
        "listeners:\n- address: unix:/run/a.sock\n  mode: \"0660\"\n\
         - address: \"[::]:8443\"\n  proxy_protocol: any\n  trusted_sources: [10.0.0.0/8, ::1]\n  tls: {certificate: cert.pem, key: file:key.pem, client_ca: cert.pem}\n",
    ));
    assert_eq!(
        snapshot.listeners[0].address,
        ListenAddress::Unix { path: "/run/a.sock".into(), mode: Some(0o660) }
    );
    let public = &snapshot.listeners[1];
    assert_eq!((public.proxy_protocol, public.trusted_sources.len()), (ProxyProtocol::Any, 2));
    let tls = public.tls.as_ref().unwrap();
    assert_eq!((tls.key.reveal(), tls.client_ca.as_deref()), (KEY, Some(CERTIFICATE)));
}

#[test]
fn browsers_are_kept_out_by_default() {
    let local = good(&with("public_url: https://mcp.example\n"));
    assert!(local.hosts.allows(b"localhost:8080") && local.hosts.allows(b"MCP.example"));
    assert!(!local.hosts.allows(b"evil.example"));
    assert!(local.origins.allows(b"http://localhost:5173", None));
    assert!(local.origins.allows(b"https://mcp.example", None));
    assert!(!local.origins.allows(b"https://evil.example", Some(b"evil.example")), "DNS rebinding");

    let public = good(&with("listeners: [{address: '0.0.0.0:80'}, {address: '127.0.0.1:81'}]\n"));
    assert!(public.hosts.allows(b"anything.example"));
    assert!(!public.origins.allows(b"http://localhost:5173", None));

    let listed = good(&with("origins: [https://app.example]\nhosts: [mcp.example]\n"));
    assert!(listed.origins.allows(b"https://app.example", None));
    assert!(!listed.origins.allows(b"http://localhost", None), "a list replaces the default");
    assert!(listed.origins.allows(b"https://mcp.example", Some(b"mcp.example")), "the same, checked, host");
    assert!(!listed.hosts.allows(b"localhost"));

    assert!(good(&with("origins: [\"*\"]\n")).origins.allows(b"null", None));
    assert!(good(&with("listeners: [{address: 'unix:/a'}]\n")).hosts.allows(b"any"));
}

#[test]
fn only_what_workers_hold_open_needs_a_restart() {
    let base = with("");
    for (lines, expected) in [
        ("", vec![]),
        (
            "limits: {headers_max: 10}\ntimeouts: {head: 1s}\norigins: [https://a]\nlog: {level: debug}\n",
            vec![],
        ),
        ("listeners: [{address: '127.0.0.1:8080', proxy_protocol: v1}]\n", vec![]),
        ("listeners: [{address: '127.0.0.1:8081'}]\n", vec!["listeners"]),
        (
            "workers: 2\nplacement: balanced\ndriver: epoll\nadmin: {address: off}\n",
            vec!["workers", "placement", "driver", "admin"],
        ),
    ] {
        assert_eq!(restart_needed(&good(&base), &good(&with(lines))), expected, "{lines}");
    }
}

#[test]
fn flags_go_through_the_same_door_and_findings_name_the_flag() {
    let pair = |name: &str, url: &str| (name.to_owned(), url.to_owned());
    let snapshot = Snapshot::from_flags(&[pair("a", "http://a")], Some("[::]:1"), Some("0-1")).unwrap();
    assert_eq!(snapshot.workers, Workers::Cpus([0, 1].into()));
    assert_eq!(snapshot.listeners[0].address, ListenAddress::Tcp("[::]:1".parse().unwrap()));
    assert!(snapshot.route(b"/a/mcp").is_some());

    let servers = [pair("a", "http://a"), pair("a", "http://b"), pair("c", "nope")];
    let found = Snapshot::from_flags(&servers, Some("x"), Some("y")).unwrap_err().to_string();
    for part in [
        "--listen: `x` is not an address and port (",
        "--workers: `y` is not understood (",
        "--server a: `a` is also the name of servers[0] (",
        "--server c: `nope` is not a URL (",
    ] {
        assert!(found.contains(part), "{part}\n{found}");
    }
    assert_eq!(found.lines().count(), 4, "{found}");
    let none = Snapshot::from_flags(&[], None, None).unwrap_err().to_string();
    assert!(none.starts_with("--server: has 0 elements"), "{none}");
}

#[test]
fn files_are_read_whole_or_refused() {
    let load = |bytes: &[u8]| {
        let world = Fake { files: vec![("/x/f.yaml", bytes.to_vec())], ..Fake::default() };
        load_from(Path::new("/x/f.yaml"), 1, &world).map(|_| ()).map_err(|findings| findings.to_string())
    };
    assert_eq!(load(format!("\u{feff}{}", with("")).as_bytes()), Ok(()));
    assert_eq!(
        load(b"a: 1\nb: \xff\n"),
        Err("/x/f.yaml:2:1: is not UTF-8 text (save the file as UTF-8)\n".into())
    );
    let missing = load_from(Path::new("no.yaml"), 1, &Fake::default()).unwrap_err().to_string();
    assert!(
        missing.starts_with("no.yaml: cannot be read: ") && missing.contains("ringgate demo"),
        "{missing}"
    );
}

#[test]
fn the_examples_compile() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let snapshot = good(&std::fs::read_to_string(&path).unwrap());
        assert!(summary(&snapshot).contains("mcp -> "), "{}", path.display());
        count += 1;
    }
    assert!(count >= 4, "{count} examples");
}

#[test]
fn check_writes_one_line_of_praise_or_all_findings() {
    let directory = std::env::temp_dir().join(format!("ringgate-check-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("f.yaml");
    let run_on = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        let code = run(&path, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap().replace(&path.display().to_string(), "F"))
    };
    let good = (0, "F: good. 1 server on http://127.0.0.1:8080: /a/mcp -> up.example:1\n".to_owned());
    assert_eq!(run_on(&with("")), good);
    let (code, out) = run_on("servers: []\nx: 1\n");
    assert_eq!((code, out.lines().count()), (1, 3), "{out}");
    assert!(out.ends_with("F: 2 mistakes\n"), "{out}");
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Text that looks enough like a configuration to get past the first check.
fn nearly_yaml() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "servers",
        "name",
        "url",
        "http://a",
        "listeners",
        "address",
        "limits",
        "tls",
        "headers",
        "env:X",
        "5s",
        "4KiB",
        "*",
        "&a",
        "!t",
        "?",
        "-",
        "- ",
        ": ",
        ":",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"",
        "'",
        "|",
        ">",
        "#",
        "---",
        "...",
        "%",
        "~",
        "\t",
        "\u{feff}",
        "\u{0}",
        "ä",
        "\\",
        "<<",
        "@",
        "unix:/a",
        "off",
        "0",
    ]);
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = checked(&text);
    }

    #[test]
    fn no_nearly_right_text_makes_it_panic(text in nearly_yaml()) {
        let _ = checked(&text);
    }

    #[test]
    fn no_value_makes_it_panic(value in "[ -~\n]{0,40}", option in 0usize..OPTIONS.len()) {
        let _ = checked(&OPTIONS[option].replace('@', &value));
        let quoted = serde_json::to_string(&value).unwrap();
        let _ = checked(&OPTIONS[option].replace('@', &quoted));
    }
}

const OPTIONS: [&str; 9] = [
    "servers: [{name: a, url: @}]",
    "servers: [{name: @, url: 'http://a'}]",
    "servers: [{name: a, url: 'http://a', path: @}]",
    "servers: [{name: a, url: 'http://a', headers: {a: @}}]",
    "listeners: [{address: @}]",
    "listeners: [{address: 'unix:/a', proxy_protocol: v1, trusted_sources: [@]}]",
    "origins: [@]\npublic_url: @\nhosts: [@]",
    "workers: @",
    "limits: {body_bytes_max: @}\ntimeouts: {call: @}",
];
