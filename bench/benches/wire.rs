//! Nanoseconds and bytes per second of the codecs: `cargo bench -p bench --bench wire`.
//!
//! On a shared machine read the fastest column, and compare counts of instructions
//! (`--bench instructions`) before believing a small difference.

#![allow(missing_docs)]

#[allow(clippy::expect_used)]
mod work;

use divan::Bencher;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

#[divan::bench(args = names(), sample_count = 60, sample_size = 64)]
fn wire(bencher: Bencher<'_, '_>, name: &str) {
    let work = work::all().into_iter().find(|work| work.name == name).expect("names come from the same list");
    let bytes: usize = work.inputs.iter().map(work::Input::len).sum();
    let mut turn = 0;
    bencher.counter(BytesCount::new(bytes / work.inputs.len())).bench_local(|| {
        (work.run)(&work.inputs[turn]);
        turn = (turn + 1) % work.inputs.len();
    });
}

fn names() -> Vec<&'static str> {
    work::all().iter().map(|work| work.name).collect()
}
