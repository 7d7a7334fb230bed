//! The HTTP+SSE transport (MCP 2024-11-05): the stream's `endpoint` event names the URI for the client's
//! messages. Behind a gateway that must be a URI of the gateway's own.

use crate::config::snapshot::{Server, Transport};
use crate::wire::sse::{Event, Scanner, without_bom, write_endpoint};

/// Stands between the server's path and the path of its message endpoint; the route table reads it back.
const SUB_ROUTE: &str = "/~";

/// Rewrites the `endpoint` events of one stream. Whole events pass as they come, all others unchanged.
pub struct EndpointEvents {
    scanner: Scanner,
    /// An event whose end is to come.
    partial: Vec<u8>,
    /// No event has ended yet: readers skip a byte order mark here, and only here.
    at_start: bool,
    path: Box<str>,
    message_paths: Box<[Box<str>]>,
    authorities: Box<[Box<str>]>,
}

impl EndpointEvents {
    /// For a stream of `server`.
    pub fn new(server: &Server, event_bytes_max: usize) -> Self {
        let message_paths = match &server.transport {
            Transport::Sse { message_paths } => message_paths.clone(),
            Transport::StreamableHttp => Box::default(),
        };
        Self {
            scanner: Scanner::new(event_bytes_max),
            partial: Vec::new(),
            at_start: true,
            path: server.path.clone(),
            message_paths,
            authorities: server.endpoints.iter().map(|endpoint| endpoint.authority.clone()).collect(),
        }
    }

    /// Takes bytes of the stream and gives what may be passed on.
    ///
    /// # Errors
    /// An event that is too large, or an `endpoint` that the configuration does not allow.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(end) =
            self.scanner.next_end(rest).map_err(|_| "an event is larger than limits.sse_event_bytes_max")?
        {
            self.partial.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
            let event = std::mem::take(&mut self.partial);
            self.pass(&mut out, &event)?;
        }
        self.partial.extend_from_slice(rest);
        Ok(out)
    }

    fn pass(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), &'static str> {
        let at_start = std::mem::replace(&mut self.at_start, false);
        let event = Event::parse(if at_start { without_bom(bytes) } else { bytes });
        if !event.is_endpoint() {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let mut scratch = Vec::new();
        let uri = event.data(&mut scratch).unwrap_or_default();
        let uri = std::str::from_utf8(uri).map_err(|_| "the endpoint event's URI is not text")?;
        let (path, query) = self.own_target(uri.trim()).ok_or(
            "the endpoint event names a URI of another origin, or a path that is not in message_paths of the server",
        )?;
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        let ours = format!("{}{SUB_ROUTE}{path}{query}", self.path);
        write_endpoint(out, &event, ours.as_bytes())
            .map_err(|_| "the endpoint event's URI holds a line break")
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
    use super::*;

    fn events() -> EndpointEvents {
        EndpointEvents {
            scanner: Scanner::new(1000),
            partial: Vec::new(),
            at_start: true,
            path: "/old/mcp".into(),
            message_paths: ["/message".into(), "/messages/".into()].into(),
            authorities: ["up:3001".into()].into(),
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
