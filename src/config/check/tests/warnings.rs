//! What is no mistake and is said all the same.

use super::{CERTIFICATE, KEY};
use crate::config::check::{run_in, warnings};
use crate::config::compile::Context;
use crate::schema::finding::Findings;
use crate::schema::world::fake::Fake;

const ISSUER: &str = "authentication: {issuers: [{issuer: 'https://idp.example'}]}\n";
const ONE: &str = "servers: [{name: a, url: 'http://up.example', audiences: [a]}]\n";

const ONE_OPEN: &str = "servers: [{name: a, url: 'http://up.example'}]\n";

fn of(text: &str) -> Vec<String> {
    let world = Fake {
        variables: vec![("SECRET", b"hunter2".to_vec()), ("HOME", b"/of/u".to_vec())],
        files: vec![
            ("/rg/cert.pem", CERTIFICATE.to_vec()),
            ("/rg/key.pem", KEY.to_vec()),
            ("/rg/revoked", b"# x\nhunter2\njti:a\n".to_vec()),
        ],
    };
    let context = Context { world: &world, directory: std::path::Path::new("/rg") };
    let snapshot = super::check(text, 1, &context, Findings::of("f"));
    warnings(&snapshot.unwrap_or_else(|findings| panic!("{text}\n{findings}")), 0)
}

#[test]
fn lines_that_revoke_nothing_are_named_and_not_quoted() {
    let found = of(&format!("{ONE}{}", ISSUER.replace("issuers", "revoked: revoked, issuers")));
    assert!(
        found.len() == 1 && found[0].starts_with("authentication.revoked: line 2 does not begin with"),
        "{found:?}"
    );
    assert!(!found[0].contains("hunter2"));
}

#[test]
fn credentials_in_the_clear_are_warned_of() {
    let listen = |listener: &str| format!("listeners: [{{{listener}}}]\n");
    let open = listen("address: '0.0.0.0:80'");
    let found = of(&format!("{ONE}{ISSUER}{open}"));
    assert!(
        found.len() == 1
            && found[0].starts_with("listeners[0] takes tokens and keys over plain HTTP on 0.0.0.0:80"),
        "{found:?}"
    );
    let asked =
        "authentication: {introspection: {url: 'https://a', client_id: a, client_secret: 'env:SECRET'}}\n";
    assert_eq!(of(&format!("{ONE}{asked}{open}")).len(), 1);
    let hash = crate::policy::authn::api_key::Hash::of(b"rgk_x", b"saltsalt").reveal();
    let keys = format!("authentication: {{api_keys: [{{id: a, hash: '{hash}', agent: a}}]}}\n");
    assert_eq!(of(&format!("{ONE}{keys}{open}")).len(), 1);

    let balanced = listen("address: '0.0.0.0:80', proxy_protocol: any");
    assert_eq!(
        of(&format!("{ONE}{ISSUER}{balanced}")).len(),
        1,
        "of what the balancer does nothing is known"
    );
    assert_eq!(of(&format!("public_url: http://gw.example\n{ONE}{ISSUER}{balanced}")).len(), 1);
    assert_eq!(of(&format!("public_url: https://gw.example\n{ONE}{ISSUER}{open}")).len(), 1);
    for quiet in [
        format!("public_url: https://gw.example\n{ONE}{ISSUER}{balanced}"),
        format!("{ONE}{ISSUER}{}", listen("address: '127.0.0.1:80'")),
        format!("{ONE}{ISSUER}{}", listen("address: '[::1]:80'")),
        format!("{ONE}{ISSUER}{}", listen("address: 'unix:/run/a.sock'")),
        format!(
            "{ONE}{ISSUER}{}",
            listen("address: '0.0.0.0:80', tls: {certificate: cert.pem, key: key.pem}")
        ),
        format!(
            "servers: [{{name: a, url: 'http://up.example', anonymous: true}}]\nauthentication: {{}}\n{open}"
        ),
    ] {
        assert_eq!(of(&quiet), [""; 0], "{quiet}");
    }
}

#[test]
fn an_audience_of_several_servers_is_warned_of_once() {
    let servers = |audiences: &[&str]| -> String {
        let server = |(n, list): (usize, &&str)| {
            format!("- {{name: s{n}, url: 'http://up.example:{}', audiences: [{list}]}}\n", n + 1)
        };
        format!("servers:\n{}{ISSUER}", audiences.iter().enumerate().map(server).collect::<String>())
    };
    assert_eq!(of(&servers(&["a", "b"])), [""; 0]);
    assert_eq!(of(&servers(&["'a', 'a'", "b"])), [""; 0], "a server shares nothing with itself");
    let found = of(&servers(&["z", "b, c", "c, z", "z", "z", "z"]));
    assert!(
        found[0].starts_with("the servers s0, s2, s3, s4 and 1 more share the audience `z`"),
        "{found:?}"
    );
    assert!(found[1].starts_with("the servers s1, s2 share the audience `c`"), "{found:?}");
    assert_eq!(found.len(), 2);
    let all = "a, b, c, d, e, f, g, h, i, j";
    let many = of(&servers(&[all, all]));
    assert_eq!((many.len(), &*many[8]), (9, "2 more audiences are shared by several servers"));
    let keys = servers(&["a", "a"]).replace(ISSUER, "");
    let hash = crate::policy::authn::api_key::Hash::of(b"rgk_x", b"saltsalt").reveal();
    let keys = format!("{keys}authentication: {{api_keys: [{{id: a, hash: '{hash}', agent: a}}]}}\n");
    assert_eq!(of(&keys), [""; 0], "a key has no audience");
}

#[test]
fn what_a_restart_forgets_is_warned_of_where_it_cannot_be_kept() {
    const LIMIT: &str = "rate_limits: {limits: [{name: q, rate: RATE}]}\n";
    let limit = |rate: &str| LIMIT.replace("RATE", rate);
    let named = |found: Vec<String>| {
        let part = |line: &String| {
            ["ends all sessions", "forgets what callers have used"]
                .into_iter()
                .find(|part| line.contains(part))
        };
        found.iter().filter_map(part).collect::<Vec<_>>()
    };
    let (sessions, usage) = ("ends all sessions", "forgets what callers have used");
    for (text, expected) in [
        (ISSUER.to_owned(), vec![]),
        (format!("{ISSUER}state: off\n"), vec![sessions]),
        (format!("{ISSUER}state: /srv/state\n"), vec![]),
        (format!("{}state: off\n", limit("60/min")), vec![]),
        (format!("{}state: off\n", limit("1000/h")), vec![usage]),
        (
            format!("{}state: off\n", limit("100 tokens/min").replace("name: q", "name: q, unit: tokens")),
            vec![usage],
        ),
        (format!("{ISSUER}{}state: off\n", limit("5000/week")), vec![sessions, usage]),
        (limit("5000/week"), vec![]),
    ] {
        assert_eq!(
            named(of(&format!("{ONE}{text}")
                .replace(if text.contains("authentication") { "\0" } else { ", audiences: [a]" }, ""))),
            expected,
            "{text}"
        );
    }
}

#[test]
fn check_writes_warnings_and_praises_all_the_same() {
    let text = format!("{ONE}{ISSUER}listeners: [{{address: '0.0.0.0:80'}}]\n");
    let world =
        Fake { variables: vec![("HOME", b"/of/u".to_vec())], files: vec![("/f.yaml", text.into_bytes())] };
    let mut out = Vec::new();
    let code =
        run_in(std::path::Path::new("/f.yaml"), super::Format::Text, &mut out, &world, &|_| Vec::new(), 0)
            .unwrap();
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!((code, lines.len()), (0, 2), "{out}");
    assert!(lines[0].starts_with("/f.yaml: warning: listeners[0] takes tokens"), "{out}");
    assert!(lines[1].starts_with("/f.yaml: good. 1 server on"), "{out}");
}

#[test]
fn limits_that_ask_who_calls_where_nobody_is_known_are_warned_of() {
    let limit = |servers: &str, options: &str| {
        format!("{servers}rate_limits: {{limits: [{{name: x, rate: 9/min, {options}}}]}}\n")
    };
    let nobody_known = "servers: [{name: a, url: 'http://up.example'}]\n";
    for (options, part) in [
        ("agents: [bot]", "the limit `x` is for agents"),
        ("roles: ['*']", "the limit `x` is for roles"),
        ("when: 'tenant == \"acme\"'", "the limit `x` is for tenants"),
        ("key: [agent, tool]", "the key of the limit `x` has agent, which"),
        ("key: ['claim:team.id', user]", "has claim:team.id, user, which"),
        ("overrides: [{roles: [gold], rate: 99/min}]", "overrides[0] of the limit `x` is for roles"),
    ] {
        let found = of(&limit(nobody_known, options));
        assert!(found.len() == 1 && found[0].contains(part), "{options}: {found:?}");
    }
    for quiet in ["tools: [a]", "key: [source]", "key: [agent, caller]", "agents: ['*']", "key: [server]"] {
        assert_eq!(of(&limit(nobody_known, quiet)), [] as [String; 0], "{quiet}");
    }
    // Where callers are known, and where only some need not be.
    assert_eq!(of(&format!("{}{ISSUER}", limit(ONE, "key: [agent]"))), [] as [String; 0]);
    let open = "servers: [{name: a, url: 'http://up.example', audiences: [a]}, \
                {name: b, url: 'http://other.example', audiences: [b], anonymous: true}]\n";
    let of_roles = "rate_limits: {limits: [{name: x, rate: 9/min, roles: [guest]}]}\n";
    let found = of(&format!("{open}{ISSUER}{of_roles}"));
    assert!(found.len() == 1 && found[0].contains("callers of b are not limited"), "{found:?}");
    let known = ISSUER.replace("]}\n", "], anonymous_roles: [guest]}\n");
    assert_eq!(of(&format!("{open}{known}{of_roles}")), [] as [String; 0]);
}

#[test]
fn names_without_a_certificate_and_certificates_without_a_turn_are_warned_of() {
    let pem = |names: &[&str]| {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem().into_bytes()
    };
    let world = Fake {
        variables: Vec::new(),
        files: vec![
            ("/rg/key.pem", KEY.to_vec()),
            ("/rg/a.pem", pem(&["a.test", "*.b.test"])),
            ("/rg/again.pem", pem(&["A.test"])),
            ("/rg/other.pem", pem(&["a.test", "c.test"])),
            ("/rg/none.pem", pem(&[])),
        ],
    };
    let of = |files: &[&str], more: &str| {
        let pairs: Vec<_> =
            files.iter().map(|file| format!("{{certificate: {file}.pem, key: key.pem}}")).collect();
        let text = format!(
            "servers: [{{name: a, url: 'http://up.example'}}]\n{more}listeners: [{{address: '127.0.0.1:443', tls: {{certificates: [{}]}}}}]\n",
            pairs.join(", ")
        );
        let context = Context { world: &world, directory: std::path::Path::new("/rg") };
        let snapshot = super::check(&text, 1, &context, Findings::of("f"));
        warnings(&snapshot.unwrap_or_else(|findings| panic!("{text}\n{findings}")), 0)
    };
    for quiet in ["", "public_url: https://A.test:8443\n", "hosts: [a.test, 'x.b.test:80', 127.0.0.1]\n"] {
        assert_eq!(of(&["a", "other"], quiet), Vec::<String>::new(), "{quiet}");
    }
    for (more, name) in [
        ("public_url: https://d.test\n", "`d.test`"),
        ("hosts: [b.test]\n", "`b.test`"),
        ("hosts: [x.y.b.test]\n", "`x.y.b.test`"),
    ] {
        let found = of(&["a"], more);
        assert!(found.len() == 1 && found[0].contains(name), "{found:?}");
    }
    let found = of(&["a", "again", "none"], "");
    assert!(
        found[0].starts_with("listeners[0].tls.certificates[1] has only names of earlier ones"),
        "{found:?}"
    );
    assert!(found[1].starts_with("listeners[0].tls.certificates[2] has no DNS name"), "{found:?}");
    assert_eq!(of(&["none"], "public_url: https://d.test\n").len(), 0, "nothing is known of its names");
}

#[test]
fn a_certificate_that_has_ended_or_will_soon_is_named() {
    let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2030, 1, 31);
    let pem = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem().into_bytes();
    let world =
        Fake { variables: Vec::new(), files: vec![("/rg/cert.pem", pem), ("/rg/key.pem", KEY.to_vec())] };
    let text = format!(
        "{ONE_OPEN}listeners: [{{address: '127.0.0.1:1', tls: {{certificate: cert.pem, key: key.pem}}}}]\n"
    );
    let context = Context { world: &world, directory: std::path::Path::new("/rg") };
    let snapshot = super::check(&text, 1, &context, Findings::of("f")).unwrap();
    /// 2030-01-31, in seconds since 1970.
    const END: u64 = 1_896_048_000;
    const DAY: u64 = 86_400;
    assert!(warnings(&snapshot, END - 15 * DAY).is_empty());
    let soon = warnings(&snapshot, END - 3 * DAY);
    assert!(soon[0].starts_with("the certificate of listeners[0] ends in 3 days"), "{soon:?}");
    let gone = warnings(&snapshot, END + 2 * DAY);
    assert!(gone[0].starts_with("the certificate of listeners[0] ended 2 days ago"), "{gone:?}");
}

#[test]
fn a_listener_for_everybody_is_warned_of() {
    let listen = |listener: &str| of(&format!("{ONE_OPEN}listeners: [{{{listener}}}]\n"));
    let found = listen("address: '0.0.0.0:80'");
    assert!(
        found.len() == 1
            && found[0].contains("serves whoever reaches it, without a credential and in the clear"),
        "{found:?}"
    );
    let found = listen("address: '0.0.0.0:443', tls: {certificate: cert.pem, key: key.pem}");
    assert!(
        found.iter().any(|line| line.contains("without a credential (add `authentication`, or")),
        "{found:?}"
    );
    assert!(listen("address: '127.0.0.1:80'").is_empty());
}

#[test]
fn a_secret_that_everybody_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let directory = std::env::temp_dir().join(format!("ringgate-open-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (path, token) = (directory.join("f.yaml"), directory.join("token"));
    std::fs::write(
        &path,
        "servers: [{name: a, url: 'http://a', headers: {Authorization: 'Bearer file:token'}}]\n",
    )
    .unwrap();
    std::fs::write(&token, "hush").unwrap();
    for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true)] {
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
        let snapshot = super::load(&path, 1).unwrap();
        let all = super::warnings(&snapshot, 0);
        let said = all.iter().any(|text| text.contains("holds a secret") && text.contains("token"));
        assert_eq!(said, warned, "{mode:o}: {all:?}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
