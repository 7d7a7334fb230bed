#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn claims(value: Json) -> Claims {
    value.as_object().unwrap().clone()
}

fn mapped(mapping: &Mapping, value: Json) -> Result<Principal, &'static str> {
    mapping.principal(claims(value), Proof::Jwt, "i", None).map_err(|refused| refused.reason)
}

fn list(names: &[Box<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

#[test]
fn paths_reach_names_of_every_kind() {
    let value = claims(json!({
        "a": {"b": {"c": 1}, "x.y": 2, "null": null},
        "https://example.com/roles": 3,
        "m~/n": {"": 4},
        "a.b": 5,
    }));
    for (path, found) in [
        ("a.b.c", Some(json!(1))),
        ("/a/b/c", Some(json!(1))),
        ("/a/x.y", Some(json!(2))),
        ("a.x.y", None),
        ("/a.b", Some(json!(5))),
        ("https://example.com/roles", Some(json!(3))),
        ("/https:~1~1example.com~1roles", Some(json!(3))),
        ("/m~0~1n", Some(json!({"": 4}))),
        ("a.null", None),
        ("a.b.c.d", None),
        ("A", None),
        ("z", None),
    ] {
        let read = ClaimPath::parse(path).unwrap();
        assert_eq!(read.find(&value), found.as_ref(), "{path}");
    }
    for path in [
        "",
        "/",
        ".",
        "a.",
        ".a",
        "a..b",
        "/a//b",
        "/a~2b",
        "/a~",
        "/~",
        "a.b.c.d.e.f.g.h.i",
        &"a".repeat(1025),
    ] {
        assert_eq!(ClaimPath::parse(path), None, "{path}");
    }
}

#[test]
fn the_names_of_an_object_are_roles_where_that_is_asked_for() {
    let path = "urn:zitadel:iam:org:project:roles";
    let mut mapping =
        Mapping { role_keys: ClaimPath::parse(path).into_iter().collect(), ..Mapping::default() };
    let roles = |mapping: &Mapping, value: Json| {
        mapped(mapping, json!({"sub": "u", "roles": ["own"], path: value}))
            .map(|known| list(&known.roles).join(" "))
    };
    let object = json!({"admin": {"1": "acme.example"}, "reader": {}});
    assert_eq!(roles(&mapping, object.clone()).as_deref(), Ok("admin own reader"));
    assert_eq!(roles(&mapping, json!({})).as_deref(), Ok("own"));
    assert_eq!(roles(&mapping, Json::Null).as_deref(), Ok("own"));
    for wrong in [json!(["admin"]), json!("admin"), json!({"": 1}), json!({"a\nb": 1})] {
        assert_eq!(roles(&mapping, wrong.clone()), Err("malformed_claims"), "{wrong}");
    }
    let names = |count: usize| Json::Object((0..count).map(|n| (format!("r{n}"), Json::Null)).collect());
    assert!(roles(&mapping, names(ROLES_MAX - 1)).is_ok() && roles(&mapping, names(ROLES_MAX)).is_err());
    mapping.roles_prefix = "z:".into();
    assert_eq!(roles(&mapping, object.clone()).as_deref(), Ok("z:admin z:own z:reader"));
    assert_eq!(roles(&Mapping::default(), object).as_deref(), Ok("own"), "not asked for");
}

#[test]
fn agents_and_users_of_the_usual_issuers_are_told_apart() {
    let who = |value: Json| {
        let known = mapped(&Mapping::default(), value).unwrap();
        (known.agent.map(String::from), known.user.map(String::from))
    };
    let names = |agent: Option<&str>, user: Option<&str>| (agent.map(str::to_owned), user.map(str::to_owned));
    // Keycloak, RFC 9068, Okta, Entra ID, Auth0: a user.
    assert_eq!(who(json!({"sub": "u", "azp": "a"})), names(Some("a"), Some("u")));
    assert_eq!(who(json!({"sub": "u", "client_id": "a"})), names(Some("a"), Some("u")));
    assert_eq!(who(json!({"sub": "u", "cid": "a"})), names(Some("a"), Some("u")));
    assert_eq!(who(json!({"sub": "u", "appid": "a", "tid": "t"})), names(Some("a"), Some("u")));
    // And nobody but the client.
    assert_eq!(who(json!({"sub": "a", "client_id": "a"})), names(Some("a"), None));
    assert_eq!(who(json!({"sub": "a@clients", "azp": "a"})), names(Some("a"), None));
    assert_eq!(who(json!({"sub": "object", "appid": "a", "idtyp": "app"})), names(Some("a"), None));
    assert_eq!(
        who(json!({"sub": "a@clients.example", "azp": "a"})),
        names(Some("a"), Some("a@clients.example"))
    );
    // Delegation (RFC 8693 section 4.1): the actor calls, on behalf of the subject.
    assert_eq!(who(json!({"sub": "u", "act": {"sub": "b"}, "azp": "a"})), names(Some("b"), Some("u")));
    assert_eq!(who(json!({"sub": "a", "act": {"sub": "b"}, "azp": "a"})), names(Some("b"), None));
    assert_eq!(who(json!({"sub": "u"})), names(None, Some("u")));
    assert_eq!(mapped(&Mapping::default(), json!({"azp": null})), Err("no_subject"));
}

#[test]
fn roles_and_scopes_are_gathered_from_all_places() {
    let known = mapped(
        &Mapping::default(),
        json!({
            "sub": "u", "tid": "t", "roles": ["b", "a", "b"], "realm_access": {"roles": ["c"]}, "groups": "one group",
            "scope": "x  y x", "scp": ["z", "v w"],
        }),
    )
    .unwrap();
    assert_eq!(list(&known.roles), ["a", "b", "c", "one group"]);
    assert_eq!(list(&known.scopes), ["v", "w", "x", "y", "z"]);
    assert_eq!(known.tenant.as_deref(), Some("t"));
    assert_eq!(known.claims["roles"], json!(["b", "a", "b"]), "claims stay as they are");
}

#[test]
fn roles_are_renamed_as_the_operator_says() {
    let prefixed = Mapping { roles_prefix: "x:".into(), ..Mapping::default() };
    assert_eq!(list(&mapped(&prefixed, json!({"sub": "u", "roles": ["a"]})).unwrap().roles), ["x:a"]);
    let map =
        [("a", "reader"), ("b", "reader"), ("c", "writer")].map(|(one, other)| (one.into(), other.into()));
    let closed = Mapping { role_map: map.into(), ..Mapping::default() };
    let roles = mapped(&closed, json!({"sub": "u", "roles": ["a", "b", "admin", "writer"]})).unwrap().roles;
    assert_eq!(list(&roles), ["reader"], "what is not in the map gives nothing");
}

#[test]
fn claims_of_the_wrong_kind_are_refused_and_not_left_out() {
    for value in [
        json!({"sub": "u", "roles": {"a": 1}}),
        json!({"sub": "u", "roles": ["a", 1]}),
        json!({"sub": "u", "roles": [null]}),
        json!({"sub": "u", "roles": [["a"]]}),
        json!({"sub": "u", "roles": [""]}),
        json!({"sub": "u", "roles": "a\u{0}"}),
        json!({"sub": "u", "scope": ["a", 1]}),
        json!({"sub": "u", "scope": true}),
        json!({"sub": "u", "scope": "a\tb"}),
        json!({"sub": "u", "tenant": 1}),
        json!({"sub": "u", "jti": ""}),
        json!({"sub": ["u"]}),
        json!({"sub": "u", "azp": {"a": 1}}),
    ] {
        assert_eq!(mapped(&Mapping::default(), value.clone()), Err("malformed_claims"), "{value}");
    }
}

#[test]
fn there_are_bounds() {
    let roles =
        |count: usize| json!({"sub": "u", "roles": (0..count).map(|n| n.to_string()).collect::<Vec<_>>()});
    assert_eq!(mapped(&Mapping::default(), roles(ROLES_MAX)).unwrap().roles.len(), ROLES_MAX);
    assert_eq!(mapped(&Mapping::default(), roles(ROLES_MAX + 1)), Err("malformed_claims"));
    let scopes = |count: usize| json!({"sub": "u", "scope": "a ".repeat(count)});
    assert!(mapped(&Mapping::default(), scopes(SCOPES_MAX)).is_ok());
    assert_eq!(mapped(&Mapping::default(), scopes(SCOPES_MAX + 1)), Err("malformed_claims"));
    for name in ["sub", "azp", "tenant", "roles", "scope", "jti"] {
        let mut value = json!({"sub": "u"});
        value[name] = json!("x".repeat(NAME_BYTES_MAX));
        assert!(mapped(&Mapping::default(), value.clone()).is_ok(), "{name}");
        value[name] = json!("x".repeat(NAME_BYTES_MAX + 1));
        assert_eq!(mapped(&Mapping::default(), value), Err("malformed_claims"), "{name}");
    }
}
