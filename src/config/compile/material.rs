//! The bytes that references name: certificates, keys, tokens. Nothing of them gets into a finding.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};

use super::Context;
use crate::base::Secret;
use crate::config::text::{Reference, check_header_bytes};
use crate::schema::finding::{At, Findings, Problem};
use crate::schema::units::shorten;
use crate::schema::world::TrustKind;

/// The bytes that `reference` names.
pub fn resolve(reference: &Reference, context: &Context<'_>) -> Result<Vec<u8>, Problem> {
    resolve_with(reference, context, |path| context.world.read(path), "1 MiB")
}

/// The bytes that `reference` names, whose files `read` reads: they have at most `bytes_max`.
fn resolve_with(
    reference: &Reference,
    context: &Context<'_>,
    read: impl Fn(&Path) -> io::Result<Vec<u8>>,
    bytes_max: &str,
) -> Result<Vec<u8>, Problem> {
    match reference {
        Reference::Env(name) => context.world.variable(name).ok_or_else(|| {
            let what = format!("the environment variable {} is not set", shorten(name));
            Problem::new(what, "set it for the process that runs ringgate, or use `file:NAME`")
        }),
        Reference::File(path) => {
            let path = context.directory.join(path);
            read(&path).map_err(|error| {
                let too_large = format!("has more than {bytes_max}");
                let (why, fix) = match error.kind() {
                    ErrorKind::NotFound => (
                        "does not exist",
                        "check the name; relative names start at the configuration's directory",
                    ),
                    ErrorKind::PermissionDenied => {
                        ("may not be read", "let the user that runs ringgate read it")
                    }
                    ErrorKind::FileTooLarge => {
                        (&*too_large, "check the name; no certificate, key or list is this large")
                    }
                    _ => ("cannot be read", "check that it is a plain file"),
                };
                Problem::new(format!("the file `{}` {why}", shorten(&path.display().to_string())), fix)
            })
        }
    }
}

/// The bytes that `reference` names, which are a secret: the operator is told if everybody may read them.
pub fn secret(reference: &Reference, context: &Context<'_>) -> Result<Vec<u8>, Problem> {
    note_secret(reference, context);
    resolve(reference, context)
}

/// Notes that `reference` names a secret.
pub fn note_secret(reference: &Reference, context: &Context<'_>) {
    if let Reference::File(path) = reference {
        context.world.note_secret(&context.directory.join(path));
    }
}

/// The bytes that `reference` names, which say whom to trust: a reload that is refused takes them over by themselves.
pub fn trusted(reference: &Reference, kind: TrustKind, context: &Context<'_>) -> Result<Vec<u8>, Problem> {
    if let Reference::File(path) = reference {
        context.world.note_trust(&context.directory.join(path), kind);
    }
    if kind == TrustKind::Revoked {
        return resolve_with(reference, context, |path| context.world.read_list(path), "8 MiB");
    }
    resolve(reference, context)
}

/// The certificates of authorities that `reference` names.
pub fn authorities(
    reference: &At<Reference>,
    kind: TrustKind,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Box<[u8]>> {
    let bytes = trusted(&reference.value, kind, context);
    bytes
        .and_then(|bytes| certificates(&bytes).map(|()| bytes.into_boxed_slice()))
        .map_err(|problem| findings.note(&reference.place, problem))
        .ok()
}

/// The one line of printable ASCII that `reference` names, such as a token or a password.
pub fn line(reference: &Reference, context: &Context<'_>) -> Result<Vec<u8>, Problem> {
    let mut bytes = secret(reference, context)?;
    // Files that people edit end with a line break, which is not part of the secret.
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    check_header_bytes(&bytes, false)?;
    Ok(bytes)
}

/// The bytes that `reference` names, which must pass `check`.
pub fn checked(
    reference: &At<Reference>,
    check: fn(&[u8]) -> Result<(), Problem>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Box<[u8]>> {
    let bytes = resolve(&reference.value, context);
    bytes
        .and_then(|bytes| check(&bytes).map(|()| bytes.into_boxed_slice()))
        .map_err(|problem| findings.note(&reference.place, problem))
        .ok()
}

/// Whether `bytes` are one or more certificates in PEM.
pub fn certificates(bytes: &[u8]) -> Result<(), Problem> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        certificate.map_err(|error| broken(&error))?;
        count += 1;
    }
    if count > 0 {
        return Ok(());
    }
    let fix = match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(_) => "it holds a private key: name the certificate's file here, and this one under `key`",
        Err(_) => "give a file that has `-----BEGIN CERTIFICATE-----` in it",
    };
    Err(Problem::new("holds no PEM certificate", fix))
}

/// Whether `bytes` hold a private key in PEM that needs no pass phrase.
pub fn private_key(bytes: &[u8]) -> Result<(), Problem> {
    match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(_) => Ok(()),
        Err(pem::Error::NoItemsFound) => {
            let fix = if memchr::memmem::find(bytes, b"BEGIN ENCRYPTED PRIVATE KEY").is_some() {
                "it is encrypted: decrypt it with `openssl pkey`"
            } else if certificates(bytes).is_ok() {
                "it holds a certificate: name the key's file here, and this one under `certificate`"
            } else {
                "give a file that has `-----BEGIN PRIVATE KEY-----` in it"
            };
            Err(Problem::new("holds no PEM private key", fix))
        }
        Err(error) => Err(broken(&error)),
    }
}

/// A PEM error in words of our own: the crate's may quote the file.
fn broken(error: &pem::Error) -> Problem {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "is PEM that is cut off",
        _ => "is not PEM that can be read",
    };
    Problem::new(what, "write the file anew from its source")
}

/// The first certificate of PEM text that was checked, as DER.
pub fn der_of_first(bytes: &[u8]) -> Option<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(bytes).next()?.ok()
}

/// The first key, private or public, of PEM text as DER; `bytes` themselves where they are no PEM.
pub fn der(bytes: &[u8]) -> Secret {
    if let Ok(key) = PrivateKeyDer::from_pem_slice(bytes) {
        return Secret::new(key.secret_der());
    }
    match SubjectPublicKeyInfoDer::from_pem_slice(bytes) {
        Ok(key) => Secret::new(&*key),
        Err(_) => Secret::new(bytes),
    }
}
