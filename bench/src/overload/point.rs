//! What callers got, piece by piece of the time.

use super::calls::Call;
use crate::mock::Capacity;
use std::time::Duration;

/// What happened in one piece of the time.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// The middle of it, in seconds.
    pub at: f64,
    /// Calls that were due, a second.
    pub offered: f64,
    /// Calls that were due and were answered rightly within a second, a second.
    pub in_time: f64,
    /// Calls that were due and were answered rightly, but later than that, a second.
    pub late: f64,
    /// Calls that were due and were refused with 503, a second.
    pub shed: f64,
    /// Calls that were due and came to nothing else, a second.
    pub failed: f64,
    /// Half of the right answers to calls that were due took no longer, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 of 100.
    pub p99_ms: Option<f64>,
}

impl Point {
    /// The points of a run that lasted so long, each of `bucket`.
    pub fn of(calls: &[Call], lasts: Duration, bucket: Duration) -> Vec<Self> {
        let width = bucket.as_secs_f64();
        let count = (lasts.as_secs_f64() / width).ceil().max(1.0) as usize;
        (0..count)
            .map(|index| {
                let (from, to) = (index as f64 * width, (index + 1) as f64 * width);
                let due: Vec<&Call> = calls.iter().filter(|call| call.due >= from && call.due < to).collect();
                let per_second =
                    |is: fn(&Call) -> bool| due.iter().filter(|call| is(call)).count() as f64 / width;
                let right = due.iter().filter(|call| call.status == 200);
                let mut times: Vec<f64> = right.map(|call| call.took * 1e3).collect();
                times.sort_by(f64::total_cmp);
                let quantile = |part: f64| {
                    let last = times.len().checked_sub(1)?;
                    times.get((last as f64 * part) as usize).copied()
                };
                Self {
                    at: f64::midpoint(from, to),
                    offered: due.len() as f64 / width,
                    in_time: per_second(|call| call.status == 200 && call.took <= IN_TIME),
                    late: per_second(|call| call.status == 200 && call.took > IN_TIME),
                    shed: per_second(|call| call.status == 503),
                    failed: per_second(|call| !matches!(call.status, 200 | 503)),
                    p50_ms: quantile(0.5),
                    p99_ms: quantile(0.99),
                }
            })
            .collect()
    }
}

/// Prints what callers got before, while and after the server was slow.
pub fn report(points: &[Point], capacity: &Capacity, bucket: Duration) {
    let (from, to) = (capacity.slow_at.as_secs_f64(), (capacity.slow_at + capacity.slow_for).as_secs_f64());
    println!(
        "| phase  | offered/s | in time/s | late/s | shed/s | failed/s | worst p99 of {} ms |",
        bucket.as_millis()
    );
    for (name, from, to) in [("before", 0.0, from), ("slow", from, to), ("after", to, f64::INFINITY)] {
        let of: Vec<&Point> = points.iter().filter(|point| point.at >= from && point.at < to).collect();
        let mean = |value: fn(&Point) -> f64| {
            of.iter().map(|point| value(point)).sum::<f64>() / of.len().max(1) as f64
        };
        let worst = of.iter().filter_map(|point| point.p99_ms).fold(0.0, f64::max);
        println!(
            "| {name:6} | {:9.0} | {:9.0} | {:6.0} | {:6.0} | {:8.0} | {worst:.0} ms |",
            mean(|point| point.offered),
            mean(|point| point.in_time),
            mean(|point| point.late),
            mean(|point| point.shed),
            mean(|point| point.failed),
        );
    }
}

/// The points for a file.
pub fn as_csv(points: &[Point]) -> String {
    let number = |value: Option<f64>| value.map(|value| format!("{value:.1}")).unwrap_or_default();
    let mut text =
        "seconds,offered_per_s,in_time_per_s,late_per_s,shed_per_s,failed_per_s,p50_ms,p99_ms\n".to_string();
    for point in points {
        let Point { at, offered, in_time, late, shed, failed, p50_ms, p99_ms } = point;
        text += &format!(
            "{at:.3},{offered:.1},{in_time:.1},{late:.1},{shed:.1},{failed:.1},{},{}\n",
            number(*p50_ms),
            number(*p99_ms)
        );
    }
    text
}

/// An answer after this many seconds is late.
const IN_TIME: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::{Call, Point, as_csv};
    use std::time::Duration;

    #[test]
    fn calls_are_counted_when_they_were_due() {
        let call = |due, took, status| Call { due, took, status };
        let calls = [call(0.1, 0.010, 200), call(0.2, 9.0, 200), call(0.3, 0.0, 503), call(0.9, 0.0, 0)];
        let points = Point::of(&calls, Duration::from_secs(1), Duration::from_millis(500));
        assert_eq!((points.len(), points[0].offered, points[1].failed), (2, 6.0, 2.0));
        assert_eq!(
            (points[0].in_time, points[0].late, points[0].shed, points[0].p50_ms),
            (2.0, 2.0, 2.0, Some(10.0))
        );
        assert_eq!(points[1].p99_ms, None);
        assert_eq!(as_csv(&points).lines().nth(2), Some("0.750,2.0,0.0,0.0,0.0,2.0,,"));
    }
}
