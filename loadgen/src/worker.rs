//! One core's share of the load: an epoll loop over its connections.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::connection::{Connection, Doing, Expectation, Taken};
use crate::faults::{Fault, FaultCounts, excerpt};
use crate::plan::{Pace, Plan};
use crate::requests::{Act, RequestClass, id_digits, id_of};
use crate::schedule::Schedule;
use crate::shared::{Counters, Moments, Timeline};
use crate::sys::{Clock, Poller, Readiness, Socket};

/// What one worker measured.
#[derive(Debug)]
pub struct WorkerRecord {
    /// Latencies by request class, in nanoseconds, from the time a request was due.
    pub latencies: Vec<Histogram<u64>>,
    /// Open loop: how late requests were sent, in nanoseconds.
    pub lateness: Histogram<u64>,
    /// Errors by kind.
    pub faults: FaultCounts,
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
            buffer: vec![0; BUFFER_BYTES],
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
        self.counters.finished.add(1);
        Ok(self.record)
    }

    // === phases ===

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
        if self.settling < SETTLING_MAX && self.unopened < self.connections.len() {
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
            if matches!(self.connections[index].doing, Doing::Sending | Doing::Waiting)
                && !self.plan.scenario.rests()
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

    // === connections ===

    fn open_more(&mut self) {
        while self.settling < SETTLING_MAX && self.unopened < self.connections.len() {
            self.unopened += 1;
            self.open(self.unopened - 1);
        }
    }

    fn open(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.generation = connection.generation.wrapping_add(1);
        connection.begun_ns = self.now_ns;
        let token = index as u64 | u64::from(connection.generation) << 32;
        let attempt = Socket::connect(&self.plan.target.address).and_then(|socket| {
            self.poller.add(&socket, token)?;
            Ok(socket)
        });
        self.settling += 1;
        connection.doing = Doing::Connecting;
        match attempt {
            Ok(socket) => connection.socket = Some(socket),
            Err(error) => self.connect_failed(index, &error),
        }
    }

    fn connect_failed(&mut self, index: usize, error: &io::Error) {
        self.counters.faults.add(1);
        self.counters.connect_faults.add(1);
        self.record.faults.add(Fault::Connect, || error.to_string());
        self.close(index, RETRY_AFTER_NS);
    }

    /// Looks at every connection: time limits, and those to open again.
    fn scan(&mut self) {
        self.next_scan_ns = self.now_ns + SCAN_INTERVAL_NS;
        let limit_ns = self.plan.timeout_ns;
        for index in 0..self.unopened {
            let connection = &self.connections[index];
            match connection.doing {
                Doing::Closed { retry_ns } => {
                    let wanted = self.now_ns < self.moments.end_ns || self.has_backlog();
                    if wanted && self.now_ns >= retry_ns && self.settling < SETTLING_MAX {
                        self.open(index);
                    }
                }
                Doing::Connecting if self.now_ns.saturating_sub(connection.begun_ns) >= limit_ns => {
                    self.connect_failed(index, &ErrorKind::TimedOut.into());
                }
                Doing::Sending | Doing::Waiting
                    if self.now_ns.saturating_sub(connection.begun_ns) >= limit_ns =>
                {
                    self.fault(index, Fault::Timeout);
                    self.close(index, 0);
                }
                _ => {}
            }
        }
    }

    /// Closes a connection, whatever it was doing, to be opened again after `rest_ns`.
    fn close(&mut self, index: usize, rest_ns: u64) {
        let rests = self.plan.scenario.rests();
        let connection = &mut self.connections[index];
        let in_setup = self.plan.scenario.is_setup(connection.class);
        match connection.doing {
            Doing::Closed { .. } => return,
            Doing::Connecting => self.settling -= 1,
            Doing::Sending | Doing::Waiting => {
                self.in_flight -= 1;
                if in_setup {
                    self.settling -= 1;
                } else {
                    self.counters.ready.take_one();
                }
            }
            Doing::Ready | Doing::Holding => self.counters.ready.take_one(),
        }
        // A held connection that was lost is not opened again: the loss would be hidden.
        let lost = rests && matches!(connection.doing, Doing::Ready | Doing::Holding);
        let retry_ns = if lost { u64::MAX } else { self.now_ns + rest_ns };
        connection.close(retry_ns);
    }

    /// Closes a connection without fault and opens it again, at once if it has been of use.
    fn reconnect(&mut self, index: usize) {
        self.counters.reconnects.add(1);
        let was_useful = self.connections[index].answers > 0;
        self.close(index, if was_useful { 0 } else { RETRY_AFTER_NS });
        if was_useful && self.now_ns < self.moments.end_ns {
            self.open(index);
        }
    }

    fn fault(&mut self, index: usize, fault: Fault) {
        self.counters.faults.add(1);
        let connection = &self.connections[index];
        let label = &self.classes[connection.class].label;
        self.record.faults.add(fault, || {
            let id = String::from_utf8_lossy(&id_digits(connection.id)).into_owned();
            format!("{label} id {id}: {}", excerpt(&connection.body))
        });
    }

    // === events ===

    fn on_event(&mut self, readiness: Readiness) {
        let index = readiness.token as u32 as usize;
        let connection = &self.connections[index];
        if connection.generation != (readiness.token >> 32) as u32 || connection.socket.is_none() {
            return; // meant for a socket closed since
        }
        if connection.doing == Doing::Connecting {
            if readiness.writable || readiness.closed {
                self.on_connected(index);
            }
            return;
        }
        if readiness.writable && connection.doing == Doing::Sending {
            self.flush(index);
        }
        if readiness.readable {
            self.receive(index, readiness.closed);
        }
    }

    fn on_connected(&mut self, index: usize) {
        let Some(socket) = &self.connections[index].socket else { return };
        if let Err(error) = socket.connect_error() {
            self.connect_failed(index, &error);
            return;
        }
        let draw = self.next_draw();
        let class = self.plan.scenario.first(draw);
        self.connections[index].class = class;
        self.connections[index].doing = Doing::Ready;
        if self.plan.scenario.is_setup(class) {
            self.begin(index, self.now_ns);
        } else {
            self.settling -= 1;
            self.counters.ready.add(1);
            self.on_ready(index);
        }
    }

    fn receive(&mut self, index: usize, closed: bool) {
        loop {
            let connection = &mut self.connections[index];
            let Some(socket) = &connection.socket else { return };
            let generation = connection.generation;
            let act = self.classes[connection.class].act;
            let expectation = Expectation { act, text: self.plan.expect_text.as_deref() };
            let (taken, filled) = match socket.receive(&mut self.buffer) {
                Ok(0) => (connection.on_end(expectation), 0),
                Ok(filled) => {
                    let events = &self.counters.events;
                    self.record.bytes_received += filled as u64;
                    (connection.take_in(&self.buffer[..filled], expectation, || events.add(1)), filled)
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => (Taken::Broken(Fault::Reset), 0),
            };
            let ended = filled == 0;
            let taken = match taken {
                // The peer has already closed behind its answer: send nothing more this way.
                Taken::Complete { outcome, .. } if closed => Taken::Complete { keep_alive: false, outcome },
                other => other,
            };
            self.on_taken(index, taken, ended);
            // A short read has emptied the socket (epoll(7)); only a close needs a look beyond it.
            let same = self.connections[index].generation == generation;
            if !same || ended || (filled < self.buffer.len() && !closed) {
                return;
            }
        }
    }

    fn on_taken(&mut self, index: usize, taken: Taken, ended: bool) {
        match taken {
            Taken::More => {}
            Taken::Complete { keep_alive, outcome } => self.on_complete(index, keep_alive, outcome),
            Taken::Opened => self.on_opened(index),
            // Between two requests a peer may close as it likes; a held connection it may not.
            Taken::Broken(Fault::EarlyClose | Fault::Reset)
                if self.connections[index].doing == Doing::Ready && !self.plan.scenario.rests() =>
            {
                self.reconnect(index);
            }
            Taken::Broken(fault) => {
                self.fault(index, fault);
                let rest_ns = if ended && self.connections[index].answers > 0 { 0 } else { RETRY_AFTER_NS };
                self.close(index, rest_ns);
                if rest_ns == 0 && self.now_ns < self.moments.end_ns && !self.plan.scenario.rests() {
                    self.open(index);
                }
            }
        }
    }

    fn on_opened(&mut self, index: usize) {
        self.now_ns = self.clock.now_ns();
        self.measure(index);
        self.in_flight -= 1;
        self.settling -= 1;
        self.counters.ready.add(1);
        self.connections[index].doing = Doing::Holding;
    }

    fn on_complete(&mut self, index: usize, keep_alive: bool, outcome: Result<(), Fault>) {
        self.now_ns = self.clock.now_ns();
        self.connections[index].answers += 1;
        let class = self.connections[index].class;
        let in_setup = self.plan.scenario.is_setup(class);
        if let Err(fault) = outcome {
            self.fault(index, fault);
            // A lost session, a failed set-up or a mixed-up connection must begin anew.
            let session_lost = fault == Fault::Status(404) && self.connections[index].head_tail.len() > 2;
            if in_setup || session_lost || matches!(fault, Fault::WrongId | Fault::Unsolicited) {
                self.close(index, if in_setup { RETRY_AFTER_NS } else { 0 });
                if !in_setup && self.now_ns < self.moments.end_ns {
                    self.open(index);
                }
                return;
            }
        } else {
            self.measure(index);
        }
        self.in_flight -= 1;
        let connection = &mut self.connections[index];
        connection.doing = Doing::Ready;
        if self.classes[class].act == Act::Delete {
            connection.forget_session();
        }
        let draw = self.next_draw();
        let next = self.plan.scenario.after(class, draw);
        self.connections[index].class = next.unwrap_or(class);
        if next.is_some_and(|next| self.plan.scenario.is_setup(next)) {
            self.begin(index, self.now_ns);
            return;
        }
        if in_setup {
            self.settling -= 1;
            self.counters.ready.add(1);
        }
        if !keep_alive && self.plan.scenario.rests() {
            self.fault(index, Fault::EarlyClose);
            self.close(index, 0);
        } else if !keep_alive {
            self.reconnect(index);
        } else if next.is_some() {
            self.on_ready(index);
        }
    }

    /// Counts a right answer and records its latency when it belongs to the measured window.
    fn measure(&mut self, index: usize) {
        let connection = &self.connections[index];
        let scenario = &self.plan.scenario;
        let always = scenario.is_setup(connection.class);
        if !always || scenario.rests() {
            self.counters.answered.add(1);
        }
        let in_window = (self.moments.measure_ns..self.moments.end_ns).contains(&connection.due_ns);
        if always || in_window {
            let latency_ns = self.now_ns.saturating_sub(connection.due_ns);
            self.record.latencies[connection.class].saturating_record(latency_ns);
        }
    }

    // === sending ===

    /// A connection may carry its next request now.
    fn on_ready(&mut self, index: usize) {
        let closed_loop = self.running && self.schedule.is_none();
        if closed_loop && self.now_ns < self.moments.end_ns && self.quota_left() > 0 {
            self.begin(index, self.now_ns);
            return;
        }
        let connection = &mut self.connections[index];
        if !connection.queued {
            connection.queued = true;
            self.ready.push_back(index as u32);
        }
        self.send_due();
    }

    /// Takes a ready connection from the queue.
    fn take_ready(&mut self) -> Option<usize> {
        while let Some(index) = self.ready.pop_front() {
            let connection = &mut self.connections[index as usize];
            connection.queued = false;
            if connection.doing == Doing::Ready {
                return Some(index as usize);
            }
        }
        None
    }

    /// Closed loop: begins on the next ready connection.
    fn send_next(&mut self) {
        if self.quota_left() == 0 {
            return;
        }
        if let Some(index) = self.take_ready() {
            self.begin(index, self.now_ns);
        }
    }

    /// Open loop: begins every request that is due, as far as connections are free.
    fn send_due(&mut self) {
        while let Some(due_ns) = self.schedule.as_ref().and_then(Schedule::next_due_ns) {
            if due_ns > self.now_ns || self.quota_left() == 0 {
                return;
            }
            let Some(index) = self.take_ready() else { return };
            if let Some(schedule) = &mut self.schedule {
                schedule.advance();
            }
            if due_ns >= self.moments.measure_ns {
                self.record.lateness.saturating_record(self.now_ns - due_ns);
            }
            self.begin(index, due_ns);
        }
    }

    /// Begins the request that is next on this connection.
    fn begin(&mut self, index: usize, due_ns: u64) {
        self.begun += 1;
        let connection = &mut self.connections[index];
        if !self.plan.scenario.is_setup(connection.class) && due_ns >= self.moments.measure_ns {
            self.begun_measured += 1;
        }
        connection.id = id_of(self.index, self.begun);
        connection.due_ns = due_ns;
        connection.begun_ns = self.now_ns;
        connection.sent = 0;
        connection.doing = Doing::Sending;
        connection.expect_answer();
        self.in_flight += 1;
        self.flush(index);
    }

    /// Sends on until the request is out or the send buffer is full.
    fn flush(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let class = &mut self.classes[connection.class];
        let Some(socket) = &connection.socket else { return };
        class.set_id(&id_digits(connection.id));
        let total = class.wire_bytes(&connection.head_tail);
        while connection.sent < total {
            match class.send(socket, &connection.head_tail, connection.sent) {
                Ok(sent) => {
                    connection.sent += sent;
                    self.record.bytes_sent += sent as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    // The answer that explains it (413, say) may be waiting in the receive buffer.
                    self.receive(index, true);
                    return;
                }
            }
        }
        connection.doing = Doing::Waiting;
    }

    fn next_draw(&mut self) -> u64 {
        self.draw ^= self.draw << 13;
        self.draw ^= self.draw >> 7;
        self.draw ^= self.draw << 17;
        self.draw
    }
}
