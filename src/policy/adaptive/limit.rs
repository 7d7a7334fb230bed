//! The limit itself: moved by a window of measured calls, halved now and then to see the server unloaded.

use std::time::Duration;

use super::{Config, Share};
use crate::base::Ticks;

/// How many calls may be under way at once, and what is known since it last moved.
#[derive(Debug)]
pub struct Limit {
    min: f64,
    max: f64,
    /// Fractions count: many small steps add up.
    at: f64,
    /// The logarithm of how much longer calls may take than usual.
    target: f64,
    window: Window,
    /// When it moved last.
    moved: Ticks,
    /// Until then, calls tell of the limit before.
    settled: Ticks,
    /// What a call takes, by the last window.
    takes: Duration,
    /// When more than half of the limit was under way last.
    crowded: Ticks,
    /// When a call ended last.
    heard: Ticks,
    start: f64,
    /// Calls take too long, by the last window that said anything.
    pressed: bool,
    /// Calls do not clearly take less than they may, by the last window that said anything.
    slow: bool,
    /// So long at the floor, and still slow, means that what counts as usual is wrong.
    patience: Duration,
    /// So many calls more teach anew what is usual.
    learning: u32,
    probe: Probe,
}

/// Calls that were measured since the limit was last judged.
#[derive(Debug, Default)]
struct Window {
    /// When its first call ended.
    since: Ticks,
    count: u32,
    /// Of how much longer than usual they took.
    sum: f64,
    /// Of how much that varies by itself.
    variance: f64,
    /// The most calls that were under way at once.
    peak: u32,
    /// Of what they took.
    latency: Duration,
    /// Calls that found no place.
    wanted: u32,
}

/// Whether the limit is halved for a moment.
#[derive(Debug, Default)]
struct Probe {
    /// The number of the present period of [`PROBE_EVERY`].
    period: u64,
    /// Calls of this period that were admitted, and that found no place.
    admitted: u32,
    wanted: u32,
    /// Since then and until then.
    lasts: Option<(Ticks, Ticks)>,
}

/// What a window showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Too little yet.
    Open,
    /// Nothing to change.
    Hold,
    /// Calls took longer than they may: the limit shrank.
    Shrunk,
    /// It was not enough for those who called, and calls took no longer than they may: the limit grew.
    Grown,
}

/// A verdict, and by how much all baselines are too high (a negative logarithm, or 0).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// What became of the limit.
    pub verdict: Verdict,
    /// What is to be added to the baselines.
    pub shift: f64,
}

/// How a call was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// With at most half of the limit under way: its time is that of an unloaded server.
    pub calm: bool,
    /// While the limit was halved: it says nothing about the limit.
    pub probing: bool,
}

impl Limit {
    /// This core's part of the limit, where it starts.
    pub fn new(config: &Config, share: Share) -> Self {
        let (min, max) = (share.of(config.min), share.of(config.max).max(share.of(config.min)));
        let start = share.of(config.start).clamp(min, max);
        Self {
            min: f64::from(min),
            max: f64::from(max),
            at: f64::from(start),
            target: (f64::from(config.percent.max(101)) / 100.0).ln(),
            window: Window::default(),
            moved: Ticks(0),
            settled: Ticks(0),
            takes: Duration::ZERO,
            crowded: Ticks(0),
            heard: Ticks(0),
            start: f64::from(start),
            pressed: false,
            slow: false,
            patience: FLOOR_AFTER * u32::try_from(share.cores.clamp(1, PATIENT_CORES)).unwrap_or(1),
            learning: 0,
            probe: Probe::default(),
        }
    }

    /// Calls that may be under way at once, now. From its `min` to its `max`.
    pub fn now(&self) -> u32 {
        whole(if self.probe.lasts.is_some() { self.half() } else { self.at })
    }

    /// Whether what counts as usual is being learnt anew.
    pub fn is_learning(&self) -> bool {
        self.learning > 0
    }

    /// A call ended. Calls that take too long, or nearly, although the limit has been at its floor for a
    /// while, mean that what counts as usual is wrong: then it is learnt anew, from many calls, for one window that
    /// happens to look well would end that too early.
    fn note_lesson(&mut self, now: Ticks) {
        self.learning = self.learning.saturating_sub(1);
        if self.learning == 0 && self.slow && self.is_at_floor() && now.since(self.moved) >= self.patience {
            self.learning = LESSONS;
        }
    }

    /// Whether a call admitted on `terms` shows the time of an unloaded server.
    pub fn teaches(&self, terms: Terms) -> bool {
        (terms.calm && (!self.pressed || terms.probing)) || self.is_learning()
    }

    /// A call was admitted, as the last of `in_flight`.
    pub fn admitted(&mut self, in_flight: u32, now: Ticks) -> Terms {
        self.window.peak = self.window.peak.max(in_flight);
        self.probe.admitted = self.probe.admitted.saturating_add(1);
        let probing = self.probe.lasts.is_some();
        let is_few = in_flight <= whole(self.half());
        if !is_few {
            self.crowded = now;
        }
        // Few here may be many on other cores, for a moment; not for long, and not while all of them probe.
        let calm = is_few
            && match self.probe.lasts {
                Some((from, _)) => from <= now,
                None => now.since(self.crowded) >= CALM_AFTER,
            };
        Terms { calm, probing }
    }

    /// A call found no place.
    pub fn wanted(&mut self, now: Ticks) {
        self.crowded = now;
        self.probe.wanted = self.probe.wanted.saturating_add(1);
        // While it is halved, that says nothing about the limit.
        self.window.wanted += u32::from(self.probe.lasts.is_none());
    }

    /// Looks at the clock: whether it is time to see the server with less to do. `true` if that begins now. Periods are
    /// those of the clock that all cores share, so that all of them look at once.
    pub fn tick(&mut self, now: Ticks) -> bool {
        if self.probe.lasts.is_some_and(|(_, until)| until <= now) {
            self.probe.lasts = None;
        }
        let period = now.0 / PROBE_EVERY_NS;
        if period == self.probe.period {
            return false;
        }
        let last = std::mem::replace(&mut self.probe, Probe { period, ..Probe::default() });
        if last.period + 1 == period && f64::from(last.wanted) >= f64::from(last.admitted) * PROBE_WANTED {
            // Whole seconds, so that all cores mean the same time although each knows its own calls only.
            let takes = self.takes.as_secs() + 1;
            let from = Ticks(period * PROBE_EVERY_NS);
            let until = from + Duration::from_secs(takes.next_power_of_two()).min(PROBE_MOST);
            self.probe.lasts = Some((from + self.takes, until));
            return true;
        }
        false
    }

    /// A call ended.
    pub fn heard(&mut self, now: Ticks) {
        self.heard = now;
        self.note_lesson(now);
    }

    /// There is something to do after there was nothing: silence counts from here.
    pub fn stirred(&mut self, now: Ticks) {
        self.heard = now;
    }

    /// For how long no call ended, began with nothing else under way, or moved the limit: with calls under way, a sign that the server hangs.
    pub fn silence(&self, now: Ticks) -> Duration {
        now.since(self.heard.max(self.moved))
    }

    /// The server hangs: shrinks.
    pub fn halve(&mut self, now: Ticks) -> Verdict {
        if self.is_at_floor() {
            return Verdict::Hold;
        }
        self.at = (self.at / 2.0).max(self.min);
        (self.moved, self.pressed, self.slow) = (now, true, true);
        Verdict::Shrunk
    }

    /// `longer`, but no more than a little past the target.
    pub fn mild(&self, longer: f64) -> f64 {
        longer.min(self.target * MILD)
    }

    /// Takes in a call that took `latency`, `longer` than usual by a logarithm that varies by `variance` of itself, and
    /// was admitted on `terms`.
    pub fn observe(
        &mut self,
        longer: f64,
        variance: f64,
        latency: Duration,
        terms: Terms,
        now: Ticks,
    ) -> Judgement {
        if now < self.settled || terms.probing {
            return Judgement { verdict: Verdict::Open, shift: 0.0 };
        }
        if self.window.count == 0 || now.since(self.window.since) > STALE {
            self.window = Window { since: now, peak: self.window.peak, ..Window::default() };
        }
        let window = &mut self.window;
        window.count += 1;
        window.sum += longer;
        window.variance += variance;
        window.latency += latency;
        if window.count < SAMPLES_LEAST || now.since(window.since) < WINDOW {
            return Judgement { verdict: Verdict::Open, shift: 0.0 };
        }
        self.judge(now)
    }

    /// Moves the limit if the window says clearly that it should.
    fn judge(&mut self, now: Ticks) -> Judgement {
        let window = &self.window;
        let count = f64::from(window.count);
        let (mean, error) = (window.sum / count, window.variance.sqrt() / count);
        let peak = f64::from(window.peak.max(1));
        let is_used = f64::from(window.wanted) >= count * USED;
        let before = self.at;
        // One call more than would do is always permitted, so that a core with few places is not held down by others.
        let target = self.target + (1.0 / before).ln_1p();
        let (pressed, slow, to) = if mean - error * DOUBT_DOWN > target {
            // What was not used is gone first, or it would take many steps until shrinking is felt.
            let used = before.min((peak * 2.0).max(self.start));
            (true, true, used * (target - mean).exp().clamp(STEP_DOWN, 1.0))
        } else if mean + error * DOUBT_UP < target {
            let by = (target - mean).exp().clamp(1.0, STEP_UP);
            let unused = (before * STEP_UNUSED).max(peak * 2.0).max(self.start).min(before);
            (false, false, if is_used { before * by + STEP_LEAST } else { unused })
        } else if window.count < SAMPLES_MOST {
            return Judgement { verdict: Verdict::Open, shift: 0.0 };
        } else {
            (false, true, if is_used { before + STEP_LEAST } else { before })
        };
        (self.pressed, self.slow) = (pressed, slow);
        self.at = to.clamp(self.min, self.max);
        self.takes = window.latency / window.count;
        self.window = Window::default();
        // Nothing is faster than an unloaded server: then what counts as usual is wrong.
        let shift = if mean < -error * DOUBT_USUAL { mean + error } else { 0.0 };
        let verdict = if self.at < before {
            Verdict::Shrunk
        } else if self.at > before {
            Verdict::Grown
        } else {
            return Judgement { verdict: Verdict::Hold, shift };
        };
        self.moved = now;
        self.settled = now + self.takes.min(SETTLE_MOST);
        Judgement { verdict, shift }
    }

    fn half(&self) -> f64 {
        (self.at / CALM_PART).ceil().max(self.min)
    }

    fn is_at_floor(&self) -> bool {
        self.at < self.min + 1.0
    }
}

/// The whole part. Limits are at least 1 and far below 2^32.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(limit: f64) -> u32 {
    limit as u32
}

/// The limit is judged at most so often.
const WINDOW: Duration = Duration::from_millis(100);
/// What is older than this is not judged together with what comes now.
const STALE: Duration = Duration::from_secs(60);
/// After it moved, a judgement waits for the time a call takes, but no longer than this.
const SETTLE_MOST: Duration = Duration::from_secs(10);
/// So long at the floor, for each core: the load of others ends sooner, a slower server does not.
const FLOOR_AFTER: Duration = Duration::from_secs(3);
/// Of so many cores.
const PATIENT_CORES: usize = 4;
/// Calls from which it is learnt anew.
const LESSONS: u32 = 24;
/// With so many times less than the limit, the server counts as unloaded.
const CALM_PART: f64 = 3.0;
/// So long after it was not, a core counts as calm.
const CALM_AFTER: Duration = Duration::from_secs(1);
/// Calls that a judgement needs at the least.
const SAMPLES_LEAST: u32 = 8;
/// Calls after which a window that says nothing clear means: stay.
const SAMPLES_MOST: u32 = 32;
/// How far past the target, so that two thirds of all calls must be slow.
const MILD: f64 = 1.5;
/// How many standard errors make it clear that calls take too long,
const DOUBT_DOWN: f64 = 2.0;
/// and that they do not: less, or a core with few calls would hardly ever grow.
const DOUBT_UP: f64 = 0.5;
/// And that they take less than they ever could: this is asked so often that chance must hardly count.
const DOUBT_USUAL: f64 = 4.0;
/// A limit is in the way if at least this part of the calls finds no place.
const USED: f64 = 0.05;
/// The limit falls to no less than this part of itself in one step.
const STEP_DOWN: f64 = 0.5;
/// What is not used is given up in such steps.
const STEP_UNUSED: f64 = 0.9;
/// And grows to no more than this multiple, and
const STEP_UP: f64 = 1.5;
/// this: what makes the limits of several cores come closer to each other.
const STEP_LEAST: f64 = 0.1;
/// After a period of this in which it was in the way, a limit is cut as far as that the server counts as unloaded,
const PROBE_EVERY_NS: u64 = 20_000_000_000;
/// for a second, or for as long as its calls take, up to this.
const PROBE_MOST: Duration = Duration::from_secs(4);
/// In the way: for so many calls, as a part of those that were admitted.
const PROBE_WANTED: f64 = 0.1;
