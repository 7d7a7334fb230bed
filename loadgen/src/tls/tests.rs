#![allow(clippy::unwrap_used)]
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    tls: TlsArgs,
}

fn compile(host: Option<&str>, line: &str) -> Result<Option<Tls>, String> {
    let line = Line::try_parse_from(["loadgen"].into_iter().chain(line.split_whitespace())).unwrap();
    Tls::compile(host, &line.tls)
}

/// A file with this text; it goes with the folder of temporary files.
fn file(text: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("loadgen-tls-{}-{count}.pem", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn options_that_cannot_work_are_refused_with_what_helps() {
    let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["b.test".to_owned()]).unwrap();
    let (cert, key) = (file(&made.cert.pem()), file(&made.signing_key.serialize_pem()));
    let (other, empty) = (file(&other.signing_key.serialize_pem()), file("nothing"));
    let broken = file("-----BEGIN CERTIFICATE-----\nA\n");
    let hosted = Some("localhost");
    for (host, line, words) in [
        (None, "--ca x".to_owned(), ["--ca:", "https://"]),
        (None, "--insecure".to_owned(), ["--insecure:", "https://"]),
        (None, "--key x".to_owned(), ["--key:", "https://"]),
        (hosted, "--ca x --insecure".to_owned(), ["--ca, --insecure:", "leave one out"]),
        (hosted, "--ca /none/ca.pem".to_owned(), ["--ca /none/ca.pem", "cannot be read"]),
        (hosted, format!("--ca {empty}"), [&empty, "BEGIN CERTIFICATE"]),
        (hosted, format!("--ca {broken}"), [&broken, "not valid PEM"]),
        (hosted, format!("--insecure --cert {cert}"), ["--cert:", "--key FILE"]),
        (hosted, format!("--insecure --key {key}"), ["--key:", "--cert FILE"]),
        (hosted, format!("--insecure --cert {cert} --key {empty}"), [&empty, "BEGIN PRIVATE KEY"]),
        (hosted, format!("--insecure --cert {cert} --key {other}"), [&other, "does not belong"]),
        (hosted, format!("--insecure --cert {key} --key {key}"), ["--cert", "BEGIN CERTIFICATE"]),
        (Some("a b"), "--insecure".to_owned(), ["--url", "a b"]),
    ] {
        let refused = compile(host, &line).unwrap_err();
        assert!(words.iter().all(|word| refused.contains(word)), "{line}: {refused}");
    }
    assert!(compile(None, "").unwrap().is_none());
    assert!(!compile(hosted, &format!("--ca {cert} --cert {cert} --key {key}")).unwrap().unwrap().insecure);
    assert!(compile(Some("::1"), "--insecure").unwrap().unwrap().insecure);
}

#[test]
fn failures_are_told_in_words() {
    let time = |secs| UnixTime::since_unix_epoch(Duration::from_secs(secs));
    let certificate = |why| explain(&Error::InvalidCertificate(why));
    let expired = CertificateError::ExpiredContext { time: time(10 * 86_400), not_after: time(86_400) };
    assert!(certificate(expired).contains("expired, 9 days ago"));
    assert!(
        certificate(CertificateError::UnknownIssuer).contains("unknown issuer: name its authority with --ca")
    );
    assert!(certificate(CertificateError::BadSignature).contains("signed with another key"));
    assert!(certificate(CertificateError::Revoked).contains("cannot be accepted: "));
    let expected = ServerName::try_from("a.test").unwrap();
    let name = CertificateError::NotValidForNameContext {
        expected,
        presented: vec!["DnsName(\"b.test\")".to_owned()],
    };
    assert!(certificate(name).contains("not a.test, but b.test;"));
    let refused = |alert| explain(&Error::AlertReceived(alert));
    assert!(refused(AlertDescription::CertificateRequired).contains("--cert FILE --key FILE"));
    assert!(refused(AlertDescription::UnknownCA).contains("refuses the client certificate (UnknownCA)"));
    assert!(refused(AlertDescription::NoApplicationProtocol).contains("HTTP/1.1"));
    assert!(refused(AlertDescription::InternalError).contains("InternalError"));
}
