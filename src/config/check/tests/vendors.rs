//! What the identity providers of the examples really issue: each example is compiled, and judges tokens, key sets and
//! answers of the documented shapes. One table: the example, what is shown, and who it is or why it is refused.

use std::path::Path;
use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value as Json, json};

use crate::config::check::load_from;
use crate::policy::Principal;
use crate::policy::authn::{Credential, Facts, KeySet, Outcome};
use crate::policy::propagate::base64;

const NOW: u64 = 1_800_000_000;
const URL: &str = "https://mcp.example.com/crm/mcp";

/// A row: the example, lines of it that are changed first, the header and the claims of a token (or the answer of an
/// introspection endpoint, without a header), and who it is: agent, user, tenant, roles, scopes; or the reason.
struct Row(
    &'static str,
    &'static [(&'static str, &'static str)],
    Json,
    Json,
    Result<&'static str, &'static str>,
);

fn key() -> RsaKeyPair {
    let pem = include_bytes!("../../../policy/authn/tests/rsa_for_tests_only.pem");
    let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
    RsaKeyPair::from_pkcs8(key.secret_der()).unwrap()
}

/// The key as vendors publish it, beside another for encryption and one without a `use`.
fn set(key: &RsaKeyPair) -> KeySet {
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
    let (n, e) = (base64::url(&public.n), base64::url(&public.e));
    let text = json!({"keys": [
        {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": n, "e": e, "x5t": "x", "x5c": ["MIIC"], "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"},
        {"kty": "RSA", "use": "jwt-svid", "kid": "svid", "n": n, "e": e},
        {"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "k2", "n": n, "e": e},
        {"kty": "EC", "crv": "P-521", "kid": "k3", "x": "AA", "y": "AA"},
    ]});
    KeySet::parse(text.to_string().as_bytes()).unwrap()
}

fn token(key: &RsaKeyPair, header: &Json, claims: &Json) -> String {
    let signed = format!(
        "{}.{}",
        base64::url(header.to_string().as_bytes()),
        base64::url(claims.to_string().as_bytes())
    );
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", base64::url(&signature))
}

fn who(principal: &Principal) -> String {
    let text = |name: &Option<Box<str>>| name.as_deref().unwrap_or("-").to_owned();
    format!(
        "{} {} {} [{}] [{}]",
        text(&principal.agent),
        text(&principal.user),
        text(&principal.tenant),
        principal.roles.join(" "),
        principal.scopes.join(" ")
    )
}

/// What the example makes of the row.
fn judged(row: &Row, key: &RsaKeyPair) -> Result<String, &'static str> {
    let Row(example, changes, header, claims, _) = row;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    let mut text = std::fs::read_to_string(directory.join(format!("identity-{example}.yaml"))).unwrap();
    for (old, new) in *changes {
        assert!(text.contains(old), "{example}: {old}");
        text = text.replace(old, new);
    }
    let world = super::world_of_an_example(&text);
    let (snapshot, _) =
        load_from(Path::new("/etc/rg/example.yaml"), 1, &world, &crate::config::check::Flags::default())
            .unwrap_or_else(|findings| panic!("{findings}"));
    let authn = snapshot.authn.as_ref().unwrap();
    let keys: Vec<_> = authn.issuers.iter().map(|_| Some(Arc::new(set(key)))).collect();
    let facts = Facts {
        server: &snapshot.servers[0].name,
        audiences: &snapshot.servers[0].protection.audiences,
        anonymous: false,
        keys: &keys,
        keys_are_fresh: true,
        certificate: None,
        now: NOW,
    };
    let mut claims = claims.clone();
    for (name, value) in [("exp", NOW + 300), ("iat", NOW - 5), ("nbf", NOW - 5)] {
        claims[name] = value.into();
    }
    let outcome = if header.is_null() {
        authn.introspected(claims.to_string().as_bytes(), &facts)
    } else {
        let token = token(key, header, &claims);
        authn.authenticate(Credential::Bearer(token.as_bytes()), &facts)
    };
    match outcome {
        Outcome::Known(principal) => Ok(who(&principal)),
        Outcome::Refused(refused) => Err(refused.reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_identity_providers_issue_is_understood_or_refused_for_its_reason() {
    let key = key();
    let mut wrong = Vec::new();
    for row in rows() {
        let found = judged(&row, &key);
        if found.as_deref() != row.4.as_ref().map(|text| *text) {
            wrong.push(format!("{} {}: {found:?}, not {:?}", row.0, row.3, row.4));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A token's header as nearly all of them have it.
fn rs256() -> Json {
    json!({"alg": "RS256", "kid": "k1", "typ": "JWT"})
}

fn rows() -> Vec<Row> {
    let mut all = cloud();
    all.extend(own());
    all.extend(workloads());
    all.extend(asked());
    all
}

fn cloud() -> Vec<Row> {
    let cognito = |more: Json| {
        with(
            json!({"sub": "u-1", "iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI", "client_id": "5bsj0example0client0id0",
            "token_use": "access", "scope": "mcp/use", "cognito:groups": ["support"], "version": 2, "username": "ann", "jti": "j"}),
            more,
        )
    };
    let entra = json!({"ver": "2.0", "iss": "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        "aud": "11111111-2222-3333-4444-555555555555", "azp": "app", "azpacr": "0", "tid": "t", "oid": "o", "sub": "pairwise", "scp": "mcp.use", "roles": ["Support"], "uti": "x"});
    let daemon = with(
        entra.clone(),
        json!({"scp": null, "oid": "sp", "sub": "sp", "idtyp": "app", "roles": ["Mcp.Read.All"]}),
    );
    let v1 = with(
        entra.clone(),
        json!({"ver": "1.0", "iss": "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/",
        "aud": "api://11111111-2222-3333-4444-555555555555", "azp": null, "appid": "app"}),
    );
    const V1: &[(&str, &str)] = &[
        (
            "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
            "https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/",
        ),
        ("[\"11111111-2222-3333-4444-555555555555\"]", "[\"api://11111111-2222-3333-4444-555555555555\"]"),
    ];
    let okta = json!({"ver": 1, "jti": "AT.x", "iss": "https://example.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9", "aud": URL, "cid": "0oa1", "uid": "00u1", "scp": ["mcp.use"], "sub": "ann@example.com", "groups": ["mcp-support", "Everyone"]});
    let auth0 = json!({"iss": "https://example.eu.auth0.com/", "sub": "auth0|1", "aud": [URL, "https://example.eu.auth0.com/userinfo"], "azp": "c", "scope": "openid crm:read", "org_id": "org_1", "https://mcp.example.com/roles": ["support"]});
    let kidless = json!({"alg": "RS256", "kid": "k1"});
    vec![
        Row(
            "cognito",
            &[],
            kidless.clone(),
            cognito(json!({})),
            Ok("5bsj0example0client0id0 u-1 - [support] [mcp/use]"),
        ),
        Row(
            "cognito",
            &[],
            kidless.clone(),
            cognito(json!({"aud": URL})),
            Ok("5bsj0example0client0id0 u-1 - [support] [mcp/use]"),
        ),
        Row("cognito", &[], kidless.clone(), cognito(json!({"client_id": "other"})), Err("wrong_audience")),
        Row(
            "cognito",
            &[],
            kidless,
            cognito(json!({"client_id": null, "aud": "5bsj0example0client0id0", "token_use": "id"})),
            Err("required_claim"),
        ),
        Row("entra", &[], rs256(), entra.clone(), Ok("app o t [Support] [mcp.use]")),
        Row("entra", &[], rs256(), daemon, Ok("app - t [Mcp.Read.All] []")),
        Row("entra", &[], rs256(), v1.clone(), Err("unknown_issuer")),
        Row("entra", V1, rs256(), v1, Ok("app o t [Support] [mcp.use]")),
        // A token for Microsoft Graph, which has a nonce in its header, and is for nobody else.
        Row(
            "entra",
            &[],
            rs256(),
            with(entra, json!({"aud": "00000003-0000-0000-c000-000000000000"})),
            Err("wrong_audience"),
        ),
        Row(
            "okta",
            &[],
            json!({"alg": "RS256", "kid": "k1"}),
            okta.clone(),
            Ok("0oa1 ann@example.com - [support] [mcp.use]"),
        ),
        Row(
            "okta",
            &[],
            rs256(),
            with(okta.clone(), json!({"sub": "0oa1", "uid": null})),
            Ok("0oa1 - - [support] [mcp.use]"),
        ),
        // Of the org's own authorization server.
        Row(
            "okta",
            &[],
            rs256(),
            with(okta, json!({"iss": "https://example.okta.com"})),
            Err("unknown_issuer"),
        ),
        Row(
            "auth0",
            &[],
            json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"}),
            auth0.clone(),
            Ok("c auth0|1 org_1 [support] [crm:read openid]"),
        ),
        Row(
            "auth0",
            &[],
            rs256(),
            with(auth0.clone(), json!({"sub": "c@clients", "aud": URL})),
            Ok("c - org_1 [support] [crm:read openid]"),
        ),
        Row(
            "auth0",
            &[],
            rs256(),
            with(auth0, json!({"iss": "https://example.eu.auth0.com"})),
            Err("unknown_issuer"),
        ),
    ]
}

fn own() -> Vec<Row> {
    let keycloak = json!({"jti": "j", "iss": "https://sso.example.com/realms/main", "aud": [URL, "account"], "sub": "u", "typ": "Bearer", "azp": "agent", "sid": "s", "acr": "1",
        "realm_access": {"roles": ["support"]}, "resource_access": {"ringgate": {"roles": ["x"]}, "account": {"roles": ["view-profile"]}}, "scope": "profile mcp:crm"});
    let zitadel = json!({"iss": "https://example-abcdef.zitadel.cloud", "sub": "1", "aud": ["234@shop", "123456789012345678"], "client_id": "234", "jti": "j",
        "urn:zitadel:iam:user:resourceowner:id": "9", "urn:zitadel:iam:org:project:roles": {"support": {"9": "acme.example"}}});
    let authentik = json!({"iss": "https://auth.example.com/application/o/mcp-crm/", "sub": "hashed", "aud": "Xy12exampleClientId", "azp": "Xy12exampleClientId", "uid": "x", "scope": "openid profile", "groups": ["support"], "acr": "goauthentik.io/providers/oauth2/default"});
    let hydra = json!({"active": true, "scope": "mcp.use offline", "client_id": "c", "sub": "u", "aud": [URL], "iss": "https://login.example.com", "token_type": "Bearer", "token_use": "access_token", "ext": {"roles": ["support"]}});
    vec![
        Row("keycloak", &[], rs256(), keycloak.clone(), Ok("agent u - [support x] [mcp:crm profile]")),
        Row(
            "keycloak",
            &[],
            rs256(),
            with(keycloak.clone(), json!({"aud": "account"})),
            Err("wrong_audience"),
        ),
        Row(
            "keycloak",
            &[],
            json!({"alg": "HS512", "kid": "k1", "typ": "JWT"}),
            keycloak,
            Err("wrong_algorithm"),
        ),
        Row("zitadel", &[], rs256(), zitadel.clone(), Ok("234 1 9 [support] []")),
        Row(
            "zitadel",
            &[
                ("        role_keys: [\"urn:zitadel:iam:org:project:roles\"]\n", ""),
                ("roles: []", "roles: [\"urn:zitadel:iam:org:project:roles\"]"),
            ],
            rs256(),
            zitadel,
            Err("malformed_claims"),
        ),
        Row(
            "authentik",
            &[],
            rs256(),
            authentik.clone(),
            Ok("Xy12exampleClientId hashed - [support] [openid profile]"),
        ),
        Row(
            "authentik",
            &[],
            rs256(),
            with(authentik, json!({"iss": "https://auth.example.com/application/o/other/"})),
            Err("unknown_issuer"),
        ),
        Row("hydra", &[], Json::Null, hydra.clone(), Ok("c u - [support] [mcp.use offline]")),
        Row("hydra", &[], Json::Null, with(hydra.clone(), json!({"aud": []})), Err("wrong_audience")),
        Row(
            "hydra",
            &[],
            Json::Null,
            with(hydra.clone(), json!({"token_use": "refresh_token"})),
            Err("required_claim"),
        ),
        Row("hydra", &[], Json::Null, with(hydra, json!({"active": false})), Err("inactive")),
    ]
}

/// An example's issuer, and the same as an authorization server that is asked about opaque tokens.
const KEYCLOAK_ASKED: &[(&str, &str)] = &[(
    "  issuers:\n    - issuer: https://sso.example.com/realms/main\n      claims:",
    "  introspection:\n    url: https://sso.example.com/realms/main/protocol/openid-connect/token/introspect\n    \
     client_id: ringgate\n    client_secret: env:IDP_SECRET\n    issuer: https://sso.example.com/realms/main\n    claims:",
)];
const OKTA_ASKED: &[(&str, &str)] = &[(
    "  issuers:\n    - issuer: https://example.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9\n      claims:\n        agent: [cid]\n        scopes: [scp]\n",
    "  introspection:\n    url: https://example.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9/v1/introspect\n    \
         client_id: ringgate\n    client_secret: env:IDP_SECRET\n    \
         issuer: https://example.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9\n    claims:\n",
)];
const ZITADEL_ASKED: &[(&str, &str)] = &[
    (
        "  issuers:\n    - issuer: https://example-abcdef.zitadel.cloud\n",
        "  introspection:\n      url: https://example-abcdef.zitadel.cloud/oauth/v2/introspect\n      \
         client_id: ringgate\n      client_secret: env:IDP_SECRET\n      issuer: https://example-abcdef.zitadel.cloud\n",
    ),
    ("      audiences: [\"123456789012345678\"]\n", ""),
    (
        "    url: http://crm.internal.example:3000/mcp\n",
        "    url: http://crm.internal.example:3000/mcp\n    audiences: [\"123456789012345678\"]\n",
    ),
];

/// What introspection endpoints say (RFC 7662): the claims of a token, and beside them words of their own.
fn asked() -> Vec<Row> {
    let keycloak = json!({"active": true, "iss": "https://sso.example.com/realms/main", "aud": [URL, "account"], "sub": "u", "typ": "Bearer", "azp": "agent", "client_id": "agent",
        "username": "ada", "preferred_username": "ada", "token_type": "Bearer", "scope": "openid mcp:crm", "sid": "s", "auth_time": NOW - 9, "jti": "j", "allowed-origins": ["https://a.example"],
        "realm_access": {"roles": ["support", "offline_access"]}, "resource_access": {"ringgate": {"roles": ["support-lead"]}}});
    let okta = json!({"active": true, "iss": "https://example.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9", "aud": URL, "sub": "ada@example.com", "username": "ada@example.com", "uid": "00u1",
        "client_id": "0oa1", "scope": "mcp.use", "token_type": "Bearer", "jti": "AT.j", "groups": ["mcp-support", "Everyone"]});
    let zitadel = json!({"active": true, "iss": "https://example-abcdef.zitadel.cloud", "aud": ["123456789012345678", "123456789012345679"], "sub": "165460784409546753",
        "client_id": "165@crm", "username": "ada", "token_type": "Bearer", "scope": "openid profile", "jti": "j",
        "urn:zitadel:iam:user:resourceowner:id": "org1", "urn:zitadel:iam:org:project:roles": {"support": {"org1": "acme.example"}}});
    vec![
        Row(
            "keycloak",
            KEYCLOAK_ASKED,
            Json::Null,
            keycloak.clone(),
            Ok("agent u - [offline_access support support-lead] [mcp:crm openid]"),
        ),
        Row("keycloak", KEYCLOAK_ASKED, Json::Null, json!({"active": false}), Err("inactive")),
        Row(
            "keycloak",
            KEYCLOAK_ASKED,
            Json::Null,
            with(keycloak, json!({"aud": "account"})),
            Err("wrong_audience"),
        ),
        Row("okta", OKTA_ASKED, Json::Null, okta.clone(), Ok("0oa1 ada@example.com - [support] [mcp.use]")),
        Row(
            "okta",
            OKTA_ASKED,
            Json::Null,
            with(okta, json!({"iss": "https://example.okta.com"})),
            Err("unknown_issuer"),
        ),
        Row(
            "zitadel",
            ZITADEL_ASKED,
            Json::Null,
            zitadel.clone(),
            Ok("165@crm 165460784409546753 org1 [support] [openid profile]"),
        ),
        Row(
            "zitadel",
            ZITADEL_ASKED,
            Json::Null,
            with(zitadel, json!({"aud": ["123456789012345679"]})),
            Err("wrong_audience"),
        ),
    ]
}

fn workloads() -> Vec<Row> {
    let google = json!({"iss": "https://accounts.google.com", "aud": URL, "azp": "117", "sub": "117", "email": "indexer@acme-prod.iam.gserviceaccount.com", "email_verified": true});
    let github = json!({"iss": "https://token.actions.githubusercontent.com", "aud": "https://mcp.example.com/deploy/mcp", "sub": "repo:acme/shop:environment:production", "repository": "acme/shop", "repository_owner": "acme", "repository_owner_id": "65", "ref": "refs/heads/main", "environment": "production", "jti": "j"});
    let kubernetes = json!({"iss": "https://kubernetes.default.svc.cluster.local", "aud": [URL], "sub": "system:serviceaccount:agents:indexer", "jti": "j",
        "kubernetes.io": {"namespace": "agents", "serviceaccount": {"name": "indexer", "uid": "x"}, "pod": {"name": "p", "uid": "y"}}});
    let spire = json!({"iss": "https://oidc.prod.example", "sub": "spiffe://prod.example/ns/agents/sa/indexer", "aud": ["https://mcp.example.com/files/mcp"]});
    let svid = json!({"alg": "RS256", "kid": "svid", "typ": "JWT"});
    vec![
        Row(
            "spire-jwt",
            &[],
            svid.clone(),
            spire.clone(),
            Ok("spiffe://prod.example/ns/agents/sa/indexer - - [] []"),
        ),
        // Where the SPIRE server has no `jwt_issuer`.
        Row("spire-jwt", &[], svid, with(spire, json!({"iss": null})), Err("malformed_claims")),
        Row(
            "google",
            &[],
            rs256(),
            google.clone(),
            Ok("indexer@acme-prod.iam.gserviceaccount.com - - [] []"),
        ),
        Row(
            "google",
            &[],
            rs256(),
            with(google.clone(), json!({"email_verified": false})),
            Err("required_claim"),
        ),
        // The issuer of some older tokens.
        Row(
            "google",
            &[],
            rs256(),
            with(google, json!({"iss": "accounts.google.com"})),
            Err("unknown_issuer"),
        ),
        Row("github-actions", &[], rs256(), github.clone(), Ok("acme/shop - - [] []")),
        Row(
            "github-actions",
            &[],
            rs256(),
            with(github.clone(), json!({"repository_owner_id": "66"})),
            Err("required_claim"),
        ),
        Row(
            "github-actions",
            &[],
            rs256(),
            with(github, json!({"aud": "https://github.com/acme"})),
            Err("wrong_audience"),
        ),
        Row(
            "kubernetes",
            &[],
            json!({"alg": "RS256", "kid": "k1"}),
            kubernetes.clone(),
            Ok("system:serviceaccount:agents:indexer - agents [] []"),
        ),
        Row(
            "kubernetes",
            &[],
            json!({"alg": "RS256", "kid": "k1"}),
            with(kubernetes.clone(), json!({"aud": ["https://kubernetes.default.svc.cluster.local"]})),
            Err("wrong_audience"),
        ),
        // A token of the older kind, from a Secret.
        Row(
            "kubernetes",
            &[],
            json!({"alg": "RS256", "kid": "k1"}),
            with(kubernetes, json!({"iss": "kubernetes/serviceaccount", "aud": null})),
            Err("unknown_issuer"),
        ),
    ]
}

/// These claims with others; `null` takes one away.
fn with(mut claims: Json, more: Json) -> Json {
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}
