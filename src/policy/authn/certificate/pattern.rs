//! Names of certificates in the configuration: one, or all of a kind.

use super::NameKind;

/// A name, or many. What many have in common ends where the name's own grammar has a border, so that `/agent/*` is not
/// `/agent-of-somebody-else`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This name.
    Exact(Box<str>),
    /// Names that begin so: a SPIFFE id up to and with a slash.
    Below(Box<str>),
    /// Names that end so: with a dot, or an at sign, in front.
    Within(Box<str>),
}

impl Pattern {
    /// Reads `spiffe://domain/path`, `spiffe://domain/path/*`; `host.example`, `*.example`; `name@host`, `*@host`; a
    /// common name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, kind: NameKind) -> Result<Self, &'static str> {
        let exact = |text: &str| Self::Exact(text.into());
        match kind {
            NameKind::SpiffeId => match text.strip_suffix('*') {
                Some(front) if front.ends_with('/') => {
                    let inner = front.strip_suffix('/').and_then(spiffe);
                    inner.map(|_| Self::Below(front.into())).ok_or(SPIFFE)
                }
                Some(_) => Err(SPIFFE),
                None => spiffe(text).map(|_| exact(text)).ok_or(SPIFFE),
            },
            NameKind::SanDns => {
                let lower = text.to_ascii_lowercase();
                let within = lower.strip_prefix('*').map(str::to_owned);
                match within {
                    Some(end) if end.starts_with('.') && is_host(&end[1..]) => Ok(Self::Within(end.into())),
                    None if is_host(&lower) => Ok(exact(&lower)),
                    _ => Err("is neither `host.example` nor `*.example`"),
                }
            }
            NameKind::SanEmail => match (text.strip_prefix('*'), text.split_once('@')) {
                (Some(end), Some(("*", host))) if is_host(host) => Ok(Self::Within(end.into())),
                (None, Some((name, host))) if !name.is_empty() && is_host(host) && !text.contains('*') => {
                    Ok(exact(text))
                }
                _ => Err("is neither `name@host` nor `*@host`"),
            },
            NameKind::SubjectCn if text.is_empty() || text.contains('*') => {
                Err("is not a whole common name, which is the only thing that is compared")
            }
            NameKind::SubjectCn => Ok(exact(text)),
        }
    }

    /// Whether `name` is one of these.
    pub fn fits(&self, name: &str) -> bool {
        match self {
            Self::Exact(only) => name == &**only,
            Self::Below(front) => name.len() > front.len() && name.starts_with(&**front),
            Self::Within(end) => name.len() > end.len() && name.ends_with(&**end),
        }
    }
}

const SPIFFE: &str = "is neither `spiffe://domain/path` nor `spiffe://domain/path/*`";

/// The trust domain and the path of a SPIFFE id (SPIFFE-ID sections 2.1 to 2.4): no port, no query, no escapes, no
/// empty or dot segments. The path is empty where the id is that of the trust domain itself.
pub fn spiffe(id: &str) -> Option<(&str, &str)> {
    let rest = id.strip_prefix("spiffe://").filter(|_| id.len() <= SPIFFE_BYTES_MAX)?;
    let (domain, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let in_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_path);
    let good = (1..=255).contains(&domain.len())
        && domain.bytes().all(in_domain)
        && path.split('/').skip(1).all(is_segment);
    good.then_some((domain, path))
}

const SPIFFE_BYTES_MAX: usize = 2048;

/// Whether this looks like a host: letters, digits, `-`, `_` and inner dots.
fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.len() <= 253 && text.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
}
