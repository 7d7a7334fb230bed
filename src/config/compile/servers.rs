//! `servers`.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Context, adaptive, credentials, material, passing, protection};
use crate::base::Secret;
use crate::config::file::{File, ServerSection, ServerTimeoutsSection, TransportWord};
use crate::config::snapshot::{
    Endpoint, EndpointId, MessagePath, Roots, Server, ServerId, Timeouts, Transport, UpstreamTls,
};
use crate::config::text::HeaderValue;
use crate::config::url::EndpointUrl;
use crate::policy::rate_limit::DenyAs;
use crate::schema::finding::{At, Findings, Place, Problem};
use crate::schema::units::shorten;
use crate::schema::world::TrustKind;

/// The servers. Those without a usable name are left out, after a finding.
pub fn compile(
    file: &File,
    timeouts: &Timeouts,
    origin: Option<&str>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Vec<Server> {
    let world = Surroundings { file, timeouts, origin, context };
    let mut servers: Vec<Server> = Vec::new();
    let mut twins = Twins::default();
    let mut endpoints_before = 0_usize;
    for section in file.servers.iter().flat_map(|list| &list.value) {
        let server = server(&world, section, servers.len(), endpoints_before, findings);
        let Some(server) = server else { continue };
        twins.refuse(section, &server, findings);
        endpoints_before += server.endpoints.len();
        servers.push(server);
    }
    if endpoints_before > usize::from(u16::MAX) {
        let place = file.servers.as_ref().map(|list| list.place.clone()).unwrap_or_default();
        findings.add(&place, format!("have {endpoints_before} endpoints"), "keep them to 65535 in all");
    }
    servers
}

/// Where each name and path was given first.
#[derive(Default)]
struct Twins<'a> {
    names: HashMap<Box<str>, &'a Place>,
    paths: HashMap<Box<str>, &'a Place>,
}

impl<'a> Twins<'a> {
    /// Notes a name, or else a path, that another server has already.
    fn refuse(&mut self, section: &'a At<ServerSection>, server: &Server, findings: &mut Findings) {
        let said = |kind: &str, value: &str, first: &Place| {
            let line =
                if first.spot.line > 0 { format!(" on line {}", first.spot.line) } else { String::new() };
            let fix = format!("give each server a {kind} of its own");
            Problem::new(format!("`{value}` is also the {kind} of {}{line}", first.path), fix)
        };
        let name = self.names.insert(server.name.clone(), &section.place);
        let path = self.paths.insert(server.path.clone(), &section.place);
        if let Some(first) = name {
            let place = section.value.name.as_ref().map_or(&section.place, |name| &name.place);
            findings.note(place, said("name", &server.name, first));
        } else if let Some(first) = path {
            let place = section.value.path.as_ref().map_or(&section.place, |path| &path.place);
            findings.note(place, said("path", &server.path, first));
        }
    }
}

/// What is the same for every server.
struct Surroundings<'a> {
    file: &'a File,
    timeouts: &'a Timeouts,
    origin: Option<&'a str>,
    context: &'a Context<'a>,
}

fn server(
    world: &Surroundings<'_>,
    At { value: section, place }: &At<ServerSection>,
    index: usize,
    endpoints_before: usize,
    findings: &mut Findings,
) -> Option<Server> {
    let &Surroundings { file, timeouts, origin, context } = world;
    let endpoints = endpoints(section, place, endpoints_before, context, findings);
    let (mut headers, mut header_names) = headers(&section.headers, context, findings);
    let shown = credentials::compile(file, section, &mut headers, &mut header_names, context, findings);
    check_size(&headers, &section.headers.place, findings);
    let to_server = passing::to_server(section, &header_names, findings);
    let to_client = passing::to_client(section, findings);
    let transport = transport(section, findings);
    if let (Transport::Sse { .. }, 2..) = (&transport, endpoints.len()) {
        // A message belongs to the stream it answers on, and only one replica holds that.
        findings.add(
            place,
            "has several endpoints with `transport: sse`",
            "give each replica a server of its own",
        );
    }
    let name = &section.name.as_ref()?.value;
    let path = section.path.as_ref().map_or_else(|| format!("/{name}/mcp"), |path| path.value.clone());
    let timeouts = with_overrides(timeouts, &section.timeouts.value);
    Some(Server {
        id: ServerId(u16::try_from(index).ok()?),
        name: name.as_str().into(),
        protection: protection::compile(section, &path, origin),
        credentials: shown.credentials,
        assertion: shown.assertion,
        path: path.into(),
        transport,
        endpoints: endpoints.into(),
        headers: Secret::new(headers),
        to_server,
        to_client,
        adaptive: adaptive::compile(section, &timeouts, findings),
        shed_as: section.adaptive.as_ref().map_or(DenyAs::Result, |at| at.value.deny_as.value),
        timeouts,
        idempotent_tools: section
            .idempotent_tools
            .value
            .iter()
            .map(|tool| tool.value.as_str().into())
            .collect(),
    })
}

fn transport(section: &ServerSection, findings: &mut Findings) -> Transport {
    match (section.transport.value, &section.message_paths) {
        (TransportWord::StreamableHttp, None) => Transport::StreamableHttp,
        (TransportWord::StreamableHttp, Some(paths)) => {
            findings.add(&paths.place, "has no effect without `transport: sse`", "add that, or remove this");
            Transport::StreamableHttp
        }
        (TransportWord::Sse, None) => Transport::Sse {
            message_paths: ["/message", "/messages", "/messages/"].map(MessagePath::new).into(),
        },
        (TransportWord::Sse, Some(paths)) => Transport::Sse {
            message_paths: paths.value.iter().map(|path| MessagePath::new(&path.value)).collect(),
        },
    }
}

fn endpoints(
    section: &ServerSection,
    place: &Place,
    endpoints_before: usize,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Vec<Endpoint> {
    let urls: Vec<&At<EndpointUrl>> = match (&section.url, &section.endpoints) {
        (Some(url), None) => vec![url],
        (None, Some(list)) => list.value.iter().collect(),
        (Some(url), Some(list)) => {
            findings.add(&list.place, "stands beside `url`", "keep one of the two");
            vec![url]
        }
        // Either neither was given, or what was given is wrong and has its finding.
        (None, None) => Vec::new(),
    };
    if section.url.is_none()
        && section.endpoints.is_none()
        && !findings.iter().any(|f| is_url_of(&f.place, place))
    {
        findings.add(place, "has neither `url` nor `endpoints`", "add `url: http://host:port/mcp`");
    }
    let tls = upstream_tls(section, &urls, context, findings);
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for At { value: url, place } in urls {
        let id = EndpointId(u16::try_from(endpoints_before + endpoints.len()).unwrap_or(u16::MAX));
        let host = section.host.as_ref().map(|host| host.value.as_str());
        let endpoint = endpoint(url, id, section.transport.value, host, &tls);
        if endpoints.iter().any(|other| other.address == endpoint.address && other.target == endpoint.target)
        {
            findings.add(
                place,
                "is given twice",
                "remove one of the two; weights are not counted by repetition",
            );
        }
        endpoints.push(endpoint);
    }
    endpoints
}

/// Whether `at` is the `url` or `endpoints` option of the server at `server`.
fn is_url_of(at: &Place, server: &Place) -> bool {
    let option = at.path.strip_prefix(&server.path).and_then(|rest| rest.strip_prefix('.'));
    option.is_some_and(|option| option == "url" || option.starts_with("endpoints"))
}

fn endpoint(
    url: &EndpointUrl,
    id: EndpointId,
    transport: TransportWord,
    named: Option<&str>,
    tls: &TlsChoices,
) -> Endpoint {
    let target = url.target.clone().unwrap_or_else(|| match transport {
        TransportWord::StreamableHttp => "/mcp".to_owned(),
        TransportWord::Sse => "/sse".to_owned(),
    });
    let host = match &url.address {
        crate::config::snapshot::Address::Tcp { host, .. } => host.clone(),
        crate::config::snapshot::Address::Unix(_) => "localhost".into(),
    };
    // Who is asked for in the handshake is asked for in the request too, at the port of the URL.
    let authority = match (named, tls.server_name.as_deref().filter(|_| url.tls)) {
        (Some(named), _) => named.into(),
        (None, Some(name)) => with_port_of(name, &url.authority),
        (None, None) => url.authority.as_str().into(),
    };
    let tls = url.tls.then(|| UpstreamTls {
        server_name: tls.server_name.clone().unwrap_or(host),
        roots: tls.roots.clone(),
        identity: tls.identity.clone(),
    });
    // Answers are to be readable, for policies read them; and requests came through here (RFC 9110 section 7.6.3).
    let lines =
        format!(" HTTP/1.1\r\nhost: {authority}\r\naccept-encoding: identity\r\nvia: 1.1 ringgate\r\n");
    Endpoint { id, address: url.address.clone(), tls, authority, lines: lines.into(), target: target.into() }
}

/// `name` with the port of `authority`, if that has one. Names that hold colons are addresses.
fn with_port_of(name: &str, authority: &str) -> Box<str> {
    let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    match authority.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => format!("{name}:{port}").into(),
        _ => name.into(),
    }
}

struct TlsChoices {
    server_name: Option<Box<str>>,
    roots: Roots,
    identity: Option<(Arc<[u8]>, Secret)>,
}

fn upstream_tls(
    section: &ServerSection,
    urls: &[&At<EndpointUrl>],
    context: &Context<'_>,
    findings: &mut Findings,
) -> TlsChoices {
    let Some(At { value: tls, place }) = &section.tls else {
        return TlsChoices { server_name: None, roots: Roots::System, identity: None };
    };
    if !urls.is_empty() && !urls.iter().any(|url| url.value.tls) {
        findings.add(
            place,
            "has no effect: no URL of this server is `https`",
            "use an `https` URL, or remove it",
        );
    }
    let pem = tls.ca.as_ref().and_then(|ca| material::authorities(ca, TrustKind::Ca, context, findings));
    TlsChoices {
        server_name: tls.server_name.as_ref().map(|name| name.value.as_str().into()),
        roots: pem.map_or(Roots::System, |pem| Roots::Pem(pem.into())),
        identity: credentials::client_certificate(tls, context, findings),
    }
}

/// The header lines as they will be sent, and their names in lower case.
fn headers(
    headers: &At<Vec<(At<String>, HeaderValue)>>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> (Vec<u8>, Vec<Box<str>>) {
    let mut lines = Vec::new();
    let mut names: Vec<Box<str>> = Vec::new();
    for (At { value: name, place }, value) in &headers.value {
        let lower: Box<str> = name.to_ascii_lowercase().into();
        if let Err(problem) = check_header_name(&lower) {
            findings.note(place, problem);
        } else if names.contains(&lower) {
            findings.add(place, "is given twice; header names have no case", "keep one of the two");
        }
        match header_bytes(value, context) {
            Ok(value) => push_line(&mut lines, name, &value),
            Err(problem) => findings.note(place, problem),
        }
        names.push(lower);
    }
    (lines, names)
}

/// Appends a header line.
pub(super) fn push_line(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        lines.extend_from_slice(part);
    }
}

fn check_size(lines: &[u8], place: &Place, findings: &mut Findings) {
    if lines.len() > HEADERS_BYTES_MAX {
        let what = format!("have {} bytes together, credentials included", lines.len());
        findings.add(place, what, format!("keep them to {HEADERS_BYTES_MAX}"));
    }
}

/// Bytes of all added headers. They are part of every request head.
const HEADERS_BYTES_MAX: usize = 8 << 10;

fn header_bytes(value: &HeaderValue, context: &Context<'_>) -> Result<Vec<u8>, Problem> {
    let (prefix, reference) = match value {
        HeaderValue::Literal(secret) => return Ok(secret.reveal().to_vec()),
        HeaderValue::From { prefix, reference } => (prefix, reference),
    };
    let bytes = material::line(reference, context)?;
    Ok([prefix.as_bytes(), &bytes].concat())
}

/// Whether `lower`, in lower case, may be the name of an added header.
pub(super) fn check_header_name(lower: &str) -> Result<(), Problem> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if lower.is_empty() || lower.len() > 128 || !lower.bytes().all(token) {
        let what = format!("`{}` cannot be the name of a header", shorten(lower));
        return Err(Problem::new(what, "use letters, digits and `-`"));
    }
    if lower.starts_with("mcp-") || RESERVED.contains(&lower) {
        return Err(Problem::new("is a header that the gateway or the protocol sets", "remove it"));
    }
    Ok(())
}

/// Headers that frame a message, belong to one hop (RFC 9110 section 7.6.1), or carry the protocol.
const RESERVED: [&str; 18] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

fn with_overrides(all: &Timeouts, own: &ServerTimeoutsSection) -> Timeouts {
    let or = |own: &Option<At<_>>, all| own.as_ref().map_or(all, |own| own.value);
    let or_off = |own: &Option<At<_>>, all| own.as_ref().map_or(all, |own| own.value);
    Timeouts {
        connect: or(&own.connect, all.connect),
        first_byte: or_off(&own.first_byte, all.first_byte),
        stream_idle: or_off(&own.stream_idle, all.stream_idle),
        call: or_off(&own.call, all.call),
        abandoned: or_off(&own.abandoned, all.abandoned),
        upstream_idle: or(&own.upstream_idle, all.upstream_idle),
        upstream_max_age: all.upstream_max_age,
        ..all.clone()
    }
}
