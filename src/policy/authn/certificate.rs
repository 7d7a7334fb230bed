//! Client certificates: TLS has verified them; here is told whose they are.

use serde_json::{Map, Value as Json};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::api_key::hex;
use super::claims::NAME_BYTES_MAX;
use super::refused::{EXPIRED, NOT_YET_VALID, Refused, UNKNOWN_CERTIFICATE};
use super::revoked::serial;
use crate::policy::principal::{Principal, Proof};

mod pattern;

pub use pattern::{Pattern, spiffe};

/// The DNS names among the alternative names of a certificate in DER, in lower case; none if it cannot be read.
pub fn dns_names(certificate: &[u8]) -> Box<[Box<str>]> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Box::default() };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Box::default() };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(dns).collect()
}

/// `notAfter` of a certificate in DER, in seconds since 1970 (UTC).
pub fn end(certificate: &[u8]) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    u64::try_from(certificate.validity().not_after.timestamp()).ok()
}

/// Whose certificates are whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// Which name of a certificate counts.
    pub name: NameKind,
    /// SPIFFE trust domains whose ids are believed.
    pub trust_domains: Box<[Box<str>]>,
    /// Whose names these are. The first that fits counts.
    pub entries: Box<[Entry]>,
}

/// A kind of name in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// The SPIFFE id: the only URI among the alternative names (X.509-SVID section 2).
    SpiffeId,
    /// DNS names among the alternative names.
    SanDns,
    /// E-mail addresses among the alternative names.
    SanEmail,
    /// The only common name of the subject.
    SubjectCn,
}

/// A name, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, or many.
    pub pattern: Pattern,
    /// The agent; the name itself if this is not given.
    pub agent: Option<Box<str>>,
    /// Its tenant.
    pub tenant: Option<Box<str>>,
    /// Its roles, sorted, none twice.
    pub roles: Box<[Box<str>]>,
    /// Its scopes, sorted, none twice.
    pub scopes: Box<[Box<str>]>,
}

/// The last second at which a certificate in DER is valid, since 1970 (UTC). `None` if it cannot be read.
pub fn ends(certificate: &[u8]) -> Option<u64> {
    let Ok((&[], certificate)) = X509Certificate::from_der(certificate) else { return None };
    u64::try_from(certificate.validity().not_after.timestamp()).ok()
}

impl Certificates {
    /// Whose this certificate is, in DER.
    ///
    /// # Errors
    /// If it cannot be read, is nobody's, or its time is not now: it was, when the connection began.
    pub fn authenticate(&self, certificate: &[u8], now: u64) -> Result<Principal, Refused> {
        let Ok((&[], certificate)) = X509Certificate::from_der(certificate) else {
            return Err(UNKNOWN_CERTIFICATE);
        };
        let seconds = |at: i64| u64::try_from(at).unwrap_or(0);
        let validity = certificate.validity();
        let expires = seconds(validity.not_after.timestamp());
        if expires < now {
            return Err(EXPIRED);
        }
        if seconds(validity.not_before.timestamp()) > now {
            return Err(NOT_YET_VALID);
        }
        let names = self.names(&certificate).ok_or(UNKNOWN_CERTIFICATE)?;
        let (entry, name) = self.entry(&names).ok_or(UNKNOWN_CERTIFICATE)?;
        Ok(Principal {
            proof: Proof::Certificate,
            issuer: Proof::Certificate.label().into(),
            agent: Some(entry.agent.clone().unwrap_or_else(|| name.into())),
            user: None,
            tenant: entry.tenant.clone(),
            roles: entry.roles.clone(),
            scopes: entry.scopes.clone(),
            claims: Json::Object(Map::from_iter([("name".to_owned(), Json::from(name))])),
            credential: serial(&hex(certificate.raw_serial())),
            expires: Some(expires),
        })
    }

    /// The names that count; `None` if there is none, or one that is not what it should be.
    fn names(&self, certificate: &X509Certificate<'_>) -> Option<Vec<String>> {
        let alternatives = || {
            let extension = certificate.subject_alternative_name().ok().flatten()?;
            Some(extension.value.general_names.as_slice())
        };
        let names: Vec<String> = match self.name {
            NameKind::SpiffeId => {
                let uris: Vec<&str> = alternatives()?
                    .iter()
                    .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
                    .collect();
                let [id] = uris.as_slice() else { return None };
                let (domain, _) = spiffe(id)?;
                let trusted = self.trust_domains.iter().any(|trusted| **trusted == *domain);
                trusted.then(|| vec![(*id).to_owned()])?
            }
            NameKind::SanDns => alternatives()?
                .iter()
                .filter_map(|name| {
                    if let GeneralName::DNSName(dns) = name { Some(dns.to_ascii_lowercase()) } else { None }
                })
                .collect(),
            NameKind::SanEmail => alternatives()?
                .iter()
                .filter_map(|name| {
                    if let GeneralName::RFC822Name(mail) = name { Some((*mail).to_owned()) } else { None }
                })
                .collect(),
            NameKind::SubjectCn => {
                let mut all = certificate.subject().iter_common_name();
                match (all.next(), all.next()) {
                    (Some(only), None) => vec![only.as_str().ok()?.to_owned()],
                    _ => return None,
                }
            }
        };
        let good = |name: &String| {
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control)
        };
        names.iter().all(good).then_some(names)
    }

    /// The first entry that one of the names fits, and that name.
    fn entry<'a>(&'a self, names: &'a [String]) -> Option<(&'a Entry, &'a str)> {
        self.entries.iter().find_map(|entry| {
            let name = names.iter().find(|name| entry.pattern.fits(name))?;
            Some((entry, name.as_str()))
        })
    }
}

#[cfg(test)]
mod tests;
