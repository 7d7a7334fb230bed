//! What ringgate promises, held against what was measured.

use super::peer::Peer;
use super::sample::{Case, Metric, Sample, Spread, ratio};

/// One promise: a ratio that must not be above a limit.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is promised, in words.
    pub promise: String,
    /// The limit of the ratio.
    pub limit: f64,
    /// What was measured.
    pub measured: Spread,
}

impl Verdict {
    /// Whether the median keeps the promise.
    pub fn is_kept(&self) -> bool {
        self.measured.median <= self.limit
    }
}

/// All promises that the samples can tell about.
pub fn judge(samples: &[Sample]) -> Vec<Verdict> {
    let mut cases: Vec<Case> = Vec::new();
    for sample in samples {
        if !cases.contains(&sample.case) {
            cases.push(sample.case);
        }
    }
    let mut verdicts = Vec::new();
    for case in cases {
        let mut hold = |what: &str, metric: Metric, other: (Case, Peer), against: &str, limit: f64| {
            if let Some(measured) = ratio(samples, (case, Peer::Ringgate), other, metric) {
                let promise = format!("{case}: {what} at most {limit} of {against}");
                verdicts.push(Verdict { promise, limit, measured });
            }
        };
        if case.sse {
            hold("CPU", |s| s.cpu_us, (Case { sse: false, ..case }, Peer::Ringgate), "the json case", 1.3);
            continue;
        }
        let of_nginx = if case.body_bytes > 16 * 1024 { 0.90 } else { 0.60 };
        hold("CPU", |s| s.cpu_us, (case, Peer::Nginx), "nginx", of_nginx);
        if let Some(measured) =
            ratio(samples, (case, Peer::RinggatePolicy), (case, Peer::Nginx), |s| s.cpu_us)
            && case.body_bytes <= 16 * 1024
        {
            let promise = format!("{case}: CPU with JWT and rules at most 0.66 of nginx");
            verdicts.push(Verdict { promise, limit: 0.66, measured });
        }
        let mut hold = |what: &str, metric: Metric, other: (Case, Peer), against: &str, limit: f64| {
            if let Some(measured) = ratio(samples, (case, Peer::Ringgate), other, metric) {
                let promise = format!("{case}: {what} at most {limit} of {against}");
                verdicts.push(Verdict { promise, limit, measured });
            }
        };
        hold("CPU", |s| s.cpu_us, (case, Peer::HaproxyTcp), "HAProxy in mode tcp", 1.0);
        hold("CPU", |s| s.cpu_us, (case, Peer::BareMonoio), "the bare proxy", 1.25);
        hold("p50 at the fixed rate", |s| s.p50_us, (case, Peer::Nginx), "nginx", 1.0);
        hold("p99 at the fixed rate", |s| s.p99_us, (case, Peer::Nginx), "nginx", 1.0);
        hold("CPU at the fixed rate", |s| s.rate_cpu_us, (case, Peer::Nginx), "nginx", 1.0);
    }
    verdicts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::judge;
    use crate::compare::peer::Peer;
    use crate::compare::sample::Case;
    use crate::compare::sample::tests::{CASE, sample};

    #[test]
    fn a_promise_is_kept_up_to_its_limit() {
        let sse = Case { sse: true, ..CASE };
        let samples = [
            sample(CASE, 0, Peer::Nginx, 20.0),
            sample(CASE, 0, Peer::Ringgate, 12.0),
            sample(CASE, 0, Peer::BareMonoio, 9.0),
            sample(sse, 0, Peer::Ringgate, 15.0),
        ];
        let kept = |part: &str| {
            let verdicts = judge(&samples);
            verdicts.iter().find(|verdict| verdict.promise.contains(part)).unwrap().is_kept()
        };
        assert!(kept("0.6 of nginx"));
        assert!(!kept("the bare proxy"));
        assert!(kept("the json case"));
        assert!(!judge(&samples).iter().any(|verdict| verdict.promise.contains("HAProxy")));
    }
}
