//! Many runs, each from a seed that names and replays it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Set to a seed, it is the only one that runs.
const REPLAY: &str = "RINGGATE_SEED";
/// Set to a number, so many times as many seeds run: for a night's search.
const EFFORT: &str = "RINGGATE_SEED_EFFORT";

/// Runs `run` with seeds `0..count`, and says how to replay the one that fails.
pub fn each(test: &str, count: u64, run: impl Fn(u64)) {
    let seeds = match number(REPLAY) {
        Some(seed) => seed..seed + 1,
        None => 0..count * number(EFFORT).unwrap_or(1),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            eprintln!("replay: {REPLAY}={seed} cargo test --test simulation {test}");
            resume_unwind(panic);
        }
    }
}

/// Whether only one seed runs, which need not show all that many seeds together do.
pub fn replaying() -> bool {
    number(REPLAY).is_some()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}
