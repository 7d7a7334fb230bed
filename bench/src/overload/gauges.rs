//! What the gateway says of itself while it is under load.

use crate::metrics;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What was under way at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Seconds since the start.
    pub at: f64,
    /// Calls in the gateway, waiting or sent.
    pub open: u64,
    /// How many it lets in to the server at once, and how many wait; without `adaptive` there is no such thing.
    pub adaptive: Option<(u64, u64)>,
}

/// Reads the metrics at regular intervals.
pub struct Gauges(JoinHandle<Vec<Reading>>);

impl Gauges {
    /// From `since` on for so long.
    pub fn watch(admin: SocketAddr, since: Instant, lasts: Duration, every: Duration) -> Self {
        Self(std::thread::spawn(move || {
            let mut readings = Vec::new();
            let mut due = every / 2;
            while due < lasts {
                std::thread::sleep((since + due).saturating_duration_since(Instant::now()));
                // A page that does not come leaves a gap.
                if let Ok(page) = metrics::page(admin) {
                    readings.push(read(&page, since.elapsed().as_secs_f64()));
                }
                due += every;
            }
            readings
        }))
    }

    /// What was read, once the time is over.
    pub fn end(self) -> Vec<Reading> {
        self.0.join().unwrap_or_default()
    }
}

fn read(page: &str, at: f64) -> Reading {
    let value = |name| metrics::sum(page, name, "");
    let adaptive = page.contains("ringgate_adaptive_limit{");
    Reading {
        at,
        open: value("ringgate_exchanges_open"),
        adaptive: adaptive.then(|| (value("ringgate_adaptive_limit"), value("ringgate_adaptive_queued"))),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn without_adaptive_there_is_no_limit() {
        let page = "ringgate_exchanges_open 7\n# HELP ringgate_adaptive_limit x\n";
        let reading = read(page, 1.0);
        assert_eq!((reading.open, reading.adaptive), (7, None));
        let more = "ringgate_adaptive_limit{server=\"a\"} 20\nringgate_adaptive_queued{server=\"a\"} 3\n";
        assert_eq!(read(&format!("{page}{more}"), 1.0).adaptive, Some((20, 3)));
    }
}
