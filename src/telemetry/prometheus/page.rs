//! The text format itself: families, values, labels, histograms.

use std::fmt::Write;

use hdrhistogram::Histogram;

/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS_MICROS: [u64; 18] = [
    50,
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    10_000_000,
    60_000_000,
    600_000_000,
];

/// A page of metrics.
#[derive(Default)]
pub struct Page(pub String);

impl Page {
    /// The lines before a metric's values.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A metric with one value and no labels.
    pub fn single(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.value(name, &[], value);
    }

    /// One value of a metric.
    pub fn value(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(name);
        if !labels.is_empty() {
            let labels: Vec<String> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let _ = write!(self.0, "{{{}}}", labels.join(","));
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A histogram of a server's times, in seconds.
    pub fn histogram(&mut self, name: &str, server: &str, histogram: &Histogram<u64>) {
        let server = escaped(server);
        let mut below = 0;
        let mut from = 0;
        for micros in BUCKETS_MICROS {
            let to = micros * 1_000;
            below += histogram.count_between(from, to);
            // Values that a bucket of the histogram cannot tell apart are counted once.
            from = histogram.highest_equivalent(to) + 1;
            let _ = writeln!(
                self.0,
                "{name}_bucket{{server=\"{server}\",le=\"{}\"}} {below}",
                micros as f64 / 1e6
            );
        }
        let count = histogram.len();
        let sum = histogram.mean() * count as f64 / 1e9;
        let _ = writeln!(self.0, "{name}_bucket{{server=\"{server}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(self.0, "{name}_sum{{server=\"{server}\"}} {sum}");
        let _ = writeln!(self.0, "{name}_count{{server=\"{server}\"}} {count}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
