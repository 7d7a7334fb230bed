//! `authentication`: who is believed to be whom.

use std::time::Duration;

use super::credentials::{CLIENT_AUTHENTICATION, CLIENT_ID, ClientAuthentication, FETCHED_URL, SCOPES};
use super::{AUDIENCE, Minutes, Ms, REFERENCE, SCOPE, Text, list, sub, time};
use crate::config::text::Reference;
use crate::policy::authn::algorithm::Algorithm;
use crate::policy::authn::api_key::Hash;
use crate::policy::authn::certificate::NameKind;
use crate::policy::authn::claims::ClaimPath;
use crate::policy::authz::Pattern;
use crate::policy::propagate::Trade;
use crate::schema::finding::At;
use crate::schema::rule::{Choice, Flag, List, MapOf, Time};
use crate::schema::section::section;

pub mod date;
pub mod spelling;

section! {
    /// Who may call at all. With this section, every request must show a credential that one of these accepts; without
    /// it, everybody is served. What kind of credential it is decides who looks at it: a token that begins with `rgk_` is
    /// an API key, one of three parts is a JWT, any other is asked about by introspection. What fails is refused, and
    /// nothing else is tried. A credential in the head counts before the client certificate of the connection.
    AuthenticationSection {
        /// Issuers of JWTs: identity providers and authorization servers.
        issuers: Vec<At<IssuerSection>> = list(sub::<IssuerSection>(), 0, 64), default "[]";
        /// API keys, shown as `Authorization: Bearer rgk_...` or `X-Api-Key: rgk_...`. `ringgate key new` makes one and
        /// prints its entry. To rotate a key, add a second of the same agent, and remove the first once nobody uses it.
        api_keys: Vec<At<ApiKeySection>> = API_KEYS, default "[]";
        /// More API keys: a reference to a list with the same entries as `api_keys`, in YAML or JSON.
        api_keys_file: Reference = REFERENCE, optional;
        /// Whose client certificates are whose. Listeners ask for certificates with `tls.client_ca`.
        certificates: CertificatesSection = sub::<CertificatesSection>(), optional;
        /// Who is asked about tokens that are not JWTs (RFC 7662), and about all tokens where there are no `issuers`.
        introspection: IntrospectionSection = sub::<IntrospectionSection>(), optional;
        /// Who is asked about SAML 2.0 assertions that agents show as bearer tokens.
        saml: SamlSection = sub::<SamlSection>(), optional;
        /// Credentials that are not accepted any more: a reference to a text with lines `jti:ID` (a token), `key:ID` (an API
        /// key), `cert:SERIAL` (a certificate, in hexadecimal); `#` begins a comment. A line that cannot be read is named in the log and revokes nothing; all others count, also while a reload is refused.
        revoked: Reference = REFERENCE, optional;
        /// Roles of callers without a credential, on servers with `anonymous: true`.
        anonymous_roles: Vec<At<String>> = NAMES, default "[]";
    }
}

section! {
    /// An issuer of JWTs. Its keys come from `jwks_url`, or `jwks`, or else from its metadata (OpenID Connect Discovery,
    /// RFC 8414). A token needs `iss`, `exp`, an `aud` that names the server, and a signature by RS, PS (256, 384, 512), ES256,
    /// ES384 or EdDSA; ES512, HMACs, `none`, encrypted tokens and tokens bound to a key (`cnf`) are refused.
    IssuerSection {
        /// Its identifier, as it stands in `iss` of its tokens, letter by letter: `https://idp.example/realms/main`. One that is
        /// no URL needs `jwks` or `jwks_url`, and clients cannot be sent there.
        issuer: String = ISSUER, required;
        /// The URL of its keys, where it is not in its metadata.
        jwks_url: String = URL, optional;
        /// Its keys themselves, as a JWK set: a reference. Then nothing is fetched.
        jwks: Reference = REFERENCE, optional;
        /// A token that its metadata and keys are fetched with, such as that of a service account of Kubernetes: a reference,
        /// read anew when the file changes. It is sent to `jwks_url` and to the issuer's own origin, and nowhere else.
        keys_bearer: Reference = REFERENCE, optional;
        /// Certificates that the servers of its metadata and keys must chain to, in PEM, in place of `outbound.ca`: a reference.
        ca: Reference = REFERENCE, optional;
        /// What it signs with. When not given, whatever fits its keys: RS256, RS384, RS512, PS256, PS384, PS512, ES256,
        /// ES384, EdDSA.
        algorithms: Vec<At<Algorithm>> = list(Choice(&Algorithm::ALL), 1, 9), optional;
        /// Audiences that are good for every server, besides the server's own. For issuers that cannot name a server
        /// in `aud`; a token for one server can then be used at all of them.
        audiences: Vec<At<String>> = list(AUDIENCE, 0, 16), default "[]";
        /// Which claim says for whom a token is: the first of these that is there. `[aud, client_id]` for issuers whose access
        /// tokens have no `aud` (Amazon Cognito); then `required_claims` must say which tokens are meant.
        audience_claims: Vec<At<ClaimPath>> = list(CLAIM, 1, 4), default "[aud]";
        /// Whether a token must say for whom it is. With `false`, one that does not is good for every server, and
        /// `required_claims` must say which tokens are meant; one that does must name the server in any case.
        require_audience: bool = Flag, default "true";
        /// By how much its clock may differ from ours.
        clock_skew: Duration = SKEW, default "30s";
        /// How long after it was issued (`iat`) a token is good at the most, whatever `exp` says. When not given, `exp` decides.
        token_max_age: Duration = time(Ms(1_000), Minutes(60 * 24 * 366)), optional;
        /// What `typ` of a token may be, if it has one. `jwt` and `at+jwt` when not given, so that ID-JAGs, logout
        /// tokens and the like are no access tokens. `application/` and case do not count.
        token_types: Vec<At<String>> = NAMES, default "[jwt, at+jwt]";
        /// Claims a token must have: claim and value. A list of values must hold it, `"*"` is any value, and numbers, `true`
        /// and `false` are written in quotes.
        required_claims: Vec<(At<String>, String)> = REQUIRED, default "{}";
        /// Which claims say who calls.
        claims: ClaimsSection = sub::<ClaimsSection>(), default "{}";
    }
}

section! {
    /// Which claims say who calls. A claim is named by itself, by a dotted path (`realm_access.roles`), by a JSON Pointer if
    /// a name has dots or slashes in it (`/https:~1~1example.com~1roles`), or by a URL, which is one name
    /// (`https://example.com/roles`). Roles and scopes are texts or lists of texts; at most 256 each.
    ClaimsSection {
        /// The agent: the first of these that is there.
        agent: Vec<At<ClaimPath>> = CLAIMS, default "[act.sub, azp, client_id, cid, appid]";
        /// The user: the first of these that is there. If it is the client itself (the same as the agent, `NAME@clients`,
        /// or `idtyp: app`), the agent calls for nobody.
        user: Vec<At<ClaimPath>> = CLAIMS, default "[sub]";
        /// The tenant: the first of these that is there.
        tenant: Vec<At<ClaimPath>> = CLAIMS, default "[tenant, tid, org_id]";
        /// Roles: those of all of these together.
        roles: Vec<At<ClaimPath>> = CLAIMS, default "[roles, realm_access.roles, groups]";
        /// Objects whose names are roles, as Zitadel has them: those of all of these together with `roles`.
        role_keys: Vec<At<ClaimPath>> = CLAIMS, default "[]";
        /// Scopes: those of all of these together. A text holds several, with blanks between them.
        scopes: Vec<At<ClaimPath>> = CLAIMS, default "[scope, scp]";
        /// Put before each role of this issuer, such as `partner:`, so that it cannot give a role that another issuer gives.
        roles_prefix: String = NAME, optional;
        /// What the issuer calls a role, and what it is called here. What is not in this map then gives no role.
        role_map: Vec<(At<String>, String)> = MapOf { value: NAME, max: 256 }, default "{}";
    }
}

section! {
    /// An API key. The key itself is not stored.
    ApiKeySection {
        /// Its id, which stands in the key: letters, digits, `-`, `.`. Logs and the list of `revoked` ones name it.
        id: String = KEY_ID, required;
        /// `sha256:SALT:HASH`, as `ringgate key new` prints it.
        hash: Hash = HASH, required;
        /// The agent whose key it is.
        agent: String = NAME, required;
        /// The user it acts for.
        user: String = NAME, optional;
        /// The tenant both belong to.
        tenant: String = NAME, optional;
        /// Roles it has, as rules name them.
        roles: Vec<At<String>> = NAMES, default "[]";
        /// Scopes it has, as if a token had them.
        scopes: Vec<At<String>> = list(SCOPE, 0, 256), default "[]";
        /// When it ends: a day (its beginning, UTC) such as `2027-01-31`, or a time such as `2027-01-31T12:00:00Z`.
        expires: u64 = EXPIRES, optional;
        /// The servers it is for, by name. When not given: all.
        servers: Vec<At<String>> = list(NAME, 1, 4096), optional;
    }
}

section! {
    /// Whose client certificates are whose.
    CertificatesSection {
        /// Which name in a certificate counts: `spiffe_id` (its only URI), `san_dns`, `san_email`, `subject_cn`.
        from: NameKind = Choice(&[
            ("spiffe_id", NameKind::SpiffeId), ("san_dns", NameKind::SanDns),
            ("san_email", NameKind::SanEmail), ("subject_cn", NameKind::SubjectCn),
        ]), default "spiffe_id";
        /// With `spiffe_id`: the trust domains whose ids are believed, such as `prod.example`.
        trust_domains: Vec<At<String>> = list(TRUST_DOMAIN, 1, 64), optional;
        /// Names, and whose they are. The first that fits counts; a certificate that none fits is refused.
        entries: Vec<At<CertificateSection>> = list(sub::<CertificateSection>(), 1, 4096), required;
    }
}

section! {
    /// A name in certificates, and whose it is.
    CertificateSection {
        /// The name. With `spiffe_id` also `spiffe://prod.example/agent/*`, everything below; with `san_dns` also
        /// `*.agents.example`; with `san_email` also `*@example.com`.
        name: String = NAME, required;
        /// The agent. When not given, the name in the certificate.
        agent: String = NAME, optional;
        /// The tenant it belongs to.
        tenant: String = NAME, optional;
        /// Roles it has, as rules name them.
        roles: Vec<At<String>> = NAMES, default "[]";
        /// Scopes it has, as if a token had them.
        scopes: Vec<At<String>> = list(SCOPE, 0, 256), default "[]";
    }
}

section! {
    /// Who is asked about opaque tokens (RFC 7662). A token that was refused is not asked about again for 5 seconds. Of
    /// the clients at one address (of IPv6: in one /64 network), 64 a worker may wait for an answer at a time, and further
    /// ones get 503; behind a load balancer, use `proxy_protocol`, so that each client has its own address.
    IntrospectionSection {
        /// The introspection endpoint.
        url: String = URL, required;
        /// The gateway's own client id there.
        client_id: String = NAME, required;
        /// Its secret: `env:NAME` or `file:NAME`.
        client_secret: Reference = CLIENT_SECRET, required;
        /// What its tokens look like, such as `ory_at_*` (Ory Hydra): `*` stands for any run of characters. Others are refused at once, so
        /// that nobody keeps the endpoint busy with words that cannot be tokens. When not given, it is asked about any.
        token_pattern: Pattern = TOKEN_PATTERN, optional;
        /// What `iss` of an answer must be, if the answer has one; to insist on it, name it under `required_claims` too. Clients
        /// are sent there to get a token.
        issuer: String = ISSUER, optional;
        /// Where clients are sent to get a token, if not to `issuer`: the issuer identifier of the authorization server
        /// (RFC 8414), whose metadata they read.
        authorization_server: String = URL, optional;
        /// How long an answer is believed; a token that is revoked meanwhile is good for so long. Never past its `exp`.
        cache: Duration = time(Ms(1_000), Minutes(60)), default "60s";
        /// Whether an answer must have `aud`. One that has it must name the server in any case.
        require_audience: bool = Flag, default "true";
        /// As `issuers[].audiences`.
        audiences: Vec<At<String>> = list(AUDIENCE, 0, 16), default "[]";
        /// As `issuers[].clock_skew`.
        clock_skew: Duration = SKEW, default "30s";
        /// As `issuers[].required_claims`.
        required_claims: Vec<(At<String>, String)> = REQUIRED, default "{}";
        /// As `issuers[].claims`. Where an answer has no `sub`, `username` (RFC 7662) is the user by default.
        claims: ClaimsSection = sub::<ClaimsSection>(), default "{}";
    }
}

section! {
    /// Where a SAML 2.0 assertion that an agent shows as its bearer token (base64url, without padding) is traded for a token.
    /// The issuer verifies it, and the token that it gives must be one that `issuers` or `introspection` accept for the
    /// server: it says who calls. The gateway itself reads nothing in an assertion. What has 16 KiB or more, a comment, a
    /// processing instruction behind the first or a document type is refused. A refused one is not sent again for 5 seconds.
    SamlSection {
        /// The token endpoint: an `https` URL.
        token_url: String = FETCHED_URL, required;
        /// How it is asked: `saml2_bearer` (RFC 7522), or `token_exchange` (RFC 8693, with the type `saml2`).
        grant: Trade = Choice(&[("saml2_bearer", Trade::Saml2Bearer), ("token_exchange", Trade::TokenExchange)]),
            default "saml2_bearer";
        /// The gateway's client id there.
        client_id: String = CLIENT_ID, required;
        /// How it proves itself there: `client_secret_basic` (HTTP Basic, RFC 6749 section 2.3.1), `client_secret_post` (in the
        /// form), `private_key_jwt` (a JWT that is signed with `client_key`, RFC 7523).
        client_authentication: ClientAuthentication = CLIENT_AUTHENTICATION, default "client_secret_basic";
        /// Its secret, for the first two: a reference.
        client_secret: Reference = REFERENCE, optional;
        /// Its private key, for the third, EC P-256 or Ed25519 in PKCS #8: a reference. The `kid` is its thumbprint (RFC 7638).
        client_key: Reference = REFERENCE, optional;
        /// The scopes to ask for. When none are given, the issuer chooses.
        scopes: Vec<At<String>> = SCOPES, default "[]";
        /// The `audience` parameter. With neither this nor `resource`, the audience of the server that is called is
        /// sent as `resource`.
        audience: String = AUDIENCE, optional;
        /// The `resource` parameter (RFC 8707).
        resource: String = FETCHED_URL, optional;
        /// A text that stands in every assertion that is worth asking about, such as the entity id of your SAML IdP. Others are
        /// refused at once, so that nobody keeps the endpoint busy with what cannot be one.
        entity_id: String = NAME, optional;
        /// How long an answer is believed: an assertion that has ended meanwhile is good for so long. Never past the end of the
        /// token that was given.
        cache: Duration = time(Ms(1_000), Minutes(60)), default "5m";
    }
}

section! {
    /// The names of scopes in challenges (`WWW-Authenticate`) and in the metadata document (`scopes_supported`). Tokens are
    /// tested for the names in `servers[].scopes` and `access.rules[].scopes`, whatever stands here.
    ChallengeScopesSection {
        /// Put before each scope, such as `api://APP-ID/` for Entra ID.
        prefix: String = SCOPE, optional;
        /// Scopes that are asked for by a name of their own, which the prefix is not put before: the name in tokens, and the
        /// name to ask for.
        names: Vec<(At<String>, String)> = MapOf { value: SCOPE, max: 256 }, default "{}";
        /// Which scopes the challenge of a 401 names: those that every request needs (`required`), or also those of allow rules
        /// (`all`). Clients that register with the scopes of the first challenge cannot ask for others later.
        initial: InitialScopes = Choice(&[("required", InitialScopes::Required), ("all", InitialScopes::All)]),
            default "required";
    }
}

/// Which scopes the challenge of a 401 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialScopes {
    /// Those that every request needs.
    Required,
    /// Also those of allow rules.
    All,
}

/// The rule of `api_keys`, also for the text that `api_keys_file` names.
pub const API_KEYS: List<crate::schema::rule::Sub<ApiKeySection>> = list(sub::<ApiKeySection>(), 0, 10_000);

const NAME: Text<String> = Text { wanted: "a name", pattern: None, parse: spelling::name };
const NAMES: List<Text<String>> = list(NAME, 0, 256);
const SKEW: Time = time(Ms(0), Minutes(5));
const REQUIRED: MapOf<Text<String>> = MapOf { value: NAME, max: 32 };
const ISSUER: Text<String> =
    Text { wanted: "the issuer, as in `iss`", pattern: None, parse: spelling::issuer };
const URL: Text<String> = Text {
    wanted: "a URL such as `https://idp.example/keys`",
    pattern: Some("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+"),
    parse: spelling::url,
};
const CLAIM: Text<ClaimPath> =
    Text { wanted: "the name or path of a claim", pattern: None, parse: spelling::claim };
const CLAIMS: List<Text<ClaimPath>> = list(CLAIM, 0, 16);
const KEY_ID: Text<String> = Text {
    wanted: "an id of letters, digits, `-` and `.`; at most 64",
    pattern: Some("^[A-Za-z0-9.-]{1,64}$"),
    parse: spelling::key_id,
};
const HASH: Text<Hash> = Text {
    wanted: "`sha256:SALT:HASH`, as `ringgate key new` prints it",
    pattern: Some("^sha256:[0-9A-Fa-f]+:[0-9A-Fa-f]{64}$"),
    parse: spelling::hash,
};
const EXPIRES: Text<u64> = Text {
    wanted: "a day such as `2027-01-31`, or a time such as `2027-01-31T12:00:00Z`",
    pattern: Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]+([Zz]|[+-][0-9:]+))?$"),
    parse: spelling::expires,
};
const TRUST_DOMAIN: Text<String> = Text {
    wanted: "a trust domain such as `prod.example`",
    pattern: Some("^[a-z0-9._-]+$"),
    parse: spelling::trust_domain,
};
const TOKEN_PATTERN: Text<Pattern> = Text {
    wanted: "what tokens look like, such as `ory_at_*`",
    pattern: Some("^[A-Za-z0-9._~+/=-]*\\*[A-Za-z0-9._~+/=*-]*$"),
    parse: spelling::token_pattern,
};
const CLIENT_SECRET: Text<Reference> = Text {
    wanted: "`env:NAME` or `file:NAME`",
    pattern: Some("^(env|file):.+$"),
    parse: spelling::secret_reference,
};
