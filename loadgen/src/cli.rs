//! The command line, as written.

use std::time::Duration;

use clap::Parser;

use crate::connection::RefusalName;
use crate::scenario::{HoldName, ScenarioName, WeightedSize};
use crate::tls::TlsArgs;

/// Load generator for MCP over HTTP/1.1. Every answer is checked to be the right one.
#[derive(Debug, Clone, Parser)]
#[command(version, max_term_width = 100, args_override_self = true, after_long_help = EXAMPLES)]
pub struct Args {
    /// Where to send: http://HOST:PORT/PATH, https://HOST:PORT/PATH or unix:/SOCKET:/PATH
    #[arg(long, value_name = "URL")]
    pub url: String,

    /// How https is spoken
    #[command(flatten)]
    pub tls: TlsArgs,

    /// What to send
    #[arg(long, value_enum, default_value = "modern-call")]
    pub scenario: ScenarioName,

    /// Keep-alive connections, shared out over the threads
    #[arg(long, short = 'c', value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub connections: u32,

    /// Open loop: requests per second at a constant rate, latency counted from the scheduled send time.
    /// Without it the loop is closed: each connection sends as soon as it has its answer
    #[arg(long, short = 'r', value_name = "PER_SECOND", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: Option<u64>,

    /// How long to measure: 10, 10s, 500ms, 2m; at most 24h
    #[arg(long, short = 'd', value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,

    /// How long to send before measuring begins
    #[arg(long, short = 'w', value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub warmup: Duration,

    /// Stop after this many measured requests, or after --duration, whichever comes first
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub requests: Option<u64>,

    /// How long an answer, a connection attempt or the end of the run may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub timeout: Duration,

    /// Threads, each with its own connections and event loop
    #[arg(long, short = 't', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: Option<u32>,

    /// CPUs to pin the threads to, in turn: 1 or 2,3 or 4-7
    #[arg(long, value_name = "LIST", value_parser = parse_cpus)]
    pub cpus: Option<CpuList>,

    /// Pad the arguments until the body of a tools/call has exactly this size
    #[arg(long, value_name = "BYTES", value_parser = parse_body_bytes)]
    pub body_bytes: Option<usize>,

    /// Body sizes of the mixed scenario, each with its weight
    #[arg(long, value_name = "BYTES:WEIGHT", value_delimiter = ',', default_value = "250:70,4096:25,65536:5", value_parser = parse_size)]
    pub sizes: Vec<WeightedSize>,

    /// What opens a stream of the sse-hold scenario
    #[arg(long, value_enum, default_value = "get")]
    pub hold: HoldName,

    /// The tool to call
    #[arg(long, value_name = "NAME", default_value = "echo")]
    pub tool: String,

    /// Arguments of the tool: a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub arguments: String,

    /// The argument that padding goes into; it is always given, since echo tools insist on it
    #[arg(long, value_name = "NAME", default_value = "message")]
    pub pad_key: String,

    /// A header line to add to every request, or to send instead of loadgen's own of that name
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    pub headers: Vec<String>,

    /// Text that every right answer to a tools/call contains
    #[arg(long, value_name = "TEXT")]
    pub expect_text: Option<String>,

    /// Answers that say a limit was reached: counted apart, as refused, and neither right nor errors
    #[arg(long, value_enum, value_name = "HOW", value_delimiter = ',')]
    pub refusals: Vec<RefusalName>,

    /// A process to watch: its CPU time per request and its memory. Repeatable; counted together too
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,

    /// Exit with an error only if there were more errors than this
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub errors_max: u64,

    /// Write the report as JSON, to a file or (-) to standard output instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<String>,

    /// Show a progress line each second even if standard error is not a terminal
    #[arg(long)]
    pub progress: bool,

    /// Wait for events without ever sleeping: sharper send times for an open loop, at the price of a
    /// whole core for each thread
    #[arg(long)]
    pub spin: bool,

    /// Permit a target that is not on this machine. It must be yours
    #[arg(long)]
    pub allow_remote: bool,
}

const EXAMPLES: &str = "\
Examples:
  Throughput, 64 connections, bodies of 250 bytes, and what the gateway (process 4711) pays for it:
    loadgen --url http://127.0.0.1:8080/demo/mcp --body-bytes 250 --cpus 1 --pid 4711

  Latency at a fixed rate; a server that stalls cannot hide it:
    loadgen --url http://127.0.0.1:8080/demo/mcp --rate 5000 --duration 30s

  Whole sessions of the 2025-11-25 revision, as older clients live them:
    loadgen --url http://127.0.0.1:8080/demo/mcp --scenario legacy-session

  What 5,000 held streams, or idle connections, cost in memory:
    loadgen --url http://127.0.0.1:8080/demo/mcp --scenario sse-hold -c 5000 --pid 4711
    loadgen --url http://127.0.0.1:8080/demo/mcp --scenario idle -c 5000 --pid 4711
  (The figure is growth since before the first connection, so give a fresh process some load first.)

  Three times what a limit of 100/s lets through, and how much of it was let through:
    loadgen --url http://127.0.0.1:8080/demo/mcp --rate 300 --duration 60s -w 0 --refusals status

  A TLS listener whose certificate your own authority has signed, and which asks for one in return:
    loadgen --url https://localhost:8443/demo/mcp --ca ca.pem --cert client.pem --key client.key
  (Handshakes come before the measuring, as connections do; later ones resume a session where the server
  lets them. Bytes in the report are those of HTTP, before encryption.)

  A quick check in a script: exits with 1 unless all of 1,000 answers are right:
    loadgen --url http://127.0.0.1:8080/demo/mcp -n 1000 -w 0 --expect-text hello \\
        --arguments '{\"message\":\"hello\"}' --json -

How to read the report:
  The CPU time per request of the watched process is the figure to compare, best as a ratio to another
  program under the same load. It is honest only while loadgen is the cheaper side: its own cost is in
  the report. In an open loop, look at \"sent late\" first: it is loadgen's own delay, contained in
  every latency above it.

Ctrl-C (or SIGTERM) ends the run: the report is of the time until then and says so. A second
one ends loadgen at once, without a report.

Exit status: 0 all right; 1 too many errors, or nothing measured; 2 wrong usage; 130 interrupted.";

/// A list of CPU numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuList(pub Vec<usize>);

fn parse_cpus(text: &str) -> Result<CpuList, String> {
    let number = |part: &str| part.trim().parse::<usize>().map_err(|_| format!("{part}: not a CPU number"));
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if last < first || last >= 4096 {
            return Err(format!("{part}: not a range of CPUs"));
        }
        cpus.extend(first..=last);
    }
    Ok(CpuList(cpus))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value: f64 = digits.parse().map_err(|_| format!("{text}: expected a number and ms, s, m or h"))?;
    let unit_s = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("{unit}: unknown unit, expected ms, s, m or h")),
    };
    match Duration::try_from_secs_f64(value * unit_s) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(format!("{text}: must be between 0 and 24h")),
    }
}

/// The largest body sent, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

fn parse_body_bytes(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(bytes) if (1..=BODY_BYTES_MAX).contains(&bytes) => Ok(bytes),
        _ => Err(format!("{text}: expected 1 to {BODY_BYTES_MAX} bytes")),
    }
}

fn parse_size(text: &str) -> Result<WeightedSize, String> {
    let (bytes, weight) = text.split_once(':').unwrap_or((text, "1"));
    let weight = weight.parse::<u32>().ok().filter(|weight| (1..=1_000_000).contains(weight));
    let weight = weight.ok_or_else(|| format!("{text}: the weight must be 1 to 1000000"))?;
    Ok(WeightedSize { body_bytes: parse_body_bytes(bytes)?, weight })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_take_units_and_have_bounds() {
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "-1s", "25h", "1d", "nan", "inf"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cpu_lists_take_numbers_and_ranges() {
        assert_eq!(parse_cpus("1"), Ok(CpuList(vec![1])));
        assert_eq!(parse_cpus("0,2-4"), Ok(CpuList(vec![0, 2, 3, 4])));
        for wrong in ["", "a", "3-1", "1,", "0-9999999"] {
            assert!(parse_cpus(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_weights() {
        assert_eq!(parse_size("250:7"), Ok(WeightedSize { body_bytes: 250, weight: 7 }));
        assert_eq!(parse_size("4096"), Ok(WeightedSize { body_bytes: 4096, weight: 1 }));
        for wrong in ["", "0:1", "1:0", "x:1", "1:x", "999999999:1"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
        let args = Args::try_parse_from(["loadgen", "--url", "http://127.0.0.1:1/"]).unwrap();
        assert_eq!((args.connections, args.sizes.len(), args.errors_max), (64, 3, 0));
    }
}
