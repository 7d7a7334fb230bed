//! One core's share of the load: an epoll loop over its connections.

mod lifecycle;
mod receiving;
mod sending;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::connection::{Connection, Doing};
use crate::faults::{Fault, FaultCounts};
use crate::plan::{Pace, Plan};
use crate::requests::RequestClass;
use crate::schedule::Schedule;
use crate::shared::{Counters, Moments, Timeline};
use crate::sys::{Clock, Poller};
use crate::tls::PENDING_BYTES_MAX;

/// What one worker measured.
#[derive(Debug)]
pub struct WorkerRecord {
    /// Latencies by request class, in nanoseconds, from the time a request was due.
    pub latencies: Vec<Histogram<u64>>,
    /// Open loop: how late requests were sent, in nanoseconds.
    pub lateness: Histogram<u64>,
    /// Errors by kind.
    pub faults: FaultCounts,
    /// When the last answer came, in nanoseconds of the run's clock; 0 without any.
    pub last_answer_ns: u64,
    /// Request bytes sent and answer bytes received, from start to end.
    pub bytes_sent: u64,
    /// See `bytes_sent`.
    pub bytes_received: u64,
}

/// A worker: its connections, its copy of the requests, and its measurements.
pub struct Worker {
    plan: Arc<Plan>,
    index: usize,
    clock: Clock,
    timeline: Arc<Timeline>,
    counters: Arc<Counters>,
    moments: Moments,
    now_ns: u64,
    poller: Poller,
    buffer: Vec<u8>,
    /// Bytes received before they are decrypted; empty without TLS.
    wire: Vec<u8>,
    classes: Vec<RequestClass>,
    connections: Vec<Connection>,
    /// Connections ready for a request; some may have gone since.
    ready: VecDeque<u32>,
    /// The next connection never opened so far.
    unopened: usize,
    /// Connections between the start of connecting and the end of their set-up.
    settling: usize,
    /// Requests under way.
    in_flight: usize,
    /// Requests ever begun, for ids.
    begun: u64,
    /// Requests begun since measuring began.
    begun_measured: u64,
    schedule: Option<Schedule>,
    running: bool,
    next_scan_ns: u64,
    draw: u64,
    record: WorkerRecord,
}

/// How often time limits and connections to reopen are looked at.
const SCAN_INTERVAL_NS: u64 = 50_000_000;
/// The longest wait, so that a change of the timeline is seen in time.
const WAIT_NS_MAX: u64 = 10_000_000;
/// How long a connection rests after a fault before it is opened again.
const RETRY_AFTER_NS: u64 = 100_000_000;
/// How many connections are being opened at a time; more would overflow a listener's backlog.
const SETTLING_MAX: usize = 64;
const EVENTS_PER_WAIT: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;

/// Latency histograms span 100 ns to an hour with three digits.
pub fn new_histogram() -> Histogram<u64> {
    match Histogram::new_with_bounds(100, 3_600_000_000_000, 3) {
        Ok(histogram) => histogram,
        Err(error) => unreachable!("constant bounds are valid: {error}"),
    }
}

impl Worker {
    /// A worker of `plan` with its share of the connections.
    ///
    /// # Errors
    /// When there is no descriptor left for epoll.
    pub fn new(
        plan: Arc<Plan>,
        index: usize,
        clock: Clock,
        timeline: Arc<Timeline>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let classes = plan.scenario.classes.clone();
        let latencies = classes.iter().map(|_| new_histogram()).collect();
        let connections = (0..plan.connections_of(index)).map(|_| Connection::new()).collect();
        Ok(Self {
            index,
            clock,
            moments: timeline.moments(),
            timeline,
            counters,
            now_ns: clock.now_ns(),
            poller: Poller::new(EVENTS_PER_WAIT)?,
            buffer: vec![0; BUFFER_BYTES + if plan.tls.is_some() { PENDING_BYTES_MAX } else { 0 }],
            wire: vec![0; if plan.tls.is_some() { BUFFER_BYTES } else { 0 }],
            classes,
            connections,
            ready: VecDeque::new(),
            unopened: 0,
            settling: 0,
            in_flight: 0,
            begun: 0,
            begun_measured: 0,
            schedule: None,
            running: false,
            next_scan_ns: 0,
            draw: 0x9e37_79b9_7f4a_7c15 ^ (index as u64) << 32,
            record: WorkerRecord {
                latencies,
                lateness: new_histogram(),
                faults: FaultCounts::default(),
                last_answer_ns: 0,
                bytes_sent: 0,
                bytes_received: 0,
            },
            plan,
        })
    }

    /// Runs until the timeline says to leave and gives what was measured.
    ///
    /// # Errors
    /// When epoll itself fails; faults of the target are counted, not returned.
    pub fn run(mut self) -> io::Result<WorkerRecord> {
        loop {
            self.moments = self.timeline.moments();
            self.now_ns = self.clock.now_ns();
            if !self.running && self.now_ns >= self.moments.start_ns {
                self.start_load();
            }
            if self.is_over() {
                break;
            }
            self.open_more();
            if self.now_ns >= self.next_scan_ns {
                self.scan();
            }
            self.send_due();
            let count = self.poller.wait(self.wait_time())?;
            self.now_ns = self.clock.now_ns();
            for event in 0..count {
                let readiness = self.poller.readiness(event);
                self.on_event(readiness);
            }
        }
        self.give_up_rest();
        self.connections.iter_mut().for_each(Connection::notify_close);
        self.counters.finished_ns.add(self.now_ns.max(1));
        Ok(self.record)
    }

    fn start_load(&mut self) {
        self.running = true;
        let Pace::Open { rate } = self.plan.pace else {
            for _ in 0..self.ready.len() {
                self.send_next();
            }
            return;
        };
        let (index, workers) = (self.index as u64, self.plan.threads as u64);
        self.schedule = Some(Schedule::new(rate, index, workers, self.moments.start_ns, self.moments.end_ns));
    }

    fn is_over(&mut self) -> bool {
        if self.moments.stop || self.now_ns >= self.moments.drain_ns {
            return true;
        }
        if let Some(schedule) = &mut self.schedule {
            schedule.cut(self.moments.end_ns);
        }
        let quota_done = self.running && self.quota_left() == 0;
        let ended = self.now_ns >= self.moments.end_ns || quota_done;
        ended && (self.plan.scenario.rests() || (self.in_flight == 0 && !self.has_backlog()))
    }

    fn has_backlog(&self) -> bool {
        self.quota_left() > 0
            && self.schedule.as_ref().is_some_and(|schedule| schedule.next_due_ns().is_some())
    }

    /// Measured requests this worker may still begin.
    fn quota_left(&self) -> u64 {
        self.plan.quota_of(self.index).map_or(u64::MAX, |quota| quota.saturating_sub(self.begun_measured))
    }

    fn wait_time(&self) -> Duration {
        let latest = self.now_ns + WAIT_NS_MAX;
        let due = match &self.schedule {
            Some(schedule) if !self.ready.is_empty() => schedule.next_due_ns().unwrap_or(latest),
            _ => latest,
        };
        let start = if self.running { latest } else { self.moments.start_ns };
        let until = latest.min(due).min(start).min(self.moments.end_ns.max(self.now_ns + 1_000_000));
        let opening = self.settling < SETTLING_MAX && self.unopened < self.connections.len();
        if opening || self.plan.spin {
            return Duration::ZERO;
        }
        Duration::from_nanos(until.saturating_sub(self.now_ns))
    }

    /// Counts what the end of the run left without an answer.
    fn give_up_rest(&mut self) {
        if self.moments.stop {
            return;
        }
        for index in 0..self.connections.len() {
            // A run that was cut waits less than the time limit: only what is past it is a fault.
            let waited_ns = self.now_ns.saturating_sub(self.connections[index].begun_ns);
            let late = !self.moments.cut || waited_ns >= self.plan.timeout_ns;
            if matches!(self.connections[index].doing, Doing::Sending | Doing::Waiting)
                && !self.plan.scenario.rests()
                && late
            {
                self.fault(index, Fault::Timeout);
            }
        }
        if let Some(schedule) = &self.schedule {
            let unsent = schedule.overdue(u64::MAX).min(self.quota_left());
            self.counters.faults.add(unsent);
            self.record.faults.add_many(Fault::Unsent, unsent, || {
                "the target fell behind the rate, with every connection in use".to_owned()
            });
        }
    }

    fn next_draw(&mut self) -> u64 {
        self.draw ^= self.draw << 13;
        self.draw ^= self.draw >> 7;
        self.draw ^= self.draw << 17;
        self.draw
    }
}
