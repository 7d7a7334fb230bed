//! Runs `loadgen` and reads its report.

use crate::sys;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The load generator and where it runs.
#[derive(Clone, Debug)]
pub struct Load {
    binary: PathBuf,
    core: Option<usize>,
    realtime: i32,
}

/// One run to order.
#[derive(Clone, Debug)]
pub struct Order {
    /// The MCP endpoint.
    pub url: String,
    /// Keep-alive connections.
    pub connections: usize,
    /// How long to load, after a short warm-up.
    pub seconds: f64,
    /// Leaves the warm-up out, so that the requests counted are all that were sent.
    pub counts_all: bool,
    /// What is sent.
    pub scenario: Scenario,
    /// Requests per second, sent on schedule whatever the answers do; none: closed loop.
    pub rate: Option<u32>,
    /// Size of a request's body in bytes.
    pub body_bytes: usize,
    /// The tool to call.
    pub tool: String,
    /// Header lines to add, each `Name: value`.
    pub headers: Vec<String>,
    /// Status 429 counts as refused, not as an error.
    pub refusals: bool,
    /// Processes whose CPU time and memory to watch.
    pub watch: Vec<u32>,
}

/// What a connection of the load does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// One tools/call after the other.
    Calls,
    /// The same of revision 2025-11-25, in a session for each connection.
    LegacyCalls,
    /// One request, then nothing.
    Idle,
    /// One SSE stream, opened by GET and held.
    HeldStream,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Answers that were right.
    pub requests: u64,
    /// Everything else.
    pub errors: u64,
    /// Of these, requests that were due and could not be sent any more.
    pub unsent: u64,
    /// What came of all requests, warm-up included.
    pub whole: Whole,
    /// The most frequent kind of error, with an example.
    pub fault: Option<String>,
    /// Right answers per second.
    pub rps: f64,
    /// Median latency in microseconds; with a rate, counted from when the request was due.
    pub p50_us: f64,
    /// 99th percentile of it.
    pub p99_us: f64,
    /// CPU time of the load generator per request, in microseconds.
    pub own_us: f64,
    watched: Vec<Watched>,
}

/// What came of all requests that were ever sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Whole {
    /// Right answers.
    pub answered: u64,
    /// Refusals, where they are expected.
    pub refused: u64,
    /// From the first request to the last answer, in seconds.
    pub elapsed: f64,
}

/// What a watched process used while the requests were counted.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    process: u32,
    /// CPU time of all its threads per request, in microseconds, by the scheduler's account.
    cpu_us: f64,
    /// Resident memory at its highest, in bytes.
    rss_peak_bytes: u64,
    /// Resident memory that came with the connections, divided by them, in bytes.
    rss_per_connection: f64,
}

impl Outcome {
    /// CPU time per request of `processes` together, in microseconds.
    pub fn cpu_us(&self, processes: &[u32]) -> f64 {
        // Not sum(): of nothing it is -0.0.
        self.of(processes).fold(0.0, |sum, watched| sum + watched.cpu_us)
    }

    /// Resident memory of `processes` together, at its highest, in MiB.
    pub fn rss_peak_mib(&self, processes: &[u32]) -> f64 {
        self.of(processes).map(|watched| watched.rss_peak_bytes).sum::<u64>() as f64 / 1024.0 / 1024.0
    }

    /// Resident memory of `processes` together that each connection added, in bytes.
    pub fn rss_per_connection(&self, processes: &[u32]) -> f64 {
        self.of(processes).map(|watched| watched.rss_per_connection).sum()
    }

    fn of(&self, processes: &[u32]) -> impl Iterator<Item = &Watched> {
        self.watched.iter().filter(|watched| processes.contains(&watched.process))
    }
}

impl Load {
    /// The load generator beside this program, to run on `core`, or wherever the system puts it.
    pub fn find(core: impl Into<Option<usize>>) -> Result<Self, String> {
        let core = core.into();
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let binary = own.with_file_name("loadgen");
        match binary.is_file() {
            true => Ok(Self { binary, core, realtime: 0 }),
            false => Err(format!("no {}: cargo build --release -p loadgen", binary.display())),
        }
    }

    /// The same under the real-time policy.
    pub fn at_priority(&self, realtime: i32) -> Self {
        Self { realtime, ..self.clone() }
    }

    /// Runs `order` to its end.
    pub fn run(&self, order: &Order) -> Result<Outcome, String> {
        let mut command = Command::new(&self.binary);
        command.args(arguments(order));
        self.run_command(command, order)
    }

    /// Runs `order` below `wrapper`, a command that takes another one as its last arguments.
    pub fn run_below(&self, mut wrapper: Command, order: &Order) -> Result<Outcome, String> {
        wrapper.arg(&self.binary).args(arguments(order));
        self.run_command(wrapper, order)
    }

    fn run_command(&self, mut command: Command, order: &Order) -> Result<Outcome, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let fail = |error: std::io::Error| format!("cannot start the load generator: {error}");
        sys::own_session(&mut command, self.core).map_err(fail)?;
        let child = command.spawn().map_err(fail)?;
        crate::noise::favour(child.id());
        if self.realtime > 0 {
            sys::set_realtime(child.id() as i32, self.realtime).map_err(fail)?;
        }
        let report = collect(child, Duration::from_secs_f64(order.seconds) + OVERTIME)?;
        read_report(&report).ok_or_else(|| format!("loadgen's report is not understood:\n{report}"))
    }
}

/// Waits for the load generator and returns what it printed.
fn collect(mut child: Child, limit: Duration) -> Result<String, String> {
    let deadline = Instant::now() + limit;
    // The report is shorter than a pipe holds, so that it can be read after the end.
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err("loadgen does not come to an end".to_string());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    if report.trim().is_empty() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("loadgen says nothing ({}): {}", output.status, errors.trim()));
    }
    Ok(report)
}

/// The command line of loadgen for `order`.
fn arguments(order: &Order) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut put = |name: &str, value: String| arguments.extend([name.to_string(), value]);
    put("--url", order.url.clone());
    put("--connections", order.connections.to_string());
    put("--duration", order.seconds.to_string());
    put("--warmup", if order.counts_all { "0" } else { WARM_UP }.to_string());
    match order.scenario {
        Scenario::Calls => put("--body-bytes", order.body_bytes.to_string()),
        Scenario::LegacyCalls => {
            put("--body-bytes", order.body_bytes.to_string());
            put("--scenario", "legacy-call".to_string());
        }
        Scenario::Idle => put("--scenario", "idle".to_string()),
        Scenario::HeldStream => put("--scenario", "sse-hold".to_string()),
    }
    put("--tool", order.tool.clone());
    put("--json", "-".to_string());
    // The samples count errors; here any number of them is an outcome, not a failure.
    put("--errors-max", u64::MAX.to_string());
    if let Some(rate) = order.rate {
        put("--rate", rate.to_string());
    }
    if order.refusals {
        put("--refusals", "status".to_string());
    }
    for header in &order.headers {
        put("--header", header.clone());
    }
    for process in &order.watch {
        put("--pid", process.to_string());
    }
    arguments
}

fn read_report(report: &str) -> Option<Outcome> {
    let report: Value = serde_json::from_str(report.trim()).ok()?;
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
    Some(Outcome {
        requests: report.get("requests")?.as_u64()?,
        errors: report.get("errors")?.as_u64()?,
        unsent: count_of(&report, "unsent"),
        whole: Whole {
            answered: report.pointer("/whole/answered")?.as_u64()?,
            refused: report.pointer("/whole/refused")?.as_u64()?,
            elapsed: number("/whole/elapsed_s")?,
        },
        fault: read_fault(&report),
        rps: number("/requests_per_s")?,
        // No latency and no cost per request when there was no right answer.
        p50_us: number("/latency/p50_us").unwrap_or(0.0),
        p99_us: number("/latency/p99_us").unwrap_or(0.0),
        own_us: number("/loadgen/cpu_us_per_request").unwrap_or(0.0),
        watched: report.get("processes")?.as_array()?.iter().filter_map(read_watched).collect(),
    })
}

/// How many errors of a kind there were.
fn count_of(report: &Value, kind: &str) -> u64 {
    let kinds = report.get("error_kinds").and_then(Value::as_array);
    let found = kinds.into_iter().flatten().find(|entry| entry.get("kind").is_some_and(|name| name == kind));
    found.and_then(|entry| entry.get("count")?.as_u64()).unwrap_or(0)
}

fn read_fault(report: &Value) -> Option<String> {
    let kinds = report.get("error_kinds")?.as_array()?.iter();
    let worst = kinds.max_by_key(|kind| kind.get("count").and_then(Value::as_u64))?;
    let part = |name: &str| worst.get(name).and_then(Value::as_str).unwrap_or("");
    Some(format!("{}: {}", part("kind"), part("example")))
}

/// None for the entry that sums up all processes.
fn read_watched(process: &Value) -> Option<Watched> {
    Some(Watched {
        process: u32::try_from(process.get("pid")?.as_u64()?).ok()?,
        cpu_us: process.get("cpu_us_per_request").and_then(Value::as_f64).unwrap_or(0.0),
        rss_peak_bytes: process.pointer("/memory_end/rss_peak_bytes")?.as_u64()?,
        rss_per_connection: process.get("rss_bytes_per_connection").and_then(Value::as_f64).unwrap_or(0.0),
    })
}

const WARM_UP: &str = "500ms";
const OVERTIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Whole, read_report};

    #[test]
    fn a_report_is_read_and_its_sum_of_processes_left_out() {
        let report = r#"{"requests":10,"errors":1,"requests_per_s":5.0,
            "whole":{"answered":12,"refused":3,"elapsed_s":2.5},
            "error_kinds":[{"kind":"unsent","count":1,"example":"x"},{"kind":"often","count":9,"example":"y"}],
            "latency":{"p50_us":3.5,"p99_us":9.0},"loadgen":{"cpu_us_per_request":4.0},
            "processes":[
                {"pid":7,"cpu_us_per_request":10.0,"memory_end":{"rss_peak_bytes":1048576}},
                {"pid":8,"cpu_us_per_request":2.0,"memory_end":{"rss_peak_bytes":1048576}},
                {"pid":null,"cpu_us_per_request":12.0,"memory_end":{"rss_peak_bytes":2097152}}]}"#;
        let outcome = read_report(report).unwrap();
        assert_eq!((outcome.requests, outcome.errors, outcome.p99_us), (10, 1, 9.0));
        assert_eq!(
            (outcome.cpu_us(&[7]), outcome.cpu_us(&[7, 8]), outcome.rss_peak_mib(&[7, 8])),
            (10.0, 12.0, 2.0)
        );
        assert_eq!((outcome.unsent, outcome.whole), (1, Whole { answered: 12, refused: 3, elapsed: 2.5 }));
        assert_eq!(outcome.fault.as_deref(), Some("often: y"));
        assert!(read_report("loadgen: no such server").is_none());
    }
}
