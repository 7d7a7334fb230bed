//! Who goes, who waits, who is refused.

use std::time::Duration;

use super::baseline::{Pace, Tools, logarithm};
use super::limit::{Judgement, Limit, Terms, Verdict};
use super::queue::{Queue, Room, Waiter};
use super::{Class, Config, Numbers, Outcome, Reason, Sample, Share, Shed, ToolKey, WaiterId};
use crate::base::Ticks;

/// The limiter of one server on one core.
#[derive(Debug)]
pub struct Limiter {
    config: Config,
    share: Share,
    limit: Limit,
    tools: Tools,
    queue: Queue,
    in_flight: u32,
    /// What is under way beside the calls.
    beside: u32,
    /// Calls and what is beside them are never more.
    ceiling: u32,
    numbers: Numbers,
}

/// The right to be under way. Must come back through [`Limiter::release`], once.
#[derive(Debug)]
#[must_use = "a permit that is not released is a place lost"]
pub struct Permit {
    /// Index of its tool.
    tool: usize,
    server: Terms,
    own: Terms,
    /// It is no call, and tells nothing of calls.
    beside: bool,
}

/// What becomes of a call.
#[derive(Debug)]
#[must_use]
pub enum Admit {
    /// It goes at once.
    Go(Permit),
    /// It waits. The caller asks [`Limiter::next`] afterwards, whenever a place may have become free.
    Wait {
        /// Its name.
        waiter: WaiterId,
        /// Another waited, and waits no longer: it is shed, because of [`Reason::Displaced`].
        displaced: Option<WaiterId>,
    },
    /// It is refused.
    Shed(Shed),
}

impl Limiter {
    /// A limiter with this core's share of what `config` says.
    pub fn new(config: &Config, share: Share) -> Self {
        Self {
            config: config.clone(),
            share,
            limit: Limit::new(config, share),
            tools: Tools::default(),
            queue: Queue::new(config.queue, config.queue_time),
            in_flight: 0,
            beside: 0,
            ceiling: share.of(config.max).max(share.of(config.min)),
            numbers: Numbers::default(),
        }
    }

    /// What it was made from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Asks for a place for a call of `tool`.
    pub fn try_admit(&mut self, class: Class, tool: ToolKey, now: Ticks) -> Admit {
        self.numbers.probes += u64::from(self.limit.tick(now));
        // With anybody waiting it is for the queue to say who goes first.
        if self.queue.is_empty() && self.has_place(class) {
            let index = self.tools.index_of(tool, &self.config, self.share, now);
            if self.tool_has_place(index, class) {
                return Admit::Go(self.go(index, class, now));
            }
        }
        self.note_want(class, tool, now);
        if self.config.queue == 0 {
            return Admit::Shed(self.shed(class, Reason::Busy));
        }
        match self.queue.join(class, tool, now) {
            Room::Found(waiter) => Admit::Wait { waiter, displaced: None },
            Room::Taken { waiter, displaced } => {
                self.count_shed(displaced.class, Reason::Displaced);
                Admit::Wait { waiter, displaced: Some(displaced.id) }
            }
            Room::Full => Admit::Shed(self.shed(class, Reason::QueueFull)),
        }
    }

    /// Asks for a place beside the calls: for what a session cannot be without and what takes no tool's time. What was
    /// learnt of tools says nothing about it, so only the configured `max` counts, and the part of it that the class may
    /// take: lists in any number leave important calls their places. `None`: ask for a place as for a call.
    pub fn try_beside(&mut self, class: Class) -> Option<Permit> {
        if self.in_flight + self.beside >= class.part_of(self.ceiling) {
            return None;
        }
        self.beside += 1;
        let terms = Terms { calm: false, probing: false };
        Some(Permit { tool: 0, server: terms, own: terms, beside: true })
    }

    /// Takes in what a call took. At most once for a permit; never for a call that the client gave up.
    pub fn observe(&mut self, permit: &Permit, sample: Sample, now: Ticks) {
        if permit.beside {
            return;
        }
        let at = logarithm(sample.latency);
        self.limit.heard(now);
        let tool = self.tools.get_mut(permit.tool);
        let usual = tool.baseline.compare(at);
        let (longer, variance) = match (sample.outcome, usual) {
            (Outcome::Answered, Some(usual)) => usual,
            // Nothing to compare with yet.
            (Outcome::Answered, None) => (f64::NAN, 0.0),
            (Outcome::Failed, None) => (FAILED, FAILED_VARIANCE),
            (Outcome::Failed, Some((longer, variance))) => {
                (longer.max(FAILED), variance.max(FAILED_VARIANCE))
            }
        };
        if let Some(own) = &mut tool.limit {
            own.heard(now);
        }
        if sample.outcome == Outcome::Answered {
            let own = tool.limit.as_ref();
            let calm = self.limit.teaches(permit.server) && own.is_none_or(|own| own.teaches(permit.own));
            if calm || tool.baseline.is_new() {
                let pace = if own.unwrap_or(&self.limit).is_learning() {
                    Pace::Anew
                } else if permit.server.probing {
                    Pace::Quick
                } else {
                    Pace::Slow
                };
                tool.baseline.learn(at, pace);
            }
        }
        if longer.is_nan() {
            return;
        }
        if let Some(own) = &mut tool.limit {
            let Judgement { shift, .. } = own.observe(longer, variance, sample.latency, permit.own, now);
            tool.baseline.lower(shift);
        }
        // One slow tool sees to itself; most tools must be slow before all get less.
        let longer = if self.config.per_tool { self.limit.mild(longer) } else { longer };
        let Judgement { verdict, shift } =
            self.limit.observe(longer, variance, sample.latency, permit.server, now);
        match verdict {
            Verdict::Shrunk => self.numbers.shrunk += 1,
            Verdict::Grown => self.numbers.grown += 1,
            Verdict::Open | Verdict::Hold => {}
        }
        // Tools with a limit of their own have seen to this themselves.
        if shift < 0.0 && !self.config.per_tool {
            self.tools.iter_mut().for_each(|tool| tool.baseline.lower(shift));
        }
    }

    /// Takes a permit back. Afterwards [`Limiter::next`] may have somebody to wake.
    pub fn release(&mut self, permit: Permit) {
        if permit.beside {
            self.beside = self.beside.saturating_sub(1);
            return;
        }
        let tool = self.tools.get_mut(permit.tool);
        debug_assert!(self.in_flight > 0 && tool.in_flight > 0, "a permit comes back once");
        tool.in_flight = tool.in_flight.saturating_sub(1);
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Who waited and goes now, with its permit. To be asked until it is `None`, after each call that may have freed a
    /// place or let somebody wait.
    pub fn next(&mut self, now: Ticks) -> Option<(WaiterId, Permit)> {
        if self.queue.is_empty() {
            return None;
        }
        self.numbers.probes += u64::from(self.limit.tick(now));
        if self.in_flight + self.beside >= self.ceiling {
            return None;
        }
        let (places, in_flight) = (self.limit.now(), self.in_flight);
        let tools = &self.tools;
        let (id, Waiter { class, tool, .. }) = self.queue.take(
            now,
            |class| in_flight < class.part_of(places),
            |waiter| tools.find(waiter.tool).is_none_or(|index| has_own_place(tools, index, waiter.class)),
        )?;
        let index = self.tools.index_of(tool, &self.config, self.share, now);
        self.numbers.admitted_after_wait[class as usize] += 1;
        Some((id, self.go(index, class, now)))
    }

    /// One that waited as long as it may, and is shed because of [`Reason::Deadline`]. To be asked until it is `None`.
    pub fn expire(&mut self, now: Ticks) -> Option<(WaiterId, Shed)> {
        let (id, waiter) = self.queue.expire(now)?;
        Some((id, self.shed(waiter.class, Reason::Deadline)))
    }

    /// One gives up. `false` if it does not wait any more.
    pub fn leave(&mut self, waiter: WaiterId) -> bool {
        let left = self.queue.leave(waiter).is_some();
        self.numbers.gone += u64::from(left);
        left
    }

    /// When [`Limiter::expire`] has somebody, if nothing happens before.
    pub fn wakes_at(&self) -> Option<Ticks> {
        self.queue.wakes_at()
    }

    /// What it counted, and how it stands.
    pub fn numbers(&self) -> Numbers {
        Numbers {
            limit: u64::from(self.limit.now()),
            in_flight: u64::from(self.in_flight),
            queued: self.queue.len() as u64,
            ..self.numbers
        }
    }

    fn has_place(&self, class: Class) -> bool {
        self.in_flight < class.part_of(self.limit.now()) && self.in_flight + self.beside < self.ceiling
    }

    fn tool_has_place(&self, index: usize, class: Class) -> bool {
        has_own_place(&self.tools, index, class)
    }

    fn go(&mut self, index: usize, class: Class, now: Ticks) -> Permit {
        if self.in_flight == 0 {
            self.limit.stirred(now);
        }
        self.in_flight += 1;
        self.numbers.admitted[class as usize] += 1;
        let server = self.limit.admitted(self.in_flight, now);
        let tool = self.tools.get_mut(index);
        tool.in_flight += 1;
        let in_flight = tool.in_flight;
        let own = tool.limit.as_mut().map_or(server, |own| own.admitted(in_flight, now));
        Permit { tool: index, server, own, beside: false }
    }

    /// Tells the limit that was in the way.
    fn note_want(&mut self, class: Class, tool: ToolKey, now: Ticks) {
        if !self.has_place(class) {
            self.limit.wanted(now);
            self.listen(now);
        } else if let Some(index) = self.tools.find(tool)
            && let Some(own) = &mut self.tools.get_mut(index).limit
        {
            own.wanted(now);
            self.numbers.probes += u64::from(own.tick(now));
        }
    }

    /// Shrinks the limit of a server that has said nothing for much longer than its calls take: measured calls would come
    /// too late.
    fn listen(&mut self, now: Ticks) {
        let silence = self.limit.silence(now);
        if silence < SILENCE_LEAST {
            return;
        }
        let called = self.tools.iter_mut().filter(|tool| tool.in_flight > 0);
        let slowest = called
            .map(|tool| tool.baseline.usual())
            .try_fold(Duration::ZERO, |most, usual| Some(most.max(usual?)));
        if slowest.is_some_and(|slowest| silence > slowest * SILENCE_TIMES)
            && self.limit.halve(now) == Verdict::Shrunk
        {
            self.numbers.shrunk += 1;
        }
    }

    fn shed(&mut self, class: Class, reason: Reason) -> Shed {
        self.count_shed(class, reason);
        Shed { reason, class }
    }

    fn count_shed(&mut self, class: Class, reason: Reason) {
        self.numbers.shed[class as usize][reason as usize] += 1;
    }
}

fn has_own_place(tools: &Tools, index: usize, class: Class) -> bool {
    let tool = tools.get(index);
    tool.limit.as_ref().is_none_or(|own| tool.in_flight < class.part_of(own.now()))
}

/// A call that failed counts like one that took 8 times as long: with a target of 150 %, the limit shrinks once about a
/// fifth of all calls fail.
const FAILED: f64 = 2.079;
/// How long a server must say nothing before that means something,
const SILENCE_LEAST: Duration = Duration::from_millis(250);
/// and how many times what the slowest of its calls takes.
const SILENCE_TIMES: u32 = 6;
/// And as one that might have been like that by chance.
const FAILED_VARIANCE: f64 = 0.25;
