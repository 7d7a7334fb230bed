//! The tables and the JSON that `compare` prints.

use super::peer::Peer;
use super::sample::{Case, Metric, Sample, Spread, ratio, spread};
use super::targets::Verdict;
use serde_json::{Value, json};
use std::fmt::Write;

/// The table of one case, peers in the order given.
pub fn table(samples: &[Sample], case: Case, peers: &[Peer]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_string).to_vec()];
    rows.extend(peers.iter().filter_map(|peer| row(samples, case, *peer)));
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = format!("\n{case}: medians (min..max) over the rounds\n");
    for (index, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            // Writing to a String cannot fail.
            let _ = match column {
                0 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let align = if column == 0 { '-' } else { ':' };
                let _ = write!(text, "|-{}{align}", "-".repeat(*width));
            }
            text.push_str("|\n");
        }
    }
    text
}

const HEADINGS: [&str; 12] = [
    "peer",
    "rounds",
    "CPU us/req",
    "to nginx",
    "req per CPU-s",
    "max RPS (busy)",
    "rate",
    "p50 us",
    "p99 us",
    "CPU us/req at rate",
    "RSS MiB",
    "errors",
];

fn row(samples: &[Sample], case: Case, peer: Peer) -> Option<Vec<String>> {
    let of = |metric: Metric| spread(samples, case, peer, metric);
    let cpu = of(|s| s.cpu_us)?;
    let middle = |metric: Metric| of(metric).map_or(0.0, |spread| spread.median);
    let to_nginx = ratio(samples, (case, peer), (case, Peer::Nginx), |s| s.cpu_us);
    let is_proxy = peer != Peer::Direct;
    let proxied = |text: String| if is_proxy { text } else { "-".to_string() };
    let rated = middle(|s| f64::from(s.rate)) > 0.0;
    let at_rate = |text: String| if rated { text } else { "-".to_string() };
    Some(vec![
        peer.name().to_string(),
        cpu.count.to_string(),
        proxied(ranged(cpu, 1)),
        proxied(to_nginx.map_or_else(|| "-".to_string(), |spread| ranged(spread, 2))),
        proxied(format!("{:.0}", 1e6 / cpu.median)),
        format!("{:.0} ({:.0}%)", middle(|s| s.rps), 100.0 * middle(|s| s.busy)),
        at_rate(format!("{:.0}", middle(|s| f64::from(s.rate)))),
        at_rate(format!("{:.0}", middle(|s| s.p50_us))),
        at_rate(format!("{:.0}", middle(|s| s.p99_us))),
        proxied(at_rate(format!("{:.1}", middle(|s| s.rate_cpu_us)))),
        proxied(format!("{:.1}", middle(|s| s.rss_mib))),
        samples
            .iter()
            .filter(|sample| sample.case == case && sample.peer == peer)
            .map(|sample| sample.errors)
            .sum::<u64>()
            .to_string(),
    ])
}

fn ranged(spread: Spread, digits: usize) -> String {
    format!("{:.digits$} ({:.digits$}..{:.digits$})", spread.median, spread.min, spread.max)
}

/// The promises, kept ones and broken ones.
pub fn verdicts(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        let word = if verdict.is_kept() { "kept  " } else { "MISSED" };
        let _ = writeln!(text, "{word} {}: {}", verdict.promise, ranged(verdict.measured, 2));
    }
    text
}

/// The surroundings' own cost, which must stay below the proxies' or they are what was measured.
pub fn surroundings(samples: &[Sample]) -> String {
    let load = Spread::of(samples.iter().map(|sample| sample.load_us));
    let mock = Spread::of(samples.iter().map(|sample| sample.mock_us));
    let (Some(load), Some(mock)) = (load, mock) else {
        return String::new();
    };
    format!(
        "CPU us per request of the load generator: {}, of the mock: {}; both share the load core.\n",
        ranged(load, 1),
        ranged(mock, 1)
    )
}

/// Everything as JSON: each sample, and the promises.
pub fn as_json(samples: &[Sample], verdicts: &[Verdict]) -> Value {
    let samples: Vec<Value> = samples
        .iter()
        .map(|s| {
            json!({
                "answers": if s.case.sse { "sse" } else { "json" },
                "body_bytes": s.case.body_bytes,
                "round": s.round,
                "peer": s.peer.name(),
                "cpu_us": s.cpu_us,
                "rps": s.rps,
                "busy": s.busy,
                "mock_us": s.mock_us,
                "load_us": s.load_us,
                "rate": s.rate,
                "p50_us": s.p50_us,
                "p99_us": s.p99_us,
                "rate_cpu_us": s.rate_cpu_us,
                "rss_mib": s.rss_mib,
                "errors": s.errors,
            })
        })
        .collect();
    let verdicts: Vec<Value> = verdicts
        .iter()
        .map(|v| {
            json!({
                "promise": v.promise,
                "limit": v.limit,
                "median": v.measured.median,
                "min": v.measured.min,
                "max": v.measured.max,
                "kept": v.is_kept(),
            })
        })
        .collect();
    json!({ "samples": samples, "promises": verdicts })
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::compare::peer::Peer;
    use crate::compare::sample::tests::{CASE, sample};

    #[test]
    fn a_table_names_each_measured_peer_and_its_ratio() {
        let samples = [sample(CASE, 0, Peer::Nginx, 20.0), sample(CASE, 0, Peer::BareMonoio, 10.0)];
        let text = table(&samples, CASE, &Peer::ALL);
        let line = text.lines().find(|line| line.contains("bare-monoio")).unwrap_or_default();
        assert!(line.contains("0.50 (0.50..0.50)"), "{text}");
        assert!(line.contains(" 100000 "), "{text}");
        assert!(!text.contains("envoy"));
        let widths: Vec<_> = text.lines().skip(2).map(str::len).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
