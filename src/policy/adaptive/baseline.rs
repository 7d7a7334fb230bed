//! How long each tool takes on the unloaded server, and how much that varies by itself.
//!
//! Times are compared as logarithms: a call that takes twice as long differs by the same amount whether the tool is fast
//! or slow, so calls of different tools can be averaged, and one call of a minute does not outweigh a hundred others.

use std::time::Duration;

use super::limit::Limit;
use super::{Config, Share, ToolKey};
use crate::base::Ticks;

/// What one tool usually takes.
#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    /// Mean of the logarithms.
    mean: f64,
    /// Their variance.
    variance: f64,
    /// Calls it was learnt from, up to the slowest [`Pace`].
    count: u32,
}

/// The time of a call on the scale that baselines and windows use.
pub fn logarithm(latency: Duration) -> f64 {
    (latency + SLACK).as_secs_f64().ln()
}

/// How much a call counts beside what is known: as one of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Pace {
    /// What is known is probably right.
    Slow = 64,
    /// Calls like this one are rare.
    Quick = 24,
    /// What is known is wrong.
    Anew = 8,
}

impl Baseline {
    fn new() -> Self {
        Self { mean: 0.0, variance: VARIANCE_AT_FIRST, count: 0 }
    }

    /// How much longer than usual a call took, as a logarithm, and how much that varies; `None` while too little is
    /// known of the tool.
    pub fn compare(&self, logarithm: f64) -> Option<(f64, f64)> {
        (self.count >= KNOWN_AFTER).then(|| (logarithm - self.mean, self.variance.max(VARIANCE_LEAST)))
    }

    /// Takes in a call on a server that was not loaded.
    pub fn learn(&mut self, logarithm: f64, pace: Pace) {
        self.count = (self.count + 1).min(Pace::Slow as u32);
        let weight = 1.0 / f64::from(self.count.min(pace as u32));
        let off = logarithm - self.mean;
        self.mean += off * weight;
        if self.count > 1 {
            // One call is not believed to vary more than this: a hiccup would make the tool look erratic for long.
            let square = (off * off).min(VARIANCE_MOST);
            self.variance += (square - self.variance) * weight;
        }
    }

    /// Whether little is known yet, so that any call teaches something.
    pub fn is_new(&self) -> bool {
        self.count < NEW_UNTIL
    }

    /// Moves it by `shift`, which is negative: calls are faster than was believed possible.
    pub fn lower(&mut self, shift: f64) {
        self.mean += shift;
    }

    /// What the tool takes on the unloaded server; `None` while that is not known.
    pub fn usual(&self) -> Option<Duration> {
        let seconds = (self.mean.exp() - SLACK.as_secs_f64()).max(0.0);
        if self.count < KNOWN_AFTER { None } else { Duration::try_from_secs_f64(seconds).ok() }
    }
}

/// One tool of a server.
#[derive(Debug)]
pub struct Tool {
    /// What it usually takes.
    pub baseline: Baseline,
    /// Its calls that have not ended.
    pub in_flight: u32,
    /// Its own limit, if tools have any.
    pub limit: Option<Limit>,
    /// When it was called last.
    used: Ticks,
}

/// The tools of one server that are called. The first entry is for all that find no place of their own.
#[derive(Debug)]
pub struct Tools {
    // Apart from the rest, so that looking one up touches few cache lines.
    keys: Vec<ToolKey>,
    tools: Vec<Tool>,
}

impl Default for Tools {
    /// No tool is known.
    fn default() -> Self {
        let other = Tool { baseline: Baseline::new(), in_flight: 0, limit: None, used: Ticks(0) };
        Self { keys: vec![OTHER], tools: vec![other] }
    }
}

impl Tools {
    /// The index of a tool; a new one takes a free place, or that of one which nobody calls any more. Valid while a call
    /// of it is in flight.
    pub fn index_of(&mut self, key: ToolKey, config: &Config, share: Share, now: Ticks) -> usize {
        if let Some(index) = self.keys.iter().position(|known| *known == key) {
            self.tools[index].used = now;
            return index;
        }
        let limit = config.per_tool.then(|| Limit::new(config, share));
        let tool = Tool { baseline: Baseline::new(), in_flight: 0, limit, used: now };
        if self.tools.len() < TOOLS_MAX {
            self.keys.push(key);
            self.tools.push(tool);
            return self.tools.len() - 1;
        }
        let forgotten = |tool: &Tool| tool.in_flight == 0 && now.since(tool.used) > FORGOTTEN_AFTER;
        let found = self.tools.iter().skip(1).position(forgotten);
        let Some(index) = found.map(|after_first| after_first + 1) else { return 0 };
        self.keys[index] = key;
        self.tools[index] = tool;
        index
    }

    /// The index of a tool that has a place.
    pub fn find(&self, key: ToolKey) -> Option<usize> {
        self.keys.iter().position(|known| *known == key)
    }

    /// The tool at an index that [`Tools::index_of`] gave.
    pub fn get(&self, index: usize) -> &Tool {
        &self.tools[index]
    }

    /// As [`Tools::get`].
    pub fn get_mut(&mut self, index: usize) -> &mut Tool {
        &mut self.tools[index]
    }

    /// All tools, with the first, which is for many.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Tool> {
        self.tools.iter_mut()
    }
}

/// The key of the entry for all tools without a place. A tool whose hash is this shares it.
const OTHER: ToolKey = ToolKey(0);

/// Differences of a few milliseconds are no sign of load: this is added to every time.
const SLACK: Duration = Duration::from_millis(2);
/// Calls until a tool is known well enough to tell load from habit.
const KNOWN_AFTER: u32 = 8;
/// Calls until a tool is no longer new: so long, any call teaches something.
const NEW_UNTIL: u32 = 32;
/// What is assumed of a new tool: most calls take between 0.6 and 1.6 times the mean.
const VARIANCE_AT_FIRST: f64 = 0.25;
/// No tool is believed to be steadier than about 10 %.
const VARIANCE_LEAST: f64 = 0.01;
/// One call counts at most as e^3, 20 times the mean.
const VARIANCE_MOST: f64 = 9.0;
/// Tools of one server with a baseline of their own, on one core.
pub const TOOLS_MAX: usize = 65;
/// When a tool gives its place to another.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
