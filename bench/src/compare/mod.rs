//! `bench compare`: ringgate and its peers, one after another, under the same load.
//!
//! The proxy has one core for itself; the load generator and the upstream
//! share another. The figure to compare is the CPU time per request of all
//! the proxy's threads, by the scheduler's own account, as a ratio to nginx in
//! the same round: rounds go through all peers, every second one backwards,
//! so that a machine that gets slower or busier does so for all of them.

mod config;
pub mod handshake;
mod identity;
mod own;
pub mod peer;
pub mod record;
mod report;
mod sample;
mod targets;
pub mod turn;

use crate::args::Args;
use crate::{host, noise};
use peer::Peer;
use sample::{Case, Sample};
use std::path::PathBuf;
use turn::Stage;

const HELP: &str = "\
bench compare: ringgate beside its peers under the same load

  --peers LIST        of direct, bare-monoio, bare-pipelined (all requests on one connection), ringgate,
                      ringgate-unix, ringgate-policy (JWT and 1,000 rules; BENCH_RULES), nginx, nginx-unix, haproxy-tcp, haproxy-http, envoy, mcp-proxy
                      (default: all but the -unix and -pipelined ones; missing ones are skipped)
  --config FILE       measure ringgate with this configuration too, as ringgate-config: your rules, limits and
                      credentials. The mock takes the place of one server; listeners, workers and admin
                      are the bench's own. Not measured are files
                      with several listeners, one that speaks TLS, or a `state` directory: it would be
                      charged for the load. Measure a copy, beside it for the names of files
  --config-server N   the server of the file (the first)
  --header LINE       what callers of it show, such as 'Authorization: Bearer ...'
  --sizes LIST        bytes of a request's body (250,4096,65536)
  --rounds N          turns of each peer (3)
  --seconds S         length of one measurement (4); each turn has two, and a short warm-up
  --connections N     keep-alive connections (64)
  --rate N            requests per second for the latency (5000; 0: leave it out); a peer that
                      cannot do twice that gets half of what it can
  --sse               measure the upstream that answers with SSE too
  --sse-only          ... and nothing else
  --sse-writes N      segments that stream comes in, 1 to 3 (1)
  --answer-bytes N    size of an answer's JSON (290)
  --proxy-core N      core of the proxy (0)
  --load-core N       core of the load generator and the upstream (1)
  --realtime WHEN     real-time priority for proxy, mock and load generator (root): off; rate, at
                      the fixed rate (default); all, in closed loop too. The last takes both cores
                      from everyone else on the machine
  --guard             with it, spinners on both cores that keep other work off them. Other users of the
                      machine will notice; and where the scheduler gives them their share back
                      (sched_rt_runtime_us, fair_server) so will the p99
  --ringgate WORDS    ringgate's arguments, with {config}, {upstream} and {listen} to be filled in
                      (serve --config {config}: one worker, an admin listener, defaults)
  --record DIR        where to keep the samples (bench/record)
  --no-record         do not keep them
  --no-build          take ringgate and loadgen as they lie beside this program
  --json              print samples and promises as JSON instead of tables
";

/// Runs the command.
pub fn main(mut args: Args) -> Result<(), String> {
    if args.flag("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let command_line = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let default_peers =
        "direct,bare-monoio,ringgate,ringgate-policy,nginx,haproxy-tcp,haproxy-http,envoy,mcp-proxy";
    let mut peers: Vec<Peer> = args.list("--peers", default_peers)?;
    let sizes: Vec<usize> = args.list("--sizes", "250,4096,65536")?;
    let rounds = args.value("--rounds", 3usize)?;
    let (sse, sse_only) = (args.flag("--sse"), args.flag("--sse-only"));
    let as_json = args.flag("--json");
    let keep = !args.flag("--no-record");
    let root = args.text("--record")?.map_or_else(record::default_root, PathBuf::from);
    let build = !args.flag("--no-build");
    let mut stage = Stage::from_args(&mut args)?;
    args.finish()?;
    if stage.own.is_none() && peers.contains(&Peer::RinggateConfig) {
        return Err("--peers ringgate-config: give its configuration with --config FILE".to_owned());
    }
    if stage.own.is_some() && !peers.contains(&Peer::RinggateConfig) {
        peers.push(Peer::RinggateConfig);
    }

    if build {
        crate::build::build(&["ringgate", "loadgen"])?;
    }
    let peers: Vec<(Peer, PathBuf)> = peers.into_iter().filter_map(found).collect();
    if let Some((_, ringgate)) = peers.iter().find(|(peer, _)| *peer == Peer::RinggateConfig) {
        stage.own.as_mut().map_or(Ok(()), |own| own.look(ringgate))?;
    }
    let versions: Vec<(Peer, String)> =
        peers.iter().map(|(peer, path)| (*peer, peer.version(path))).collect();
    let mut notes = host::describe();
    notes.push(format!("command: bench {command_line}"));
    notes.push(format!("cargo profile: {}", crate::build::profile()));
    notes.push(stage.describe());
    notes.extend(stage.own.as_ref().map(|own| own.describe()));
    notes.extend(noise::warnings().into_iter().map(|warning| format!("warning: {warning}")));
    for note in &notes {
        eprintln!("{note}");
    }
    for (peer, version) in &versions {
        eprintln!("{}: {version}", peer.name());
    }

    stage.set_up()?;
    let kinds = [false, true].into_iter().filter(|kind| if *kind { sse || sse_only } else { !sse_only });
    let cases =
        kinds.flat_map(|sse| sizes.iter().map(move |body_bytes| Case { sse, body_bytes: *body_bytes }));
    let mut samples: Vec<Sample> = Vec::new();
    for case in cases {
        stage.start_mock(case.sse)?;
        for round in 0..rounds {
            run_round(&mut stage, &peers, case, round, &mut samples);
        }
        if !as_json {
            let order: Vec<Peer> = peers.iter().map(|(peer, _)| *peer).collect();
            print!("{}", report::table(&samples, case, &order));
        }
    }
    let verdicts = targets::judge(&samples);
    if as_json {
        println!("{:#}", report::as_json(&samples, &verdicts));
    } else {
        print!("\n{}{}", report::surroundings(&samples), report::verdicts(&verdicts));
    }
    if keep && !samples.is_empty() {
        let path = record::append(&root, &samples, &versions, &notes)?;
        eprintln!("recorded in {}", path.display());
    }
    Ok(())
}

/// The peer with its executable; a line about it if it is missing.
pub fn found(peer: Peer) -> Option<(Peer, PathBuf)> {
    match peer.find() {
        Ok(path) => Some((peer, path)),
        Err(line) => {
            eprintln!("skipped: {line}");
            None
        }
    }
}

/// One turn of each peer; a turn that fails is told and leaves no sample.
fn run_round(
    stage: &mut Stage,
    peers: &[(Peer, PathBuf)],
    case: Case,
    round: usize,
    samples: &mut Vec<Sample>,
) {
    let mut order: Vec<_> = peers.iter().collect();
    if round % 2 == 1 {
        order.reverse();
    }
    for (peer, executable) in order {
        eprint!("{case}, round {}, {} ... ", round + 1, peer.name());
        match stage.run_turn(*peer, executable, case, round) {
            Ok(sample) => {
                eprintln!(
                    "{:.1} us/req, {:.0} RPS, p50 {:.0}, p99 {:.0}, {} errors",
                    sample.cpu_us, sample.rps, sample.p50_us, sample.p99_us, sample.errors
                );
                samples.push(sample);
            }
            Err(error) => eprintln!("failed: {error}"),
        }
    }
}
