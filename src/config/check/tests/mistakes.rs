//! Every kind of finding, one by one and all at once.

use super::{findings, server_with, with};

/// Every kind of finding: the text, and what its only finding must say.
#[test]
fn each_mistake_is_found_where_it_stands() {
    let cases: &[(String, &str)] = &[
        // The shape of the file.
        (String::new(), "f:1:1: servers: is missing (add `servers: ...`"),
        ("- a\n".into(), "f:1:1: is not a map of options"),
        ("servers: []\n".into(), "f:1:10: servers: has 0 elements (give from 1 to 4096)"),
        ("servers: {a: 1}\n".into(), "f:1:10: servers: is not a list but one section (begin each"),
        ("servers: x\n".into(), "f:1:10: servers: is one value (write a list: `[...]` around it"),
        ("servers: [x]\n".into(), "f:1:11: servers[0]: is not a section but one value"),
        (
            with("access: [{effect: allow}]\n"),
            "access: is not a section but a list (write the list under one",
        ),
        (with("log: {level: info, format:json}\n"), "log.format:json: is not an option (put a blank after"),
        (with("limits:\n"), "f:4:1: limits: has no options below it (give it options (`head_bytes_max`"),
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
            "f:4:23: limits.headers_max: `many` is not understood (write a whole number from 8 to 64",
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
            "timeouts.head: `5` is not understood (write a duration from 100ms to 10m; with its unit",
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
        (
            with("limits: {bodies_bytes_max: 16MiB, sse_event_bytes_max: 9MiB}\n"),
            "limits.bodies_bytes_max: is less than two bodies of",
        ),
        (
            with("limits: {connections_max: 10}\n"),
            "limits.connections_max: `10` is too small (write a whole number from 16 to 1000000)",
        ),
        (with("workers: some\n"), "workers: `some` is not understood"),
        (with("workers: \"0\"\n"), "workers: 0, how many workers to run, is not from 1 to 1024"),
        (with("workers: 2048\n"), "or a CPU list such as `\"0-3,6\"`; CPU 3 alone is `\"3-3\"`"),
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
            with("listeners: [{address: 'unix:/a', shared: true}]\n"),
            "listeners[0].shared: has no effect on a Unix socket",
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
        (with("admin: {address: '0.0.0.0:8079'}\n"), "admin.address: can be reached from other machines"),
        (with("admin: {address: '127.0.0.1:8080'}\n"), "admin.address: is also the address of listeners[0]"),
        // Files and variables.
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificate: cert.pem}}]\n"),
            "listeners[0].tls: has a certificate without its key",
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
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {client_ca: cert.pem}}]\n"),
            "listeners[0].tls: has no certificate (add `certificate` and `key`, or `certificates`)",
        ),
        (
            with("listeners: [{address: '1.1.1.1:1', tls: {certificates: [{certificate: cert.pem}]}}]\n"),
            "listeners[0].tls.certificates[0].key: is missing",
        ),
        (
            with(
                "listeners: [{address: '1.1.1.1:1', tls: {certificate: cert.pem, key: key.pem, certificates: [{certificate: cert.pem, key: key.pem}]}}]\n",
            ),
            "listeners[0].tls.certificate: stands beside `certificates`",
        ),
        (
            with(
                "listeners: [{address: '1.1.1.1:1', tls: {certificates: [{certificate: cert.pem, key: key.pem}, {certificate: cert.pem, key: no}]}}]\n",
            ),
            "listeners[0].tls.certificates[1].key: the file `/etc/rg/no` does not exist",
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
            server_with("transport: sse\n  message_paths: ['/m/a*']"),
            "servers[0].message_paths[0]: `/m/a*` has a `*` within a segment",
        ),
        (
            server_with("message_paths: [/m]"),
            "servers[0].message_paths: has no effect without `transport: sse`",
        ),
        (
            "servers: [{name: a, transport: sse, endpoints: ['http://b', 'http://c']}]\n".to_owned(),
            "servers[0]: has several endpoints with `transport: sse`",
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
        (
            server_with("anonymous: true"),
            "f:4:14: servers[0].anonymous: has no effect without `authentication`",
        ),
        (server_with("audiences: [x]"), "servers[0].audiences: has no effect without `authentication`"),
        (server_with("scopes: [x]"), "servers[0].scopes: has no effect without `authentication`"),
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
    let mut wrong = String::new();
    for (text, expected) in cases {
        let found = findings(text);
        // One mistake, one finding.
        if !found.contains(expected) || found.lines().count() != 1 || found.contains("hunter") {
            wrong += &format!("---\n{text}expected: {expected}\nfound: {found}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
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
