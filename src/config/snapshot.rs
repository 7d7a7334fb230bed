//! The configuration as run: immutable, shared by every worker through one `Arc`.
//!
//! Nothing in here can be wrong any more: names became ids, references became bytes, spellings became
//! numbers. An exchange takes one snapshot when it is admitted and is settled by the same one.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::Secret;
use crate::policy::adaptive::{self, Priorities};
use crate::policy::authn::Authn;
use crate::policy::authz::Rules;
use crate::policy::propagate::{Assertion, Credentials, Signer};
use crate::policy::rate_limit::{self, DenyAs};
use crate::schema::world::TrustFile;
use crate::wire::http1::AllowList;

pub use listener::{ListenAddress, Listener, ListenerTls, Network, ProxyProtocol, TlsIdentity};
pub use origin::{HostPolicy, OriginPolicy};
pub use route::{MessagePath, Route, RouteTable};
pub use scopes::AskedScopes;

mod listener;
mod origin;
mod route;
mod scopes;

/// Everything that was configured, compiled. See the module.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    /// Counts the configurations of this process: 1 for the first, one more with each reload.
    pub generation: u64,
    /// Where connections are accepted. At least one.
    pub listeners: Box<[Listener]>,
    /// How many data workers there are, and where they run.
    pub workers: Workers,
    /// Which worker serves a fresh connection.
    pub placement: Placement,
    /// How the workers talk to the kernel.
    pub driver: Driver,
    /// The origin under which clients reach this gateway, as `scheme://host[:port]`.
    pub public_url: Option<Box<str>>,
    /// The operator's own listener.
    pub admin: Admin,
    /// How and what is logged.
    pub log: Log,
    /// The kernel may write core files of the process.
    pub core_files: bool,
    /// Bounds of sizes and counts.
    pub limits: Limits,
    /// Bounds of times.
    pub timeouts: Timeouts,
    /// How the gateway leaves.
    pub drain: Drain,
    /// Where it keeps what must outlast it; `None`: nowhere.
    pub state: Option<State>,
    /// Which `Origin` values are served.
    pub origins: OriginPolicy,
    /// Which `Host` values are served.
    pub hosts: HostPolicy,
    /// Who may call at all; `None`: everybody.
    pub authn: Option<Authn>,
    /// What a caller may do.
    pub access: Access,
    /// How often, how much and at what cost callers may; `None`: without end.
    pub rate_limits: Option<rate_limit::Limits>,
    /// Whose calls go first.
    pub priorities: Priorities,
    /// What the gateway fetches for itself, and how.
    pub outbound: Outbound,
    /// The key that the gateway signs assertions with, if any server gets them.
    pub signer: Option<Signer>,
    /// The key that legacy session ids are bound to their principal with; `None`: one made at the start.
    pub session_key: Option<Secret>,
    /// Files that the configuration refers to. When one changes, they are all read again.
    pub files: Box<[PathBuf]>,
    /// Those of them that say whom to trust, and what: taken over by themselves where a reload is refused.
    pub trust: Box<[TrustFile]>,
    /// Files with secrets that every user of the host may read.
    pub open_secrets: Box<[PathBuf]>,
    /// The MCP servers, by [`ServerId`].
    pub servers: Box<[Server]>,
    /// Path to server; see [`Snapshot::route`].
    pub routes: RouteTable,
}

impl Snapshot {
    /// The server that answers at `path` (as received: no query, not decoded), by exact match.
    pub fn route<'a>(&'a self, path: &'a [u8]) -> Option<Route<'a>> {
        self.routes.find(&self.servers, path)
    }

    /// The server with this id.
    ///
    /// # Panics
    /// If `id` is of another snapshot with more servers. Ids and snapshots travel together.
    pub fn server(&self, id: ServerId) -> &Server {
        &self.servers[usize::from(id.0)]
    }
}

/// Index of a server in its snapshot. Means nothing in another snapshot: the name does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u16);

/// Index of an endpoint among all endpoints of its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u16);

/// The data workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One for each CPU this process may use.
    Auto,
    /// This many, pinned to the first CPUs this process may use that no other gateway has.
    Count(NonZeroU16),
    /// One pinned to each of these CPUs; sorted, none twice.
    Cpus(Box<[u16]>),
}

/// Which worker serves a fresh connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The one the kernel's SO_REUSEPORT hash chose.
    Kernel,
    /// The one with the fewest connections.
    Balanced,
}

/// How the workers talk to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring, and epoll with a warning where io_uring is not to be had.
    Auto,
    /// io_uring or no start.
    IoUring,
    /// epoll.
    Epoll,
}

/// The operator's own listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where; `None` when it is off.
    pub address: Option<SocketAddr>,
}

/// How and what is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// The least grave level that is written.
    pub level: LogLevel,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line.
    Text,
    /// One JSON object a line.
    Json,
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something is lost.
    Error,
    /// Something is odd.
    Warn,
    /// What an operator wants to know on a good day.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// Bounds of sizes (bytes) and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head: request line and headers.
    pub head_bytes_max: usize,
    /// Header lines of a request.
    pub headers_max: usize,
    /// Bytes of a request target.
    pub uri_bytes_max: usize,
    /// Bytes of a request body.
    pub body_bytes_max: usize,
    /// Bytes of all bodies that are held at a time, by all workers.
    pub bodies_bytes_max: usize,
    /// Nesting of a JSON body.
    pub json_depth_max: usize,
    /// Messages of a JSON-RPC batch (revision 2025-03-26 only).
    pub batch_max: usize,
    /// Open client connections per worker.
    pub connections_max: usize,
    /// Of these, from one source; `None`: three quarters of what may be.
    pub connections_per_source_max: Option<usize>,
    /// Open connections per endpoint and worker.
    pub upstream_connections_max: usize,
    /// Of these, how many may be kept idle.
    pub upstream_idle_max: usize,
    /// Bytes of a response head.
    pub response_head_bytes_max: usize,
    /// Bytes of one server-sent event that is filtered, if it is more than `list_bytes_max`.
    pub sse_event_bytes_max: usize,
    /// Bytes of an answer that is gathered to be filtered.
    pub list_bytes_max: usize,
    /// Steps of the expressions of one request.
    pub expression_steps_max: usize,
    /// Items in the lists of an answer that is filtered.
    pub list_items_max: usize,
    /// Steps that filtering the lists of an answer may take.
    pub list_steps_max: usize,
    /// How long a client may keep an answer that is filtered.
    pub list_ttl_max: Duration,
    /// Bytes of verified credentials that a worker remembers, and of what they say.
    pub credentials_bytes_max: usize,
}

/// Bounds of times. `None` is no bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From a request's first byte to the end of its head.
    pub head: Duration,
    /// From the end of a request's head to the end of its body.
    pub body: Duration,
    /// How long a fresh client connection may be silent.
    pub first_request: Duration,
    /// How long a client connection may wait for its next request.
    pub keep_alive: Duration,
    /// Opening an upstream connection, TLS included.
    pub connect: Duration,
    /// From the request sent to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// Between two bytes of an answer.
    pub stream_idle: Option<Duration>,
    /// A whole exchange other than a GET stream.
    pub call: Option<Duration>,
    /// A legacy call that its client cancelled or left.
    pub abandoned: Option<Duration>,
    /// How long a peer may take no bytes of what is sent to it.
    pub write: Duration,
    /// How long an idle upstream connection is kept.
    pub upstream_idle: Duration,
    /// How long an upstream connection is used at the most; an exchange under way is not cut.
    pub upstream_max_age: Duration,
    /// From the close of the listeners to the end of the last exchange.
    pub drain: Duration,
}

/// How the gateway leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drain {
    /// From the signal to stop to the close of the listeners, while `/readyz` says 503 already.
    pub announce: Duration,
}

/// Where a gateway keeps what must outlast it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The directory, of this gateway alone.
    pub directory: PathBuf,
    /// The operator has named it, or systemd has: without it the gateway does not start.
    pub given: bool,
}

/// What a caller may do.
#[derive(Debug, Default, PartialEq)]
pub struct Access {
    /// The rules; `None`: every caller may do everything.
    pub rules: Option<Rules>,
    /// How a denied call looks.
    pub denied_as: DeniedAs,
}

/// How a denied call looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeniedAs {
    /// A call of a tool as a result with `isError`, in the words for a tool that does not exist; all else as `Unknown`.
    #[default]
    Result,
    /// The same without `isError`.
    Text,
    /// As if what it names did not exist: a JSON-RPC error.
    Unknown,
    /// 403.
    Forbidden,
}

/// What the gateway fetches for itself (keys, metadata, introspection, tokens), and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Outbound {
    /// `http` URLs are permitted.
    pub allow_http: bool,
    /// URLs that came from the network may lead to private addresses.
    pub allow_private: bool,
    /// What the certificates of others must chain to.
    pub roots: Roots,
    /// One fetch, from the name to the last byte.
    pub timeout: Duration,
    /// Keys are fetched again this often.
    pub keys_refresh: Duration,
    /// Keys that could not be fetched again for so long are dropped.
    pub keys_max_age: Duration,
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            allow_http: false,
            allow_private: false,
            roots: Roots::System,
            timeout: Duration::from_secs(5),
            keys_refresh: Duration::from_secs(5 * 60),
            keys_max_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Who may call a server, and how clients learn of it.
#[derive(Debug, Default, PartialEq)]
pub struct Protection {
    /// Callers without a credential are served too.
    pub anonymous: bool,
    /// What a token must be for: its `aud` names one of these.
    pub audiences: Box<[Box<str>]>,
    /// Scopes that every request needs, sorted.
    pub scopes: Box<[Box<str>]>,
    /// What clients are told to ask for, to get these and those that rules name.
    pub asked_scopes: AskedScopes,
    /// Scopes that the challenge of a 401 names; `None`: [`Protection::scopes`].
    pub initial_scopes: Option<Box<[Box<str>]>>,
    /// Whether [`Protection::metadata`] may be published.
    pub publish_metadata: bool,
    /// Where clients learn how to get a token: the URL of [`Protection::metadata`].
    pub metadata_url: Option<Box<str>>,
    /// The metadata document of RFC 9728, if there is an issuer that it can name.
    pub metadata: Option<Box<str>>,
}

/// One MCP server behind the gateway.
#[derive(Debug, PartialEq)]
pub struct Server {
    /// Its index.
    pub id: ServerId,
    /// Its name: a token of `a-z 0-9 - _ .`.
    pub name: Box<str>,
    /// The path it is served at.
    pub path: Box<str>,
    /// How it is spoken to.
    pub transport: Transport,
    /// Its replicas. At least one.
    pub endpoints: Box<[Endpoint]>,
    /// Headers added to each request, rendered as `name: value\r\n` lines.
    pub headers: Secret,
    /// What of a client's headers it gets. None of [`Server::headers`] is among them.
    pub to_server: AllowList,
    /// What of its headers a client gets.
    pub to_client: AllowList,
    /// The bounds of times for this server: its own where it has any, else those of the snapshot.
    pub timeouts: Timeouts,
    /// How its calls are limited to what it can take, if they are.
    pub adaptive: Option<adaptive::Config>,
    /// How a call looks that got no place for that reason.
    pub shed_as: DenyAs,
    /// Tools that may be called again after a failure.
    pub idempotent_tools: Box<[Box<str>]>,
    /// Who may call it. Without [`Snapshot::authn`] this counts for nothing.
    pub protection: Protection,
    /// What it is shown besides [`Server::headers`].
    pub credentials: Credentials,
    /// How it is told who calls, if it is.
    pub assertion: Option<Assertion>,
}

/// How an MCP server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP, revision 2025-03-26 and later.
    StreamableHttp,
    /// HTTP+SSE of revision 2024-11-05.
    Sse {
        /// Paths that the server may name in its `endpoint` event.
        message_paths: Box<[MessagePath]>,
    },
}

/// One replica of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its index among all endpoints of the snapshot.
    pub id: EndpointId,
    /// Where it is.
    pub address: Address,
    /// How its certificate is checked, if TLS is spoken.
    pub tls: Option<UpstreamTls>,
    /// The `Host` value for it.
    pub authority: Box<str>,
    /// What follows the target in the head of every request: the version, `Host`, and the lines that are the gateway's own.
    pub lines: Box<str>,
    /// The request target: path and query.
    pub target: Box<str>,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP.
    Tcp {
        /// A name or an address; an IPv6 address stands without brackets.
        host: Box<str>,
        /// The port.
        port: u16,
    },
    /// A Unix stream socket at this path.
    Unix(PathBuf),
}

/// How an upstream's certificate is checked. Plain data; `io` makes a TLS client of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The name asked for (SNI) and expected in the certificate.
    pub server_name: Box<str>,
    /// What it must chain to.
    pub roots: Roots,
    /// The certificate chain and key in PEM that the gateway shows, if it shows one.
    pub identity: Option<(Arc<[u8]>, Secret)>,
}

/// Trust anchors.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Roots {
    /// Those of the operating system.
    System,
    /// The certificates of this PEM text, and no others.
    Pem(Arc<[u8]>),
}

/// What of `new` takes effect only after a restart, by the names of the options. Everything else is
/// taken over by a reload.
pub fn restart_needed(old: &Snapshot, new: &Snapshot) -> Vec<&'static str> {
    let addresses = |snapshot: &Snapshot| -> Vec<ListenAddress> {
        snapshot.listeners.iter().map(|listener| listener.address.clone()).collect()
    };
    let keys = |snapshot: &Snapshot| {
        snapshot.rate_limits.as_ref().map_or(rate_limit::KEYS_MAX_DEFAULT, |limits| limits.keys_max)
    };
    let changed = [
        ("rate_limits.keys_max", keys(old) != keys(new)),
        ("listeners", addresses(old) != addresses(new)),
        ("workers", old.workers != new.workers),
        ("placement", old.placement != new.placement),
        ("driver", old.driver != new.driver),
        ("admin", old.admin != new.admin),
        ("state", old.state != new.state),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
