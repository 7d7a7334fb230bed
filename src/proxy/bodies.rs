//! A worker's part of the bytes that all bodies may take: `limits.bodies_bytes_max`.

use std::cell::Cell;

use super::worker::Worker;

/// Most and least bytes of the budget that a worker takes at once.
const STEP: std::ops::RangeInclusive<usize> = 16 << 10..=1 << 20;

/// What a worker has taken of the budget.
#[derive(Debug, Default)]
pub struct Bodies {
    taken: Cell<usize>,
}

impl Bodies {
    /// Whether so many bytes more may be held. A body that may not grow is refused before it does.
    pub fn may_hold(&self, worker: &Worker, more: usize) -> bool {
        let wanted = worker.held_bytes().saturating_add(more);
        let missing = wanted.saturating_sub(self.taken.get());
        if missing == 0 {
            return true;
        }
        let max = worker.live().deployment.snapshot.limits.bodies_bytes_max;
        let bytes = missing.next_multiple_of(step(worker, max));
        let takes = worker.shared.bodies.take(bytes, max);
        if takes {
            self.taken.set(self.taken.get() + bytes);
        }
        takes
    }

    /// Gives back what is not needed any more, but for one step.
    pub fn settle(&self, worker: &Worker) {
        let unused = self.taken.get().saturating_sub(worker.held_bytes());
        if unused == 0 {
            return;
        }
        let step = step(worker, worker.live().deployment.snapshot.limits.bodies_bytes_max);
        let bytes = (unused / step).saturating_sub(1) * step;
        if bytes > 0 {
            self.taken.set(self.taken.get() - bytes);
            worker.shared.bodies.give(bytes);
        }
    }
}

/// Bytes of bodies that one source may hold at this worker: half of the worker's even share, but room for two of the largest.
pub fn share_of_source(worker: &Worker) -> usize {
    let limits = &worker.live().deployment.snapshot.limits;
    let even = limits.bodies_bytes_max / worker.shared.workers.len().max(1);
    (even / 2).max(limits.body_bytes_max.saturating_mul(2))
}

/// Bytes of a step: what the workers have taken and do not use is at most a quarter of the budget.
fn step(worker: &Worker, max: usize) -> usize {
    (max / (8 * worker.shared.workers.len().max(1))).clamp(*STEP.start(), *STEP.end())
}
