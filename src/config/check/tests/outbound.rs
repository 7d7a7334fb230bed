//! What servers are shown, and what is fetched for them.

use std::time::Duration;

use super::{CERTIFICATE, Fake, KEY, findings, good, server_with, with, world};
use crate::base::Secret;
use crate::config::check::{Context, Findings, check};
use crate::config::snapshot::{Outbound, Roots, Snapshot};
use crate::policy::propagate::{ClientProof, Credentials, Trade, base64};

/// PKCS #8 of EC P-256, as `openssl genpkey` makes it: a key that nobody uses.
fn identity() -> Vec<u8> {
    rcgen::KeyPair::generate().unwrap().serialize_pem().into_bytes()
}

/// As `checked`, with a signing key in `id.pem`, the same in DER in `id.der`, another's public half in `old.pub`.
fn with_identity(text: &str) -> Result<Snapshot, Findings> {
    let (own, old) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
    let mut world = world();
    world.files.extend([
        ("/etc/rg/id.pem", own.serialize_pem().into_bytes()),
        ("/etc/rg/id.der", own.serialize_der()),
        ("/etc/rg/old.pub", old.public_key_pem().into_bytes()),
        ("/etc/rg/next.pem", identity()),
    ]);
    check_in(&world, text)
}

fn check_in(world: &Fake, text: &str) -> Result<Snapshot, Findings> {
    let directory = std::path::Path::new("/etc/rg");
    check(text, 7, &Context { world, directory }, Findings::of("f"))
}

#[test]
fn fixed_credentials_become_header_lines_that_replace_the_clients_own() {
    let basic = format!("Authorization: Basic {}\r\n", base64::padded(b"ann:hunter2"));
    for (credentials, lines, name) in [
        ("{bearer: 'env:TOKEN'}", "Authorization: Bearer hunter2\r\n", "authorization"),
        ("{basic: {username: ann, password: /abs/token}}", &*basic, "authorization"),
        ("{header: {name: X-Api-Key, value: 'file:/abs/token'}}", "X-Api-Key: hunter2\r\n", "x-api-key"),
    ] {
        let snapshot = good(&server_with(&format!("credentials: {credentials}\n  headers: {{A: b}}")));
        let server = &snapshot.servers[0];
        assert_eq!(server.headers.reveal(), format!("A: b\r\n{lines}").as_bytes());
        assert!(!server.to_server.has("a") && !server.to_server.has(name));
        assert_eq!(server.credentials, Credentials::None);
        assert!(!format!("{snapshot:?}").contains("hunter2"));
    }
}

#[test]
fn grants_keep_what_was_written() {
    let options = "token_url: https://idp.example/token, client_id: gw, client_secret: 'env:TOKEN', \
                   scopes: [a, b], audience: up, resource: https://up.example/mcp";
    let snapshot = good(&server_with(&format!("credentials: {{client_credentials: {{{options}}}}}")));
    let Credentials::ClientCredentials(grant) = &snapshot.servers[0].credentials else { panic!("a grant") };
    assert_eq!(
        (&*grant.token_url, &*grant.client_id, &*grant.scope),
        ("https://idp.example/token", "gw", "a b")
    );
    assert_eq!(grant.client, ClientProof::Basic(Secret::new(*b"hunter2")));
    assert_eq!(
        (grant.audience.as_deref(), grant.resource.as_deref()),
        (Some("up"), Some("https://up.example/mcp"))
    );
    assert!(!format!("{snapshot:?}").contains("hunter2"));
    for (kind, urn) in [
        ("", "urn:ietf:params:oauth:token-type:access_token"),
        (", subject_token_type: saml2", "urn:ietf:params:oauth:token-type:saml2"),
        (", subject_token_type: 'urn:x:y'", "urn:x:y"),
    ] {
        let snapshot = good(&server_with(&format!("credentials: {{token_exchange: {{{options}{kind}}}}}")));
        let Credentials::Exchange(other, wish) = &snapshot.servers[0].credentials else {
            panic!("an exchange")
        };
        assert_eq!((other, &*wish.subject_token_type, &wish.requested_token_type), (grant, urn, &None));
    }
}

#[test]
fn an_exchange_is_of_the_kind_and_by_the_client_that_was_written() {
    let common = "token_url: https://idp.example/token, client_id: gw, scopes: [a]";
    let exchange = |more: &str| {
        let text = server_with(&format!("credentials: {{token_exchange: {{{common}, {more}}}}}"));
        let snapshot = with_identity(&text).unwrap_or_else(|findings| panic!("{findings}"));
        let server = snapshot.servers.into_iter().next().unwrap();
        let Credentials::Exchange(grant, wish) = server.credentials else { panic!("an exchange") };
        (grant, wish)
    };
    let (grant, wish) = exchange(
        "grant: on_behalf_of, client_authentication: client_secret_post, client_secret: 'env:TOKEN'",
    );
    assert_eq!((wish.trade, wish.header), (Trade::OnBehalfOf, None));
    assert_eq!(grant.client, ClientProof::Post(Secret::new(*b"hunter2")));
    let (grant, wish) = exchange(
        "client_authentication: private_key_jwt, client_key: id.pem, requested_token_type: saml2, header: X-Saml",
    );
    assert_eq!((wish.trade, wish.header.as_deref()), (Trade::TokenExchange, Some("x-saml")));
    assert!(matches!(grant.client, ClientProof::Key(signer) if &*signer.issuer == "gw"));
}

#[test]
fn each_mistake_with_credentials_is_found_where_it_stands() {
    let grant = "token_url: 'https://i/t', client_id: a, client_secret: 'env:TOKEN'";
    let credentials = |text: &str| server_with(&format!("credentials: {text}"));
    for (text, expected) in [
        (credentials("{}"), "servers[0].credentials: names no credential"),
        (
            credentials("{bearer: 'env:TOKEN', basic: {username: a, password: 'env:TOKEN'}}"),
            "more than one kind",
        ),
        (credentials("{bearer: 'env:NOPE'}"), "credentials.bearer: the environment variable NOPE is not set"),
        (credentials("{bearer: 'env:EMPTY'}"), "credentials.bearer: is empty"),
        (
            credentials("{bearer: 'env:TWO_LINES'}"),
            "credentials.bearer: has bytes that a header value cannot have",
        ),
        (credentials("{bearer: 'env:BLANK'}"), "credentials.bearer: has a blank in it"),
        (credentials("{basic: {username: 'a:b', password: 'env:TOKEN'}}"), "username: has a colon"),
        (credentials("{basic: {username: a}}"), "password: is missing"),
        (credentials("{header: {name: 'a b', value: 'env:TOKEN'}}"), "`a b` cannot be the name of a header"),
        (credentials("{header: {name: Mcp-Session-Id, value: 'env:TOKEN'}}"), "is a header that the gateway"),
        (
            server_with("headers: {authorization: x}\n  credentials: {bearer: 'env:TOKEN'}"),
            "credentials.bearer: sets the header `authorization`, which is set already",
        ),
        (
            server_with(&format!(
                "headers: {{Authorization: x}}\n  credentials: {{client_credentials: {{{grant}}}}}"
            )),
            "client_credentials: sets the header `authorization`, which is set already",
        ),
        (
            credentials(
                "{client_credentials: {token_url: 'http://i/t', client_id: a, client_secret: 'env:TOKEN'}}",
            ),
            "token_url: is not `https`",
        ),
        (
            credentials(
                "{client_credentials: {token_url: 'https://u:hunter2@i/', client_id: a, client_secret: 'env:TOKEN'}}",
            ),
            "token_url: has a user or password in its URL",
        ),
        (
            credentials(
                "{client_credentials: {token_url: 'unix:/run/x', client_id: a, client_secret: 'env:TOKEN'}}",
            ),
            "token_url: is a Unix socket",
        ),
        (
            credentials("{client_credentials: {client_id: a, client_secret: 'env:TOKEN'}}"),
            "token_url: is missing",
        ),
        (
            credentials(&format!("{{token_exchange: {{{grant}, subject_token_type: saml}}}}")),
            "`saml` is not a kind",
        ),
        (
            credentials(&format!("{{token_exchange: {{{grant}, grant: on_behalf_of}}}}")),
            "token_exchange: asks on behalf of the user for no `scopes`",
        ),
        (
            credentials(&format!(
                "{{token_exchange: {{{grant}, grant: jwt_bearer, subject_token_type: jwt}}}}"
            )),
            "subject_token_type: is sent in a token exchange only",
        ),
        (
            credentials(&format!("{{token_exchange: {{{grant}, requested_token_type: saml2}}}}")),
            "requested_token_type: is no access token, and no `header`",
        ),
        (
            credentials(&format!("{{token_exchange: {{{grant}, header: Host}}}}")),
            "token_exchange.header: is a header that the gateway",
        ),
        (
            credentials(
                "{token_exchange: {token_url: 'https://i/t', client_id: a, client_authentication: private_key_jwt}}",
            ),
            "client_key: is missing",
        ),
        (
            credentials("{client_credentials: {token_url: 'https://i/t', client_id: a}}"),
            "client_credentials.client_secret: is missing",
        ),
        (
            credentials(&format!("{{client_credentials: {{{grant}, client_key: key.pem}}}}")),
            "client_key: is not used beside `client_secret`",
        ),
        (
            credentials(
                "{client_credentials: {token_url: 'https://i/t', client_id: a, client_authentication: private_key_jwt, client_key: cert.pem}}",
            ),
            "client_key: is not a private key",
        ),
        (server_with("tls: {certificate: cert.pem}"), "tls.certificate: stands without its private key"),
        (server_with("tls: {key: key.pem}"), "tls.key: stands without its certificate"),
        (
            server_with("tls: {certificate: key.pem, key: key.pem}"),
            "tls.certificate: holds no PEM certificate",
        ),
        (server_with("assertion: {}"), "assertion: needs a key to sign with"),
        (with("outbound: {keys_refresh: 1h, keys_max_age: 1m}\n"), "outbound.keys_max_age: is less than"),
        (with("outbound: {ca: key.pem}\n"), "outbound.ca: holds no PEM certificate"),
        (with("outbound: {timeout: 2m}\n"), "outbound.timeout: `2m` is too large"),
    ] {
        let mut world = world();
        world.variables.push(("BLANK", b"Bearer hunter2".to_vec()));
        let found = check_in(&world, &text).err().map(|findings| findings.to_string()).unwrap_or_default();
        assert!(found.contains(expected), "{text}\n{found}");
        assert_eq!(found.lines().count(), 1, "{text}\n{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn a_server_can_be_told_who_calls_once_there_is_an_identity() {
    let text = |assertion: &str, identity: &str| {
        format!(
            "public_url: https://gw.example\nidentity: {{{identity}}}\n\
             servers: [{{name: a, url: 'https://up.example', assertion: {assertion}}}]\n"
        )
    };
    let snapshot = with_identity(&text("{}", "key: id.pem, previous_keys: [old.pub, next.pem]")).unwrap();
    let server = &snapshot.servers[0];
    let assertion = server.assertion.as_ref().unwrap();
    assert_eq!(
        (&*assertion.header, &*assertion.audience, assertion.lifetime),
        ("x-ringgate-identity", "a", 60)
    );
    assert!(!server.to_server.has("x-ringgate-identity"));
    let signer = snapshot.signer.as_ref().unwrap();
    assert_eq!(&*signer.issuer, "https://gw.example");
    assert_eq!(signer.jwks().matches("\"kid\"").count(), 3);
    assert_eq!(snapshot.files.len(), 3);

    let other = "{header: X-Who, audience: up, lifetime: 10m}";
    let snapshot = with_identity(&text(other, "key: id.der, issuer: gateway")).unwrap();
    let assertion = snapshot.servers[0].assertion.as_ref().unwrap();
    assert_eq!((&*assertion.header, &*assertion.audience, assertion.lifetime), ("x-who", "up", 600));
    assert_eq!(&*snapshot.signer.unwrap().issuer, "gateway");

    for (assertion, identity, expected) in [
        ("{lifetime: 5s}", "key: id.pem", "assertion.lifetime: `5s` is too small"),
        ("{header: Authorization}", "key: id.pem", "assertion.header: is the header of `credentials`"),
        ("{header: Host}", "key: id.pem", "assertion.header: is a header that the gateway"),
        ("{}", "issuer: x", "identity.key: is missing"),
        ("{}", "key: old.pub", "identity.key: is not a private key"),
        ("{}", "key: cert.pem", "identity.key: is not a private key"),
        ("{}", "key: id.pem, previous_keys: [cert.pem]", "identity.previous_keys[0]: is not a key"),
        ("{}", "key: no.pem", "identity.key: the file `/etc/rg/no.pem` does not exist"),
    ] {
        let found = with_identity(&text(assertion, identity)).unwrap_err().to_string();
        assert!(found.contains(expected) && found.lines().count() == 1, "{expected}\n{found}");
    }
    let nameless = text("{}", "key: id.pem").replace("public_url: https://gw.example\n", "");
    let found = with_identity(&nameless).unwrap_err().to_string();
    assert!(found.contains("identity: has no name") && found.lines().count() == 1, "{found}");
}

#[test]
fn a_client_certificate_is_part_of_how_a_server_is_spoken_to() {
    let tls = |tls: &str| {
        good(&server_with(&format!("tls: {{{tls}}}"))).servers[0].endpoints[0].tls.clone().unwrap()
    };
    let with = tls("certificate: cert.pem, key: key.pem, ca: cert.pem");
    let (chain, key) = with.identity.as_ref().unwrap();
    assert_eq!((&**chain, key.reveal()), (CERTIFICATE, KEY));
    // So that no connection that was opened with one outlives it.
    assert_ne!(with, tls("ca: cert.pem"));
    assert_eq!(with, tls("certificate: cert.pem, key: key.pem, ca: cert.pem"));
}

#[test]
fn outbound_has_its_defaults_and_files_are_remembered() {
    assert_eq!(good(&with("")).outbound, Outbound::default());
    let snapshot = good(&with(
        "outbound: {allow_http: true, allow_private: true, ca: cert.pem, timeout: 1s, keys_refresh: 2s, keys_max_age: 1h}\n\
         listeners: [{address: '127.0.0.1:1', tls: {certificate: cert.pem, key: key.pem}}]\n",
    ));
    let expected = Outbound {
        allow_http: true,
        allow_private: true,
        roots: Roots::Pem(CERTIFICATE.into()),
        timeout: Duration::from_secs(1),
        keys_refresh: Duration::from_secs(2),
        keys_max_age: Duration::from_secs(3600),
    };
    assert_eq!(snapshot.outbound, expected);
    assert_eq!(
        *snapshot.files,
        ["/etc/rg/cert.pem".into(), "/etc/rg/key.pem".into()] as [std::path::PathBuf; 2]
    );
    assert_eq!(findings(&with("")), "");
    assert!(good(&with("")).files.is_empty());
}
