//! One fetch: a request to somebody outside, and its answer, in bounds. Blocks, so it runs on threads of its own.
//!
//! Who wrote a URL decides where it may lead. URLs of the configuration are the operator's own and may lead to private
//! addresses; those that came from the network (the `jwks_uri` of metadata) may not, for whoever wrote them could make
//! the gateway ask what only it can reach. The address that was judged is the one that is connected to: names are
//! resolved once.

use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

use crate::base::Secret;
use crate::config::snapshot::{Address, Outbound, Roots};
use crate::config::url;

pub mod addresses;
pub mod form;

/// Bytes of a JWK set or of metadata.
pub const KEYS_BYTES_MAX: usize = 1 << 20;
/// Bytes of an answer of a token or introspection endpoint.
pub const TOKEN_BYTES_MAX: usize = 64 << 10;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Who wrote a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The operator.
    Operator,
    /// Somebody out there.
    Network,
}

/// What is asked.
pub struct Ask<'a> {
    /// Where.
    pub url: &'a str,
    /// Who says so.
    pub author: Author,
    /// Bytes that the body of the answer may have.
    pub bytes_max: usize,
    /// For a POST: the form, and the value of `Authorization` where the form does not prove who asks.
    pub form: Option<(Secret, Option<Secret>)>,
}

/// An answer that is no redirect. Its status may be any other.
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
    /// What `Cache-Control` says of how long it may be kept.
    pub max_age: Option<Duration>,
}

/// Why nothing came of a fetch. Its text names no secret, and nothing of a peer's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The URL is none that is fetched.
    Url,
    /// The URL is `http`, and that is not permitted.
    Scheme,
    /// The name did not resolve.
    Resolve,
    /// The name leads to an address that URLs of the network may not lead to.
    Forbidden(IpAddr),
    /// Not whole in time.
    Timeout,
    /// The connection failed or broke.
    Connection(io::ErrorKind),
    /// TLS failed; the reason is TLS's own.
    Tls(String),
    /// The answer leads elsewhere, to this host.
    Redirect(String),
    /// The answer has more bytes than this.
    TooLarge(usize),
    /// The answer is not HTTP.
    Protocol,
    /// An answer with this status, where only 200 will do.
    Status(u16),
    /// An answer that is not what was asked for.
    Content(&'static str),
    /// An answer that is no key set that can be used.
    Keys(String),
    /// The issuer refuses the gateway itself: this error code, or status.
    Client(String),
    /// The issuer refuses the caller.
    Denied,
    /// Too much else was under way.
    Busy,
}

impl Fault {
    /// The word in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Url | Self::Scheme => "url",
            Self::Resolve => "resolve",
            Self::Forbidden(_) => "forbidden_address",
            Self::Timeout => "timeout",
            Self::Connection(_) => "connection",
            Self::Tls(_) => "tls",
            Self::Redirect(_) => "redirect",
            Self::TooLarge(_) => "too_large",
            Self::Protocol | Self::Content(_) | Self::Keys(_) => "content",
            Self::Status(_) => "status",
            Self::Client(_) => "client",
            Self::Denied => "denied",
            Self::Busy => "busy",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("not a URL that is fetched"),
            Self::Scheme => f.write_str("not https, and outbound.allow_http is not set"),
            Self::Resolve => f.write_str("the name of the host does not resolve"),
            Self::Forbidden(ip) => {
                write!(f, "leads to {ip}, which is no public address, and outbound.allow_private is not set")
            }
            Self::Timeout => f.write_str("no answer within outbound.timeout"),
            Self::Connection(kind) => write!(f, "the connection failed: {kind}"),
            Self::Tls(why) => write!(f, "TLS failed: {why}"),
            Self::Redirect(host) => write!(f, "redirects to {host}; redirects are not followed"),
            Self::TooLarge(max) => write!(f, "the answer has more than {max} bytes"),
            Self::Protocol => f.write_str("the answer is not HTTP"),
            Self::Status(status) => write!(f, "answered with status {status}"),
            Self::Content(what) => write!(f, "the answer {what}"),
            Self::Keys(what) => write!(f, "the answer {what}"),
            Self::Client(code) => write!(f, "refuses the gateway's own credentials or request: {code}"),
            Self::Denied => f.write_str("refuses the caller"),
            Self::Busy => f.write_str("too many fetches are under way"),
        }
    }
}

/// Fetches by the rules of one `outbound` section.
pub struct Fetcher {
    outbound: Outbound,
    /// One for each author, made with the first fetch: reading all roots takes long.
    agents: OnceLock<[Agent; 2]>,
}

impl Fetcher {
    /// A fetcher by these rules.
    pub fn new(outbound: Outbound) -> Self {
        Self { outbound, agents: OnceLock::new() }
    }

    /// By which rules.
    pub fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Fetches. Blocks for `outbound.timeout` at the most.
    ///
    /// # Errors
    /// See [`Fault`]; a redirect is one.
    pub fn fetch(&self, ask: Ask<'_>) -> Result<Reply, Fault> {
        self.check(ask.url)?;
        let agent = self.agent(ask.author);
        let answer = match ask.form {
            None => agent
                .get(ask.url)
                .header("accept", "application/json")
                .header("accept-encoding", "identity")
                .call(),
            Some((form, authorization)) => {
                let request = agent.post(ask.url).header("accept", "application/json");
                let request = request.header("accept-encoding", "identity");
                let request = match &authorization {
                    Some(authorization) => request.header("authorization", authorization.reveal()),
                    None => request,
                };
                request.content_type("application/x-www-form-urlencoded").send(form.reveal())
            }
        };
        let answer = answer.map_err(fault)?;
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        if (300..400).contains(&status) {
            return Err(Fault::Redirect(header("location").map_or_else(String::new, host)));
        }
        let max_age = header("cache-control").and_then(max_age);
        Ok(Reply { status, body: body(answer.into_body(), ask.bytes_max)?, max_age })
    }

    /// The body of a 200.
    ///
    /// # Errors
    /// Those of [`Fetcher::fetch`], and [`Fault::Status`].
    pub fn get(&self, url: &str, author: Author, bytes_max: usize) -> Result<Reply, Fault> {
        let reply = self.fetch(Ask { url, author, bytes_max, form: None })?;
        if reply.status == 200 { Ok(reply) } else { Err(Fault::Status(reply.status)) }
    }

    fn check(&self, text: &str) -> Result<(), Fault> {
        match url::endpoint(text) {
            Ok(url) if matches!(url.address, Address::Tcp { .. }) => {
                if url.tls || self.outbound.allow_http {
                    Ok(())
                } else {
                    Err(Fault::Scheme)
                }
            }
            Ok(_) | Err(_) => Err(Fault::Url),
        }
    }

    fn agent(&self, author: Author) -> &Agent {
        let [operator, network] = self.agents.get_or_init(|| {
            let roots = roots(&self.outbound.roots);
            let judge = |public_only| Judge { public_only, names: DefaultResolver::default() };
            [false, !self.outbound.allow_private]
                .map(|public_only| agent(&self.outbound, roots.clone(), judge(public_only)))
        });
        match author {
            Author::Operator => operator,
            Author::Network => network,
        }
    }
}

fn agent<R: Resolver>(outbound: &Outbound, roots: RootCerts, judge: Judge<R>) -> Agent {
    let config = Config::builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .timeout_global(Some(outbound.timeout))
        .https_only(!outbound.allow_http)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // Nor one that the environment names.
        .proxy(None)
        .user_agent(concat!("ringgate/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(HEAD_BYTES_MAX)
        // An idle connection may be dead, and a POST that met one could not be sent again.
        .max_idle_connections(0)
        .max_idle_connections_per_host(0)
        .build();
    Agent::with_parts(config, DefaultConnector::default(), judge)
}

/// Resolves names, and refuses what they must not lead to. What it returns is what is connected to.
#[derive(Debug)]
struct Judge<R> {
    public_only: bool,
    names: R,
}

/// The reason why a name was refused, on its way through `ureq`.
#[derive(Debug)]
struct NotPublic(IpAddr);

impl std::error::Error for NotPublic {}

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is no public address", self.0)
    }
}

impl<R: Resolver> Resolver for Judge<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        // One address that is refused refuses the name: no honest one has both kinds.
        let bad = found.iter().map(std::net::SocketAddr::ip).find(|&ip| !addresses::is_public(ip));
        match bad.filter(|_| self.public_only) {
            Some(ip) => Err(ureq::Error::Other(Box::new(NotPublic(ip)))),
            None => Ok(found),
        }
    }
}

fn roots(roots: &Roots) -> RootCerts {
    let certificates: Vec<Certificate<'static>> = match roots {
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
        }
        Roots::Pem(pem) => ureq::tls::parse_pem(pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                Ok(_) | Err(_) => None,
            })
            .collect(),
    };
    if certificates.is_empty() {
        tracing::warn!("there are no CA certificates to check issuers with; name some with outbound.ca");
    }
    RootCerts::Specific(Arc::new(certificates))
}

fn body(body: Body, bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = body.into_reader().take(bytes_max as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| fault(ureq::Error::from(error)))?;
    if bytes.len() > bytes_max { Err(Fault::TooLarge(bytes_max)) } else { Ok(bytes) }
}

fn fault(error: ureq::Error) -> Fault {
    use ureq::Error;
    match error {
        Error::Timeout(_) => Fault::Timeout,
        Error::HostNotFound => Fault::Resolve,
        Error::Other(other) => {
            other.downcast_ref::<NotPublic>().map_or(Fault::Protocol, |bad| Fault::Forbidden(bad.0))
        }
        // The kind under which a handshake that went wrong comes.
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Fault::Tls(shortened(&error.to_string()))
        }
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => Fault::Timeout,
        Error::Io(error) if is_resolving(&error) => Fault::Resolve,
        Error::Io(error) => Fault::Connection(error.kind()),
        Error::Tls(why) => Fault::Tls(why.to_owned()),
        Error::Rustls(error) => Fault::Tls(shortened(&error.to_string())),
        Error::ConnectionFailed => Fault::Connection(io::ErrorKind::NotConnected),
        Error::RequireHttpsOnly(_) => Fault::Scheme,
        Error::BadUri(_) => Fault::Url,
        Error::LargeResponseHeader(..) => Fault::TooLarge(HEAD_BYTES_MAX),
        _ => Fault::Protocol,
    }
}

/// The standard library gives a name that does not resolve no kind of its own.
fn is_resolving(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.to_string().contains("failed to lookup address")
}

fn shortened(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(200).collect()
}

/// The host that a `Location` leads to: all of it that may be shown.
fn host(location: &str) -> String {
    url::endpoint(location.split('#').next().unwrap_or_default())
        .map_or_else(|_| "a place that is no plain URL".to_owned(), |url| url.authority)
}

/// `max-age` of a `Cache-Control` value (RFC 9111 section 5.2.2.1); zero where it forbids keeping.
fn max_age(value: &str) -> Option<Duration> {
    let mut found = None;
    for directive in value.split(',').map(str::trim) {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => found = argument.trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
pub(super) mod scripted;
#[cfg(test)]
mod tests;
