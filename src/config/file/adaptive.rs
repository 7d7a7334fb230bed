//! `servers[].adaptive` and `priorities`: how many calls a server gets at once, and whose go first.

use std::time::Duration;

use super::rate_limits::DENY_AS;
use super::{Text, count, list};
use crate::config::text;
use crate::policy::adaptive::Class;
use crate::policy::rate_limit::DenyAs;
use crate::schema::finding::At;
use crate::schema::rule::{Choice, Count, Flag, List, Time};
use crate::schema::section::section;

section! {
    /// Limits the calls that are under way at a server to what it can take, learnt from how long it takes for them.
    /// Calls beyond that wait for a moment, then are refused (`deny_as` says how). Streams that a client only listens to (GET,
    /// `subscriptions/listen`) are not counted; `initialize`, `server/discover`, `ping` and the lists only against `max`. `adaptive: {}` is enough.
    AdaptiveSection {
        /// Calls under way that are permitted in any case, over all workers together; at least 1 for each worker.
        min: usize = PLACES, default "4";
        /// Calls under way that are never exceeded, over all workers together; at least 1 for each worker.
        max: usize = PLACES, default "1000";
        /// Calls under way that are permitted before it is known what they take, over all workers together. More for tools that
        /// are slow by nature and are called by many at once.
        start: usize = PLACES, default "16";
        /// Give each tool a limit of its own within that of the server, so that one that is overloaded does not take
        /// the places of the others.
        per_tool: bool = Flag, default "false";
        /// Calls that may wait at one worker. `0`: none waits.
        queue: usize = QUEUE, default "64";
        /// How long a call may wait.
        queue_time: Duration = QUEUE_TIME, default "200ms";
        /// How long calls may take, in percent of what they take when the server has little to do, before it gets fewer.
        /// More for servers whose times vary much with their load although they are well.
        latency_percent: usize = PERCENT, default "150";
        /// How a call of a tool that gets no place looks: `result`, a result with `isError` and status 200, which the model
        /// reads; `text`, the same without `isError`; `error`, a JSON-RPC error with status 503, which ends some clients. What
        /// is no call of a tool gets the error. `Retry-After` comes with each.
        deny_as: DenyAs = DENY_AS, default "result";
    }
}

section! {
    /// Gives callers a class. The first entry that names the caller counts; who is named by none is `normal`.
    PrioritySection {
        /// Callers with one of these roles.
        roles: Vec<At<String>> = NAMES, default "[]";
        /// These agents.
        agents: Vec<At<String>> = NAMES, default "[]";
        /// `critical` is served first and may take all places of a server, `normal` up to 90 % of them, `low` is shed
        /// first and may take up to 70 %.
        class: Class = Choice(&[
            ("critical", Class::Critical), ("normal", Class::Normal), ("low", Class::Low),
        ]), required;
    }
}

const PLACES: Count = count(1, 100_000);
const QUEUE: Count = count(0, 4096);
const QUEUE_TIME: Time = Time { min: Duration::from_millis(1), max: Duration::from_secs(60) };
const PERCENT: Count = count(110, 1000);
const NAMES: List<Text<String>> =
    list(Text { wanted: "a name", pattern: None, parse: text::tool_name }, 0, 256);
