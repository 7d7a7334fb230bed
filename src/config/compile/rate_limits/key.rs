//! `rate_limits.limits[].key`.

use super::expression;
use crate::policy::authz::Path;
use crate::policy::expr::HIDDEN_HEADERS;
use crate::policy::rate_limit::KeyPart;
use crate::schema::finding::{At, Findings, Problem};
use crate::schema::units::shorten;

/// The parts of a key.
pub fn parts(list: &At<Vec<At<String>>>, findings: &mut Findings) -> Box<[KeyPart]> {
    let mut parts = Vec::new();
    for (at, part) in list.value.iter().enumerate() {
        if list.value.iter().take(at).any(|other| other.value == part.value) {
            findings.add(&part.place, format!("`{}` stands there twice", shorten(&part.value)), "remove one");
        }
        if let Some(text) = part.value.strip_prefix("cel:") {
            parts.extend(expression(text.trim(), &part.place, findings).map(KeyPart::Cel));
            continue;
        }
        match plain(&part.value) {
            Ok(part) => parts.push(part),
            Err(problem) => findings.note(&part.place, problem),
        }
    }
    parts.into()
}

fn plain(text: &str) -> Result<KeyPart, Problem> {
    let (kind, rest) = match text.split_once([':', '/']) {
        Some((kind, rest)) => (kind, Some(rest)),
        None => (text, None),
    };
    let has_colon = text.as_bytes().get(kind.len()) == Some(&b':');
    match (kind, rest) {
        ("agent", None) => Ok(KeyPart::Agent),
        ("user", None) => Ok(KeyPart::User),
        ("tenant", None) => Ok(KeyPart::Tenant),
        ("caller", None) => Ok(KeyPart::Caller),
        ("server", None) => Ok(KeyPart::Server),
        ("tool", None) => Ok(KeyPart::Tool),
        ("method", None) => Ok(KeyPart::Method),
        ("arguments", None) => Ok(KeyPart::Arguments),
        ("source", None) => Ok(KeyPart::Source { v4_bits: 32, v6_bits: 64 }),
        ("source", Some(bits)) if !has_colon => source(text, bits),
        ("claim", Some(path)) if has_colon => {
            let problem = |what| {
                Problem::new(format!("`{}` {what}", shorten(text)), "write `claim:a.b` or `claim:/a/b`")
            };
            Path::parse(path).map(KeyPart::Claim).map_err(problem)
        }
        ("header", Some(name)) if has_colon => header(name),
        _ => {
            let fix = "write agent, user, tenant, caller, server, tool, method, arguments, source, claim:PATH, \
                       header:NAME or cel:EXPRESSION";
            Err(Problem::new(format!("`{}` is no part of a key", shorten(text)), fix))
        }
    }
}

fn source(text: &str, bits: &str) -> Result<KeyPart, Problem> {
    let (v4, v6) = bits.split_once('/').unwrap_or((bits, "64"));
    let number = |text: &str, max: u8| text.parse::<u8>().ok().filter(|bits| (1..=max).contains(bits));
    match (number(v4, 32), number(v6, 128)) {
        (Some(v4_bits), Some(v6_bits)) => Ok(KeyPart::Source { v4_bits, v6_bits }),
        _ => {
            let fix = "write `source/24` or `source/24/64`: the bits that count of IPv4 and IPv6 addresses";
            Err(Problem::new(format!("`{}` is no network", shorten(text)), fix))
        }
    }
}

fn header(name: &str) -> Result<KeyPart, Problem> {
    let lower = name.to_ascii_lowercase();
    if HIDDEN_HEADERS.contains(&lower.as_str()) {
        let fix = "use `agent`, `user` or `caller`: they are what credentials were verified to mean";
        return Err(Problem::new(format!("`{lower}` holds a credential"), fix));
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if lower.is_empty() || !lower.bytes().all(is_token) {
        return Err(Problem::new(
            format!("`{}` is no name of a header", shorten(name)),
            "write `header:x-team`",
        ));
    }
    Ok(KeyPart::Header(lower.into()))
}
