//! Side-by-side measurements of ringgate and its peers.
//!
//! One binary holds all roles of a measurement: the upstream (`mock`), the
//! floor to measure distances from (`bare-proxy`), and the drivers that start
//! the peers, load them and write down what they cost.

#![deny(unsafe_code)]

mod args;
mod bare_proxy;
mod build;
mod compare;
mod footprint;
mod host;
mod limits;
mod load;
mod metrics;
mod mock;
mod noise;
mod overload;
mod process;
#[allow(unsafe_code)]
mod sys;
mod syscalls;

use std::process::ExitCode;

/// The bare proxy allocates like ringgate does, so that the allocator is no difference between them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
bench: measure ringgate beside its peers

Usage: bench COMMAND [OPTIONS]

  compare      ringgate beside nginx, HAProxy, Envoy and others under the same load
  footprint    memory of an idle connection and of a held SSE stream
  syscalls     system calls, ring and socket operations per request
  limits       three times what a limit lets through, and how much was let through
  overload     a server that becomes slow under load, drawn as a plot
  mock         a fast MCP Streamable HTTP upstream
  bare-proxy   the least a proxy can do on io_uring: the floor to compare with

`bench COMMAND --help` lists the options of a command.
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let args = args::Args::new(words);
    let outcome = match command.as_str() {
        "compare" => compare::main(args),
        "footprint" => footprint::main(args),
        "syscalls" => syscalls::main(args),
        "limits" => limits::main(args),
        "overload" => overload::main(args),
        "spin" => noise::spin(),
        "mock" => mock::main(args),
        "bare-proxy" => bare_proxy::main(args),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("unknown command `{other}`\n\n{HELP}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::FAILURE
        }
    }
}
