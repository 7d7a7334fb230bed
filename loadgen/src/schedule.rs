//! Open loop: when each request is due, whatever happened to the ones before.
//!
//! Requests leave at a constant rate and their latency counts from the moment they were due. A server
//! that stalls therefore pays for every request that should have been sent during the stall, which a
//! closed loop would silently leave out ("coordinated omission").

/// One worker's share of a constant arrival rate, in nanoseconds since the schedule's start.
#[derive(Debug, Clone)]
pub struct Schedule {
    start_ns: u64,
    end_ns: u64,
    rate: u64,
    /// The number of the next arrival among all workers' arrivals.
    next: u64,
    stride: u64,
}

impl Schedule {
    /// The share of worker `index` of `workers` in `rate` arrivals per second from `start_ns` until
    /// before `end_ns`. Workers take turns, so that together they are evenly spaced.
    pub fn new(rate: u64, index: u64, workers: u64, start_ns: u64, end_ns: u64) -> Self {
        Self { start_ns, end_ns, rate: rate.max(1), next: index, stride: workers.max(1) }
    }

    /// When the next request is due; `None` when the schedule is over.
    #[inline]
    pub fn next_due_ns(&self) -> Option<u64> {
        let due = self.start_ns + self.offset_ns(self.next);
        (due < self.end_ns).then_some(due)
    }

    /// Marks the next request as sent.
    #[inline]
    pub fn advance(&mut self) {
        self.next += self.stride;
    }

    /// Ends the schedule earlier.
    pub fn cut(&mut self, end_ns: u64) {
        self.end_ns = self.end_ns.min(end_ns);
    }

    /// How many requests are due and not marked as sent at `now_ns`.
    pub fn overdue(&self, now_ns: u64) -> u64 {
        let until = self.end_ns.min(now_ns.saturating_add(1)).saturating_sub(self.start_ns);
        // The first arrival number not due before `until`.
        let bound = (u128::from(until) * u128::from(self.rate)).div_ceil(1_000_000_000) as u64;
        bound.saturating_sub(self.next).div_ceil(self.stride)
    }

    fn offset_ns(&self, arrival: u64) -> u64 {
        (u128::from(arrival) * 1_000_000_000 / u128::from(self.rate)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(mut schedule: Schedule) -> Vec<u64> {
        let mut dues = Vec::new();
        while let Some(due) = schedule.next_due_ns() {
            dues.push(due);
            schedule.advance();
        }
        dues
    }

    #[test]
    fn arrivals_are_evenly_spaced_over_all_workers() {
        let mut all: Vec<u64> =
            (0..3).flat_map(|i| dues(Schedule::new(1000, i, 3, 500, 10_000_500))).collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).map(|i| 500 + i * 1_000_000).collect::<Vec<_>>());
    }

    #[test]
    fn rounding_does_not_drift() {
        let dues = dues(Schedule::new(7, 0, 1, 0, 3_000_000_000));
        assert_eq!(dues.len(), 21);
        assert_eq!((dues[7], dues[14]), (1_000_000_000, 2_000_000_000));
    }

    #[test]
    fn overdue_counts_what_a_stall_left_behind() {
        let mut schedule = Schedule::new(1000, 1, 2, 0, 100_000_000);
        assert_eq!(schedule.overdue(999_999), 0);
        assert_eq!(schedule.overdue(1_000_000), 1);
        assert_eq!(schedule.overdue(10_500_000), 5); // 1, 3, 5, 7, 9 ms
        schedule.advance();
        assert_eq!(schedule.overdue(10_500_000), 4);
        assert_eq!(schedule.overdue(u64::MAX), 49);
        schedule.cut(50_000_000);
        assert_eq!(schedule.overdue(u64::MAX), 24);
    }
}
