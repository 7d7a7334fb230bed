//! The configuration as written: every option, declared once.
//!
//! The doc comment of an option is its text in `docs/configuration.md` and in editors, so it speaks to
//! operators. After adding or changing one: `ringgate schema --markdown > docs/configuration.md`.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::time::Duration;

use super::snapshot::{
    Driver, ListenAddress, LogFormat, LogLevel, Network, Placement, ProxyProtocol, Workers,
};
use super::text::{self, AllowedOrigin, HeaderValue, Reference, StateWord};
use super::url::{self, EndpointUrl, Origin};
use crate::schema::finding::At;
use crate::schema::rule::{Choice, Count, Flag, List, MapOf, NumberOr, Size, Sub, Text, Time};
use crate::schema::section::section;

pub mod access;
pub mod adaptive;
pub mod authentication;
pub mod bounds;
pub mod credentials;
pub mod drain;
pub mod outbound;
pub mod rate_limits;

use access::{AccessSection, TestSection};
use adaptive::{AdaptiveSection, PrioritySection};
use authentication::{AuthenticationSection, ChallengeScopesSection};
pub use bounds::{LimitsSection, ServerTimeoutsSection, TimeoutsSection};
use credentials::{AssertionSection, CredentialsSection, IdentitySection};
use drain::DrainSection;
use outbound::OutboundSection;
use rate_limits::RateLimitsSection;

section! {
    /// One YAML file configures the gateway. Unknown keys, duplicate keys and values that break a rule
    /// are errors, and `ringgate check FILE` names all of them at once. Sizes are written `16KiB`,
    /// `4MiB`, `1GiB` or as plain bytes; durations `250ms`, `5s`, `2m`, `1h`. A reference is a file name
    /// (relative to the directory of this file), `file:NAME` or `env:NAME`. Send SIGHUP to reload:
    /// all or nothing. Files that references name are read again when they change. Only `listeners[].address`, `workers`,
    /// `placement`, `driver`, `admin`, `state` and `rate_limits.keys_max` need a
    /// restart.
    File {
        /// Where clients connect.
        listeners: Vec<At<ListenerSection>> = list(sub::<ListenerSection>(), 1, 64), default "[{address: '127.0.0.1:8080'}]";
        /// The MCP servers behind the gateway.
        servers: Vec<At<ServerSection>> = list(sub::<ServerSection>(), 1, 4096), required;
        /// The origin under which clients reach the gateway, such as `https://mcp.example.com`. Needed
        /// when it differs from what the listeners say, as behind a load balancer. Pages of this origin
        /// may use the gateway, and a gateway that listens on loopback also serves this `Host`.
        public_url: Origin = ORIGIN_ONLY, optional;
        /// `Origin` values that are served, such as `https://app.example.com`. A request with another
        /// one is refused with 403, so that a web page cannot use the gateway from a visitor's browser.
        /// Requests without `Origin` do not come from a page and are served. When this is not given:
        /// the origin of `public_url`, and pages of this machine (`localhost`, `127.0.0.1`, `[::1]`) if
        /// every TCP listener is on loopback. `"*"` serves every page.
        origins: Vec<At<AllowedOrigin>> = list(ALLOWED_ORIGIN, 1, 256), optional;
        /// `Host` values that are served, such as `mcp.example.com` (any port) or `mcp.example.com:8443`.
        /// When this is not given: if every TCP listener is on loopback, `localhost`, `127.0.0.1`,
        /// `[::1]` and the host of `public_url`, which stops DNS rebinding; otherwise every host.
        hosts: Vec<At<String>> = list(HOST, 1, 256), optional;
        /// How many worker threads serve traffic, and on which CPUs: `auto` (one for each CPU this
        /// process may use), a number (of CPUs that no other gateway of the host has, while there are any), or a CPU
        /// list such as `"0-3,6"` (a single CPU: `"3-3"`).
        workers: Workers = WORKERS, default "auto";
        /// Which worker serves a new connection: `kernel` lets the kernel spread connections by hash;
        /// `balanced` gives each to the worker with the fewest, for few and long-lived connections.
        placement: Placement = Choice(&[("kernel", Placement::Kernel), ("balanced", Placement::Balanced)]), default "balanced";
        /// How workers talk to the kernel. `auto` takes io_uring, or epoll with a warning where
        /// io_uring is not permitted; `io_uring` does not start without it.
        driver: Driver = Choice(&[("auto", Driver::Auto), ("io_uring", Driver::IoUring), ("epoll", Driver::Epoll)]), default "auto";
        /// Who may call at all. When this is not given, everybody may.
        authentication: AuthenticationSection = sub::<AuthenticationSection>(), optional;
        /// What a caller may do. When this is not given, every caller may do everything.
        access: AccessSection = sub::<AccessSection>(), optional;
        /// Whose calls go first at servers with `adaptive`.
        priorities: Vec<At<PrioritySection>> = list(sub::<PrioritySection>(), 1, 256), optional;
        /// Sessions of the older revisions of MCP.
        sessions: SessionsSection = sub::<SessionsSection>(), default "{}";
        /// What you expect of `access`: `ringgate check` judges each of these requests and says where the rules disagree.
        /// Nothing else reads them, so a test that fails does not keep a gateway from starting or reloading.
        tests: Vec<At<TestSection>> = list(sub::<TestSection>(), 0, 4096), default "[]";
        /// How often, how much and at what cost callers may. When this is not given, there is no end but that of `limits`.
        rate_limits: RateLimitsSection = sub::<RateLimitsSection>(), optional;
        /// What the gateway fetches for itself, and how.
        outbound: OutboundSection = sub::<OutboundSection>(), default "{}";
        /// Who the gateway is to servers that get an `assertion`.
        identity: IdentitySection = sub::<IdentitySection>(), optional;
        /// The operator's own listener.
        admin: AdminSection = sub::<AdminSection>(), default "{}";
        /// Whether the kernel may write a core file of the process. It would hold the keys and tokens of callers, so nothing of it
        /// is written, and no debugger of the same user attaches, unless this is `true`. Takes effect at the start.
        core_files: bool = Flag, default "false";
        /// Logging, to standard error.
        log: LogSection = sub::<LogSection>(), default "{}";
        /// Bounds of sizes and counts.
        limits: LimitsSection = sub::<LimitsSection>(), default "{}";
        /// Bounds of times.
        timeouts: TimeoutsSection = sub::<TimeoutsSection>(), default "{}";
        /// Where the gateway keeps what must outlast it: the key of sessions when `sessions.key` is not given, and what callers
        /// have used of calendar windows, budgets and long windows. A directory for one gateway alone, made with mode 0700
        /// if it is not there, or `off`. When not given: `$STATE_DIRECTORY` (which systemd sets by `StateDirectory=`), else
        /// `ringgate/ADDRESS_PORT` of the first listener in `$XDG_STATE_HOME` or `~/.local/state`. It is used only if there
        /// is something to keep.
        state: StateWord = Text { wanted: "a directory, or `off`", pattern: None, parse: text::state }, optional;
        /// How the gateway leaves when it is told to stop.
        drain: DrainSection = sub::<DrainSection>(), default "{}";
    }
}

section! {
    /// A place where clients connect.
    ListenerSection {
        /// Address and port, such as `0.0.0.0:8080` or `"[::]:8080"` (in quotes), or `unix:/run/ringgate.sock`.
        address: ListenAddress = LISTEN_ADDRESS, required;
        /// Permission bits of a Unix socket, such as `"0660"` (in quotes). When not given, the umask decides.
        mode: u32 = MODE, optional;
        /// Whether this gateway may listen at a TCP address where another already does, such as the one it takes over from: the
        /// kernel then spreads connections over both, if that one was started with this too, or has several workers. Without it
        /// a gateway refuses to start where another listens.
        shared: bool = Flag, default "false";
        /// Speak TLS here.
        tls: ListenerTlsSection = sub::<ListenerTlsSection>(), optional;
        /// Whether connections begin with a PROXY protocol header, which then names the client. Only for
        /// listeners that nobody but a load balancer can reach.
        proxy_protocol: ProxyProtocol = Choice(&[
            ("off", ProxyProtocol::Off), ("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2), ("any", ProxyProtocol::Any),
        ]), default "off";
        /// The load balancers, as addresses or networks such as `10.0.0.0/8`: connections from anywhere
        /// else are closed. When not given, every peer of a listener with `proxy_protocol` is believed.
        trusted_sources: Vec<At<Network>> = list(NETWORK, 1, 256), optional;
    }
}

section! {
    /// TLS of a listener (1.2 and 1.3). Give it `certificate` and `key`, or `certificates` when it has several names. Renewed
    /// files are taken over.
    ListenerTlsSection {
        /// Certificate chain in PEM, the server's own first: a reference.
        certificate: Reference = REFERENCE, optional;
        /// Private key in PEM: a reference.
        key: Reference = REFERENCE, optional;
        /// Certificates to choose from by the server name that a client asks for (SNI): the first that has this name, else
        /// the first that has `*.` and the rest of it, else the first of all.
        certificates: Vec<At<CertificateSection>> = list(sub::<CertificateSection>(), 1, 256), optional;
        /// Ask for client certificates, and serve only those that chain to these (PEM): a reference.
        client_ca: Reference = REFERENCE, optional;
    }
}

section! {
    /// A certificate and its key.
    CertificateSection {
        /// Certificate chain in PEM, the server's own first: a reference. It is shown for its alternative names (DNS).
        certificate: Reference = REFERENCE, required;
        /// Private key in PEM: a reference.
        key: Reference = REFERENCE, required;
    }
}

section! {
    /// Sessions of the revisions up to 2025-11-25. With `authentication`, a session id serves only the caller it was
    /// given to.
    SessionsSection {
        /// What binds ids to callers: at least 32 bytes that nobody can guess, a reference. Give all gateways behind one
        /// load balancer the same. When not given, one is made and kept in the directory of `state`; without such a directory
        /// it is made at each start, and sessions end with the process, which most clients do not recover from.
        key: Reference = REFERENCE, optional;
    }
}

section! {
    /// Health, readiness and metrics for the operator: `/healthz`, `/readyz`, `/metrics`.
    AdminSection {
        /// Address and port, or `off`.
        address: Option<SocketAddr> = ADMIN_ADDRESS, default "127.0.0.1:8079";
        /// Permit an address that other machines can reach. The admin listener has no access control.
        allow_remote: bool = Flag, default "false";
    }
}

section! {
    /// Logging, to standard error.
    LogSection {
        /// Lines for people (`text`) or for machines (`json`).
        format: LogFormat = Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]), default "text";
        /// The least grave level that is written.
        level: LogLevel = Choice(&[
            ("error", LogLevel::Error), ("warn", LogLevel::Warn), ("info", LogLevel::Info),
            ("debug", LogLevel::Debug), ("trace", LogLevel::Trace),
        ]), default "info";
    }
}

section! {
    /// An MCP server behind the gateway. Give it `url`, or `endpoints` when it has replicas.
    ServerSection {
        /// Its name, in paths, logs and metrics: `a-z`, `0-9`, `-`, `_`, `.`; at most 64.
        name: String = SERVER_NAME, required;
        /// Where it is: `http://host:port/path`, `https://host/path`, or `unix:/run/server.sock` with the
        /// HTTP path after a further colon, `unix:/run/server.sock:/mcp` (so the socket's own path has no
        /// colon). A URL without a path means `/mcp`, or `/sse` with `transport: sse`; write the final
        /// slash to mean `/`.
        url: EndpointUrl = ENDPOINT_URL, optional;
        /// The URLs of its replicas.
        endpoints: Vec<At<EndpointUrl>> = list(ENDPOINT_URL, 1, 256), optional;
        /// The path clients use. When not given: `/NAME/mcp`.
        path: String = SERVER_PATH, optional;
        /// How the server speaks: `streamable_http`, or `sse` for the older HTTP+SSE of revision
        /// 2024-11-05, whose `url` is that of its event stream.
        transport: TransportWord = Choice(&[
            ("streamable_http", TransportWord::StreamableHttp), ("sse", TransportWord::Sse),
        ]), default "streamable_http";
        /// With `transport: sse`: the paths that the server may name for messages. Others are refused, so
        /// that a server cannot point clients at anything else behind the gateway. A segment that is `*` stands for an
        /// id, such as that of the session in `/mcp/messages/*`: 1 to 256 letters, digits, `-`, `.`, `_`, `~`. When not
        /// given: `/message`, `/messages`, `/messages/`.
        message_paths: Vec<At<String>> = list(MESSAGE_PATH, 1, 32), optional;
        /// Headers added to every request to the server, in place of the client's own of that name. A value
        /// that is `env:NAME` or `file:NAME`, also after one word as in `Bearer env:TOKEN`, is read from there.
        headers: Vec<(At<String>, HeaderValue)> = MapOf { value: HEADER_VALUE, max: 32 }, default "{}";
        /// Names of client headers that go to the server besides those that always do: `Accept`, `Accept-Language`, `Baggage`,
        /// `Cache-Control`, `Content-Type`, `Last-Event-ID`, `Mcp-*`, `Traceparent`, `Tracestate`, `User-Agent` and `X-Request-Id`.
        /// No other header of a client reaches a server. A client can write whatever it likes into what is listed here, so
        /// list nothing that the server takes for proof of who calls, unless a proxy in front of the gateway sets it.
        pass_headers: Vec<At<String>> = list(HEADER_NAME, 0, 32), default "[]";
        /// Names of headers of the server's answers that clients get besides those that always pass: `Allow`, `Baggage`,
        /// `Cache-Control`, `Content-Encoding`, `Content-Type`, `Date`, `ETag`, `Mcp-*`, `Retry-After`, `Traceparent`,
        /// `Tracestate`, `Vary`, `X-Accel-Buffering` and `X-Request-Id`. All servers share the gateway's origin, so what would
        /// speak for it cannot be listed.
        response_headers: Vec<At<String>> = list(HEADER_NAME, 0, 32), default "[]";
        /// The `Host` that the server is asked for, with its port if it has one. When not given: `tls.server_name`, or else the
        /// host of the URL; `localhost` for a Unix socket. Servers answer 421 or 403 to a `Host` they do not know.
        host: String = HOST, optional;
        /// What the gateway shows to the server, besides `headers`.
        credentials: CredentialsSection = sub::<CredentialsSection>(), optional;
        /// Tell the server in a signed header who calls. Write `{}` for all defaults.
        assertion: AssertionSection = sub::<AssertionSection>(), optional;
        /// How the server's certificate is checked, for `https` URLs. There is no way not to check it.
        tls: UpstreamTlsSection = sub::<UpstreamTlsSection>(), optional;
        /// Serve callers without a credential too, although there is `authentication`. What they may do is for `access` to say.
        anonymous: bool = Flag, default "false";
        /// The audiences of tokens for this server (`aud`): a token must name one. When not given: the URL clients use,
        /// `public_url` and the path. Give each server audiences of its own, for a token for one is good for all that share
        /// it; where several do, the gateway says so when it starts.
        audiences: Vec<At<String>> = list(AUDIENCE, 1, 16), optional;
        /// Scopes that every request to this server needs. Clients learn of them from the challenge and the metadata. Like
        /// `anonymous` and `audiences`, a mistake without `authentication`, which would make it do nothing.
        scopes: Vec<At<String>> = list(SCOPE, 0, 64), default "[]";
        /// What clients are told to ask for to get these scopes and those of rules, where the authorization server wants other
        /// names than it puts into tokens.
        challenge_scopes: ChallengeScopesSection = sub::<ChallengeScopesSection>(), optional;
        /// Publish the metadata by which clients find where to sign in (RFC 9728), if there is an issuer to send them to. With
        /// `false` challenges do not name it and it is not found: for servers with `anonymous: true` whose clients would
        /// otherwise insist on a login.
        publish_metadata: bool = Flag, default "true";
        /// Times that differ from `timeouts` for this server.
        timeouts: ServerTimeoutsSection = sub::<ServerTimeoutsSection>(), default "{}";
        /// Send it only as many calls at once as it can take. When this is not given, all are sent.
        adaptive: AdaptiveSection = sub::<AdaptiveSection>(), optional;
        /// Tools that may safely be called a second time when the first call failed half way.
        idempotent_tools: Vec<At<String>> = list(TOOL_NAME, 0, 1024), default "[]";
    }
}

section! {
    /// How a server's certificate is checked, and what the gateway shows of its own.
    UpstreamTlsSection {
        /// Trust only the certificates in this PEM text instead of the system's: a reference.
        ca: Reference = REFERENCE, optional;
        /// The certificate that the gateway shows where the server asks for one: chain in PEM, its own first: a reference.
        certificate: Reference = REFERENCE, optional;
        /// The certificate's private key in PEM: a reference.
        key: Reference = REFERENCE, optional;
        /// The name the certificate must have. When not given: the host of the URL.
        server_name: String = TLS_NAME, optional;
    }
}

/// `transport` as written: what else it needs stands in other options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportWord {
    /// Streamable HTTP.
    StreamableHttp,
    /// HTTP+SSE.
    Sse,
}

// Rules that several options share, and those with a parser of their own.

const ORIGIN_ONLY: Text<Origin> = Text {
    wanted: "`https://host` or `http://host:port`, without a path",
    pattern: Some("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?$"),
    parse: url::public_url,
};
const ALLOWED_ORIGIN: Text<AllowedOrigin> = Text {
    wanted: "`scheme://host[:port]`, or `\"*\"`",
    pattern: Some("^(\\*|[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]+)$"),
    parse: text::allowed_origin,
};
const HOST: Text<String> =
    Text { wanted: "`host` or `host:port`", pattern: Some("^[^/?#@ ]+$"), parse: url::host_entry };
const WORKERS: NumberOr<Workers> = NumberOr {
    text: Text {
        wanted: "`auto`, a number, or a CPU list such as `\"0-3,6\"`",
        pattern: Some("^(auto|[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)$"),
        parse: text::workers,
    },
    minimum: 1,
    maximum: text::WORKERS_MAX as u64,
};
const LISTEN_ADDRESS: Text<ListenAddress> = Text {
    wanted: "`ADDRESS:PORT` such as `0.0.0.0:8080`, or `unix:/path`",
    pattern: Some("^(unix:/.+|.+:[0-9]+)$"),
    parse: text::listen_address,
};
const ADMIN_ADDRESS: Text<Option<SocketAddr>> = Text {
    wanted: "`ADDRESS:PORT` such as `127.0.0.1:8079`, or `off`",
    pattern: Some("^(off|.+:[0-9]+)$"),
    parse: text::admin_address,
};
const MODE: Text<u32> = Text {
    wanted: "four octal digits in quotes, such as `\"0660\"`",
    pattern: Some("^0[0-7]{3}$"),
    parse: text::mode,
};
const NETWORK: Text<Network> = Text {
    wanted: "an address or a network such as `10.0.0.0/8`",
    pattern: Some("^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"),
    parse: text::network,
};
const REFERENCE: Text<Reference> =
    Text { wanted: "a file name, `file:NAME` or `env:NAME`", pattern: None, parse: text::reference };
const HEADER_VALUE: Text<HeaderValue> =
    Text { wanted: "text, `env:NAME` or `file:NAME`", pattern: None, parse: text::header_value };
/// The rule of names of headers.
pub const HEADER_NAME: Text<String> = Text {
    wanted: "the name of a header",
    pattern: Some("^[!#-'*+.0-9A-Z^-z|~-]+$"),
    parse: |text| Ok(text.to_owned()),
};
const SERVER_NAME: Text<String> = Text {
    wanted: "a name of `a-z 0-9 - _ .` that begins and ends with a letter or digit",
    pattern: Some("^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"),
    parse: text::server_name,
};
const SERVER_PATH: Text<String> = Text {
    wanted: "a path such as `/weather/mcp`",
    pattern: Some("^/[^?#%\\s]*$"),
    parse: text::server_path,
};
const MESSAGE_PATH: Text<String> = Text {
    wanted: "a path such as `/messages` or `/messages/*`",
    pattern: Some("^/[^?#%\\s]*$"),
    parse: text::message_path,
};
const ENDPOINT_URL: Text<EndpointUrl> = Text {
    wanted: "`http://host:port/path`, `https://host/path` or `unix:/socket:/path`",
    pattern: Some("^([Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+|unix:/[^:]+(:/|$))"),
    parse: url::endpoint,
};
const TLS_NAME: Text<String> =
    Text { wanted: "a host name", pattern: Some("^[^/?#@ ]+$"), parse: url::tls_name };
const AUDIENCE: Text<String> =
    Text { wanted: "a URL or another identifier", pattern: None, parse: text::audience };
const SCOPE: Text<String> = Text {
    wanted: "a scope: printable characters without blanks, quotes and backslashes",
    pattern: Some("^[!#-\\[\\]-~]+$"),
    parse: text::scope,
};
const TOOL_NAME: Text<String> = Text { wanted: "the name of a tool", pattern: None, parse: text::tool_name };

const fn list<R>(item: R, min: usize, max: usize) -> List<R> {
    List { item, min, max }
}

const fn sub<S>() -> Sub<S> {
    Sub(PhantomData)
}

const fn size(min: usize, max: usize) -> Size {
    Size { min, max }
}

const fn count(min: usize, max: usize) -> Count {
    Count { min, max }
}

const fn time(Ms(min): Ms, Minutes(max): Minutes) -> Time {
    Time { min: Duration::from_millis(min), max: Duration::from_secs(max * 60) }
}

/// Milliseconds.
struct Ms(u64);
/// Minutes.
struct Minutes(u64);
