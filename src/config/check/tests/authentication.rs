//! `authentication`: what it becomes, and every mistake.

use std::path::Path;

use super::{CERTIFICATE, check};
use crate::config::compile::Context;
use crate::config::snapshot::Snapshot;
use crate::policy::authn::api_key::{Hash, mint};
use crate::policy::authn::{Authn, Credential, Facts, KeySource, Outcome};
use crate::schema::finding::Findings;
use crate::schema::world::fake::Fake;

const JWKS: &[u8] = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const PUBLIC: &str = "public_url: https://mcp.example\n";

fn key() -> String {
    mint("build", &[7; 32])
}

fn hash() -> String {
    Hash::of(key().as_bytes(), b"saltsalt").reveal()
}

fn checked(text: &str) -> Result<Snapshot, Findings> {
    let list = format!("- id: other\n  hash: '{}'\n  agent: bot\n", hash());
    let world = Fake {
        variables: vec![
            ("SECRET", b"hunter2\n".to_vec()),
            ("EMPTY", Vec::new()),
            ("TWO", b"hunter2\nhunter3".to_vec()),
        ],
        files: vec![
            ("/rg/jwks.json", JWKS.to_vec()),
            ("/rg/keys.yaml", list.clone().into_bytes()),
            ("/rg/wrong.yaml", list.replace("sha256", "hunter2").into_bytes()),
            ("/rg/broken.yaml", b"- id: [hunter2\n".to_vec()),
            ("/rg/hunter2", b"rgk_hunter2".to_vec()),
            ("/rg/revoked", b"key:build\n".to_vec()),
            ("/rg/cert.pem", CERTIFICATE.to_vec()),
            ("/rg/key.pem", super::KEY.to_vec()),
            ("/rg/binary", vec![0xff]),
        ],
    };
    check(text, 1, &Context { world: &world, directory: Path::new("/rg") }, Findings::of("f"))
}

/// A file with one server, these lines at the top, and these under `authentication`.
fn file(top: &str, lines: &[&str]) -> String {
    let section: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("servers:\n- name: a\n  url: http://up.example/mcp\n{top}authentication:\n{section}")
}

fn good(top: &str, lines: &[&str]) -> Authn {
    let text = file(top, lines);
    checked(&text).unwrap_or_else(|findings| panic!("{text}\n{findings}")).authn.unwrap()
}

fn shown(authn: &Authn, server: &str, key: &str) -> &'static str {
    let facts = Facts {
        server,
        audiences: &[],
        anonymous: false,
        keys: &[],
        keys_are_fresh: false,
        certificate: None,
        now: 1_800_000_000,
    };
    match authn.authenticate(Credential::ApiKey(key.as_bytes()), &facts) {
        Outcome::Known(_) => "known",
        Outcome::NeedsKeys(_) | Outcome::NeedsIntrospection | Outcome::NeedsTrade => "needs",
        Outcome::Refused(refused) => refused.reason,
    }
}

#[test]
fn issuers_get_their_keys_from_where_it_is_written() {
    let authn = good(
        PUBLIC,
        &[
            "issuers:",
            "- issuer: https://idp.example/realms/main",
            "- {issuer: 'https://two.example', jwks_url: 'https://two.example/keys?v=1', algorithms: [ES256, EdDSA], clock_skew: 0s}",
            "- {issuer: 'https://three.example/', jwks: jwks.json, token_max_age: 1h, token_types: [application/X+jwt]}",
        ],
    );
    let [one, two, three] = &*authn.issuers else { panic!("three") };
    assert_eq!(
        (&*one.name, &one.source, one.skew),
        ("https://idp.example/realms/main", &KeySource::Discovery, 30)
    );
    assert_eq!(two.source, KeySource::Url("https://two.example/keys?v=1".into()));
    assert_eq!((format!("{:?}", two.algorithms).as_str(), two.skew), (r#"{"ES256", "EdDSA"}"#, 0));
    let KeySource::Given(keys) = &three.source else { panic!("given") };
    assert_eq!((&*three.name, format!("{keys:?}").as_str()), ("https://three.example/", r#"[Some("k")]"#));
    assert_eq!((three.age_max, &*three.types), (Some(3600), &["x+jwt".into()][..]));
    assert!(authn.fetches() && authn.authorization_servers().count() == 3);
    let given = good(PUBLIC, &["issuers: [{issuer: 'https://three.example', jwks: jwks.json}]"]);
    assert!(!given.fetches());
}

#[test]
fn defaults_are_those_of_the_policy() {
    use crate::policy::authn::Issuer;
    let authn = good(PUBLIC, &["issuers: [{issuer: 'https://idp.example'}]"]);
    assert_eq!(authn.issuers[0], Issuer::new("https://idp.example", KeySource::Discovery));
}

#[test]
fn claims_are_mapped_as_written() {
    let authn = good(
        PUBLIC,
        &[
            "issuers:",
            "- issuer: https://idp.example",
            "  required_claims: {hd: example.com, /a~1b: '*'}",
            "  claims: {roles: ['https://example.com/roles', /x~1y/z], agent: [], roles_prefix: 'x:'}",
            "- issuer: https://two.example",
            "  claims: {role_map: {Zed: writer, Admins: admin}}",
        ],
    );
    let [one, two] = &*authn.issuers else { panic!("two") };
    assert_eq!((one.required.len(), one.required[1].1.as_deref()), (2, None));
    assert_eq!((one.mapping.roles.len(), one.mapping.agent.len(), &*one.mapping.roles_prefix), (2, 0, "x:"));
    assert_eq!(two.mapping.role_map[0], ("Admins".into(), "admin".into()), "sorted");
}

#[test]
fn api_keys_come_from_the_file_and_from_its_neighbour() {
    let entry = format!(
        "- {{id: build, hash: '{}', agent: bot, expires: 2999-01-31, servers: [a], roles: [r]}}",
        hash()
    );
    let authn = good("", &["api_keys:", &entry, "api_keys_file: keys.yaml"]);
    assert_eq!((shown(&authn, "a", &key()), shown(&authn, "b", &key())), ("known", "wrong_audience"));
    assert_eq!(
        shown(&authn, "a", &mint("other", &[7; 32])),
        "unknown_api_key",
        "the hash is of the whole key"
    );
    // A key that has ended is no mistake: it is only not accepted.
    let ended = entry.replace("2999", "2020");
    assert_eq!(shown(&good("", &["api_keys:", &ended]), "a", &key()), "expired");
    assert_eq!(shown(&good("", &["api_keys:", &entry, "revoked: revoked"]), "a", &key()), "revoked");
}

#[test]
fn certificates_and_introspection_are_compiled() {
    let listener = "listeners: [{address: '127.0.0.1:1', tls: {certificate: cert.pem, key: key.pem, client_ca: cert.pem}}]\n";
    let authn = good(
        &format!("{PUBLIC}{listener}"),
        &[
            "certificates:",
            "  trust_domains: [prod.example]",
            "  entries: [{name: 'spiffe://prod.example/agent/*', roles: [b, a]}, {name: 'spiffe://prod.example/x', agent: x}]",
            "introspection: {url: 'https://idp.example/i', client_id: gw, client_secret: 'env:SECRET', cache: 5s, token_pattern: 'gho_*'}",
        ],
    );
    let certificates = authn.certificates.as_ref().unwrap();
    assert_eq!(
        (certificates.entries.len(), &*certificates.entries[0].roles),
        (2, &["a".into(), "b".into()][..])
    );
    let asked = authn.introspection.as_ref().unwrap();
    assert_eq!(
        (asked.client_secret.reveal(), asked.cache, asked.require_audience),
        (&b"hunter2"[..], 5, true)
    );
    assert!(asked.may_know(b"gho_x") && !asked.may_know(b"x"));
    assert!(authn.fetches());
}

#[test]
fn callers_without_a_credential_may_be_all_that_are_served() {
    let text =
        "servers: [{name: a, url: 'http://a', anonymous: true}]\nauthentication: {anonymous_roles: [b, a]}\n";
    let authn = checked(text).unwrap().authn.unwrap();
    assert_eq!(&*authn.anonymous_roles, &["a".into(), "b".into()]);
}

#[test]
fn each_mistake_is_found_where_it_stands() {
    let issuer = "issuers: [{issuer: 'https://idp.example'}]";
    let with_hash = |text: &str| text.replace("HASH", &hash());
    let cases: &[(String, &str)] = &[
        (file("", &["anonymous_roles: []"]), "f:5:3: authentication: accepts no credential"),
        (
            file("", &[issuer]),
            "f:2:3: servers[0]: has no audience, so that no token can be for it (set `public_url`",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'http://idp.example'}]"]),
            "authentication.issuers[0].issuer: is not `https`",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: idp.example}]"]),
            "issuers[0].issuer: `idp.example` is not a URL",
        ),
        (file(PUBLIC, &["issuers: [{issuer: 'https://idp.example?a'}]"]), "issuers[0].issuer: has a query"),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://idp.example#a'}]"]),
            "issuers[0].issuer: has a fragment",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://u:hunter2@idp.example'}]"]),
            "issuers[0].issuer: has a user or password",
        ),
        (file(PUBLIC, &["issuers: [{issuer: 'https:///x'}]"]), "has no usable host"),
        (file(PUBLIC, &["issuers: [{}]"]), "issuers[0].issuer: is missing"),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://login.microsoftonline.com/common/v2.0'}]"]),
            "issuers[0].issuer: is no tenant's issuer",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0'}]"]),
            "issuers[0].issuer: is a template",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://*.okta.example'}]"]),
            "issuers[0].issuer: is a template",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://idp.example/.well-known/openid-configuration'}]"]),
            "issuers[0].issuer: is the URL of metadata",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', require_audience: false}]"]),
            "issuers[0].require_audience: accepts tokens that this issuer gave out for others",
        ),
        (
            file(
                PUBLIC,
                &[
                    "issuers: [{issuer: 'https://a.example', audience_claims: [aud, client_id], required_claims: {client_id: '*', iss: 'https://a.example'}}]",
                ],
            ),
            "issuers[0].audience_claims[1]: accepts tokens that this issuer gave out for others",
        ),
        (
            file(PUBLIC, &["issuers:", "- issuer: https://idp.example", "- issuer: https://idp.example"]),
            "issuers[1].issuer: is also that of authentication.issuers[0].issuer on line 7",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', jwks_url: 'http://a.example/k'}]"]),
            "issuers[0].jwks_url: is not `https`",
        ),
        (
            file(
                PUBLIC,
                &[
                    "issuers: [{issuer: 'https://a.example', jwks: jwks.json, jwks_url: 'https://a.example/k'}]",
                ],
            ),
            "issuers[0].jwks_url: stands beside `jwks`",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', jwks: cert.pem}]"]),
            "issuers[0].jwks: is not a JSON object",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', jwks: no}]"]),
            "issuers[0].jwks: the file `/rg/no` does not exist",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', algorithms: [HS256]}]"]),
            "algorithms[0]: `HS256` is not known",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', algorithms: [none]}]"]),
            "algorithms[0]: `none` is not known",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', clock_skew: 6m}]"]),
            "clock_skew: `6m` is too large",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', claims: {roles: [a..b]}}]"]),
            "claims.roles[0]: `a..b` does not name a claim",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', claims: {agent: [], user: []}}]"]),
            "claims.agent: and `user` are both empty",
        ),
        (
            file(
                PUBLIC,
                &["issuers: [{issuer: 'https://a.example', claims: {roles_prefix: x, role_map: {a: b}}}]"],
            ),
            "claims.roles_prefix: has no effect beside `role_map`",
        ),
        (
            file(PUBLIC, &["issuers: [{issuer: 'https://a.example', required_claims: {a..b: x}}]"]),
            "`a..b` does not name a claim",
        ),
        (
            file("", &[&with_hash("api_keys: [{id: a_b, hash: 'HASH', agent: b}]")]),
            "api_keys[0].id: cannot be the id of a key",
        ),
        (
            file("", &["api_keys: [{id: a, hash: 'sha256:hunter2:00', agent: b}]"]),
            "api_keys[0].hash: is not the hash of a key",
        ),
        (
            file("", &["api_keys: [{id: a, hash: rgk_hunter2, agent: b}]"]),
            "api_keys[0].hash: is the key itself",
        ),
        (
            file("", &[&with_hash("api_keys: [{id: a, hash: 'HASH', agent: b, expires: soon}]")]),
            "expires: `soon` is not a day or time",
        ),
        (
            file("", &[&with_hash("api_keys: [{id: a, hash: 'HASH', agent: b, servers: [aa]}]")]),
            "api_keys[0].servers[0]: `aa` is not the name of a server",
        ),
        (
            file(
                "",
                &[&with_hash("api_keys: [{id: a, hash: 'HASH', agent: b}, {id: a, hash: 'HASH', agent: c}]")],
            ),
            "api_keys[1].id: is also that of authentication.api_keys[0].id on line 5",
        ),
        (
            file(
                "",
                &[&with_hash("api_keys: [{id: other, hash: 'HASH', agent: b}]"), "api_keys_file: keys.yaml"],
            ),
            "authentication.api_keys_file[0].id: is also that of authentication.api_keys[0].id",
        ),
        (
            file("", &["api_keys_file: wrong.yaml"]),
            "f:5:18: authentication.api_keys_file[0].hash: is not the hash of a key",
        ),
        (file("", &["api_keys_file: hunter2"]), "authentication.api_keys_file: is one value"),
        (file("", &["api_keys_file: binary"]), "authentication.api_keys_file: is not UTF-8 text"),
        (
            file("", &["api_keys_file: broken.yaml"]),
            "authentication.api_keys_file: is not YAML that can be read: line",
        ),
        (
            file(PUBLIC, &[issuer, "revoked: none"]),
            "authentication.revoked: the file `/rg/none` does not exist",
        ),
        (
            file("", &["certificates: {trust_domains: [a], entries: [{name: 'spiffe://a/b'}]}"]),
            "authentication.certificates: has no effect: no listener asks",
        ),
        (
            file("", &["introspection: {client_id: a, client_secret: 'env:SECRET', audiences: [x]}"]),
            "introspection.url: is missing",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, part) in cases {
        let found = checked(text).err().unwrap_or_default();
        let shown = found.to_string();
        let tells = shown.contains("hunter2") && !text.contains("hunter2\n") || shown.contains(&hash());
        if !shown.contains(part) || found.len() != 1 || tells {
            wrong.push(format!("wanted {part}\nfound {shown}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mistakes_in_certificates_and_introspection_are_found() {
    let listener = "listeners: [{address: '127.0.0.1:1', tls: {certificate: cert.pem, key: key.pem, client_ca: cert.pem}}]\n";
    for (line, part) in [
        ("certificates: {entries: [{name: 'spiffe://a/b'}]}", "certificates: believes no trust domain"),
        ("certificates: {trust_domains: [a], entries: []}", "entries: has 0 elements"),
        (
            "certificates: {trust_domains: [a], entries: [{name: 'spiffe://a/b*'}]}",
            "entries[0].name: `spiffe://a/b*` is neither",
        ),
        (
            "certificates: {trust_domains: [a], entries: [{name: 'spiffe://b/*'}]}",
            "entries[0].name: `b` is not in `trust_domains`",
        ),
        (
            "certificates: {trust_domains: ['spiffe://a'], entries: [{name: 'spiffe://a/b'}]}",
            "trust_domains[0]: `spiffe://a` is not a trust domain",
        ),
        (
            "certificates: {trust_domains: [a], from: san_dns, entries: [{name: a.example}]}",
            "trust_domains: has no effect without",
        ),
        (
            "certificates: {from: san_dns, entries: [{name: '*'}]}",
            "entries[0].name: `*` is neither `host.example`",
        ),
        (
            "certificates: {from: subject_cn, entries: [{name: 'a*'}]}",
            "entries[0].name: `a*` is not a whole common name",
        ),
        (
            "saml: {token_url: 'https://a', client_id: a, client_secret: 'env:SECRET'}",
            "authentication.saml: has nobody to verify the tokens",
        ),
        (
            "introspection: {url: 'http://a', client_id: a, client_secret: 'env:SECRET'}",
            "introspection.url: is not `https`",
        ),
        (
            "introspection: {url: 'https://a', client_id: a, client_secret: hunter2}",
            "introspection.client_secret: is not a reference",
        ),
        (
            "introspection: {url: 'https://a', client_id: a, client_secret: 'env:EMPTY'}",
            "introspection.client_secret: is empty",
        ),
        (
            "introspection: {url: 'https://a', client_id: a, client_secret: 'env:TWO'}",
            "introspection.client_secret: is empty, or has more",
        ),
        (
            "introspection: {url: 'https://a', client_id: a, client_secret: 'env:SECRET', token_pattern: hunter2}",
            "introspection.token_pattern: matches one token at the most",
        ),
        (
            "introspection: {url: 'https://a', client_id: a, client_secret: 'env:SECRET', token_pattern: '**'}",
            "introspection.token_pattern: matches every token",
        ),
        (
            "introspection: {url: 'https://a', client_id: a, client_secret: 'env:SECRET', token_pattern: 'hunter2 *'}",
            "introspection.token_pattern: matches no token",
        ),
        (
            "introspection: {url: 'https://a', client_id: a, client_secret: 'env:NO'}",
            "the environment variable NO is not set",
        ),
    ] {
        let Err(found) = checked(&file(&format!("{PUBLIC}{listener}"), &[line])) else { panic!("{line}") };
        let shown = found.to_string();
        assert!(shown.contains(part) && found.len() == 1 && !shown.contains("hunter2"), "{part}\n{shown}");
    }
}

#[test]
fn an_issuer_need_be_no_url_where_its_keys_are_given_and_may_have_no_audience_where_claims_narrow_it() {
    for issuer in ["acme.com", "accounts.google.com", "urn:acme:idp", "https://a.example/?x", "an issuer"] {
        let authn = good(PUBLIC, &[&format!("issuers: [{{issuer: '{issuer}', jwks: jwks.json}}]")]);
        assert_eq!(&*authn.issuers[0].name, issuer);
        good(PUBLIC, &[&format!("issuers: [{{issuer: '{issuer}', jwks_url: 'https://k.example'}}]")]);
    }
    let narrowed = "required_claims: {client_id: 5bsj, token_use: access}";
    for option in ["audience_claims: [aud, client_id], audiences: [5bsj]", "require_audience: false"] {
        good(PUBLIC, &[&format!("issuers: [{{issuer: 'https://a.example', {option}, {narrowed}}}]")]);
    }
    // Without an audience of any kind there is nothing that a server lacks.
    good("", &[&format!("issuers: [{{issuer: 'https://a.example', require_audience: false, {narrowed}}}]")]);
}

#[test]
fn http_is_for_those_who_ask_for_it_and_audiences_may_be_the_issuers_own() {
    let lines = ["issuers: [{issuer: 'http://127.0.0.1:1/realm', audiences: [api]}]"];
    assert!(good("outbound: {allow_http: true}\n", &lines).fetches());
    let asked = "introspection: {url: 'https://a', client_id: a, client_secret: 'env:SECRET', require_audience: false}";
    assert!(good("", &[asked]).introspection.is_some());
    assert!(checked(&file("", &[&asked.replace("false", "true")])).is_err());
    let own = file("", &["issuers: [{issuer: 'https://a.example'}]"])
        .replace("up.example/mcp\n", "up.example/mcp\n  audiences: [x]\n");
    assert!(checked(&own).is_ok());
}
