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
    core: usize,
    realtime: i32,
}

/// One run to order.
#[derive(Clone, Debug)]
pub struct Order {
    /// The MCP endpoint.
    pub url: String,
    /// Keep-alive connections.
    pub connections: usize,
    /// How long to load.
    pub seconds: f64,
    /// Requests per second, sent on schedule whatever the answers do; none: closed loop.
    pub rate: Option<u32>,
    /// Size of a request's body in bytes.
    pub body_bytes: usize,
    /// The tool to call.
    pub tool: String,
    /// Header lines to add, each `Name: value`.
    pub headers: Vec<String>,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Answers that were right.
    pub requests: u64,
    /// Everything else.
    pub errors: u64,
    /// How long the load lasted.
    pub seconds: f64,
    /// Median latency in microseconds; with a rate, counted from when the request was due.
    pub p50_us: f64,
    /// 99th percentile of it.
    pub p99_us: f64,
    /// CPU time of the load generator itself, in nanoseconds.
    pub cpu_ns: u64,
}

impl Load {
    /// The load generator beside this program, to run on `core`.
    pub fn find(core: usize) -> Result<Self, String> {
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
        let before = sys::children_cpu_ns();
        let limit = Duration::from_secs_f64(order.seconds) + OVERTIME;
        let report = self.collect(self.start(&arguments(order))?, limit)?;
        let mut outcome =
            read_report(&report).ok_or_else(|| format!("loadgen's report is not understood:\n{report}"))?;
        outcome.cpu_ns = sys::children_cpu_ns().saturating_sub(before);
        Ok(outcome)
    }

    /// Starts it with arguments of the caller's own.
    pub fn start(&self, arguments: &[String]) -> Result<Child, String> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let fail = |error: std::io::Error| format!("cannot start {}: {error}", self.binary.display());
        sys::own_session(&mut command, self.core).map_err(fail)?;
        let child = command.spawn().map_err(fail)?;
        crate::noise::favour(child.id());
        if self.realtime > 0 {
            sys::set_realtime(child.id() as i32, self.realtime).map_err(fail)?;
        }
        Ok(child)
    }

    /// Waits for it and returns what it printed.
    pub fn collect(&self, mut child: Child, limit: Duration) -> Result<String, String> {
        let deadline = Instant::now() + limit;
        // The report is shorter than a pipe holds, so that it can be read after the end.
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
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
}

/// The command line of loadgen for `order`.
fn arguments(order: &Order) -> Vec<String> {
    let mut arguments: Vec<String> = vec![
        "--url".into(),
        order.url.clone(),
        "--connections".into(),
        order.connections.to_string(),
        "--duration".into(),
        order.seconds.to_string(),
        // The whole run is weighed, so all of its requests must count.
        "--warmup".into(),
        "0".into(),
        "--body-bytes".into(),
        order.body_bytes.to_string(),
        "--tool".into(),
        order.tool.clone(),
        "--json".into(),
        "-".into(),
    ];
    if let Some(rate) = order.rate {
        arguments.extend(["--rate".into(), rate.to_string()]);
    }
    for header in &order.headers {
        arguments.extend(["--header".into(), header.clone()]);
    }
    arguments
}

fn read_report(report: &str) -> Option<Outcome> {
    let report: Value = serde_json::from_str(report.trim()).ok()?;
    Some(Outcome {
        requests: report.get("requests")?.as_u64()?,
        errors: report.get("errors")?.as_u64()?,
        seconds: report.get("seconds")?.as_f64()?,
        p50_us: report.pointer("/latency_us/p50")?.as_f64()?,
        p99_us: report.pointer("/latency_us/p99")?.as_f64()?,
        cpu_ns: 0,
    })
}

const OVERTIME: Duration = Duration::from_secs(30);
