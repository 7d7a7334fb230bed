//! `servers[].credentials`, `servers[].assertion`, `servers[].tls.certificate` and `identity`.

use std::sync::Arc;

use super::servers::{check_header_name, push_line};
use super::{Context, grant, material};
use crate::base::Secret;
use crate::config::file::credentials::{BasicSection, CredentialsSection, GrantSection, HeaderSection};
use crate::config::file::{File, ServerSection, UpstreamTlsSection};
use crate::config::text::Reference;
use crate::policy::propagate::{Assertion, Credentials, Grant, Signer, base64};
use crate::schema::finding::{At, Findings, Place};

/// What a server is shown besides its fixed header lines.
pub struct Shown {
    /// What is fetched for it.
    pub credentials: Credentials,
    /// How it is told who calls.
    pub assertion: Option<Assertion>,
}

/// What the server of `section` is shown. Fixed credentials become header lines at the end of `lines`; every header
/// that the gateway sets, now or with each request, is in `names` afterwards, so that a client's own is dropped.
pub fn compile(
    file: &File,
    section: &ServerSection,
    lines: &mut Vec<u8>,
    names: &mut Vec<Box<str>>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Shown {
    let mut work = Work { file, lines, names, context, findings };
    let credentials = match &section.credentials {
        Some(credentials) => work.credentials(credentials),
        None => Credentials::None,
    };
    Shown { credentials, assertion: work.assertion(section) }
}

struct Work<'w, 'c> {
    file: &'w File,
    lines: &'w mut Vec<u8>,
    names: &'w mut Vec<Box<str>>,
    context: &'w Context<'c>,
    findings: &'w mut Findings,
}

impl Work<'_, '_> {
    fn credentials(&mut self, At { value: section, place }: &At<CredentialsSection>) -> Credentials {
        let CredentialsSection { bearer, basic, header, client_credentials, token_exchange, .. } = section;
        let given = [
            bearer.is_some(),
            basic.is_some(),
            header.is_some(),
            client_credentials.is_some(),
            token_exchange.is_some(),
        ];
        if given.into_iter().filter(|&given| given).count() > 1 {
            let fix = "keep one; a header beside it goes under `headers`";
            self.findings.add(place, "has more than one kind of credential", fix);
            return Credentials::None;
        }
        if let Some(bearer) = bearer {
            self.bearer(bearer);
        } else if let Some(basic) = basic {
            self.basic(basic);
        } else if let Some(header) = header {
            self.header(header);
        } else if let Some(At { value: grant, place }) = client_credentials {
            self.claim("authorization", place);
            return self.grant(grant).map_or(Credentials::None, Credentials::ClientCredentials);
        } else if let Some(At { value: exchange, .. }) = token_exchange {
            let (header, place) = grant::header(exchange);
            self.claim(&header, place);
            let (grant, wish) = grant::exchange(exchange, self.findings);
            return self.grant(&grant).map_or(Credentials::None, |grant| Credentials::Exchange(grant, wish));
        } else if !self.findings.iter().any(|finding| finding.place.path.starts_with(&place.path)) {
            let fix = "add `bearer`, `basic`, `header`, `client_credentials` or `token_exchange`";
            self.findings.add(place, "names no credential", fix);
        }
        Credentials::None
    }

    fn bearer(&mut self, reference: &At<Reference>) {
        self.claim("authorization", &reference.place);
        let Some(token) = self.line(reference) else { return };
        if !token.iter().all(u8::is_ascii_graphic) {
            let fix = "give only the token, without `Bearer` in front of it";
            self.findings.add(&reference.place, "has a blank in it", fix);
            return;
        }
        push_line(self.lines, "Authorization", &[b"Bearer ", &token[..]].concat());
    }

    fn basic(&mut self, At { value: section, place }: &At<BasicSection>) {
        self.claim("authorization", place);
        let (Some(user), Some(password)) = (&section.username, &section.password) else { return };
        let Some(password) = self.line(password) else { return };
        let pair = [user.value.as_bytes(), b":", &password].concat();
        push_line(self.lines, "Authorization", format!("Basic {}", base64::padded(&pair)).as_bytes());
    }

    fn header(&mut self, At { value: section, .. }: &At<HeaderSection>) {
        let (Some(name), Some(value)) = (&section.name, &section.value) else { return };
        self.claim(&name.value.to_ascii_lowercase(), &name.place);
        let Some(value) = self.line(value) else { return };
        push_line(self.lines, &name.value, &value);
    }

    fn grant(&mut self, section: &GrantSection) -> Option<Grant> {
        grant::compile(self.file, section, self.context, self.findings)
    }

    fn assertion(&mut self, section: &ServerSection) -> Option<Assertion> {
        let At { value: assertion, place } = section.assertion.as_ref()?;
        if self.file.identity.is_none() {
            let fix = "make a key with `openssl genpkey -algorithm ed25519 -out identity.pem`, and add \
                       `identity: {key: identity.pem}`";
            self.findings.add(place, "needs a key to sign with, and there is no `identity`", fix);
        }
        let header = assertion.header.value.to_ascii_lowercase();
        if header == "authorization" {
            let what = "is the header of `credentials`, and an assertion is no bearer token";
            self.findings.add(&assertion.header.place, what, "choose another name");
        } else {
            self.claim(&header, &assertion.header.place);
        }
        let audience = assertion.audience.as_ref().or(section.name.as_ref())?;
        Some(Assertion {
            header: header.into(),
            audience: audience.value.as_str().into(),
            lifetime: u32::try_from(assertion.lifetime.value.as_secs()).unwrap_or(u32::MAX),
        })
    }

    /// Notes that the gateway sets this header, or that it is set already or cannot be.
    fn claim(&mut self, lower: &str, place: &Place) {
        if let Err(problem) = check_header_name(lower) {
            self.findings.note(place, problem);
        } else if self.names.iter().any(|name| **name == *lower) {
            let what = format!("sets the header `{lower}`, which is set already");
            self.findings.add(place, what, "keep one of the two");
        }
        self.names.push(lower.into());
    }

    fn line(&mut self, reference: &At<Reference>) -> Option<Vec<u8>> {
        let line = material::line(&reference.value, self.context);
        line.map_err(|problem| self.findings.note(&reference.place, problem)).ok()
    }
}

/// The certificate and key that the gateway shows to a server.
pub fn client_certificate(
    tls: &UpstreamTlsSection,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<(Arc<[u8]>, Secret)> {
    let (certificate, key) = match (&tls.certificate, &tls.key) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(certificate), None) => {
            findings.add(&certificate.place, "stands without its private key", "add `key`");
            return None;
        }
        (None, Some(key)) => {
            findings.add(&key.place, "stands without its certificate", "add `certificate`");
            return None;
        }
    };
    let chain = material::checked(certificate, material::certificates, context, findings);
    material::note_secret(&key.value, context);
    let key = material::checked(key, material::private_key, context, findings);
    Some((chain?.into(), Secret::new(key?)))
}

/// The key that assertions are signed with.
pub fn signer(file: &File, context: &Context<'_>, findings: &mut Findings) -> Option<Signer> {
    let At { value: section, place } = file.identity.as_ref()?;
    let issuer = match (&section.issuer, &file.public_url) {
        (Some(issuer), _) => issuer.value.clone(),
        (None, Some(url)) => url.value.serialize(),
        (None, None) => {
            let fix = "add `issuer`, or `public_url` at the top level";
            findings.add(place, "has no name: neither `issuer` nor `public_url` is given", fix);
            return None;
        }
    };
    let key = section.key.as_ref()?;
    material::note_secret(&key.value, context);
    let read =
        |reference: &Reference| material::resolve(reference, context).map(|bytes| material::der(&bytes));
    let made =
        read(&key.value).and_then(|der| Signer::new(issuer.into(), der.reveal()).map_err(grant::not_a_key));
    let mut signer = made.map_err(|problem| findings.note(&key.place, problem)).ok()?;
    for At { value: reference, place } in &section.previous_keys.value {
        let added = read(reference).and_then(|der| signer.publish(der.reveal()).map_err(grant::not_a_key));
        if let Err(problem) = added {
            findings.note(place, problem);
        }
    }
    Some(signer)
}
