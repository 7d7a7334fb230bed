//! Prometheus text format, version 0.0.4. Every metric is declared here, once, with its help text.

use std::time::Duration;

use super::Cause;
use super::record::{Kind, Outcome};
use super::stats::{Adaptive, Counted, HANDSHAKE_CAUSES, WorkerStats};
use page::Page;

mod page;

/// The content type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is to be shown.
pub struct Facts<'a> {
    /// The counters of all workers, merged.
    pub stats: &'a WorkerStats,
    /// The names of the servers, by index.
    pub servers: &'a [&'a str],
    /// Bytes of bodies that the workers have room for just now, and may have.
    pub bodies: (usize, usize),
    /// Open client connections, by worker.
    pub worker_connections: &'a [usize],
    /// How many workers sent their counters in time.
    pub workers_answered: usize,
    /// The configuration in force.
    pub generation: u64,
    /// Reloads taken.
    pub reloads: u64,
    /// Reloads refused.
    pub reloads_failed: u64,
    /// What was refused and waits to be mended, by option.
    pub waiting: &'a [(&'static str, u64)],
    /// Whether the process is draining.
    pub draining: bool,
    /// Since the process started.
    pub uptime: Duration,
    /// Fetches of the gateway's own: kind, result, how many.
    pub fetches: &'a [(&'static str, &'static str, u64)],
    /// The issuers of JWTs.
    pub issuers: &'a [IssuerKeys],
    /// How often there was no room for a key of a limit.
    pub turned_away: u64,
    /// What the tokenizer does.
    pub tokenizer: Tokenizer,
}

/// What the thread that counts tokens has done, and has to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokenizer {
    /// It is there.
    pub ready: bool,
    /// What it counted.
    pub counted: Counted,
    /// Bytes that wait.
    pub waiting_bytes: u64,
}

/// How the keys of one issuer are.
pub struct IssuerKeys {
    /// The issuer.
    pub issuer: Box<str>,
    /// How many keys there are.
    pub keys: usize,
    /// Since they were fetched; `None` if they never were.
    pub age: Option<Duration>,
    /// How often they could not be fetched, since the process or the issuer's configuration began.
    pub failures: u64,
    /// The same, since they were fetched last.
    pub failures_in_a_row: u32,
}

/// The metrics as text.
pub fn render(facts: &Facts<'_>) -> String {
    let mut page = Page(String::with_capacity(16 << 10));
    process(&mut page, facts);
    connections(&mut page, facts);
    identity(&mut page, facts.stats);
    exchanges(&mut page, facts);
    limits(&mut page, facts);
    fetches(&mut page, facts);
    page.0
}

fn fetches(page: &mut Page, facts: &Facts<'_>) {
    let name = "ringgate_fetches_total";
    page.family(name, "counter", "What the gateway fetched for itself, by result.");
    for &(kind, result, count) in facts.fetches {
        page.value(name, &[("kind", kind), ("result", result)], count);
    }
    let name = "ringgate_keys_known";
    page.family(name, "gauge", "1 while there are keys of an issuer; 0: its tokens cannot be verified.");
    for issuer in facts.issuers {
        page.value(name, &[("issuer", &issuer.issuer)], u64::from(issuer.keys > 0));
    }
    let name = "ringgate_keys";
    page.family(name, "gauge", "Keys of an issuer that tokens can be verified with.");
    for issuer in facts.issuers {
        page.value(name, &[("issuer", &issuer.issuer)], issuer.keys as u64);
    }
    let name = "ringgate_keys_failures_total";
    page.family(name, "counter", "Fetches of the keys of an issuer that failed.");
    for issuer in facts.issuers {
        page.value(name, &[("issuer", &issuer.issuer)], issuer.failures);
    }
    let name = "ringgate_keys_failures_in_a_row";
    page.family(name, "gauge", "Of these, those since the last that did not fail.");
    for issuer in facts.issuers {
        page.value(name, &[("issuer", &issuer.issuer)], u64::from(issuer.failures_in_a_row));
    }
    let name = "ringgate_keys_age_seconds";
    page.family(name, "gauge", "Seconds since the keys of an issuer were fetched.");
    for issuer in facts.issuers {
        if let Some(age) = issuer.age {
            page.value(name, &[("issuer", &issuer.issuer)], age.as_secs());
        }
    }
}

fn process(page: &mut Page, facts: &Facts<'_>) {
    page.family("ringgate_build_info", "gauge", "Always 1; the version is a label.");
    page.value("ringgate_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.single(
        "ringgate_uptime_seconds",
        "gauge",
        "Seconds since the process started.",
        facts.uptime.as_secs(),
    );
    let help = "Bytes taken for bodies that are held, in steps of up to 1 MiB.";
    page.single("ringgate_bodies_bytes", "gauge", help, facts.bodies.0 as u64);
    let help = "Bytes that bodies may take: limits.bodies_bytes_max.";
    page.single("ringgate_bodies_bytes_max", "gauge", help, facts.bodies.1 as u64);
    page.single("ringgate_draining", "gauge", "1 while the process drains.", u64::from(facts.draining));
    page.single(
        "ringgate_config_generation",
        "gauge",
        "Number of the configuration in force.",
        facts.generation,
    );
    page.single("ringgate_config_reloads_total", "counter", "Reloads that were taken.", facts.reloads);
    page.single(
        "ringgate_config_reloads_failed_total",
        "counter",
        "Reloads that were refused; the log has the findings.",
        facts.reloads_failed,
    );
    let name = "ringgate_config_waiting";
    let help = "Refused and not in force: 1 for the newest configuration, files that say whom to trust by option, lines of `revoked`.";
    page.family(name, "gauge", help);
    for &(what, count) in facts.waiting {
        page.value(name, &[("what", what)], count);
    }
    page.single("ringgate_workers", "gauge", "Data workers.", facts.worker_connections.len() as u64);
    page.single(
        "ringgate_workers_reporting",
        "gauge",
        "Workers whose counters are in this page; fewer than ringgate_workers means that one is stuck.",
        facts.workers_answered as u64,
    );
}

fn connections(page: &mut Page, facts: &Facts<'_>) {
    let stats = facts.stats;
    page.family("ringgate_worker_connections", "gauge", "Open client connections by worker.");
    for (worker, &count) in facts.worker_connections.iter().enumerate() {
        page.value("ringgate_worker_connections", &[("worker", &worker.to_string())], count as u64);
    }
    let counters = [
        ("ringgate_connections_accepted_total", "Client connections accepted.", stats.connections_accepted),
        (
            "ringgate_connections_refused_total",
            "Client connections closed at once: limits.connections_max.",
            stats.connections_refused,
        ),
        (
            "ringgate_connections_handed_over_total",
            "Client connections placed on another worker.",
            stats.connections_handed_over,
        ),
        ("ringgate_upstream_dials_total", "Connections dialled to servers.", stats.dials),
        ("ringgate_upstream_dials_failed_total", "Of these, failed ones.", stats.dials_failed),
        (
            "ringgate_upstream_retries_total",
            "Safe requests sent again after an idle connection was found dead.",
            stats.retries,
        ),
    ];
    for (name, help, value) in counters {
        page.single(name, "counter", help, value);
    }
    page.single(
        "ringgate_upstream_connections",
        "gauge",
        "Open connections to servers.",
        stats.upstream_open,
    );
    page.single(
        "ringgate_exchanges_open",
        "gauge",
        "Exchanges under way, streams included.",
        stats.exchanges_open,
    );
    let name = "ringgate_handshakes_failed_total";
    page.family(name, "counter", "Client connections that ended before their first request, by cause.");
    for (cause, count) in HANDSHAKE_CAUSES.iter().zip(stats.handshakes_failed) {
        page.value(name, &[("cause", cause)], count);
    }
    refusals(page, stats);
}

/// Refusals by cause and status. Every cause is there from the start: what appears with its first event is a rise that
/// `increase()` cannot see.
fn refusals(page: &mut Page, stats: &WorkerStats) {
    let name = "ringgate_refusals_total";
    page.family(name, "counter", "Requests the gateway refused itself, by cause and status.");
    let seen = |cause: Cause, status: u16| {
        stats.refusals.iter().any(|&(known, with, _)| (known, with) == (cause, status))
    };
    let own = Cause::ALL.iter().filter(|cause| !cause.is_of_server());
    let zeros =
        own.map(|&cause| (cause, cause.usual_status(), 0)).filter(|&(cause, status, _)| !seen(cause, status));
    for (cause, status, count) in stats.refusals.iter().copied().chain(zeros) {
        page.value(name, &[("status", &status.to_string()), ("cause", cause.label())], count);
    }
}

fn identity(page: &mut Page, stats: &WorkerStats) {
    let name = "ringgate_credentials_total";
    page.family(name, "counter", "Requests whose credential was good, by how that was known.");
    page.value(name, &[("known", "remembered")], stats.credentials_known);
    page.value(name, &[("known", "verified")], stats.credentials_verified);
    let name = "ringgate_unauthenticated_total";
    page.family(name, "counter", "Requests refused for want of a good credential, by reason.");
    for (reason, count) in &stats.unauthenticated {
        page.value(name, &[("reason", reason)], *count);
    }
    page.single("ringgate_denied_total", "counter", "Messages that the rules denied.", stats.denied);
    let help = "Messages that a rule in report mode would have decided otherwise.";
    page.single("ringgate_reported_total", "counter", help, stats.reported);
    let name = "ringgate_limited_total";
    page.family(name, "counter", "Messages that a limit refused, or would have refused in report mode.");
    for (limit, refused, reported) in &stats.limits {
        page.value(name, &[("limit", limit), ("mode", "enforce")], *refused);
        page.value(name, &[("limit", limit), ("mode", "report")], *reported);
    }
    let name = "ringgate_budget_alerts_total";
    page.family(name, "counter", "Times that so many percent of a key's budget came to be used.");
    for (limit, percent, count) in &stats.budgets {
        page.value(name, &[("limit", limit), ("percent", &percent.to_string())], *count);
    }
    page.single("ringgate_errands_total", "counter", "Exchanges that waited for control.", stats.errands);
    let help = "Exchanges that waited for control in vain.";
    page.single("ringgate_errands_failed_total", "counter", help, stats.errands_failed);
}

fn exchanges(page: &mut Page, facts: &Facts<'_>) {
    let servers = || {
        let last = facts.stats.servers.len().saturating_sub(1);
        facts.stats.servers.iter().enumerate().map(move |(index, stats)| {
            let name = facts.servers.get(index).copied().filter(|_| index < last);
            (name.unwrap_or("none"), stats)
        })
    };
    page.family("ringgate_exchanges_total", "counter", "Ended exchanges.");
    for (server, stats) in servers() {
        for kind in Kind::ALL {
            for outcome in Outcome::ALL {
                let count = stats.ended[kind as usize][outcome as usize];
                // Requests have every series from the start, for `increase()`; of the others what happens.
                if count > 0 || kind == Kind::Request || outcome == Outcome::Answered {
                    let labels = [("server", server), ("kind", kind.label()), ("outcome", outcome.label())];
                    page.value("ringgate_exchanges_total", &labels, count);
                }
            }
        }
    }
    let name = "ringgate_upstream_failures_total";
    page.family(name, "counter", "Exchanges that the server did not answer, by cause.");
    for (server, stats) in servers().take(facts.servers.len()) {
        for &cause in Cause::ALL.iter().filter(|cause| cause.is_of_server()) {
            let labels = [("server", server), ("cause", cause.label())];
            page.value(name, &labels, stats.failures[cause as usize]);
        }
    }
    page.family("ringgate_responses_total", "counter", "Answers sent to clients, by class of status.");
    for (server, stats) in servers() {
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(stats.status_class) {
            page.value("ringgate_responses_total", &[("server", server), ("class", class)], count);
        }
    }
    page.family("ringgate_bytes_total", "counter", "Bytes sent, heads included.");
    for (server, stats) in servers() {
        page.value("ringgate_bytes_total", &[("server", server), ("direction", "upstream")], stats.bytes_up);
        page.value("ringgate_bytes_total", &[("server", server), ("direction", "client")], stats.bytes_down);
    }
    let name = "ringgate_exchange_duration_seconds";
    page.family(name, "histogram", "From the whole request to the end of the answer; GET streams left out.");
    for (server, stats) in servers() {
        page.histogram(name, server, &stats.duration);
    }
    let name = "ringgate_upstream_first_byte_seconds";
    page.family(name, "histogram", "From the request sent to the head of the server's answer.");
    for (server, stats) in servers() {
        page.histogram(name, server, &stats.first_byte);
    }
}

/// The name of a gauge, its help, and where its value is.
type Gauge = (&'static str, &'static str, fn(&Adaptive) -> u64);

fn limits(page: &mut Page, facts: &Facts<'_>) {
    let name = "ringgate_ledger_turned_away_total";
    page.single(
        name,
        "counter",
        "Times without room for a key of a limit: rate_limits.keys_max.",
        facts.turned_away,
    );
    tokens(page, facts);
    let servers = || {
        let named = facts.servers.iter().zip(&facts.stats.servers);
        named.filter_map(|(&name, stats)| Some((name, stats.adaptive.as_ref()?)))
    };
    let gauges: [Gauge; 3] = [
        ("ringgate_adaptive_limit", "Calls that are let in to a server at once, now.", |now| now.limit),
        ("ringgate_adaptive_in_flight", "Of these, calls under way.", |now| now.in_flight),
        ("ringgate_adaptive_queued", "Calls that wait for a place at a server.", |now| now.queued),
    ];
    for (name, help, value) in gauges {
        page.family(name, "gauge", help);
        for (server, now) in servers() {
            page.value(name, &[("server", server)], value(now));
        }
    }
    let name = "ringgate_adaptive_shed_total";
    page.family(name, "counter", "Calls turned away to protect a server, by priority class and reason.");
    for (server, now) in servers() {
        for &(class, reason, count) in &now.shed {
            page.value(name, &[("server", server), ("class", class), ("reason", reason)], count);
        }
    }
}

fn tokens(page: &mut Page, facts: &Facts<'_>) {
    let (tokens, tokenizer) = (&facts.stats.tokens, &facts.tokenizer);
    let ways = [("estimate", tokens.estimated), ("reported", tokens.reported), ("o200k", tokenizer.counted)];
    let name = "ringgate_tokens_total";
    page.family(name, "counter", "Tokens of ended exchanges that some limit counts, by who counted them.");
    for (by, counted) in ways {
        page.value(name, &[("by", by)], counted.tokens);
    }
    let name = "ringgate_tokens_exchanges_total";
    page.family(name, "counter", "Ended exchanges whose tokens some limit counts, by who counted them.");
    for (by, counted) in ways {
        page.value(name, &[("by", by)], counted.exchanges);
    }
    let help = "Exchanges that were estimated, as the tokenizer was not ready or too much waited for it.";
    page.single("ringgate_tokenizer_missed_total", "counter", help, tokens.missed);
    let help = "1 once the tokenizer counts; 0: nothing wants it, or it is being loaded.";
    page.single("ringgate_tokenizer_ready", "gauge", help, u64::from(tokenizer.ready));
    let help = "Bytes that wait for the tokenizer.";
    page.single("ringgate_tokenizer_waiting_bytes", "gauge", help, tokenizer.waiting_bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Ticks;
    use crate::telemetry::ExchangeRecord;

    #[test]
    fn what_no_worker_reported_is_said_of_no_server() {
        let page = render(&Facts {
            stats: &WorkerStats::new(0),
            servers: &["here"],
            bodies: (1 << 20, 64 << 20),
            worker_connections: &[0],
            workers_answered: 0,
            generation: 1,
            reloads: 0,
            reloads_failed: 0,
            waiting: &[],
            draining: false,
            uptime: Duration::ZERO,
            fetches: &[],
            issuers: &[],
            turned_away: 0,
            tokenizer: Tokenizer::default(),
        });
        assert!(page.contains("ringgate_workers_reporting 0"), "{page}");
        assert!(!page.contains("server=\"here\""), "{page}");
    }

    #[test]
    fn counts_are_shown_under_their_server_and_buckets_add_up() {
        let mut stats = WorkerStats::new(1);
        let shed = vec![("low", "queue_full", 9)];
        stats.servers[0].adaptive = Some(Adaptive { limit: 40, in_flight: 12, queued: 3, shed });
        for (millis, server) in [(1, Some(0)), (3, Some(0)), (40, None)] {
            stats.record(&ExchangeRecord {
                started: Ticks(0),
                ended: Ticks(millis * 1_000_000),
                server,
                kind: Kind::Request,
                outcome: Outcome::Answered,
                cause: None,
                status: 200,
                bytes_up: 5,
                bytes_down: 7,
                first_byte: None,
                attempts: 1,
            });
        }
        let page = render(&Facts {
            stats: &stats,
            servers: &["every\"thing"],
            bodies: (1 << 20, 64 << 20),
            worker_connections: &[2, 3],
            workers_answered: 2,
            generation: 4,
            reloads: 3,
            reloads_failed: 1,
            waiting: &[("revoked", 2)],
            draining: false,
            uptime: Duration::from_secs(9),
            fetches: &[("keys", "ok", 5)],
            issuers: &[IssuerKeys {
                issuer: "https://i".into(),
                keys: 2,
                age: Some(Duration::from_secs(8)),
                failures: 5,
                failures_in_a_row: 1,
            }],
            turned_away: 6,
            tokenizer: Tokenizer {
                ready: true,
                counted: Counted { exchanges: 3, tokens: 17 },
                waiting_bytes: 5,
            },
        });
        for line in [
            "ringgate_exchanges_total{server=\"every\\\"thing\",kind=\"request\",outcome=\"answered\"} 2",
            "ringgate_exchanges_total{server=\"none\",kind=\"request\",outcome=\"answered\"} 1",
            "ringgate_exchange_duration_seconds_bucket{server=\"every\\\"thing\",le=\"0.0025\"} 1",
            "ringgate_exchange_duration_seconds_bucket{server=\"every\\\"thing\",le=\"0.005\"} 2",
            "ringgate_exchange_duration_seconds_bucket{server=\"every\\\"thing\",le=\"+Inf\"} 2",
            "ringgate_exchange_duration_seconds_count{server=\"none\"} 1",
            "ringgate_worker_connections{worker=\"1\"} 3",
            "ringgate_config_generation 4",
            "ringgate_config_waiting{what=\"revoked\"} 2",
            "ringgate_fetches_total{kind=\"keys\",result=\"ok\"} 5",
            "ringgate_keys_known{issuer=\"https://i\"} 1",
            "ringgate_keys_age_seconds{issuer=\"https://i\"} 8",
            "ringgate_keys{issuer=\"https://i\"} 2",
            "ringgate_keys_failures_total{issuer=\"https://i\"} 5",
            "ringgate_keys_failures_in_a_row{issuer=\"https://i\"} 1",
            "ringgate_ledger_turned_away_total 6",
            "ringgate_tokens_total{by=\"o200k\"} 17",
            "ringgate_tokens_exchanges_total{by=\"o200k\"} 3",
            "ringgate_tokens_total{by=\"estimate\"} 0",
            "ringgate_tokenizer_ready 1",
            "ringgate_tokenizer_waiting_bytes 5",
            "ringgate_adaptive_limit{server=\"every\\\"thing\"} 40",
            "ringgate_adaptive_in_flight{server=\"every\\\"thing\"} 12",
            "ringgate_adaptive_queued{server=\"every\\\"thing\"} 3",
            "ringgate_adaptive_shed_total{server=\"every\\\"thing\",class=\"low\",reason=\"queue_full\"} 9",
        ] {
            assert!(page.lines().any(|other| other == line), "missing: {line}\n{page}");
        }
    }
}
