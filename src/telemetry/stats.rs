//! The counters and histograms of one worker. Plain numbers: only their worker writes them.

use hdrhistogram::Histogram;

use super::Cause;
use super::record::{ExchangeRecord, Kind, Outcome};

/// Longest time a histogram tells apart: longer ones count as this. Nanoseconds (one hour).
const LONGEST_NANOS: u64 = 3_600_000_000_000;

/// What one worker counted since it started.
#[derive(Clone, Debug)]
pub struct WorkerStats {
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Connections closed at once because the worker had its maximum.
    pub connections_refused: u64,
    /// Connections handed to another worker.
    pub connections_handed_over: u64,
    /// Connections that ended before TLS or the PROXY header was complete, by cause.
    pub handshakes_failed: [u64; HANDSHAKE_CAUSES.len()],
    /// Client connections open now.
    pub connections_open: u64,
    /// Exchanges under way now.
    pub exchanges_open: u64,
    /// Connections dialled to servers.
    pub dials: u64,
    /// Dials that failed.
    pub dials_failed: u64,
    /// Upstream connections open now.
    pub upstream_open: u64,
    /// Requests sent again after an idle upstream connection turned out to be dead.
    pub retries: u64,
    /// Requests whose credential was known already.
    pub credentials_known: u64,
    /// Requests whose credential was verified anew.
    pub credentials_verified: u64,
    /// Requests that were refused for want of a good credential, by reason.
    pub unauthenticated: Vec<(&'static str, u64)>,
    /// Messages that the rules denied.
    pub denied: u64,
    /// Messages that a rule in report mode would have decided otherwise.
    pub reported: u64,
    /// For each limit that refused any: its name, the messages it refused, and those that it would have refused in
    /// report mode.
    pub limits: Vec<(Box<str>, u64, u64)>,
    /// Budgets that were used up so far, by limit and percentage.
    pub budgets: Vec<(Box<str>, u8, u64)>,
    /// Tokens of ended exchanges that some limit counts.
    pub tokens: TokenStats,
    /// Exchanges that waited for control.
    pub errands: u64,
    /// Of these, those that waited in vain.
    pub errands_failed: u64,
    /// Refusals by cause and the status they were given. A cause leads to a few statuses only.
    pub refusals: Vec<(Cause, u16, u64)>,
    /// Per server, and last the exchanges whose path led to none.
    pub servers: Vec<ServerStats>,
}

/// Tokens of ended exchanges, by who counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenStats {
    /// The estimator.
    pub estimated: Counted,
    /// The server.
    pub reported: Counted,
    /// Of those that were estimated, exchanges that a tokenizer was to count.
    pub missed: u64,
}

/// What was counted in one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Exchanges.
    pub exchanges: u64,
    /// Their tokens.
    pub tokens: u64,
}

impl TokenStats {
    fn merge(&mut self, other: &Self) {
        for (ours, theirs) in [(&mut self.estimated, &other.estimated), (&mut self.reported, &other.reported)]
        {
            ours.exchanges += theirs.exchanges;
            ours.tokens = ours.tokens.saturating_add(theirs.tokens);
        }
        self.missed += other.missed;
    }
}

/// Causes of connections that end before their first request.
pub const HANDSHAKE_CAUSES: [&str; 6] =
    ["untrusted_source", "proxy_header", "tls", "client_certificate", "timeout", "source_full"];

/// What one worker counted for one server.
#[derive(Clone, Debug)]
pub struct ServerStats {
    /// Ended exchanges by kind and outcome.
    pub ended: [[u64; Outcome::ALL.len()]; Kind::ALL.len()],
    /// Exchanges without an answer of the server, by cause ([`Cause::is_of_server`]).
    pub failures: [u64; Cause::ALL.len()],
    /// Answers by hundreds of their status (1xx first).
    pub status_class: [u64; 5],
    /// Bytes sent to the server.
    pub bytes_up: u64,
    /// Bytes sent to clients.
    pub bytes_down: u64,
    /// Nanoseconds from the whole request to the end of the answer; streams left out.
    pub duration: Histogram<u64>,
    /// Nanoseconds from the request sent to the head of the answer.
    pub first_byte: Histogram<u64>,
    /// What its adaptive limit does, if it has one: filled in when a worker reports.
    pub adaptive: Option<Adaptive>,
}

/// How the adaptive limit of a server stands, on one worker or on all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adaptive {
    /// Calls that are let in at once, now.
    pub limit: u64,
    /// Calls under way.
    pub in_flight: u64,
    /// Calls that wait.
    pub queued: u64,
    /// Calls that were turned away: class, reason, how many.
    pub shed: Vec<(&'static str, &'static str, u64)>,
}

impl Default for ServerStats {
    fn default() -> Self {
        Self {
            ended: Default::default(),
            failures: [0; Cause::ALL.len()],
            status_class: [0; 5],
            bytes_up: 0,
            bytes_down: 0,
            duration: histogram(),
            first_byte: histogram(),
            adaptive: None,
        }
    }
}

fn histogram() -> Histogram<u64> {
    // Two digits (1 %) in constant memory, allocated here and never again.
    Histogram::new_with_bounds(1_000, LONGEST_NANOS, 2)
        .unwrap_or_else(|_| unreachable!("constant bounds are valid"))
}

impl WorkerStats {
    /// Zeroes for `servers` servers.
    pub fn new(servers: usize) -> Self {
        let mut stats = Self {
            connections_accepted: 0,
            connections_refused: 0,
            connections_handed_over: 0,
            handshakes_failed: [0; HANDSHAKE_CAUSES.len()],
            connections_open: 0,
            exchanges_open: 0,
            dials: 0,
            dials_failed: 0,
            upstream_open: 0,
            retries: 0,
            credentials_known: 0,
            credentials_verified: 0,
            unauthenticated: Vec::new(),
            denied: 0,
            reported: 0,
            limits: Vec::new(),
            budgets: Vec::new(),
            tokens: TokenStats::default(),
            errands: 0,
            errands_failed: 0,
            refusals: Vec::new(),
            servers: Vec::new(),
        };
        stats.resize(servers);
        stats
    }

    /// Makes room for a configuration with `servers` servers. Never forgets a count.
    pub fn resize(&mut self, servers: usize) {
        while self.servers.len() < servers + 1 {
            self.servers.push(ServerStats::default());
        }
    }

    /// Takes over another configuration. `before` gives, for each of its servers, the index that the server
    /// had until now, if it had one. What was counted without a server stays; what servers that left had
    /// counted leaves with them.
    pub fn rearrange(&mut self, before: impl Iterator<Item = Option<usize>>) {
        let mut old: Vec<_> = std::mem::take(&mut self.servers).into_iter().map(Some).collect();
        let without = old.pop().flatten().unwrap_or_default();
        let moved = before.map(|at| at.and_then(|at| old.get_mut(at)?.take()).unwrap_or_default());
        self.servers = moved.collect();
        self.servers.push(without);
    }

    /// Counts an ended exchange.
    pub fn record(&mut self, record: &ExchangeRecord) {
        let last = self.servers.len() - 1;
        let index = record.server.map_or(last, |server| usize::from(server).min(last));
        let stats = &mut self.servers[index];
        stats.ended[record.kind as usize][record.outcome as usize] += 1;
        if let Some(class) = usize::from(record.status / 100).checked_sub(1) {
            stats.status_class[class.min(4)] += 1;
        }
        stats.bytes_up += record.bytes_up;
        stats.bytes_down += record.bytes_down;
        if record.kind != Kind::Stream {
            stats.duration.saturating_record(nanos(record.ended.since(record.started)));
        }
        if let Some(first_byte) = record.first_byte {
            stats.first_byte.saturating_record(nanos(first_byte));
        }
        match record.cause {
            Some(cause) if cause.is_of_server() => stats.failures[cause as usize] += 1,
            Some(cause) => self.add_refusal(cause, record.status, 1),
            None => {}
        }
    }

    fn add_refusal(&mut self, cause: Cause, status: u16, more: u64) {
        match self.refusals.iter_mut().find(|(known, with, _)| (*known, *with) == (cause, status)) {
            Some((.., count)) => *count += more,
            None => self.refusals.push((cause, status, more)),
        }
    }

    /// Counts a request without a good credential. Reasons are words of the program, so there are few.
    pub fn note_unauthenticated(&mut self, reason: &'static str) {
        self.add_unauthenticated(reason, 1);
    }

    /// Adds requests without a good credential.
    pub fn add_unauthenticated(&mut self, reason: &'static str, more: u64) {
        match self.unauthenticated.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += more,
            None => self.unauthenticated.push((reason, more)),
        }
    }

    /// Counts a refusal of a limit, or what would have been one. There are as many limits as the configuration has.
    pub fn note_limit(&mut self, name: &str, reported: bool) {
        self.add_limit(name, u64::from(!reported), u64::from(reported));
    }

    /// Adds refusals of a limit, and what would have been some.
    pub fn add_limit(&mut self, name: &str, refused: u64, reported: u64) {
        match self.limits.iter_mut().find(|(known, ..)| **known == *name) {
            Some((_, refusals, reports)) => {
                *refusals += refused;
                *reports += reported;
            }
            None => self.limits.push((name.into(), refused, reported)),
        }
    }

    /// Counts a budget of which so many percent are used. There are as many as the configuration has marks.
    pub fn note_budget(&mut self, limit: &str, percent: u8, count: u64) {
        let mut known = self.budgets.iter_mut();
        match known.find(|(name, mark, _)| **name == *limit && *mark == percent) {
            Some((.., alerts)) => *alerts += count,
            None => self.budgets.push((limit.into(), percent, count)),
        }
    }

    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        self.connections_accepted += other.connections_accepted;
        self.connections_refused += other.connections_refused;
        self.connections_handed_over += other.connections_handed_over;
        add(&mut self.handshakes_failed, &other.handshakes_failed);
        self.connections_open += other.connections_open;
        self.exchanges_open += other.exchanges_open;
        self.dials += other.dials;
        self.dials_failed += other.dials_failed;
        self.upstream_open += other.upstream_open;
        self.retries += other.retries;
        self.credentials_known += other.credentials_known;
        self.credentials_verified += other.credentials_verified;
        self.denied += other.denied;
        self.reported += other.reported;
        self.tokens.merge(&other.tokens);
        self.errands += other.errands;
        self.errands_failed += other.errands_failed;
        for (name, percent, count) in &other.budgets {
            self.note_budget(name, *percent, *count);
        }
        for (name, refused, reported) in &other.limits {
            self.add_limit(name, *refused, *reported);
        }
        for &(reason, count) in &other.unauthenticated {
            self.add_unauthenticated(reason, count);
        }
        for &(cause, status, count) in &other.refusals {
            self.add_refusal(cause, status, count);
        }
        self.resize(other.servers.len().saturating_sub(1));
        for (ours, theirs) in self.servers.iter_mut().zip(&other.servers) {
            ours.merge(theirs);
        }
    }
}

impl ServerStats {
    fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.ended.iter_mut().flatten().zip(other.ended.iter().flatten()) {
            *ours += theirs;
        }
        add(&mut self.failures, &other.failures);
        add(&mut self.status_class, &other.status_class);
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        // Same bounds on both sides, so adding cannot fail.
        let _ = self.duration.add(&other.duration);
        let _ = self.first_byte.add(&other.first_byte);
        if let Some(other) = &other.adaptive {
            self.adaptive.get_or_insert_default().merge(other);
        }
    }
}

impl Adaptive {
    fn merge(&mut self, other: &Self) {
        self.limit += other.limit;
        self.in_flight += other.in_flight;
        self.queued += other.queued;
        for &(class, reason, count) in &other.shed {
            match self.shed.iter_mut().find(|(own, why, _)| (*own, *why) == (class, reason)) {
                Some((.., known)) => *known += count,
                None => self.shed.push((class, reason, count)),
            }
        }
    }
}

fn add(ours: &mut [u64], theirs: &[u64]) {
    for (ours, theirs) in ours.iter_mut().zip(theirs) {
        *ours += theirs;
    }
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ticks;

    fn record(server: Option<u16>, outcome: Outcome, status: u16) -> ExchangeRecord {
        ExchangeRecord {
            started: Ticks(1_000),
            ended: Ticks(51_000),
            server,
            kind: Kind::Request,
            outcome,
            cause: (outcome == Outcome::Refused).then_some(Cause::NoServer),
            status,
            bytes_up: 10,
            bytes_down: 20,
            first_byte: None,
            attempts: 1,
        }
    }

    #[test]
    fn counts_stay_with_their_server_under_another_configuration() {
        let mut stats = WorkerStats::new(2);
        stats.record(&record(Some(1), Outcome::Answered, 200));
        stats.record(&record(None, Outcome::Refused, 404));
        stats.rearrange([Some(1), None, Some(0)].into_iter());
        let bytes: Vec<u64> = stats.servers.iter().map(|server| server.bytes_up).collect();
        assert_eq!(bytes, [10, 0, 0, 10]);
    }

    #[test]
    fn what_adaptive_limits_do_adds_up_by_class_and_reason() {
        let one = |shed: &[(&'static str, &'static str, u64)]| {
            let mut stats = WorkerStats::new(1);
            stats.servers[0].adaptive =
                Some(Adaptive { limit: 10, in_flight: 3, queued: 1, shed: shed.to_vec() });
            stats
        };
        let mut total = WorkerStats::new(0);
        total.merge(&one(&[("low", "busy", 2)]));
        total.merge(&one(&[("low", "busy", 3), ("normal", "deadline", 1)]));
        let shed = vec![("low", "busy", 5), ("normal", "deadline", 1)];
        let sum = Adaptive { limit: 20, in_flight: 6, queued: 2, shed };
        assert_eq!((total.servers[0].adaptive.as_ref(), &total.servers[1].adaptive), (Some(&sum), &None));
    }

    #[test]
    fn two_workers_add_up() {
        let mut one = WorkerStats::new(1);
        one.record(&record(Some(0), Outcome::Answered, 200));
        let mut other = WorkerStats::new(2);
        other.record(&record(Some(0), Outcome::Answered, 200));
        other.record(&record(None, Outcome::Refused, 404));
        one.merge(&other);
        assert_eq!(one.servers[0].ended[Kind::Request as usize][Outcome::Answered as usize], 2);
        assert_eq!(one.servers[0].status_class, [0, 2, 0, 0, 0]);
        assert_eq!(one.servers[0].duration.len(), 2);
        assert_eq!(one.servers[2].bytes_down, 20, "exchanges without a server count under the last");
        assert_eq!(one.refusals, [(Cause::NoServer, 404, 1)]);
    }
}
