//! Conducting a run: start the workers, set the timeline, read the meters at its moments.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::address::Address;
use crate::plan::Plan;
use crate::process::{self, MemoryReading};
use crate::shared::{Counters, Timeline};
use crate::sys::{self, Clock};
use crate::worker::{Worker, WorkerRecord};

/// Everything a run has measured, before it is put into words.
#[derive(Debug)]
pub struct Measurement {
    /// What each worker measured.
    pub workers: Vec<WorkerRecord>,
    /// The meters when measuring began and ended; `None` when the load never began.
    pub window: Option<(Meters, Meters)>,
    /// Right answers, refusals and time from the first request to the last answer.
    pub whole: Whole,
    /// Memory of the watched processes before any connection was made.
    pub memory_before: Vec<MemoryReading>,
    /// Events received on streams from start to end.
    pub events: u64,
    /// Connections opened again after the peer closed them between requests.
    pub reconnects: u64,
}

/// A run from its first request to its last answer, warm-up and what came after the window included.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whole {
    /// Right answers.
    pub answered: u64,
    /// Refusals.
    pub refused: u64,
    /// Nanoseconds in which all of them were asked for and came.
    pub elapsed_ns: u64,
}

/// All meters at one moment.
#[derive(Debug, Clone)]
pub struct Meters {
    /// When, in nanoseconds of the run's clock.
    pub at_ns: u64,
    /// Right answers so far.
    pub answered: u64,
    /// Refusals so far.
    pub refused: u64,
    /// Connections that live.
    pub ready: u64,
    /// CPU time of this process so far.
    pub own_cpu_ns: u64,
    /// CPU time of each watched process so far.
    pub cpu_ns: Vec<u64>,
    /// Memory of each watched process.
    pub memory: Vec<MemoryReading>,
}

/// What the user wants to see and watch during a run.
#[derive(Debug)]
pub struct Watch<'a> {
    /// Processes whose CPU time and memory are read.
    pub pids: &'a [u32],
    /// Whether to show progress lines.
    pub progress: bool,
    /// Becomes true when the user wants the run to end now.
    pub interrupted: &'a AtomicBool,
}

/// How far ahead the start is announced, so that every worker sees it in time.
const ANNOUNCE_NS: u64 = 20_000_000;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Runs `plan` to its end.
///
/// # Errors
/// A sentence for the user: the target cannot be reached, a watched process does not exist, or a limit
/// of this machine is too low. Faults during the run are part of the measurement instead.
pub fn run(plan: Plan, watch: &Watch<'_>) -> Result<Measurement, String> {
    check_file_limit(&plan)?;
    let memory_before = read_all(watch.pids, process::memory)?;
    read_all(watch.pids, process::cpu_ns)?;
    probe(&plan.target.address).map_err(|error| format!("cannot connect: {error}"))?;
    if let Some(cpu) = plan.cpus.first() {
        // The conductor wakes up now and then; that must not fall on the measured program's core.
        sys::pin_to_cpu(*cpu);
    }
    let mut conductor = Conductor::start(plan, watch)?;
    let window = conductor.conduct()?;
    conductor.finish(memory_before, window)
}

struct Conductor<'a> {
    plan: Arc<Plan>,
    watch: &'a Watch<'a>,
    clock: Clock,
    timeline: Arc<Timeline>,
    counters: Vec<Arc<Counters>>,
    threads: Vec<JoinHandle<io::Result<WorkerRecord>>>,
    next_progress_ns: u64,
    answered_shown: u64,
}

impl<'a> Conductor<'a> {
    fn start(plan: Plan, watch: &'a Watch<'a>) -> Result<Self, String> {
        let (plan, clock, timeline) = (Arc::new(plan), Clock::start(), Arc::new(Timeline::new()));
        let counters: Vec<_> = (0..plan.threads).map(|_| Arc::new(Counters::default())).collect();
        let mut threads = Vec::new();
        for (index, counters) in counters.iter().enumerate() {
            let cpu = (!plan.cpus.is_empty()).then(|| plan.cpus[index % plan.cpus.len()]);
            let (plan, timeline, counters) = (plan.clone(), timeline.clone(), counters.clone());
            let body = move || {
                sys::sharpen_timers();
                if let Some(cpu) = cpu.filter(|cpu| !sys::pin_to_cpu(*cpu)) {
                    return Err(io::Error::other(format!("cannot run on CPU {cpu}")));
                }
                Worker::new(plan, index, clock, timeline, counters)?.run()
            };
            let named = std::thread::Builder::new().name(format!("load-{index}"));
            threads.push(named.spawn(body).map_err(|error| format!("cannot start a thread: {error}"))?);
        }
        Ok(Self {
            plan,
            watch,
            clock,
            timeline,
            counters,
            threads,
            next_progress_ns: 1_000_000_000,
            answered_shown: 0,
        })
    }

    /// Leads the run through its phases; gives the meters at both ends of the measured window.
    fn conduct(&mut self) -> Result<Option<(Meters, Meters)>, String> {
        if !self.await_ready() {
            self.timeline.stop();
            return Ok(None);
        }
        let warmup_ns = if self.plan.scenario.rests() { 0 } else { nanoseconds(self.plan.warmup) };
        let idle = self.read_meters(true)?;
        let start_ns = self.clock.now_ns() + ANNOUNCE_NS;
        let measure_ns = start_ns + warmup_ns;
        let end_ns = measure_ns + nanoseconds(self.plan.duration);
        self.timeline.set(start_ns, measure_ns, end_ns, end_ns + self.plan.timeout_ns);

        let first = if warmup_ns == 0 {
            // Nothing has happened yet: the meters are those of the first moment of the load.
            Meters { at_ns: start_ns, ..idle }
        } else {
            self.wait_until(measure_ns);
            self.read_meters(true)?
        };
        let woken = self.wait_until(end_ns);
        let mut last = self.read_meters(false)?;
        match woken {
            Woken::Time => {}
            Woken::Finished => last.at_ns = self.finished_ns().max(first.at_ns + 1),
            Woken::Interrupted => {
                let now_ns = self.clock.now_ns();
                self.timeline.cut(now_ns, now_ns + self.plan.timeout_ns.min(1_000_000_000));
            }
        }
        Ok(Some((first, last)))
    }

    /// Waits until the connections are made and set up, as far as they ever will be.
    fn await_ready(&mut self) -> bool {
        let wanted = self.plan.connections as u64;
        let limit_ns = self.plan.timeout_ns + wanted * 2_000_000;
        while self.sum(|counters| counters.ready.get() + counters.lost.get()) < wanted {
            let now_ns = self.clock.now_ns();
            if now_ns >= limit_ns || self.watch.interrupted.load(Relaxed) || self.all_finished() {
                return self.sum(|counters| counters.ready.get()) > 0;
            }
            std::thread::sleep(LOOK_INTERVAL);
            self.show_progress(now_ns, "opening");
        }
        self.sum(|counters| counters.ready.get()) > 0
    }

    fn wait_until(&mut self, until_ns: u64) -> Woken {
        loop {
            let now_ns = self.clock.now_ns();
            if now_ns >= until_ns {
                return Woken::Time;
            }
            if self.watch.interrupted.load(Relaxed) {
                return Woken::Interrupted;
            }
            if self.all_finished() {
                return Woken::Finished;
            }
            std::thread::sleep(LOOK_INTERVAL.min(Duration::from_nanos(until_ns - now_ns)));
            let phase = if now_ns < self.timeline.moments().measure_ns { "warm-up" } else { "measuring" };
            self.show_progress(now_ns, phase);
        }
    }

    /// Reads all meters. What is slow to read comes outside the window: first at its begin, last at
    /// its end.
    fn read_meters(&self, begins: bool) -> Result<Meters, String> {
        let pids = self.watch.pids;
        let mut memory = if begins { read_all(pids, process::memory)? } else { Vec::new() };
        if begins {
            // What the process once needed, before anybody measured it, is no figure of this run.
            pids.iter().for_each(|pid| _ = process::forget_peak(*pid));
        }
        let cpu_ns = read_all(pids, process::cpu_ns)?;
        let (at_ns, own_cpu_ns) = (self.clock.now_ns(), sys::process_cpu_ns());
        let answered = self.sum(|counters| counters.answered.get());
        let refused = self.sum(|counters| counters.refused.get());
        let ready = self.sum(|counters| counters.ready.get());
        if !begins {
            memory = read_all(pids, process::memory)?;
        }
        Ok(Meters { at_ns, answered, refused, ready, own_cpu_ns, cpu_ns, memory })
    }

    fn finish(
        self,
        memory_before: Vec<MemoryReading>,
        window: Option<(Meters, Meters)>,
    ) -> Result<Measurement, String> {
        let mut workers = Vec::new();
        for thread in self.threads {
            let record = thread.join().map_err(|_| "a worker panicked".to_owned())?;
            workers.push(record.map_err(|error| format!("a worker failed: {error}"))?);
        }
        if self.watch.progress {
            eprintln!();
        }
        let sum = |of: fn(&Counters) -> u64| self.counters.iter().map(|counters| of(counters)).sum();
        let (events, reconnects) = (sum(|c| c.events.get()), sum(|c| c.reconnects.get()));
        let last_ns = workers.iter().map(|worker| worker.last_answer_ns).max().unwrap_or(0);
        let whole = Whole {
            answered: sum(|c| c.answered.get()),
            refused: sum(|c| c.refused.get()),
            elapsed_ns: last_ns.saturating_sub(self.timeline.moments().start_ns),
        };
        Ok(Measurement { workers, window, whole, memory_before, events, reconnects })
    }

    fn all_finished(&self) -> bool {
        self.counters.iter().all(|counters| counters.finished_ns.get() > 0)
            || self.threads.iter().all(JoinHandle::is_finished)
    }

    fn finished_ns(&self) -> u64 {
        self.counters.iter().map(|counters| counters.finished_ns.get()).max().unwrap_or(0)
    }

    fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.counters.iter().map(|counters| of(counters)).sum()
    }

    fn show_progress(&mut self, now_ns: u64, phase: &str) {
        if !self.watch.progress || now_ns < self.next_progress_ns {
            return;
        }
        self.next_progress_ns += 1_000_000_000;
        let answered = self.sum(|counters| counters.answered.get());
        let rate = answered - self.answered_shown;
        self.answered_shown = answered;
        let line = format!(
            "{:>4} s  {phase:<9}  {rate:>8}/s  {} open  {} errors  {} events",
            now_ns / 1_000_000_000,
            self.sum(|counters| counters.ready.get()),
            self.sum(|counters| counters.faults.get()),
            self.sum(|counters| counters.events.get()),
        );
        let mut out = io::stderr().lock();
        // Progress is a courtesy: a closed standard error must not end the run.
        let _ = write!(out, "\r{line:<78}").and_then(|()| out.flush());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    Time,
    Finished,
    Interrupted,
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

fn read_all<T>(pids: &[u32], read: impl Fn(u32) -> Result<T, String>) -> Result<Vec<T>, String> {
    pids.iter().map(|pid| read(*pid)).collect()
}

fn check_file_limit(plan: &Plan) -> Result<(), String> {
    let limit = sys::raise_file_limit();
    let wanted = plan.connections as u64 + 64;
    if wanted > limit {
        return Err(format!("{wanted} open files are needed, {limit} allowed: see ulimit -n"));
    }
    Ok(())
}

/// Whether the target can be reached at all, for a clear message at the start.
fn probe(address: &Address) -> io::Result<()> {
    match address {
        Address::Inet(inet) => std::net::TcpStream::connect_timeout(inet, Duration::from_secs(2)).map(drop),
        Address::Unix(path) => std::os::unix::net::UnixStream::connect(path).map(drop),
    }
}
