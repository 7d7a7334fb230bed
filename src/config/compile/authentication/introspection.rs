//! `authentication.introspection`.

use super::mapping::{mapping, required};
use super::{check_scheme, names, optional};
use crate::base::Secret;
use crate::config::compile::{Context, material};
use crate::config::file::File;
use crate::config::file::authentication::AuthenticationSection;
use crate::config::text::Reference;
use crate::policy::authn::Introspection;
use crate::policy::authn::claims::{ClaimPath, Mapping};
use crate::schema::finding::{At, Findings};

/// Who is asked about opaque tokens, if anybody.
pub fn compile(
    file: &File,
    section: &AuthenticationSection,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Introspection> {
    let section = &section.introspection.as_ref()?.value;
    for url in section.url.iter().chain(&section.issuer).chain(&section.authorization_server) {
        if url.value.contains("://") {
            check_scheme(file, url, findings);
        }
    }
    let secret = section.client_secret.as_ref().map(|secret| client_secret(secret, context, findings));
    Some(Introspection {
        mapping: with_username(mapping(&section.claims.value, findings)),
        required: required(&section.required_claims, findings),
        url: section.url.as_ref()?.value.as_str().into(),
        client_id: section.client_id.as_ref()?.value.as_str().into(),
        client_secret: secret??,
        token_pattern: section.token_pattern.as_ref().map(|pattern| pattern.value.clone()),
        issuer: optional(&section.issuer),
        authorization_server: optional(&section.authorization_server),
        cache: section.cache.value.as_secs(),
        require_audience: section.require_audience.value,
        audiences: names(&section.audiences),
        skew: section.clock_skew.value.as_secs(),
    })
}

/// Many endpoints say only `username` of the user (RFC 7662 section 2.2).
fn with_username(mut mapping: Mapping) -> Mapping {
    if mapping.user == Mapping::default().user {
        mapping.user = mapping.user.iter().cloned().chain(ClaimPath::parse("username")).collect();
    }
    mapping
}

fn client_secret(
    reference: &At<Reference>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Secret> {
    let bytes = material::secret(&reference.value, context)
        .map_err(|problem| findings.note(&reference.place, problem));
    // Files that people edit end with a line break, which is not part of the secret.
    let mut bytes = bytes.ok()?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    if bytes.is_empty() || bytes.iter().any(|byte| byte.is_ascii_control()) {
        findings.add(
            &reference.place,
            "is empty, or has more than one line",
            "store the client's secret alone there",
        );
        return None;
    }
    Some(Secret::new(bytes))
}
