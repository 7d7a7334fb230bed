//! `limits` and `timeouts`: bounds of sizes, counts and times.

use std::time::Duration;

use super::{Minutes, Ms, count, size, time};
use crate::schema::rule::{Time, TimeOrOff};
use crate::schema::section::section;

section! {
    /// Bounds of sizes and counts. They are part of the defence: each guards the memory of a worker.
    LimitsSection {
        /// Bytes of a request head (431 past it).
        head_bytes_max: usize = size(1 << 10, (64 << 10) - 1), default "16KiB";
        /// Header lines of a request (431 past it). 64 is the most there can be, for a server's answers too (502 past it).
        headers_max: usize = count(8, 64), default "64";
        /// Bytes of a request target (414 past it).
        uri_bytes_max: usize = size(64, (64 << 10) - 1), default "4KiB";
        /// Bytes of a request body (413 past it).
        body_bytes_max: usize = size(1 << 10, 1 << 30), default "4MiB";
        /// Bytes of all bodies held at a time: requests on their way in, answers that are gathered to be filtered. What needs more
        /// gets 503 and `Retry-After`. One address (or /64) may hold half of it, and at least two of the largest bodies. When not
        /// given: a quarter of the memory of the cgroup or host, at least `64MiB`.
        bodies_bytes_max: usize = size(1 << 20, 1 << 40), optional;
        /// Nesting of a JSON body.
        json_depth_max: usize = count(8, 120), default "64";
        /// Messages of a JSON-RPC batch, which only revision 2025-03-26 has.
        batch_max: usize = count(1, 10_000), default "50";
        /// Open client connections of one worker. A new one past it gets 503 and is closed.
        connections_max: usize = count(16, 1_000_000), default "20000";
        /// Of these, from one address, or from one /64 network of IPv6; a new one past it gets 503. Behind a balancer that sends no
        /// PROXY protocol all connections come from its addresses. When not given: three quarters of `connections_max`, so that no
        /// single address keeps all others out.
        connections_per_source_max: usize = count(1, 1_000_000), optional;
        /// Open connections of one worker to one endpoint. A request past it is answered with 503.
        upstream_connections_max: usize = count(1, 100_000), default "4096";
        /// How many of these are kept while idle.
        upstream_idle_max: usize = count(0, 100_000), default "256";
        /// Bytes of a response head (502 past it).
        response_head_bytes_max: usize = size(1 << 10, (64 << 10) - 1), default "32KiB";
        /// Bytes of one server-sent event that must be read whole, because callers see only what they may use. The larger of
        /// this and `list_bytes_max` counts. Elsewhere events of any length pass as they come.
        sse_event_bytes_max: usize = size(1 << 10, 64 << 20), default "1MiB";
        /// Bytes of an answer that must be gathered to be filtered: JSON, where callers see only what they may use
        /// (502 past it). An event stream is filtered event by event instead, of which each may be as large.
        list_bytes_max: usize = size(1 << 10, 256 << 20), default "8MiB";
        /// Steps that the CEL expressions of one request may take together, rules and limits alike; a step is about a microsecond
        /// of a worker. An expression counts as many as its macros may have turns, sixteen times as many with `matches`, and
        /// one for sixteen values that it compares. Past it a rule that denies matches, one that allows does not, and a
        /// limit counts.
        expression_steps_max: usize = count(1_000, 100_000_000), default "100000";
        /// Items of the lists in one answer that must be filtered: tools, prompts, resources and resource templates
        /// (502 past it).
        list_items_max: usize = count(16, 10_000_000), default "50000";
        /// Steps that filtering the lists of one answer may take (502 past it); a step is about two nanoseconds of a worker. Each item
        /// takes some dozens, each pattern that it is compared with one or more, and an expression that names the item (`tool`,
        /// `prompt`, `resource`) some 1,500; other expressions are run once. A worker serves its other connections between parts of this work.
        list_steps_max: usize = count(10_000, 100_000_000_000), default "20000000";
        /// How long clients may keep a list that was filtered for them: a longer `ttlMs` of the server becomes this. They see a
        /// change of rules when it is over, since few ask to be told. `0s`: they ask each time.
        list_ttl_max: Duration = time(Ms(0), Minutes(24 * 60)), default "1m";
        /// Bytes of verified credentials that one worker remembers (16,384 of them at the most), with what they say and what was
        /// exchanged for them. Past it the ones that were used longest ago are verified again when they are next shown.
        credentials_bytes_max: usize = size(1 << 20, 1 << 30), default "64MiB";
    }
}

section! {
    /// Bounds of times. What takes longer is ended: the client gets 408 or 504, or its connection closes.
    TimeoutsSection {
        /// From the first byte of a request to the end of its head.
        head: Duration = time(Ms(100), Minutes(10)), default "10s";
        /// From the end of the head to the end of the body.
        body: Duration = time(Ms(100), Minutes(60)), default "30s";
        /// How long a fresh client connection may be silent before its first request. Never longer than `keep_alive`.
        first_request: Duration = time(Ms(100), Minutes(1440)), default "20s";
        /// How long a client connection may wait for its next request.
        keep_alive: Duration = time(Ms(100), Minutes(1440)), default "75s";
        /// How long a peer may take no byte of what waits for it: a client of its answer, or a server of its request (then
        /// 504). One that takes some now and then is slow, and is not cut by this.
        write: Duration = time(Ms(100), Minutes(60)), default "30s";
        /// Opening a connection to a server, TLS included.
        connect: Duration = CONNECT, default "5s";
        /// From the request sent to the first byte of the answer.
        first_byte: Option<Duration> = FIRST_BYTE, default "60s";
        /// Between two bytes of an answer, event streams included.
        stream_idle: Option<Duration> = STREAM_IDLE, default "5m";
        /// A whole exchange. Does not bound the event stream of a GET.
        call: Option<Duration> = CALL, default "off";
        /// How long a call of the older revisions may go on that its client cancelled, or left: closing is no cancel there,
        /// and some servers never answer a cancelled call. Then it is ended, and its place at the server and what it holds
        /// of limits are free.
        abandoned: Option<Duration> = ABANDONED, default "10s";
        /// How long an idle connection to a server is kept. Keep it below what the server itself allows; where the server says so
        /// in `Keep-Alive: timeout=SECONDS`, a second less than that is kept to, and `timeout=1` means not at all.
        upstream_idle: Duration = UPSTREAM_IDLE, default "55s";
        /// How long a connection to a server is used at the most, so that a busy one follows a change of addresses.
        upstream_max_age: Duration = time(Ms(1_000), Minutes(24 * 60)), default "10m";
        /// When stopping: how long exchanges and streams may go on.
        drain: Duration = time(Ms(0), Minutes(60)), default "30s";
    }
}

section! {
    /// Times that differ from `timeouts` for one server. What is not given is as there.
    ServerTimeoutsSection {
        /// As `timeouts.connect`.
        connect: Duration = CONNECT, optional;
        /// As `timeouts.first_byte`.
        first_byte: Option<Duration> = FIRST_BYTE, optional;
        /// As `timeouts.stream_idle`.
        stream_idle: Option<Duration> = STREAM_IDLE, optional;
        /// As `timeouts.call`.
        call: Option<Duration> = CALL, optional;
        /// As `timeouts.abandoned`.
        abandoned: Option<Duration> = ABANDONED, optional;
        /// As `timeouts.upstream_idle`.
        upstream_idle: Duration = UPSTREAM_IDLE, optional;
    }
}

const CONNECT: Time = time(Ms(10), Minutes(5));
const FIRST_BYTE: TimeOrOff = TimeOrOff(time(Ms(10), Minutes(1440)));
const STREAM_IDLE: TimeOrOff = TimeOrOff(time(Ms(100), Minutes(1440)));
const CALL: TimeOrOff = TimeOrOff(time(Ms(10), Minutes(1440)));
const ABANDONED: TimeOrOff = TimeOrOff(time(Ms(100), Minutes(1440)));
const UPSTREAM_IDLE: Time = time(Ms(100), Minutes(60));
