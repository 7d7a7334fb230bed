//! `bench footprint`: what an idle connection and a held SSE stream cost in memory.

use crate::args::Args;
use crate::compare::{found, peer::Peer, turn::Stage};
use crate::load::{Order, Outcome, Scenario};
use crate::process::Session;
use std::path::Path;

const HELP: &str = "\
bench footprint: resident memory of a proxy per idle keep-alive connection and per held SSE stream

  --peers LIST        as for compare (ringgate,bare-monoio,nginx,haproxy-http)
  --connections N     how many of each (5000)
  --seconds S         how long to hold them (2)
  --ringgate WORDS    as for compare
  --no-build          take ringgate and loadgen as they lie beside this program

The memory of sockets is the kernel's and not in these numbers. A held stream is two connections, one
to the client and one to the upstream.
Where the system hands out huge pages (2 MiB), memory comes in steps: with 5000 connections of 420
bytes each. The more connections, the finer the figure.
";

/// Runs the command.
pub fn main(mut args: Args) -> Result<(), String> {
    if args.flag("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let peers: Vec<Peer> = args.list("--peers", "ringgate,bare-monoio,nginx,haproxy-http")?;
    let connections = args.value("--connections", 5000usize)?;
    let seconds = args.value("--seconds", 2.0)?;
    let build = !args.flag("--no-build");
    let mut stage = Stage::from_args(&mut args)?;
    args.finish()?;
    if build {
        crate::build::build(&["ringgate", "loadgen"])?;
    }
    // Every started program inherits the limit.
    crate::sys::raise_open_files();
    stage.set_up()?;
    stage.start_mock(false)?;

    println!("| peer         | {connections} of      | bytes each | errors |");
    println!("|--------------|--------------|-----------:|-------:|");
    for (peer, executable) in peers.into_iter().filter_map(found) {
        for scenario in [Scenario::Idle, Scenario::HeldStream] {
            let order = Order { connections, seconds, scenario, ..stage.order(peer, 250)? };
            let name = if scenario == Scenario::Idle { "idle" } else { "held streams" };
            match weigh(&stage, peer, &executable, &order) {
                Ok((bytes, outcome)) => {
                    println!("| {:12} | {name:12} | {bytes:10.0} | {:6} |", peer.name(), outcome.errors);
                    if let Some(fault) = outcome.fault {
                        println!("  most often {fault}");
                    }
                }
                Err(error) => println!("| {:12} | {name:12} | failed: {error}", peer.name()),
            }
        }
    }
    Ok(())
}

/// Bytes per connection of a fresh `peer`, and what else came of the run.
fn weigh(stage: &Stage, peer: Peer, executable: &Path, order: &Order) -> Result<(f64, Outcome), String> {
    let proxy = stage.start_peer(peer, executable)?;
    let watch = proxy.as_ref().map(Session::processes).unwrap_or_default();
    let outcome = stage.load()?.run(&Order { watch: watch.clone(), ..order.clone() })?;
    Ok((outcome.rss_per_connection(&watch), outcome))
}
