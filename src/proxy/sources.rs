//! Connections by where they come from: one source may not take the places of all.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use crate::io::Peer;

/// How many connections each source has at a worker, and what they hold. As large as there are connections.
#[derive(Debug, Default)]
pub struct Sources(RefCell<HashMap<IpAddr, Usage>>);

/// What one source has.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    connections: usize,
    /// Bytes of bodies.
    bytes: usize,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub struct Place {
    sources: Rc<Sources>,
    source: IpAddr,
    /// Bytes of the body that the connection holds.
    bytes: Cell<usize>,
}

impl Place {
    /// Takes so many bytes more, if the source then holds at most `share`.
    pub fn hold(&self, more: usize, share: usize) -> bool {
        let mut all = self.sources.0.borrow_mut();
        let Some(usage) = all.get_mut(&self.source) else { return false };
        let wanted = usage.bytes.saturating_add(more);
        if wanted > share {
            return false;
        }
        usage.bytes = wanted;
        self.bytes.set(self.bytes.get() + more);
        true
    }

    /// The connection holds no body any more.
    pub fn let_go(&self) {
        let bytes = self.bytes.take();
        if bytes > 0
            && let Some(usage) = self.sources.0.borrow_mut().get_mut(&self.source)
        {
            usage.bytes -= bytes;
        }
    }
}

impl Sources {
    /// A place for a connection from `peer`, if it has fewer than `max`. `Ok(None)` for a Unix socket: who may open it is
    /// decided by its mode.
    ///
    /// # Errors
    /// It has as many as it may.
    pub fn enter(self: &Rc<Self>, peer: Peer, max: usize) -> Result<Option<Place>, Full> {
        let Peer::Tcp(address) = peer else { return Ok(None) };
        let source = source_of(address.ip());
        let mut all = self.0.borrow_mut();
        let usage = all.entry(source).or_default();
        if usage.connections >= max {
            return Err(Full);
        }
        usage.connections += 1;
        drop(all);
        Ok(Some(Place { sources: self.clone(), source, bytes: Cell::new(0) }))
    }
}

/// The source has as many connections as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Drop for Place {
    fn drop(&mut self) {
        self.let_go();
        let mut all = self.sources.0.borrow_mut();
        if let Some(usage) = all.get_mut(&self.source) {
            usage.connections -= 1;
            if usage.connections == 0 {
                all.remove(&self.source);
            }
        }
    }
}

/// One host has a whole /64 of IPv6 (RFC 6177), and IPv4 may come mapped into IPv6.
fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::SocketAddr;

    fn peer(text: &str) -> Peer {
        Peer::Tcp(SocketAddr::new(text.parse().unwrap(), 1))
    }

    #[test]
    fn a_source_has_so_many_places_and_no_more() {
        let sources = Rc::new(Sources::default());
        let enter = |text: &str| sources.enter(peer(text), 2);
        let (first, second) = (enter("10.0.0.1").unwrap(), enter("::ffff:10.0.0.1").unwrap());
        assert_eq!(enter("10.0.0.1").unwrap_err(), Full);
        let other = enter("10.0.0.2").unwrap();
        drop(first);
        let third = enter("10.0.0.1").unwrap();
        assert!(enter("10.0.0.1").is_err());
        drop((second, third, other));
        assert!(sources.0.borrow().is_empty(), "nothing is kept of who left");
        assert!(sources.enter(Peer::Unix, 0).unwrap().is_none());
    }

    #[test]
    fn a_source_holds_so_many_bytes_and_no_more() {
        let sources = Rc::new(Sources::default());
        let enter = || sources.enter(peer("10.0.0.1"), 9).unwrap().unwrap();
        let (one, two) = (enter(), enter());
        assert!(one.hold(60, 100) && !two.hold(41, 100) && two.hold(40, 100));
        one.let_go();
        assert!(two.hold(60, 100) && !one.hold(1, 100));
        drop(two);
        assert!(one.hold(100, 100), "what left holds nothing");
        let other = sources.enter(peer("10.0.0.2"), 9).unwrap().unwrap();
        assert!(other.hold(100, 100));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let sources = Rc::new(Sources::default());
        let _first = sources.enter(peer("2001:db8::1"), 1).unwrap();
        assert!(sources.enter(peer("2001:db8::ffff:2"), 1).is_err());
        assert!(sources.enter(peer("2001:db8:0:1::1"), 1).is_ok());
    }
}
