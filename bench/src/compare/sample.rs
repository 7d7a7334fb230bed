//! What one turn of one peer measured, and how turns are compared.

use super::peer::Peer;

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The upstream answers with an SSE stream, not with JSON.
    pub sse: bool,
    /// Size of a request's body in bytes.
    pub body_bytes: usize,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} B", if self.sse { "sse" } else { "json" }, self.body_bytes)
    }
}

/// One turn: a peer under one kind of load in one round.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The load.
    pub case: Case,
    /// Counted from 0. Only samples of one round are set in relation to each other.
    pub round: usize,
    /// Who.
    pub peer: Peer,
    /// Closed loop: the peer's CPU time per request in microseconds. 0 for [`Peer::Direct`].
    pub cpu_us: f64,
    /// Closed loop: requests per second.
    pub rps: f64,
    /// Closed loop: the share of a core that the peer was busy, 0 to 1 and above with more threads.
    pub busy: f64,
    /// Closed loop: the mock's CPU time per request.
    pub mock_us: f64,
    /// Closed loop: the load generator's CPU time per request.
    pub load_us: f64,
    /// The fixed rate, requests per second; 0: not measured.
    pub rate: u32,
    /// Latency at that rate, from when a request was due.
    pub p50_us: f64,
    /// 99th percentile of it.
    pub p99_us: f64,
    /// The peer's CPU time per request at that rate.
    pub rate_cpu_us: f64,
    /// Resident memory at its highest, in MiB.
    pub rss_mib: f64,
    /// Wrong or missing answers in both runs.
    pub errors: u64,
}

/// A number of a sample.
pub type Metric = fn(&Sample) -> f64;

/// The middle and the ends of some measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of `values`; none of nothing.
    pub fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Some(Self { count: sorted.len(), median, min, max })
    }
}

/// `metric` of all turns of `peer` under `case`.
pub fn spread(samples: &[Sample], case: Case, peer: Peer, metric: Metric) -> Option<Spread> {
    Spread::of(samples.iter().filter(|sample| sample.case == case && sample.peer == peer).map(metric))
}

/// `metric` of `one` divided by that of `other`, round by round: what moves both in a round cancels out.
pub fn ratio(samples: &[Sample], one: (Case, Peer), other: (Case, Peer), metric: Metric) -> Option<Spread> {
    let of = |(case, peer): (Case, Peer)| {
        samples.iter().filter(move |sample| sample.case == case && sample.peer == peer)
    };
    Spread::of(of(one).filter_map(|sample| {
        let base = of(other).find(|base| base.round == sample.round).map(metric)?;
        (base > 0.0).then(|| metric(sample) / base)
    }))
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Case, Peer, Sample, Spread, ratio, spread};

    /// A sample with the same value for all times.
    pub fn sample(case: Case, round: usize, peer: Peer, us: f64) -> Sample {
        Sample {
            case,
            round,
            peer,
            cpu_us: us,
            rps: 1e6 / us,
            busy: 1.0,
            mock_us: 4.0,
            load_us: 4.0,
            rate: 5000,
            p50_us: us,
            p99_us: us,
            rate_cpu_us: us,
            rss_mib: 10.0,
            errors: 0,
        }
    }

    pub const CASE: Case = Case { sse: false, body_bytes: 250 };

    #[test]
    fn a_spread_has_its_middle_and_ends() {
        let of = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some(Spread { count: 3, median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(of(&[4.0, 1.0]).unwrap().median, 2.5);
    }

    #[test]
    fn ratios_pair_only_turns_of_the_same_round() {
        let samples = [
            sample(CASE, 0, Peer::Nginx, 20.0),
            sample(CASE, 0, Peer::Ringgate, 10.0),
            sample(CASE, 1, Peer::Ringgate, 30.0),
            sample(CASE, 1, Peer::Nginx, 40.0),
            sample(CASE, 2, Peer::Ringgate, 999.0),
        ];
        let of_nginx = ratio(&samples, (CASE, Peer::Ringgate), (CASE, Peer::Nginx), |s| s.cpu_us).unwrap();
        assert_eq!((of_nginx.count, of_nginx.min, of_nginx.max), (2, 0.5, 0.75));
        assert_eq!(spread(&samples, CASE, Peer::Ringgate, |s| s.cpu_us).unwrap().median, 30.0);
        assert_eq!(ratio(&samples, (CASE, Peer::Envoy), (CASE, Peer::Nginx), |s| s.cpu_us), None);
    }
}
