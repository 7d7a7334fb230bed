//! `outbound` and `servers[].credentials`: what the gateway itself fetches, and what it shows to servers.

use crate::config::rule::Flag;
use crate::config::section::section;

section! {
    /// What the gateway fetches for itself: keys, metadata, introspection, tokens.
    OutboundSection {
        /// Permit `http` URLs. Whoever can change what comes over them can become anybody.
        allow_http: bool = Flag, default "false";
    }
}
