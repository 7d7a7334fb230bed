//! From the path of a request to the server that answers it: one hash, one compare.

use super::{Server, ServerId, Transport};

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The server.
    pub server: &'a Server,
    /// For a message of the HTTP+SSE transport: the upstream's own path for it, as in
    /// `/NAME/mcp/~/messages/` -> `/messages/`. `None` for the server's own path.
    pub rest: Option<&'a str>,
}

/// An immutable table from path to server. Open addressing, at most half full, so that a look-up is
/// one hash and, nearly always, one compare. Its keys come from the configuration and its size is
/// fixed, so no choice of request paths can make it slow.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RouteTable {
    /// Power of two, or none. `None` ends a probe.
    slots: Box<[Option<ServerId>]>,
}

impl RouteTable {
    /// The table of these servers, whose paths differ.
    pub fn new(servers: &[Server]) -> Self {
        let count = (servers.len() * 2).next_power_of_two().max(2);
        let mut slots = vec![None; count].into_boxed_slice();
        for server in servers {
            let mut at = hash(server.path.as_bytes()) & (count - 1);
            while slots[at].is_some() {
                at = (at + 1) & (count - 1);
            }
            slots[at] = Some(server.id);
        }
        Self { slots }
    }

    /// See [`super::Snapshot::route`].
    pub(super) fn find<'a>(&self, servers: &'a [Server], path: &'a [u8]) -> Option<Route<'a>> {
        if let Some(server) = self.exact(servers, path) {
            return Some(Route { server, rest: None });
        }
        let cut = memchr::memmem::find(path, SUB_ROUTE)?;
        let server = self.exact(servers, &path[..cut])?;
        let Transport::Sse { message_paths } = &server.transport else { return None };
        let rest = &path[cut + SUB_ROUTE.len() - 1..];
        message_paths.iter().find(|allowed| allowed.matches(rest))?;
        Some(Route { server, rest: Some(std::str::from_utf8(rest).ok()?) })
    }

    fn exact<'a>(&self, servers: &'a [Server], path: &[u8]) -> Option<&'a Server> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash(path) & mask;
        while let Some(id) = self.slots[at] {
            let server = &servers[usize::from(id.0)];
            if server.path.as_bytes() == path {
                return Some(server);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

/// A path for messages that a server of the HTTP+SSE transport may name. A segment that is `*` stands for one of the server's
/// choice, which is an id: 1 to [`SEGMENT_BYTES_MAX`] letters, digits, `-`, `_`, `~` and dots, and not dots alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePath(Box<str>);

/// Bytes of a segment that stands for `*`.
const SEGMENT_BYTES_MAX: usize = 256;

impl MessagePath {
    /// The path as the configuration has it.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// Whether this is one of the paths.
    pub fn matches(&self, path: &[u8]) -> bool {
        if !self.0.contains('*') {
            return self.0.as_bytes() == path;
        }
        let mut segments = path.split(|&byte| byte == b'/');
        let fits = self.0.split('/').all(|wanted| {
            segments.next().is_some_and(|segment| match wanted {
                "*" => is_id(segment),
                _ => wanted.as_bytes() == segment,
            })
        });
        fits && segments.next().is_none()
    }
}

/// The unreserved characters of RFC 3986 section 2.3 are the same wherever they are decoded.
fn is_id(segment: &[u8]) -> bool {
    let fits = (1..=SEGMENT_BYTES_MAX).contains(&segment.len());
    fits && segment.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_~.".contains(byte))
        && segment.iter().any(|&byte| byte != b'.')
}

/// Stands between a server's path and the path of its upstream's message endpoint. Checked to be in
/// no configured path.
pub(crate) const SUB_ROUTE: &[u8] = b"/~/";

/// FNV-1a: short keys, no state, and a fixed set of keys that no peer chooses.
fn hash(path: &[u8]) -> usize {
    let hash = path.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::config::Snapshot;
    use crate::config::check::Flags;

    fn snapshot(count: usize) -> Snapshot {
        let servers: Vec<_> = (0..count).map(|n| (format!("s{n}"), format!("http://h:{}", n + 1))).collect();
        Snapshot::from_flags(&Flags { servers, ..Flags::default() }).unwrap()
    }

    #[test]
    fn every_path_leads_to_its_server_and_no_other_does() {
        for count in [1, 2, 3, 7, 100, 1000] {
            let snapshot = snapshot(count);
            for server in &snapshot.servers {
                let route = snapshot.route(server.path.as_bytes()).unwrap();
                assert_eq!((route.server.id, route.rest), (server.id, None));
            }
            let wrong = [
                "",
                "/",
                "/s0",
                "/s0/mcp/",
                "/s0/MCP",
                "/s0//mcp",
                "/s1000/mcp",
                "/s0/mcp?x",
                "/s0/%6dcp",
                "/s0/mcp/~/messages",
            ];
            for path in wrong {
                assert!(snapshot.route(path.as_bytes()).is_none(), "{path}");
            }
        }
    }

    #[test]
    fn messages_of_an_sse_server_have_routes_below_its_own() {
        use crate::config::world::System;
        use crate::config::{Findings, check, compile::Context};
        let text = "servers:\n- {name: n, transport: sse, url: 'http://n'}\n- {name: m, transport: sse, url: 'http://m', message_paths: [/a/b, /in/*/post, '/o/*']}\n";
        let context = Context { world: &System, directory: std::path::Path::new("") };
        let snapshot = check::check(text, 1, &context, Findings::default()).unwrap();
        for (path, expected) in [
            ("/n/mcp", Some(("n", None))),
            ("/n/mcp/~/messages/", Some(("n", Some("/messages/")))),
            ("/n/mcp/~/message", Some(("n", Some("/message")))),
            ("/m/mcp/~/a/b", Some(("m", Some("/a/b")))),
            ("/m/mcp/~/messages", None),
            ("/m/mcp/~/in/7f-A_~.9/post", Some(("m", Some("/in/7f-A_~.9/post")))),
            ("/m/mcp/~/o/x", Some(("m", Some("/o/x")))),
            ("/m/mcp/~/o/", None),
            ("/m/mcp/~/o/..", None),
            ("/m/mcp/~/o/x/y", None),
            ("/m/mcp/~/o/a%2fb", None),
            ("/m/mcp/~/o/a;b", None),
            ("/m/mcp/~/in/1", None),
            ("/m/mcp/~/in/*/post", None),
            ("/n/mcp/~/", None),
            ("/n/mcp/~", None),
            ("/n/mcp/~/admin", None),
            ("/n/mcp/~/messages/../admin", None),
            ("/n/mcp/~/~/messages", None),
            ("/x/mcp/~/messages", None),
            ("/~/messages", None),
        ] {
            let route = snapshot.route(path.as_bytes()).map(|route| (&*route.server.name, route.rest));
            assert_eq!(route, expected, "{path}");
        }
    }

    #[test]
    fn an_id_has_a_bound() {
        let path = super::MessagePath::new("/o/*");
        for (length, fits) in
            [(1, true), (super::SEGMENT_BYTES_MAX, true), (super::SEGMENT_BYTES_MAX + 1, false)]
        {
            assert_eq!(path.matches(format!("/o/{}", "a".repeat(length)).as_bytes()), fits, "{length}");
        }
    }

    #[test]
    fn an_empty_table_has_no_routes() {
        assert!(super::RouteTable::default().find(&[], b"/").is_none());
        assert!(super::RouteTable::new(&[]).find(&[], b"/").is_none());
    }
}
