//! `authentication.issuers`.

use std::sync::Arc;

use super::mapping::{mapping, required};
use super::{Twins, check_scheme, names};
use crate::base::Secret;
use crate::config::compile::{Context, material};
use crate::config::file::File;
use crate::config::file::authentication::{AuthenticationSection, IssuerSection, spelling};
use crate::config::text::Reference;
use crate::policy::authn::algorithm::Algorithms;
use crate::policy::authn::claims::ClaimPath;
use crate::policy::authn::jws::short_type;
use crate::policy::authn::{Issuer, KeySet, KeySource, Required};
use crate::schema::finding::{At, Findings};
use crate::schema::world::TrustKind;

/// The issuers. Those without a usable name are left out, after a finding.
pub fn compile(
    file: &File,
    section: &AuthenticationSection,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Vec<Issuer> {
    let mut twins = Twins::default();
    let mut issuers = Vec::new();
    for At { value: section, .. } in &section.issuers.value {
        let source = source(file, section, context, findings);
        let mapping = mapping(&section.claims.value, findings);
        let required = required(&section.required_claims, findings);
        let Some(name) = &section.issuer else { continue };
        twins.refuse(name, "give each issuer once; several key sets of one belong into one", findings);
        if source == KeySource::Discovery
            && let Err(problem) = spelling::issuer_url(&name.value)
        {
            findings.note(&name.place, problem);
        } else if name.value.contains("://") {
            check_scheme(file, name, findings);
        }
        check_narrow(section, &required, findings);
        let algorithms = section.algorithms.as_ref().map_or_else(Algorithms::all, |list| {
            list.value.iter().map(|algorithm| algorithm.value).collect()
        });
        let bearer = section.keys_bearer.as_ref().and_then(|token| keys_bearer(token, context, findings));
        let ca = section.ca.as_ref();
        let ca = ca.and_then(|ca| material::authorities(ca, TrustKind::Ca, context, findings));
        for option in section.keys_bearer.iter().chain(&section.ca) {
            if matches!(source, KeySource::Given(_)) {
                findings.add(&option.place, "has no effect beside `jwks`: nothing is fetched", "remove it");
            }
        }
        issuers.push(Issuer {
            name: name.value.as_str().into(),
            source,
            keys_bearer: bearer,
            keys_ca: ca.map(Into::into),
            algorithms,
            audiences: names(&section.audiences),
            audience_claims: section.audience_claims.value.iter().map(|path| path.value.clone()).collect(),
            require_audience: section.require_audience.value,
            skew: section.clock_skew.value.as_secs(),
            age_max: section.token_max_age.as_ref().map(|age| age.value.as_secs()),
            types: section.token_types.value.iter().map(|kind| short_type(&kind.value).into()).collect(),
            required,
            mapping,
        });
    }
    issuers
}

fn keys_bearer(token: &At<Reference>, context: &Context<'_>, findings: &mut Findings) -> Option<Secret> {
    let line =
        material::line(&token.value, context).map_err(|problem| findings.note(&token.place, problem)).ok()?;
    if !line.iter().all(u8::is_ascii_graphic) {
        findings.add(
            &token.place,
            "has a blank in it",
            "give only the token, without `Bearer` in front of it",
        );
        return None;
    }
    Some(Secret::new([b"Bearer ", &line[..]].concat()))
}

/// Notes an issuer of which tokens for others are accepted: what it may sign then decides who gets in.
fn check_narrow(section: &IssuerSection, required: &[Required], findings: &mut Findings) {
    let is_named = |name: &str, path: &ClaimPath| ClaimPath::parse(name).as_ref() == Some(path);
    let other = section.audience_claims.value.iter().find(|path| !is_named("aud", &path.value));
    let place = match (section.require_audience.value, other) {
        (false, _) => &section.require_audience.place,
        (true, Some(other)) => &other.place,
        (true, None) => return,
    };
    let narrows = |(path, wanted): &Required| wanted.is_some() && !is_named("iss", path);
    if !required.iter().any(narrows) {
        let fix = "say which of its tokens are meant, such as `required_claims: {client_id: ID, token_use: access}`";
        findings.add(place, "accepts tokens that this issuer gave out for others", fix);
    }
}

fn source(file: &File, section: &IssuerSection, context: &Context<'_>, findings: &mut Findings) -> KeySource {
    match (&section.jwks, &section.jwks_url) {
        (Some(jwks), url) => {
            if let Some(url) = url {
                findings.add(&url.place, "stands beside `jwks`", "keep one of the two");
            }
            KeySource::Given(Arc::new(keys(jwks, context, findings).unwrap_or_default()))
        }
        (None, Some(url)) => {
            check_scheme(file, url, findings);
            KeySource::Url(url.value.as_str().into())
        }
        (None, None) => KeySource::Discovery,
    }
}

fn keys(jwks: &At<Reference>, context: &Context<'_>, findings: &mut Findings) -> Option<KeySet> {
    let bytes = material::trusted(&jwks.value, TrustKind::Keys, context)
        .map_err(|problem| findings.note(&jwks.place, problem))
        .ok()?;
    let read = KeySet::parse(&bytes).map_err(|what| {
        let fix = "give a JWK set with public keys for signatures: RSA of 2048 bits or more, P-256, P-384 or Ed25519";
        findings.add(&jwks.place, what, fix);
    });
    read.ok()
}
