//! The HTTP+SSE transport (MCP 2024-11-05): the stream's `endpoint` event names the URI for the client's
//! messages. Behind a gateway that must be a URI of the gateway's own.

use crate::config::snapshot::{MessagePath, Server, Transport};
use crate::policy::session::SessionKey;
use crate::wire::reference::resolve_path;
use crate::wire::sse::{Event, write_endpoint};

/// Stands between the server's path and the path of its message endpoint; the route table reads it back.
const SUB_ROUTE: &str = "/~";

/// What binds the URI for messages to the caller of the stream.
pub struct Seal {
    /// By this key,
    pub key: SessionKey,
    /// to the principal with this identity.
    pub identity: Box<[u8]>,
}

/// Rewrites the `endpoint` events of one stream.
pub struct Endpoint {
    seal: Option<Seal>,
    path: Box<str>,
    /// The path of the stream at the server.
    base: Box<str>,
    message_paths: Box<[MessagePath]>,
    authorities: Box<[Box<str>]>,
}

impl Endpoint {
    /// For a stream of the endpoint at this index of `server`. With a `seal`, only its caller can send messages to it.
    pub fn of(server: &Server, endpoint: usize, seal: Option<Seal>) -> Self {
        let message_paths = match &server.transport {
            Transport::Sse { message_paths } => message_paths.clone(),
            Transport::StreamableHttp => Box::default(),
        };
        let target = server.endpoints.get(endpoint).map_or("/", |endpoint| &endpoint.target);
        Self {
            seal,
            path: server.path.clone(),
            base: target.split('?').next().unwrap_or(target).into(),
            message_paths,
            authorities: server.endpoints.iter().map(|endpoint| endpoint.authority.clone()).collect(),
        }
    }

    /// Appends `event`, an `endpoint` event, with a URI of the gateway's own.
    ///
    /// # Errors
    /// It names a URI that the configuration does not allow.
    pub fn rewrite(&self, out: &mut Vec<u8>, event: &Event<'_>) -> Result<(), &'static str> {
        let mut scratch = Vec::new();
        let uri = event.data(&mut scratch).unwrap_or_default();
        let uri = std::str::from_utf8(uri).map_err(|_| "the endpoint event's URI is not text")?;
        let (path, query) = self.own_target(uri.trim()).ok_or(
            "the endpoint event names a URI of another origin, or a path that is not in message_paths of the server",
        )?;
        let mut ours = format!("{}{SUB_ROUTE}{path}", self.path).into_bytes();
        if let Some(query) = query {
            ours.push(b'?');
            ours.extend_from_slice(query.as_bytes());
        }
        if let Some(Seal { key, identity }) = &self.seal {
            key.seal_target(identity, &self.path, &path, query, &mut ours);
        }
        write_endpoint(out, event, &ours).map_err(|_| "the endpoint event's URI holds a line break")
    }

    /// Path and query of a URI on the server itself (MCP.md 1.6: require the same origin), as seen from its stream.
    fn own_target<'u>(&self, uri: &'u str) -> Option<(String, Option<&'u str>)> {
        let rest = match uri.find([':', '/', '?', '#']) {
            _ if uri.starts_with("//") => return None,
            Some(at) if uri[at..].starts_with(':') => {
                let (scheme, rest) = uri.split_at(at);
                let rest = rest.strip_prefix("://")?;
                let known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
                let start = rest.find(['/', '?', '#']).filter(|&at| known && rest[at..].starts_with('/'))?;
                let same = self.authorities.iter().any(|own| own.eq_ignore_ascii_case(&rest[..start]));
                same.then_some(&rest[start..])?
            }
            _ => uri,
        };
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let clean =
            query.is_none_or(|query| query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
        let path = resolve_path(&self.base, path);
        let allowed = clean && self.message_paths.iter().any(|allowed| allowed.matches(path.as_bytes()));
        allowed.then_some((path, query))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::events::Events;
    use super::super::tests::NO_X;
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint {
            seal: None,
            path: "/old/mcp".into(),
            base: "/old/sse".into(),
            message_paths: ["/message", "/messages/", "/old/in/*/post", "/*/x"].map(MessagePath::new).into(),
            authorities: ["up:3001".into()].into(),
        }
    }

    fn events() -> Events {
        Events::new(1000, Some(endpoint()), None)
    }

    #[test]
    fn a_stream_can_be_rewritten_and_filtered() {
        let list = |tools: &str| format!("event: message\ndata: {{\"result\":{{\"tools\":[{tools}]}}}}\n\n");
        let stream = format!("event: endpoint\ndata: /message\n\n{}", list("{\"name\":\"x\"}"));
        let expected = format!("event: endpoint\ndata: /old/mcp/~/message\n\n{}", list(""));
        for cut in 0..stream.len() {
            let mut events = Events::new(1000, Some(endpoint()), Some(Box::new(NO_X)));
            let mut out = events.push(&stream.as_bytes()[..cut]).unwrap();
            out.extend(events.push(&stream.as_bytes()[cut..]).unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn the_client_is_sent_to_the_gateway_wherever_the_bytes_are_cut() {
        let stream = b": hi\n\nevent: endpoint\ndata: /message?sessionId=7\n\nevent: message\ndata: {}\n\n";
        let whole = events().push(stream).unwrap();
        let text = String::from_utf8(whole.clone()).unwrap();
        assert!(text.starts_with(": hi\n\n") && text.ends_with("event: message\ndata: {}\n\n"), "{text}");
        assert!(text.contains("data: /old/mcp/~/message?sessionId=7\n"), "{text}");
        for cut in 0..stream.len() {
            let mut events = events();
            let mut out = events.push(&stream[..cut]).unwrap();
            out.extend(events.push(&stream[cut..]).unwrap());
            assert_eq!(out, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_byte_order_mark_hides_no_endpoint() {
        let stream = b"\xEF\xBB\xBFevent: endpoint\ndata: /message\n\n";
        let text = String::from_utf8(events().push(stream).unwrap()).unwrap();
        assert!(text.contains("data: /old/mcp/~/message\n"), "{text}");
        assert!(events().push(b"\xEF\xBB\xBFevent: endpoint\ndata: http://evil/\n\n").is_err());
    }

    #[test]
    fn long_events_pass_as_they_come_unless_they_name_an_endpoint() {
        let long = "x".repeat(100_000);
        let stream =
            format!("event: message\ndata: {{\"image\":\"{long}\"}}\n\nevent: endpoint\ndata: /message\n\n");
        for cut in [1, 20_000, 100_000, 100_040] {
            let mut events = events();
            let mut out = Vec::new();
            for part in stream.as_bytes().chunks(cut) {
                out.extend(events.push(part).unwrap());
                assert!(events.partial.len() <= super::super::events::ENDPOINT_BYTES_MAX, "nothing is held");
            }
            assert!(!events.is_within_event());
            let text = String::from_utf8(out).unwrap();
            assert!(text.starts_with(&stream[..100_000]) && text.ends_with("data: /old/mcp/~/message\n\n"));
        }
        for cut in [1, 20_000, 200_000] {
            let stream = format!("data: /message\n: {long}\nevent: endpoint\n\n");
            let mut events = events();
            let failed = stream.as_bytes().chunks(cut).any(|part| events.push(part).is_err());
            assert!(failed, "cut to {cut}");
        }
    }

    #[test]
    fn only_the_servers_own_message_paths_pass() {
        for (uri, passes) in [
            ("/messages/?session_id=1", true),
            ("http://up:3001/message?x=1", true),
            ("http://UP:3001/message", true),
            ("http://evil:3001/message", false),
            ("//evil/message", false),
            ("/admin", false),
            ("/message?back=http://evil/", true),
            ("/admin?back=http://up:3001/message", false),
            ("//evil/message?back=http://up:3001/message", false),
            ("/message/../admin", false),
            ("/a/../message", true),
            ("in/7f-A_~.9/post", true),
            ("in/7f-A_~.9/post?x=1", true),
            ("./in/1/post", true),
            ("../message", true),
            ("message", false),
            ("in//post", false),
            ("in/../post", false),
            ("in/a/b/post", false),
            ("in/a%2Fb/post", false),
            ("in/a:b/post", false),
            ("in/a/post/", false),
            ("HTTP://up:3001/old/in/1/post", true),
            ("http://up:3001?/message", false),
            ("http:/message", false),
            ("mailto:message", false),
            ("?x=1", false),
            ("", false),
            ("ftp://up:3001/message", false),
            ("/message?a=#b", false),
        ] {
            let stream = format!("event: endpoint\ndata: {uri}\n\n");
            assert_eq!(events().push(stream.as_bytes()).is_ok(), passes, "{uri}");
        }
    }
}
