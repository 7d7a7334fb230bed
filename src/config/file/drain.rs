//! How the gateway leaves, as written.

use std::time::Duration;

use super::{Minutes, Ms, time};
use crate::schema::section::section;

section! {
    /// How the gateway leaves when it is told to stop (SIGTERM, SIGINT): it announces that, closes its listeners, closes
    /// idle connections, and waits for what is under way for `timeouts.drain`.
    DrainSection {
        /// How long `/readyz` answers 503 while the gateway still accepts and serves, before the listeners close (lame duck).
        /// Each answer says `Connection: close` meanwhile. Give it more than one probe interval of the load balancer and
        /// what its `fall` or `failureThreshold` asks for, such as `5s`; with `0ms` the listeners close at once. The
        /// supervisor must wait for this and `timeouts.drain` together before it kills.
        announce: Duration = time(Ms(0), Minutes(10)), default "0ms";
    }
}
