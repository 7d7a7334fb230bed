//! The plan of a run: the command line, checked and made ready.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::address::Target;
use crate::cli::Args;
use crate::connection::Refusals;
use crate::requests::RequestWriter;
use crate::scenario::Scenario;
use crate::tls::Tls;

/// When the next request leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As soon as a connection has its answer.
    Closed,
    /// At a constant rate, whatever happened to earlier ones.
    Open {
        /// Requests per second, of all threads together.
        rate: u64,
    },
}

/// Everything a run needs to know.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the load goes.
    pub target: Target,
    /// How TLS is spoken there; `None` without it.
    pub tls: Option<Tls>,
    /// What is sent.
    pub scenario: Scenario,
    /// When.
    pub pace: Pace,
    /// Over how many connections.
    pub connections: usize,
    /// By how many threads; never more than connections.
    pub threads: usize,
    /// Which CPUs the threads are pinned to, in turn; empty means none.
    pub cpus: Vec<usize>,
    /// For how long, after the warm-up.
    pub duration: Duration,
    /// How long the load runs before it is measured.
    pub warmup: Duration,
    /// The number of measured requests after which the run ends.
    pub requests: Option<u64>,
    /// The time limit of an answer, in nanoseconds.
    pub timeout_ns: u64,
    /// Whether to poll without sleeping.
    pub spin: bool,
    /// Text a right answer contains.
    pub expect_text: Option<Vec<u8>>,
    /// Which answers are refusals, not errors.
    pub refusals: Refusals,
}

impl Plan {
    /// Checks the command line.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn compile(args: &Args) -> Result<Self, String> {
        let target = Target::parse(&args.url).map_err(|error| error.to_string())?;
        if !args.allow_remote && !target.address.is_local() {
            return Err(format!(
                "{}: not on this machine; a load generator can bring a server down, so only loopback is \
                 permitted without --allow-remote",
                args.url
            ));
        }
        let tls = Tls::compile(target.tls_host.as_deref(), &args.tls)?;
        let writer = compile_writer(args, &target)?;
        let scenario = Scenario::build(args.scenario, args.hold, &writer, args.body_bytes, &args.sizes)?;
        if scenario.rests() && (args.rate.is_some() || args.requests.is_some()) {
            return Err("--rate and --requests have no meaning for connections that are held".to_owned());
        }
        let cpus = args.cpus.as_ref().map_or_else(Vec::new, |list| list.0.clone());
        let connections = args.connections as usize;
        let threads = args.threads.map_or_else(|| cpus.len().clamp(1, 64), |threads| threads as usize);
        Ok(Self {
            target,
            tls,
            scenario,
            pace: args.rate.map_or(Pace::Closed, |rate| Pace::Open { rate }),
            connections,
            threads: threads.min(connections),
            cpus,
            duration: args.duration,
            warmup: args.warmup,
            requests: args.requests,
            timeout_ns: u64::try_from(args.timeout.as_nanos()).unwrap_or(u64::MAX).max(1_000_000),
            spin: args.spin,
            expect_text: args.expect_text.as_ref().map(|text| text.as_bytes().to_vec()),
            refusals: Refusals::named(&args.refusals),
        })
    }

    /// How many connections worker `index` has.
    pub fn connections_of(&self, index: usize) -> usize {
        share(self.connections as u64, index, self.threads) as usize
    }

    /// How many measured requests worker `index` sends, if their number is limited.
    pub fn quota_of(&self, index: usize) -> Option<u64> {
        self.requests.map(|requests| share(requests, index, self.threads))
    }
}

/// Part `index` of `total` in `parts` parts that differ by one at most.
fn share(total: u64, index: usize, parts: usize) -> u64 {
    let (index, parts) = (index as u64, parts as u64);
    total / parts + u64::from(index < total % parts)
}

fn compile_writer(args: &Args, target: &Target) -> Result<RequestWriter, String> {
    if args.tool.is_empty() || !args.tool.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return Err(format!("--tool {}: must be visible ASCII, since it is sent as Mcp-Name too", args.tool));
    }
    let arguments: Value =
        serde_json::from_str(&args.arguments).map_err(|error| format!("--arguments: {error}"))?;
    let Value::Object(mut arguments) = arguments else {
        return Err("--arguments: must be a JSON object".to_owned());
    };
    ensure_pad_key(&mut arguments, &args.pad_key);
    let headers = args.headers.iter().map(|line| parse_header(line)).collect::<Result<_, _>>()?;
    Ok(RequestWriter {
        host: target.host.clone(),
        path: target.path.clone(),
        headers,
        tool: args.tool.clone(),
        arguments,
        pad_key: args.pad_key.clone(),
    })
}

fn ensure_pad_key(arguments: &mut Map<String, Value>, pad_key: &str) {
    arguments.entry(pad_key).or_insert_with(|| Value::String(String::new()));
}

fn parse_header(line: &str) -> Result<(String, String), String> {
    let wrong = |why: &str| Err(format!("--header {line:?}: {why}"));
    let Some((name, value)) = line.split_once(':') else { return wrong("expected NAME: VALUE") };
    if name.is_empty()
        || !name.bytes().all(|byte| byte.is_ascii_graphic() && !b"(),/:;<=>?@[\\]{}\"".contains(&byte))
    {
        return wrong("the name must be a token");
    }
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
        return wrong("the value may not contain control characters");
    }
    let framing = ["content-length", "transfer-encoding", "connection"];
    if framing.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return wrong("this header belongs to the load generator");
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

    fn compile(more: &[&str]) -> Result<Plan, String> {
        let mut line = vec!["loadgen", "--url", "http://127.0.0.1:1/mcp"];
        line.extend(more);
        Plan::compile(&Args::try_parse_from(line).unwrap())
    }

    #[test]
    fn a_target_elsewhere_needs_permission() {
        let line = ["loadgen", "--url", "http://192.0.2.1:80/"];
        let refused = Plan::compile(&Args::try_parse_from(line).unwrap()).unwrap_err();
        assert!(refused.contains("--allow-remote"), "{refused}");
        let line = ["loadgen", "--url", "http://192.0.2.1:80/", "--allow-remote"];
        assert!(Plan::compile(&Args::try_parse_from(line).unwrap()).is_ok());
    }

    #[test]
    fn work_is_shared_out_completely() {
        let plan = compile(&["-c", "10", "-t", "4", "-n", "7"]).unwrap();
        let connections: Vec<_> = (0..4).map(|index| plan.connections_of(index)).collect();
        assert_eq!(connections, [3, 3, 2, 2]);
        let quota: u64 = (0..4).map(|index| plan.quota_of(index).unwrap()).sum();
        assert_eq!(quota, 7);
        assert_eq!(compile(&["-c", "2", "-t", "4"]).unwrap().threads, 2);
        assert_eq!(compile(&["--cpus", "0,1"]).unwrap().threads, 2);
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (line, reason) in [
            (&["--scenario", "idle", "--rate", "5"][..], "held"),
            (&["--body-bytes", "10"], "smallest body"),
            (&["--arguments", "[]"], "object"),
            (&["--tool", "a b"], "Mcp-Name"),
            (&["--ca", "ca.pem"], "https://"),
            (&["--header", "x"], "NAME: VALUE"),
            (&["--header", "a b: c"], "token"),
            (&["--header", "a: b\r\nc: d"], "control"),
            (&["--header", "Content-Length: 3"], "belongs"),
        ] {
            let refused = compile(line).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
