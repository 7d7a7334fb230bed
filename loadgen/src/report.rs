//! The final report: figures drawn from a measurement, as a table and as JSON.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::faults::FaultCounts;
use crate::plan::{Pace, Plan};
use crate::process::MemoryReading;
use crate::run::{Measurement, Meters};
use crate::worker::new_histogram;

/// The figures of a run. Times are in microseconds unless the name says otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The target as given.
    pub url: String,
    /// The scenario's name.
    pub scenario: String,
    /// `closed` or `open`.
    pub mode: &'static str,
    /// Open loop: the scheduled rate.
    pub rate_per_s: Option<u64>,
    /// Connections asked for.
    pub connections: usize,
    /// Worker threads.
    pub threads: usize,
    /// The run was ended early by a signal: the window is shorter than asked for.
    pub interrupted: bool,
    /// Length of the measured window, in seconds.
    pub window_s: f64,
    /// Right answers within the window.
    pub requests: u64,
    /// The same per second.
    pub requests_per_s: f64,
    /// Answers within the window that said a limit was reached, where `--refusals` names their kind.
    pub refused: u64,
    /// From the first request to the last answer, warm-up included.
    pub whole: WholeReport,
    /// Latency of all counted requests that were due in the window.
    pub latency: Option<Latency>,
    /// Latency by request class, when there is more than one.
    pub classes: Vec<ClassReport>,
    /// Open loop: how late requests left; contained in the latencies.
    pub sent_late: Option<Latency>,
    /// Live connections when the window began and ended.
    pub open_connections: [u64; 2],
    /// Events other than answers, received on streams.
    pub events: u64,
    /// Connections the peer closed between requests.
    pub reconnects: u64,
    /// Bytes sent and received from start to end, heads included.
    pub bytes_sent: u64,
    /// See `bytes_sent`.
    pub bytes_received: u64,
    /// Errors from start to end.
    pub errors: u64,
    /// The same by kind.
    pub error_kinds: Vec<ErrorReport>,
    /// The load generator's own cost.
    pub loadgen: CpuReport,
    /// The cost of the watched processes.
    pub processes: Vec<ProcessReport>,
}

/// What came of all requests that were ever sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct WholeReport {
    /// Right answers.
    pub answered: u64,
    /// Refusals.
    pub refused: u64,
    /// From the first request to the last answer: no admission lies outside of it.
    pub elapsed_s: f64,
}

/// A distribution of times, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[allow(missing_docs)]
pub struct Latency {
    pub count: u64,
    pub min_us: f64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p99_9_us: f64,
    pub max_us: f64,
}

/// Latency of one request class.
#[derive(Debug, Clone, Serialize)]
pub struct ClassReport {
    /// The class.
    pub label: String,
    /// Whether it only prepares connections; such requests are timed but not counted.
    pub setup: bool,
    /// Its latency.
    pub latency: Option<Latency>,
}

/// One kind of error.
#[derive(Debug, Clone, Serialize)]
pub struct ErrorReport {
    /// The kind.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first of them.
    pub example: String,
}

/// CPU use within the window.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CpuReport {
    /// Microseconds of CPU per request; `None` without requests.
    pub cpu_us_per_request: Option<f64>,
    /// Requests per second of CPU; `None` without either.
    pub requests_per_cpu_s: Option<f64>,
    /// CPU time over wall time: 1.0 is one core kept busy.
    pub cores_busy: f64,
}

/// The cost of one watched process.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessReport {
    /// Its number; `None` for the sum of all.
    pub pid: Option<u32>,
    /// Its CPU use.
    #[serde(flatten)]
    pub cpu: CpuReport,
    /// Its memory before any connection was made.
    pub memory_before: MemoryReading,
    /// Its memory when the window began.
    pub memory_begin: MemoryReading,
    /// Its memory when the window ended.
    pub memory_end: MemoryReading,
    /// Growth of the resident set since before, per live connection; only when connections are held.
    pub rss_bytes_per_connection: Option<i64>,
}

impl Report {
    /// Draws the figures of a run of `plan` against `url`.
    pub fn new(url: &str, scenario: &str, plan: &Plan, pids: &[u32], measured: &Measurement) -> Self {
        let is_counted = |class: usize| !plan.scenario.is_setup(class) || plan.scenario.rests();
        let classes = plan.scenario.classes.len();
        let latencies: Vec<_> = (0..classes)
            .map(|class| merge(measured.workers.iter().map(|worker| &worker.latencies[class])))
            .collect();
        let counted = latencies.iter().enumerate().filter(|(class, _)| is_counted(*class));
        let total = merge(counted.map(|(_, histogram)| histogram));
        let lateness = merge(measured.workers.iter().map(|worker| &worker.lateness));
        let mut faults = FaultCounts::default();
        measured.workers.iter().for_each(|worker| faults.merge(&worker.faults));
        let span = Span::new(measured.window.as_ref());

        Self {
            url: url.to_owned(),
            scenario: scenario.to_owned(),
            mode: if plan.pace == Pace::Closed { "closed" } else { "open" },
            rate_per_s: match plan.pace {
                Pace::Closed => None,
                Pace::Open { rate } => Some(rate),
            },
            connections: plan.connections,
            threads: plan.threads,
            interrupted: false,
            window_s: span.seconds,
            requests: span.requests,
            requests_per_s: ratio(span.requests as f64, span.seconds).unwrap_or(0.0),
            refused: span.refused,
            whole: WholeReport {
                answered: measured.whole.answered,
                refused: measured.whole.refused,
                elapsed_s: measured.whole.elapsed_ns as f64 / 1e9,
            },
            latency: Latency::of(&total),
            classes: plan
                .scenario
                .classes
                .iter()
                .zip(&latencies)
                .enumerate()
                .map(|(class, (request, histogram))| ClassReport {
                    label: request.label.clone(),
                    setup: !is_counted(class),
                    latency: Latency::of(histogram),
                })
                .collect(),
            sent_late: Latency::of(&lateness),
            open_connections: measured
                .window
                .as_ref()
                .map_or([0, 0], |(first, last)| [first.ready, last.ready]),
            events: measured.events,
            reconnects: measured.reconnects,
            bytes_sent: measured.workers.iter().map(|worker| worker.bytes_sent).sum(),
            bytes_received: measured.workers.iter().map(|worker| worker.bytes_received).sum(),
            errors: faults.total(),
            error_kinds: faults
                .iter()
                .map(|(fault, entry)| ErrorReport {
                    kind: fault.to_string(),
                    count: entry.count,
                    example: entry.example.clone(),
                })
                .collect(),
            loadgen: span.cpu(span.own_cpu_ns),
            processes: process_reports(pids, measured, &span, plan.scenario.rests()),
        }
    }

    /// Whether the run counts as a success: something was measured and errors stayed within bounds.
    pub fn is_success(&self, errors_max: u64) -> bool {
        self.errors <= errors_max && (self.requests > 0 || self.refused > 0 || self.latency.is_some())
    }

    /// The report as an aligned table for people.
    pub fn to_table(&self) -> String {
        let mut table = Table::default();
        self.write_load(&mut table);
        self.write_latencies(&mut table);
        self.write_costs(&mut table);
        self.write_errors(&mut table);
        table.0
    }

    fn write_load(&self, table: &mut Table) {
        let pace =
            self.rate_per_s.map_or_else(|| "closed loop".to_owned(), |rate| format!("open loop at {rate}/s"));
        table.line("target", &self.url);
        table.line(
            "load",
            &format!(
                "{}, {pace}, {} connections, {} thread(s)",
                self.scenario, self.connections, self.threads
            ),
        );
        let early = if self.interrupted { ", interrupted" } else { "" };
        table.line("window", &format!("{:.3} s{early}", self.window_s));
        table.line("requests", &format!("{}  ({:.0}/s)", self.requests, self.requests_per_s));
        if self.whole.refused > 0 {
            let rate = ratio(self.refused as f64, self.window_s).unwrap_or(0.0);
            table.line("refused", &format!("{}  ({rate:.0}/s)", self.refused));
        }
        let [first, last] = self.open_connections;
        table.line(
            "connections",
            &format!("{first} live at the begin, {last} at the end, {} reconnects", self.reconnects),
        );
        if self.events > 0 {
            table.line("events", &self.events.to_string());
        }
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let (sent, received) = (megabytes(self.bytes_sent), megabytes(self.bytes_received));
        table.line("traffic", &format!("{sent:.1} MB sent, {received:.1} MB received (from start to end)"));
    }

    fn write_latencies(&self, table: &mut Table) {
        table.0.push('\n');
        table.row(
            "times in us",
            ["count", "min", "mean", "p50", "p90", "p99", "p99.9", "max"].map(str::to_owned),
        );
        if let Some(latency) = &self.latency {
            table.row("latency", latency.cells());
        }
        if self.classes.len() > 1 {
            for class in &self.classes {
                let mark = if class.setup { " (set-up)" } else { "" };
                if let Some(latency) = &class.latency {
                    table.row(&format!("  {}{mark}", class.label), latency.cells());
                }
            }
        }
        if let Some(late) = &self.sent_late {
            table.row("sent late", late.cells());
        }
    }

    fn write_costs(&self, table: &mut Table) {
        table.0.push('\n');
        table.line("loadgen itself", &self.loadgen.words());
        for process in &self.processes {
            let name = process.pid.map_or_else(|| "all watched".to_owned(), |pid| format!("process {pid}"));
            table.line(&name, &process.cpu.words());
            let kib = |bytes: u64| bytes / 1024;
            let (before, begin, end) = (&process.memory_before, &process.memory_begin, &process.memory_end);
            table.line(
                "  RSS",
                &format!(
                    "{} KiB before, {} at the begin, {} at the end, {} at most",
                    kib(before.rss_bytes),
                    kib(begin.rss_bytes),
                    kib(end.rss_bytes),
                    kib(end.rss_peak_bytes)
                ),
            );
            table.line(
                "  PSS",
                &format!(
                    "{} KiB before, {} at the begin, {} at the end",
                    kib(before.pss_bytes),
                    kib(begin.pss_bytes),
                    kib(end.pss_bytes)
                ),
            );
            if let Some(bytes) = process.rss_bytes_per_connection {
                table.line("  per connection", &format!("{bytes} bytes of RSS"));
            }
        }
    }

    fn write_errors(&self, table: &mut Table) {
        table.line("errors", &self.errors.to_string());
        for kind in &self.error_kinds {
            table.line(&format!("  {}", kind.kind), &format!("{}  (first: {})", kind.count, kind.example));
        }
    }
}

impl Latency {
    /// The figures of a histogram of nanoseconds; `None` when it is empty.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let quantile = |q: f64| histogram.value_at_quantile(q) as f64 / 1000.0;
        Some(Self {
            count: histogram.len(),
            min_us: histogram.min() as f64 / 1000.0,
            mean_us: histogram.mean() / 1000.0,
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p99_9_us: quantile(0.999),
            max_us: histogram.max() as f64 / 1000.0,
        })
    }

    fn cells(&self) -> [String; 8] {
        let times =
            [self.min_us, self.mean_us, self.p50_us, self.p90_us, self.p99_us, self.p99_9_us, self.max_us];
        let mut cells: [String; 8] = Default::default();
        cells[0] = self.count.to_string();
        for (cell, time) in cells[1..].iter_mut().zip(times) {
            *cell = format!("{time:.1}");
        }
        cells
    }
}

impl CpuReport {
    fn words(&self) -> String {
        let busy = self.cores_busy * 100.0;
        match (self.cpu_us_per_request, self.requests_per_cpu_s) {
            (Some(cost), Some(rate)) => {
                format!(
                    "{cost:.2} us CPU per request, {rate:.0} requests per CPU-second, {busy:.1} % of a core"
                )
            }
            _ => format!("{busy:.1} % of a core"),
        }
    }
}

/// The measured window in figures.
struct Span {
    seconds: f64,
    requests: u64,
    refused: u64,
    own_cpu_ns: u64,
}

impl Span {
    fn new(window: Option<&(Meters, Meters)>) -> Self {
        let Some((first, last)) = window else {
            return Self { seconds: 0.0, requests: 0, refused: 0, own_cpu_ns: 0 };
        };
        Self {
            seconds: last.at_ns.saturating_sub(first.at_ns) as f64 / 1e9,
            requests: last.answered.saturating_sub(first.answered),
            refused: last.refused.saturating_sub(first.refused),
            own_cpu_ns: last.own_cpu_ns.saturating_sub(first.own_cpu_ns),
        }
    }

    fn cpu(&self, cpu_ns: u64) -> CpuReport {
        let (cpu_s, requests) = (cpu_ns as f64 / 1e9, self.requests as f64);
        CpuReport {
            cpu_us_per_request: ratio(cpu_s * 1e6, requests),
            requests_per_cpu_s: ratio(requests, cpu_s).filter(|rate| *rate > 0.0),
            cores_busy: ratio(cpu_s, self.seconds).unwrap_or(0.0),
        }
    }
}

fn ratio(of: f64, to: f64) -> Option<f64> {
    (to > 0.0).then(|| of / to)
}

fn merge<'a>(parts: impl Iterator<Item = &'a Histogram<u64>>) -> Histogram<u64> {
    let mut whole = new_histogram();
    for part in parts {
        // All histograms have the same bounds, so this cannot fail.
        let added = whole.add(part);
        debug_assert!(added.is_ok());
    }
    whole
}

fn process_reports(pids: &[u32], measured: &Measurement, span: &Span, held: bool) -> Vec<ProcessReport> {
    let Some((first, last)) = &measured.window else { return Vec::new() };
    let report = |pid: Option<u32>, cpu_ns: u64, memory: [MemoryReading; 3]| {
        let [memory_before, memory_begin, memory_end] = memory;
        let growth = memory_end.rss_bytes as i64 - memory_before.rss_bytes as i64;
        let connections = i64::try_from(last.ready).unwrap_or(i64::MAX);
        ProcessReport {
            pid,
            cpu: span.cpu(cpu_ns),
            memory_before,
            memory_begin,
            memory_end,
            rss_bytes_per_connection: growth.checked_div(connections).filter(|_| held),
        }
    };
    let mut reports = Vec::new();
    for (index, pid) in pids.iter().enumerate() {
        let cpu_ns = last.cpu_ns[index].saturating_sub(first.cpu_ns[index]);
        let memory = [measured.memory_before[index], first.memory[index], last.memory[index]];
        reports.push(report(Some(*pid), cpu_ns, memory));
    }
    if pids.len() > 1 {
        let sum_ns = |meters: &Meters| meters.cpu_ns.iter().sum::<u64>();
        let memory =
            [sum_memory(&measured.memory_before), sum_memory(&first.memory), sum_memory(&last.memory)];
        reports.push(report(None, sum_ns(last).saturating_sub(sum_ns(first)), memory));
    }
    reports
}

fn sum_memory(parts: &[MemoryReading]) -> MemoryReading {
    let sum = |of: fn(&MemoryReading) -> u64| parts.iter().map(of).sum();
    MemoryReading {
        rss_bytes: sum(|m| m.rss_bytes),
        pss_bytes: sum(|m| m.pss_bytes),
        rss_peak_bytes: sum(|m| m.rss_peak_bytes),
    }
}

/// Lines of a name and what belongs to it, aligned.
#[derive(Default)]
struct Table(String);

impl Table {
    const NAME_WIDTH: usize = 24;

    fn line(&mut self, name: &str, text: &str) {
        let width = Self::NAME_WIDTH;
        self.0.push_str(&format!("{name:<width$}{text}\n"));
    }

    fn row(&mut self, name: &str, cells: [String; 8]) {
        let width = Self::NAME_WIDTH;
        self.0.push_str(&format!("{name:<width$}"));
        for cell in cells {
            self.0.push_str(&format!("{cell:>11}"));
        }
        self.0.push('\n');
    }
}
