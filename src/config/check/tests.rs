#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::config::snapshot::{
    Driver, MessagePath, ProxyProtocol, Roots, Transport, Workers, restart_needed,
};
use crate::schema::world::fake::Fake;

mod access;
mod adaptive;
mod arbitrary;
mod authentication;
mod mistakes;
mod outbound;
mod passing;
mod rate_limits;
mod vendors;
mod warnings;

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
    assert_eq!(snapshot.admin.address, Some(([127, 0, 0, 1], 8079).into()));
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
    assert_eq!((&*a.endpoints[0].authority, &*a.endpoints[0].target), ("inner.example", "/x?y=1"));
    assert_eq!((a.timeouts.call, a.timeouts.first_byte), (Some(Duration::from_secs(60)), None));
    assert_eq!(a.timeouts.connect, snapshot.timeouts.connect);
    assert_eq!(
        std::str::from_utf8(a.headers.reveal()),
        Ok("Authorization: Bearer hunter2\r\nX-Plain: text\r\nX-File: hunter2\r\n")
    );
    assert!(["accept", "user-agent", "Mcp-Method"].iter().all(|name| a.to_server.has(name)));
    assert!(["authorization", "x-plain", "x-file", "x-other"].iter().all(|name| !a.to_server.has(name)));
    let shown: Vec<_> =
        b.endpoints.iter().map(|endpoint| (endpoint.id.0, &*endpoint.authority, &*endpoint.target)).collect();
    assert_eq!(shown, [(1, "[::1]:9", "/mcp"), (2, "localhost", "/mcp"), (3, "localhost", "/other")]);
    assert_eq!(b.endpoints[0].address, Address::Tcp { host: "::1".into(), port: 9 });
    assert_eq!(&*c.endpoints[0].target, "/sse");
    let Transport::Sse { message_paths } = &c.transport else { panic!("sse") };
    assert_eq!(&**message_paths, &["/message", "/messages", "/messages/"].map(MessagePath::new));
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
    assert_eq!((tls.identities[0].key.reveal(), tls.client_ca.as_deref()), (KEY, Some(CERTIFICATE)));
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
            "workers: 2\nplacement: kernel\ndriver: epoll\nadmin: {address: off}\n",
            vec!["workers", "placement", "driver", "admin"],
        ),
    ] {
        assert_eq!(restart_needed(&good(&base), &good(&with(lines))), expected, "{lines}");
    }
}

fn flags(servers: &[(String, String)], listen: &str, workers: &str) -> Flags {
    let (servers, listen, workers) = (servers.to_vec(), Some(listen.to_owned()), Some(workers.to_owned()));
    Flags { servers, listen, workers, admin: None }
}

#[test]
fn flags_go_through_the_same_door_and_findings_name_the_flag() {
    let pair = |name: &str, url: &str| (name.to_owned(), url.to_owned());
    let snapshot = Snapshot::from_flags(&flags(&[pair("a", "http://a")], "[::]:1", "0-1")).unwrap();
    assert_eq!(snapshot.workers, Workers::Cpus([0, 1].into()));
    assert_eq!(snapshot.listeners[0].address, ListenAddress::Tcp("[::]:1".parse().unwrap()));
    assert!(snapshot.route(b"/a/mcp").is_some());

    let servers = [pair("a", "http://a"), pair("a", "http://b"), pair("c", "nope")];
    let found = Snapshot::from_flags(&Flags { admin: Some("z".into()), ..flags(&servers, "x", "y") })
        .unwrap_err()
        .to_string();
    for part in [
        "--listen: `x` is not an address and port (",
        "--workers: `y` is not understood (",
        "--admin: ",
        "--server a: `a` is also the name of servers[0] (",
        "--server c: `nope` is not a URL (",
    ] {
        assert!(found.contains(part), "{part}\n{found}");
    }
    assert_eq!(found.lines().count(), 5, "{found}");
    let none = Snapshot::from_flags(&Flags::default()).unwrap_err().to_string();
    assert!(none.starts_with("--server: has 0 elements"), "{none}");
}

#[test]
fn files_are_read_whole_or_refused() {
    let load = |bytes: &[u8]| {
        let world = Fake { files: vec![("/x/f.yaml", bytes.to_vec())], ..Fake::default() };
        load_from(Path::new("/x/f.yaml"), 1, &world, &Flags::default())
            .map(|_| ())
            .map_err(|findings| findings.to_string())
    };
    assert_eq!(load(format!("\u{feff}{}", with("")).as_bytes()), Ok(()));
    assert_eq!(
        load(b"a: 1\nb: \xff\n"),
        Err("/x/f.yaml:2:1: is not UTF-8 text (save the file as UTF-8)\n".into())
    );
    let missing =
        load_from(Path::new("no.yaml"), 1, &Fake::default(), &Flags::default()).unwrap_err().to_string();
    assert!(
        missing.starts_with("no.yaml: cannot be read: ") && missing.contains("ringgate demo"),
        "{missing}"
    );
}

/// What the examples refer to.
fn world_of_an_example(text: &str) -> Fake {
    let identity = rcgen::KeyPair::generate().unwrap().serialize_pem().into_bytes();
    let mut world = world();
    world.variables.push(("IDP_SECRET", b"hunter2".to_vec()));
    world.files.extend([
        ("/etc/rg/spire/svid.pem", CERTIFICATE.to_vec()),
        ("/etc/rg/spire/svid.key", KEY.to_vec()),
        ("/etc/rg/spire/bundle.pem", CERTIFICATE.to_vec()),
        ("/etc/rg/identity.pem", identity),
        ("/etc/rg/k8s/token", b"hunter2\n".to_vec()),
        ("/etc/rg/k8s/ca.crt", CERTIFICATE.to_vec()),
        ("/etc/rg/tickets.key", b"hunter2\n".to_vec()),
        ("/etc/rg/revoked.txt", b"# nobody\n".to_vec()),
        ("/etc/rg/example.yaml", text.as_bytes().to_vec()),
    ]);
    world
}

/// What `ringgate check` says of an example.
fn checked_as_an_example(text: &str) -> (u8, String) {
    let world = world_of_an_example(text);
    let mut out = Vec::new();
    let code = run_in(Path::new("/etc/rg/example.yaml"), Format::Text, &mut out, &world, &|_| Vec::new(), 0)
        .unwrap();
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn the_examples_compile_and_their_tests_hold() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    let (mut count, mut tested) = (0, 0);
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (code, out) = checked_as_an_example(&text);
        assert!(code == 0 && out.contains("mcp -> "), "{}: {out}", path.display());
        tested += usize::from(out.contains(" tests passed."));
        count += 1;
    }
    assert!(count >= 12 && tested >= 8, "{count} examples, {tested} with tests");
}

#[test]
fn check_writes_one_line_of_praise_or_all_findings() {
    let directory = std::env::temp_dir().join(format!("ringgate-check-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("f.yaml");
    let run_on = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        let code = run(&path, Format::Text, &mut out, |_| Vec::new(), 0).unwrap();
        (code, String::from_utf8(out).unwrap().replace(&path.display().to_string(), "F"))
    };
    let good = (0, "F: good. 1 server on http://127.0.0.1:8080: /a/mcp -> up.example:1/mcp\n".to_owned());
    assert_eq!(run_on(&with("")), good);
    let (code, out) = run_on("servers: []\nx: 1\n");
    assert_eq!((code, out.lines().count()), (1, 3), "{out}");
    assert!(out.ends_with("F: 2 mistakes\n"), "{out}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_snapshot_may_be_shared_by_all_workers_and_depends_on_nothing_but_its_text() {
    fn shared<T: Send + Sync + 'static>(value: T) -> T {
        value
    }
    assert_eq!(shared(good(&with("workers: 3\n"))), good(&with("# the same\nworkers: 3\n")));
    assert_ne!(good(&with("workers: 3\n")), good(&with("")));
}

#[test]
fn the_largest_number_of_servers_is_served_and_summed_up() {
    let servers: String =
        (0..4096).map(|n| format!("- {{name: s{n}, url: 'http://h:{}'}}\n", n + 1)).collect();
    let snapshot = good(&format!("servers:\n{servers}"));
    assert_eq!(&*snapshot.route(b"/s4095/mcp").unwrap().server.name, "s4095");
    assert!(summary(&snapshot).ends_with("; 4088 more"));
}
