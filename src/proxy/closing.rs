//! The end of listening: whoever has begun to connect is served, everybody else is turned away.
//!
//! A listening TCP socket that is closed resets the connections in its accept queue, and their clients take themselves
//! for connected. So handshakes that begin are dropped first, those under way are given time to end, the queue is
//! accepted to its end, and then the socket is shut. docs/decisions/0023-drain.md has what was measured.

use std::time::Duration;

use crate::io::{Close, Net};

/// Handshakes under way have this long to end: a round trip between a client and its connection.
const HANDSHAKES: Duration = Duration::from_millis(500);
/// A queue that is not accepted to its end by now (no descriptors left) is given up.
const MOST: Duration = Duration::from_secs(2);
/// The queue is looked at this often.
const LOOK: Duration = Duration::from_millis(10);

/// Shuts `socket`, which is accepted from meanwhile, once nobody waits for it any more.
pub async fn close(net: &dyn Net, socket: &dyn Close) {
    let began = net.now();
    let settled = if socket.turn_away() { began + HANDSHAKES } else { began };
    while net.now() < settled || (socket.backlog() > 0 && net.now() < began + MOST) {
        net.sleep(LOOK).await;
    }
    socket.shut();
}
