//! `authentication`.

use std::collections::HashMap;

use super::{Context, material};
use crate::config::file::File;
use crate::config::file::authentication::AuthenticationSection;
use crate::config::text::Reference;
use crate::policy::authn::{Authn, Revoked};
use crate::schema::finding::{At, Findings, Place};
use crate::schema::world::TrustKind;

mod absent;
mod api_keys;
mod certificates;
mod introspection;
mod issuers;
mod mapping;
mod saml;

/// The proofs that are accepted; `None` where everybody is served.
pub fn compile(file: &File, context: &Context<'_>, findings: &mut Findings) -> Option<Authn> {
    let Some(At { value: section, place }) = &file.authentication else {
        absent::check(file, findings);
        return None;
    };
    let roles = section.anonymous_roles.value.iter().map(|role| role.value.as_str().into());
    let authn = Authn {
        issuers: issuers::compile(file, section, context, findings).into(),
        api_keys: api_keys::compile(file, section, context, findings),
        certificates: certificates::compile(file, section, findings),
        introspection: introspection::compile(file, section, context, findings),
        saml: saml::compile(file, section, context, findings),
        revoked: section
            .revoked
            .as_ref()
            .and_then(|list| revoked(list, context, findings))
            .unwrap_or_default(),
        anonymous_roles: crate::policy::principal::sorted(roles),
    };
    check_some_proof(file, section, place, findings);
    check_audiences(file, section, findings);
    Some(authn)
}

fn revoked(list: &At<Reference>, context: &Context<'_>, findings: &mut Findings) -> Option<Revoked> {
    let bytes = material::trusted(&list.value, TrustKind::Revoked, context);
    bytes.map(|bytes| Revoked::parse(&bytes)).map_err(|problem| findings.note(&list.place, problem)).ok()
}

/// Notes a section that nobody can pass.
fn check_some_proof(file: &File, section: &AuthenticationSection, place: &Place, findings: &mut Findings) {
    let accepts = !section.issuers.value.is_empty()
        || !section.api_keys.value.is_empty()
        || section.api_keys_file.is_some()
        || section.certificates.is_some()
        || section.introspection.is_some()
        || section.saml.is_some();
    let anonymous =
        file.servers.iter().flat_map(|list| &list.value).any(|server| server.value.anonymous.value);
    // An option that is wrong reads as absent, and has its finding already.
    let wrong = findings.iter().any(|finding| finding.place.path.starts_with(&format!("{}.", place.path)));
    if !accepts && !anonymous && !wrong {
        let fix = "add `issuers`, `api_keys`, `certificates` or `introspection`";
        findings.add(place, "accepts no credential, so nobody can call", fix);
    }
}

/// Notes servers for which no token can be: a token must name its audience, and these have none.
fn check_audiences(file: &File, section: &AuthenticationSection, findings: &mut Findings) {
    let issuer = section
        .issuers
        .value
        .iter()
        .any(|issuer| issuer.value.require_audience.value && issuer.value.audiences.value.is_empty());
    let asked = section.introspection.as_ref().is_some_and(|section| {
        section.value.require_audience.value && section.value.audiences.value.is_empty()
    });
    if file.public_url.is_some() || !(issuer || asked) {
        return;
    }
    let has_none = |server: &&At<_>| server_has_no_audience(server);
    for server in file.servers.iter().flat_map(|list| &list.value).filter(has_none) {
        let fix =
            "set `public_url`, whose URL of the server is then the audience, or give the server `audiences`";
        findings.add(&server.place, "has no audience, so that no token can be for it", fix);
    }
}

fn server_has_no_audience(server: &At<crate::config::file::ServerSection>) -> bool {
    server.value.audiences.is_none()
}

/// Where each name was given first: notes the second.
#[derive(Default)]
struct Twins<'a>(HashMap<&'a str, &'a Place>);

impl<'a> Twins<'a> {
    fn refuse(&mut self, name: &'a At<String>, fix: &str, findings: &mut Findings) {
        if let Some(first) = self.0.insert(&name.value, &name.place) {
            let line =
                if first.spot.line > 0 { format!(" on line {}", first.spot.line) } else { String::new() };
            findings.add(&name.place, format!("is also that of {}{line}", first.path), fix);
        }
    }
}

/// A URL that may not be `http` unless the operator says so.
fn check_scheme(file: &File, url: &At<String>, findings: &mut Findings) {
    let is_https = url.value.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    if !is_https && !file.outbound.value.allow_http.value {
        let fix = "use `https`, or for a test permit it with `outbound: {allow_http: true}`";
        findings.add(&url.place, "is not `https`, so anybody on the way could become anybody", fix);
    }
}

/// Names as they are kept.
fn names(list: &At<Vec<At<String>>>) -> Box<[Box<str>]> {
    list.value.iter().map(|name| name.value.as_str().into()).collect()
}

/// Names as they are kept, sorted, none twice.
fn sorted(list: &At<Vec<At<String>>>) -> Box<[Box<str>]> {
    crate::policy::principal::sorted(names(list))
}

/// A name that may be absent.
fn optional(name: &Option<At<String>>) -> Option<Box<str>> {
    name.as_ref().map(|name| name.value.as_str().into())
}
