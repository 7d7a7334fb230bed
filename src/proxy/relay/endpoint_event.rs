//! The HTTP+SSE transport (MCP 2024-11-05): the stream's `endpoint` event names the URI for the client's
//! messages. Behind a gateway that must be a URI of the gateway's own.

use crate::config::snapshot::{Server, Transport};
use crate::policy::session::SessionKey;
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
    message_paths: Box<[Box<str>]>,
    authorities: Box<[Box<str>]>,
}

impl Endpoint {
    /// For a stream of `server`. With a `seal`, only its caller can send messages to it.
    pub fn of(server: &Server, seal: Option<Seal>) -> Self {
        let message_paths = match &server.transport {
            Transport::Sse { message_paths } => message_paths.clone(),
            Transport::StreamableHttp => Box::default(),
        };
        Self {
            seal,
            path: server.path.clone(),
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
            key.seal_target(identity, &self.path, path, query, &mut ours);
        }
        write_endpoint(out, event, &ours).map_err(|_| "the endpoint event's URI holds a line break")
    }

    /// Path and query of a URI on the server itself (MCP.md 1.6: require the same origin).
    fn own_target<'u>(&self, uri: &'u str) -> Option<(&'u str, Option<&'u str>)> {
        let target = match uri.split_once("://") {
            _ if uri.starts_with("//") => return None,
            None => uri,
            // A URI within the query of a relative one.
            Some((start, _)) if start.contains(['/', '?']) => uri,
            Some(("http" | "https", rest)) => {
                let start = rest.find('/')?;
                let same = self.authorities.iter().any(|own| own.eq_ignore_ascii_case(&rest[..start]));
                same.then_some(&rest[start..])?
            }
            Some(_) => return None,
        };
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let clean =
            query.is_none_or(|query| query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
        (clean && self.message_paths.iter().any(|allowed| **allowed == *path)).then_some((path, query))
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
            message_paths: ["/message".into(), "/messages/".into()].into(),
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
            ("ftp://up:3001/message", false),
            ("/message?a=#b", false),
        ] {
            let stream = format!("event: endpoint\ndata: {uri}\n\n");
            assert_eq!(events().push(stream.as_bytes()).is_ok(), passes, "{uri}");
        }
    }
}
