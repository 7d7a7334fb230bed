//! The `loadgen` command.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, ValueEnum};
use loadgen::cli::Args;
use loadgen::plan::Plan;
use loadgen::report::Report;
use loadgen::run::{Watch, run};

/// Signals that end the run early.
const INTERRUPTS: [i32; 2] = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];

/// Exit code of a run that was interrupted, as shells have it for SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    let plan = match Plan::compile(&args) {
        Ok(plan) => plan,
        Err(why) => return complain(&why, 2),
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    // The first interruption ends the run and reports; a second one ends the process.
    let armed = INTERRUPTS.iter().try_for_each(|&signal| {
        signal_hook::flag::register_conditional_default(signal, interrupted.clone())?;
        signal_hook::flag::register(signal, interrupted.clone()).map(drop)
    });
    if let Err(error) = armed {
        return complain(&format!("cannot handle interruptions: {error}"), 2);
    }
    let progress = args.progress || std::io::stderr().is_terminal();
    let watch = Watch { pids: &args.pids, progress, interrupted: &interrupted };
    let measured = match run(plan.clone(), &watch) {
        Ok(measured) => measured,
        Err(why) => return complain(&format!("{}: {why}", args.url), 1),
    };
    let scenario =
        args.scenario.to_possible_value().map_or_else(String::new, |name| name.get_name().to_owned());
    let mut report = Report::new(&args.url, &scenario, &plan, &args.pids, &measured);
    report.interrupted = interrupted.load(Ordering::Relaxed);
    if let Err(error) = publish(&args, &report) {
        return complain(&format!("cannot write the report: {error}"), 1);
    }
    if report.interrupted {
        return complain("interrupted: the report is of the time until then", INTERRUPTED);
    }
    if report.is_success(args.errors_max) { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn publish(args: &Args, report: &Report) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match args.json.as_deref() {
        Some("-") => writeln!(out, "{}", serde_json::to_string_pretty(report)?),
        Some(file) => {
            std::fs::write(file, serde_json::to_string_pretty(report)? + "\n")?;
            out.write_all(report.to_table().as_bytes())
        }
        None => out.write_all(report.to_table().as_bytes()),
    }
}

fn complain(why: &str, status: u8) -> ExitCode {
    eprintln!("loadgen: {why}");
    ExitCode::from(status)
}
