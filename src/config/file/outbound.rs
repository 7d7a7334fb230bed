//! `outbound`: what the gateway itself fetches, and how.

use std::time::Duration;

use super::{Minutes, Ms, REFERENCE, time};
use crate::config::text::Reference;
use crate::schema::rule::Flag;
use crate::schema::section::section;

section! {
    /// What the gateway fetches for itself: keys, metadata, introspection, tokens. It asks the hosts that this file
    /// names, over HTTPS, follows no redirect, uses no proxy, and connects to the very address that it has checked.
    OutboundSection {
        /// Permit `http` URLs. Whoever can change what comes over them can become anybody.
        allow_http: bool = Flag, default "false";
        /// Permit private, loopback and link-local addresses also for URLs that came from the network: the
        /// `jwks_uri` of an issuer's metadata, where its host is not the issuer's own. URLs in this file may
        /// always lead to such addresses.
        allow_private: bool = Flag, default "false";
        /// Trust only the certificates in this PEM text instead of the system's: a reference.
        ca: Reference = REFERENCE, optional;
        /// One fetch, from the name to the last byte. What takes longer has failed.
        timeout: Duration = time(Ms(100), Minutes(1)), default "5s";
        /// The keys of each issuer are fetched again this often; earlier where the issuer's `Cache-Control` says so
        /// (but not within a minute), and at once when a token names an unknown key (but not within 10 seconds).
        keys_refresh: Duration = time(Ms(1_000), Minutes(24 * 60)), default "5m";
        /// Keys that could not be fetched again for so long are used no more.
        keys_max_age: Duration = time(Ms(60_000), Minutes(30 * 24 * 60)), default "24h";
    }
}
