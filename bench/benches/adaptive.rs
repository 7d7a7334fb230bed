//! Nanoseconds of admitting a call, measuring it and giving its place back: `cargo bench -p bench --bench adaptive`.

#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use divan::Bencher;
use ringgate::base::Ticks;
use ringgate::policy::adaptive::{Admit, Class, Config, Limiter, Outcome, Sample, Share, ToolKey};

fn main() {
    divan::main();
}

/// Without waiting, of a server of which so many tools are called.
#[divan::bench(args = [1, 8, 64], sample_count = 100, sample_size = 1000)]
fn admit_observe_release(bencher: Bencher<'_, '_>, tools: u64) {
    turn(bencher, tools, false);
}

/// The same with a limit for each tool.
#[divan::bench(args = [1, 8, 64], sample_count = 100, sample_size = 1000)]
fn admit_observe_release_per_tool(bencher: Bencher<'_, '_>, tools: u64) {
    turn(bencher, tools, true);
}

/// What a call costs that is refused at once.
#[divan::bench(sample_count = 100, sample_size = 1000)]
fn refuse(bencher: Bencher<'_, '_>) {
    let mut limiter = Limiter::new(&config(false, 0), Share::WHOLE);
    let mut held = Vec::new();
    while let Admit::Go(permit) = limiter.try_admit(Class::Critical, ToolKey(1), Ticks(1)) {
        held.push(permit);
    }
    bencher.bench_local(|| black_box(limiter.try_admit(Class::Normal, ToolKey(1), Ticks(2))));
    held.into_iter().for_each(|permit| limiter.release(permit));
}

fn turn(bencher: Bencher<'_, '_>, tools: u64, per_tool: bool) {
    let mut limiter = Limiter::new(&config(per_tool, 64), Share::WHOLE);
    let (mut count, mut now) = (0, Ticks(1));
    bencher.bench_local(|| {
        count += 1;
        let admit = limiter.try_admit(Class::Normal, ToolKey(1 + count % tools), black_box(now));
        now = now + Duration::from_micros(50);
        let latency = Duration::from_micros(5_000 + count % 512);
        if let Admit::Go(permit) = admit {
            limiter.observe(&permit, Sample { latency, outcome: Outcome::Answered }, now);
            limiter.release(permit);
        }
        limiter.next(now).is_some()
    });
}

fn config(per_tool: bool, queue: u32) -> Config {
    let queue_time = Duration::from_millis(200);
    Config { min: 4, max: 1000, start: 16, per_tool, queue, queue_time, percent: 150 }
}
