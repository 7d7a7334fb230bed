//! Instructions per input of the codecs: `cargo bench -p bench --bench instructions`.
//!
//! Counts by callgrind do not move with the load of the machine, so that a change of one per cent is
//! a change of the code. Each kind of work runs in a process of its own under valgrind, where nothing
//! but [`measured`] is counted.

#![allow(missing_docs)]

#[allow(clippy::expect_used)]
mod work;

use std::process::{Command, ExitCode};
use work::Work;

/// Set for the process under valgrind: the name of its work.
const CHOSEN: &str = "RINGGATE_BENCH_WORK";
const TURNS: usize = 8;

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(CHOSEN) {
        let work =
            work::all().into_iter().find(|work| work.name == name).expect("the parent chose from this list");
        // Once before, uncounted: what is looked up only the first time (CPU features) is not the work.
        warm(&work);
        measured(&work);
        return ExitCode::SUCCESS;
    }
    // cargo passes `--bench`; any other word is part of a name.
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    println!("| work                           | bytes | instructions | per byte |");
    println!("|--------------------------------|------:|-------------:|---------:|");
    for work in work::all().iter().filter(|work| work.name.contains(&wanted)) {
        match count(work) {
            Ok(total) => {
                let bytes =
                    work.inputs.iter().map(work::Input::len).sum::<usize>() as f64 / work.inputs.len() as f64;
                let each = total as f64 / (TURNS * work.inputs.len()) as f64;
                println!("| {:30} | {bytes:5.0} | {each:12.0} | {:8.2} |", work.name, each / bytes);
            }
            Err(error) => {
                eprintln!("{}: {error}", work.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

#[inline(never)]
fn warm(work: &Work) {
    work.inputs.iter().for_each(work.run);
}

/// What is counted; callgrind finds it by this name.
#[inline(never)]
fn measured(work: &Work) {
    for _ in 0..TURNS {
        work.inputs.iter().for_each(work.run);
    }
    // Keeps this function apart from `warm`, which is the same otherwise.
    std::hint::black_box(TURNS);
}

/// The instructions of [`measured`] for this work.
fn count(work: &Work) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*"])
        .arg(own)
        .env(CHOSEN, work.name)
        .output()
        .map_err(|error| format!("cannot run valgrind ({error}): apt install valgrind"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind ended with {}:\n{report}", output.status));
    }
    let line = report.lines().find_map(|line| line.split_once("Collected :"));
    let total = line.and_then(|(_, number)| number.trim().parse().ok()).filter(|total| *total > 0);
    total.ok_or_else(|| format!("nothing was counted:\n{report}"))
}
