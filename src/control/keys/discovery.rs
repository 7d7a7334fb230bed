//! From an issuer's name to its JWK set (RFC 8414, OpenID Connect Discovery 1.0).

use serde_json::Value as Json;

use crate::base::Secret;
use crate::config::snapshot::Address;
use crate::config::url::{self, EndpointUrl};
use crate::control::fetch::{Author, Fault, Fetcher, KEYS_BYTES_MAX, Reply};

/// The JWK set of the metadata of `issuer`, and where it is. `bearer` goes to the issuer's own origin alone.
pub(super) fn key_set(
    fetcher: &Fetcher,
    issuer: &str,
    bearer: Option<&Secret>,
) -> Result<(Reply, String), Fault> {
    let mut last = Fault::Url;
    for place in places(issuer).ok_or(Fault::Url)? {
        let found = operators(fetcher, &place, bearer).and_then(|reply| jwks_uri(&reply.body, issuer));
        match found {
            Ok(uri) => {
                let author = author(&uri, issuer);
                let bearer = bearer.filter(|_| author == Author::Operator);
                let reply =
                    fetcher.get(&uri, author, KEYS_BYTES_MAX, bearer).map_err(|fault| fault.at(&uri))?;
                return Ok((reply, uri));
            }
            // It may keep the document at one of the other places; some answer 200 with a page everywhere.
            Err(fault @ (Fault::Status(_) | Fault::Content(_) | Fault::Redirect(_))) => {
                last = fault.at(&place)
            }
            Err(fault) => return Err(fault.at(&place)),
        }
    }
    Err(last)
}

/// What is at a URL of the operator's.
pub(super) fn operators(fetcher: &Fetcher, url: &str, bearer: Option<&Secret>) -> Result<Reply, Fault> {
    fetcher.get(url, Author::Operator, KEYS_BYTES_MAX, bearer)
}

/// Where the metadata of `issuer` may be, in the order of MCP's authorization chapter: RFC 8414, then OpenID Connect
/// with the well-known part inserted, then appended, which for an issuer without a path is the same.
fn places(issuer: &str) -> Option<Vec<String>> {
    let (origin, path) = parts(issuer)?;
    let inserted = |kind: &str| format!("{origin}/.well-known/{kind}{path}");
    let mut places = vec![inserted("oauth-authorization-server"), inserted("openid-configuration")];
    if !path.is_empty() {
        places.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    Some(places)
}

/// Origin and path of an issuer, without a final slash (RFC 8414 section 3.1). An issuer has no query.
fn parts(issuer: &str) -> Option<(String, &str)> {
    let EndpointUrl { tls, address, authority, target } = url::endpoint(issuer).ok()?;
    let Address::Tcp { .. } = address else { return None };
    if target.is_some_and(|target| target.contains('?')) {
        return None;
    }
    let after = issuer.split_once("://")?.1;
    let path = after.find('/').map_or("", |at| &after[at..]);
    let scheme = if tls { "https" } else { "http" };
    Some((format!("{scheme}://{authority}"), path.trim_end_matches('/')))
}

/// The `jwks_uri` of metadata, which must be that of `issuer` and no other's, byte for byte (RFC 8414 section 3.3).
fn jwks_uri(body: &[u8], issuer: &str) -> Result<String, Fault> {
    let metadata: Json = serde_json::from_slice(body).map_err(|_| Fault::Content("is not JSON"))?;
    if metadata.get("issuer").and_then(Json::as_str) != Some(issuer) {
        return Err(Fault::Content("is the metadata of another issuer"));
    }
    let uri = metadata.get("jwks_uri").and_then(Json::as_str);
    uri.map(str::to_owned).ok_or(Fault::Content("is metadata without a jwks_uri"))
}

/// A URL at the issuer's own origin leads nowhere else than the operator's URL does. Any other is the network's.
fn author(uri: &str, issuer: &str) -> Author {
    let origin = |text: &str| url::endpoint(text).ok().map(|url| (url.tls, url.authority));
    match (origin(uri), origin(issuer)) {
        (Some(one), Some(other)) if one == other => Author::Operator,
        _ => Author::Network,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn metadata_is_looked_for_in_the_order_of_the_specification() {
        assert_eq!(
            places("https://IdP.example/tenant/v2.0").unwrap(),
            [
                "https://idp.example/.well-known/oauth-authorization-server/tenant/v2.0",
                "https://idp.example/.well-known/openid-configuration/tenant/v2.0",
                "https://idp.example/tenant/v2.0/.well-known/openid-configuration",
            ]
        );
        for issuer in ["https://idp.example:8443", "https://idp.example:8443/"] {
            assert_eq!(
                places(issuer).unwrap(),
                [
                    "https://idp.example:8443/.well-known/oauth-authorization-server",
                    "https://idp.example:8443/.well-known/openid-configuration",
                ]
            );
        }
        for issuer in
            ["", "idp", "unix:/run/idp", "https://u:p@idp.example", "https://idp.example/?a", "https://i/#f"]
        {
            assert_eq!(places(issuer), None, "{issuer}");
        }
    }

    #[test]
    fn metadata_of_anybody_else_is_refused() {
        let good = br#"{"issuer":"https://i.example","jwks_uri":"https://k.example/keys"}"#;
        assert_eq!(jwks_uri(good, "https://i.example"), Ok("https://k.example/keys".to_owned()));
        for issuer in ["https://i.example/", "https://I.example", "https://j.example"] {
            let fault = jwks_uri(good, issuer);
            assert_eq!(fault, Err(Fault::Content("is the metadata of another issuer")), "{issuer}");
        }
        for body in [&b""[..], b"<html>", b"[]", br#"{"jwks_uri":"https://k.example"}"#, br#"{"issuer":"i"}"#]
        {
            assert!(matches!(jwks_uri(body, "i"), Err(Fault::Content(_))));
        }
    }

    #[test]
    fn the_metadata_of_the_usual_issuers_leads_to_their_keys() {
        let entra = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47";
        let (v1, v2) =
            ("https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/", format!("{entra}/v2.0"));
        // The issuer, `issuer` of the document, its `jwks_uri`, and who is then taken to have written that.
        let rows: [(&str, &str, &str, Result<Author, ()>); 12] = [
            (&v2, &v2, &format!("{entra}/discovery/v2.0/keys"), Ok(Author::Operator)),
            (v1, v1, "https://login.windows.net/common/discovery/keys", Ok(Author::Network)),
            (
                &v2,
                "https://login.microsoftonline.com/{tenantid}/v2.0",
                "https://login.microsoftonline.com/common/discovery/v2.0/keys",
                Err(()),
            ),
            (
                "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A",
                "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A",
                "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A/.well-known/jwks.json",
                Ok(Author::Operator),
            ),
            (
                "https://example.eu.auth0.com/",
                "https://example.eu.auth0.com/",
                "https://example.eu.auth0.com/.well-known/jwks.json",
                Ok(Author::Operator),
            ),
            (
                "https://example.eu.auth0.com",
                "https://example.eu.auth0.com/",
                "https://example.eu.auth0.com/.well-known/jwks.json",
                Err(()),
            ),
            (
                "https://sso.example.com/realms/main",
                "https://sso.example.com/realms/main",
                "https://sso.example.com/realms/main/protocol/openid-connect/certs",
                Ok(Author::Operator),
            ),
            (
                "https://auth.example.com/application/o/a/",
                "https://auth.example.com/application/o/a/",
                "https://auth.example.com/application/o/a/jwks/",
                Ok(Author::Operator),
            ),
            (
                "https://example-abcdef.zitadel.cloud",
                "https://example-abcdef.zitadel.cloud",
                "https://example-abcdef.zitadel.cloud/oauth/v2/keys",
                Ok(Author::Operator),
            ),
            (
                "https://accounts.google.com",
                "https://accounts.google.com",
                "https://www.googleapis.com/oauth2/v3/certs",
                Ok(Author::Network),
            ),
            (
                "https://token.actions.githubusercontent.com",
                "https://token.actions.githubusercontent.com",
                "https://token.actions.githubusercontent.com/.well-known/jwks",
                Ok(Author::Operator),
            ),
            (
                "https://kubernetes.default.svc.cluster.local",
                "https://kubernetes.default.svc.cluster.local",
                "https://10.0.0.1:6443/openid/v1/jwks",
                Ok(Author::Network),
            ),
        ];
        for (issuer, named, uri, expected) in rows {
            let body =
                serde_json::json!({"issuer": named, "jwks_uri": uri, "response_types_supported": ["code"]});
            let found = jwks_uri(body.to_string().as_bytes(), issuer);
            assert_eq!(found.map(|uri| author(&uri, issuer)).map_err(drop), expected, "{issuer}");
        }
    }

    #[test]
    fn only_the_issuers_own_origin_is_trusted_as_the_operators_url_is() {
        let issuer = "https://idp.example/tenant";
        assert_eq!(author("https://IDP.example:443/keys", issuer), Author::Operator);
        for uri in
            ["http://idp.example/keys", "https://idp.example:8443/keys", "https://other.example/keys", "keys"]
        {
            assert_eq!(author(uri, issuer), Author::Network, "{uri}");
        }
    }
}
