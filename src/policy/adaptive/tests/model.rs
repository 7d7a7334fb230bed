//! A server with a knee, callers that do not wait for each other, and limiters in between; all from a seed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use crate::base::Ticks;
use crate::policy::adaptive::{
    Admit, Class, Config, Limiter, Outcome, Permit, Sample, Share, ToolKey, WaiterId,
};

/// Splitmix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    pub fn part(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.part() * bound as f64) as usize
    }

    /// Exponential, with this mean.
    pub fn interval(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.part()).ln()
    }
}

/// What happens to calls beyond the server's capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Knee {
    /// They wait for one of the places of the server.
    Queue,
    /// All calls share the server: each takes longer, by the number of calls over the capacity, to this power. 1 keeps the
    /// throughput; with more it collapses.
    Share(f64),
}

/// How the times of calls vary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Vary {
    /// By a tenth.
    Little,
    /// As a Poisson process does.
    Much,
}

/// A tool: how often it is called beside the others, and what it takes.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    pub weight: f64,
    pub takes: f64,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scene {
    pub seed: u64,
    pub config: Config,
    pub cores: usize,
    /// Calls the server works on at once.
    pub places: usize,
    pub knee: Knee,
    pub vary: Vary,
    pub tools: Vec<Tool>,
    /// Of the classes low, normal, critical.
    pub classes: [f64; 3],
    /// Seconds.
    pub lasts: f64,
    /// Calls per second from so many seconds on.
    pub rates: Vec<(f64, f64)>,
    /// Each call takes so many times as long, from and to.
    pub slow: Vec<(f64, f64, f64)>,
    /// The server has so many places instead, from and to.
    pub fewer: Vec<(f64, f64, usize)>,
    /// The server fails this part of its calls, from and to.
    pub fails: Vec<(f64, f64, f64)>,
    /// The part of calls that the client gives up after half of their time.
    pub cancelled: f64,
}

/// One call and its end.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub class: Class,
    pub tool: usize,
    pub came: f64,
    /// When it was sent; `None`: it was shed.
    pub sent: Option<f64>,
    pub ended: f64,
    pub core: usize,
}

/// What happened.
pub struct Run {
    pub calls: Vec<Call>,
    /// Time, the limits of all cores together, calls under way.
    pub limits: Vec<(f64, u64, u64)>,
    pub limiters: Vec<Limiter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Come,
    Served { call: usize },
    GiveUp { call: usize },
    Expire { core: usize },
    Look,
}

struct World<'s> {
    scene: &'s Scene,
    chance: Chance,
    limiters: Vec<Limiter>,
    agenda: BinaryHeap<Reverse<(u64, u64, What)>>,
    count: u64,
    now: u64,
    calls: Vec<Call>,
    permits: HashMap<usize, Permit>,
    waiting: HashMap<(usize, WaiterId), usize>,
    line: VecDeque<usize>,
    working: usize,
    on_server: usize,
    limits: Vec<(f64, u64, u64)>,
}

impl Scene {
    /// A server with 20 places and calls of 50 ms: 400 calls a second.
    pub fn new(seed: u64) -> Self {
        let config = Config {
            min: 4,
            max: 200,
            start: 16,
            per_tool: false,
            queue: 64,
            queue_time: Duration::from_millis(200),
            percent: 150,
        };
        Self {
            seed,
            config,
            cores: 1,
            places: 20,
            knee: Knee::Queue,
            vary: Vary::Much,
            tools: vec![Tool { weight: 1.0, takes: 0.05 }],
            classes: [0.0, 1.0, 0.0],
            lasts: 60.0,
            rates: vec![(0.0, 200.0)],
            slow: vec![],
            fewer: vec![],
            fails: vec![],
            cancelled: 0.0,
        }
    }

    pub fn run(&self) -> Run {
        let limiters = (0..self.cores)
            .map(|index| Limiter::new(&self.config, Share { index, cores: self.cores }))
            .collect();
        let mut world = World {
            scene: self,
            chance: Chance(self.seed),
            limiters,
            agenda: BinaryHeap::new(),
            count: 0,
            now: 0,
            calls: vec![],
            permits: HashMap::new(),
            waiting: HashMap::new(),
            line: VecDeque::new(),
            working: 0,
            on_server: 0,
            limits: vec![],
        };
        world.run();
        Run { calls: world.calls, limits: world.limits, limiters: world.limiters }
    }
}

impl World<'_> {
    fn run(&mut self) {
        self.at(0.0, What::Come);
        self.at(0.0, What::Look);
        let end = nanos(self.scene.lasts);
        while let Some(Reverse((time, _, what))) = self.agenda.pop() {
            if time > end {
                return;
            }
            self.now = time;
            match what {
                What::Come => self.come(),
                What::Served { call } => self.served(call),
                What::GiveUp { call } => self.give_up(call),
                What::Expire { core } => self.expire(core),
                What::Look => self.look(),
            }
        }
    }

    fn at(&mut self, after: f64, what: What) {
        self.count += 1;
        self.agenda.push(Reverse((self.now + nanos(after), self.count, what)));
    }

    fn seconds(&self) -> f64 {
        self.now as f64 / 1e9
    }

    fn look(&mut self) {
        let numbers = self.limiters.iter().map(Limiter::numbers);
        let (limit, in_flight) = numbers.fold((0, 0), |sum, n| (sum.0 + n.limit, sum.1 + n.in_flight));
        self.limits.push((self.seconds(), limit, in_flight));
        self.at(0.05, What::Look);
    }

    fn come(&mut self) {
        let seconds = self.seconds();
        let rate = self.scene.rates.iter().rev().find(|(from, _)| *from <= seconds).map_or(0.0, |r| r.1);
        if rate > 0.0 {
            let next = self.chance.interval(1.0 / rate);
            self.at(next, What::Come);
        } else {
            self.at(0.01, What::Come);
            return;
        }
        let class = Class::ALL[self.pick(&self.scene.classes)];
        let weights: Vec<f64> = self.scene.tools.iter().map(|tool| tool.weight).collect();
        let tool = self.pick(&weights);
        let core = self.chance.below(self.scene.cores);
        let call = self.calls.len();
        self.calls.push(Call { class, tool, came: seconds, sent: None, ended: f64::INFINITY, core });
        let now = Ticks(self.now);
        match self.limiters[core].try_admit(class, ToolKey(tool as u64 + 1), now) {
            Admit::Go(permit) => self.send(call, permit),
            Admit::Shed(_) => self.calls[call].ended = seconds,
            Admit::Wait { waiter, displaced } => {
                if let Some(displaced) = displaced {
                    let other = self.waiting.remove(&(core, displaced)).unwrap();
                    self.calls[other].ended = seconds;
                }
                self.waiting.insert((core, waiter), call);
                self.serve(core);
                self.at(self.scene.config.queue_time.as_secs_f64(), What::Expire { core });
            }
        }
    }

    fn pick(&mut self, weights: &[f64]) -> usize {
        let mut left = self.chance.part() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return index;
            }
        }
        weights.len() - 1
    }

    fn expire(&mut self, core: usize) {
        while let Some((waiter, _)) = self.limiters[core].expire(Ticks(self.now)) {
            let call = self.waiting.remove(&(core, waiter)).unwrap();
            self.calls[call].ended = self.seconds();
        }
    }

    fn serve(&mut self, core: usize) {
        while let Some((waiter, permit)) = self.limiters[core].next(Ticks(self.now)) {
            let call = self.waiting.remove(&(core, waiter)).unwrap();
            self.send(call, permit);
        }
    }

    fn send(&mut self, call: usize, permit: Permit) {
        self.calls[call].sent = Some(self.seconds());
        assert!(self.permits.insert(call, permit).is_none());
        self.on_server += 1;
        match self.scene.knee {
            Knee::Queue if self.working >= self.places() => self.line.push_back(call),
            Knee::Queue | Knee::Share(_) => self.begin(call),
        }
    }

    fn places(&self) -> usize {
        in_force(&self.scene.fewer, self.seconds()).unwrap_or(self.scene.places)
    }

    fn begin(&mut self, call: usize) {
        self.working += 1;
        let takes = self.scene.tools[self.calls[call].tool].takes
            * in_force(&self.scene.slow, self.seconds()).unwrap_or(1.0);
        let own = match self.scene.vary {
            Vary::Little => takes * (0.9 + 0.2 * self.chance.part()),
            Vary::Much => self.chance.interval(takes),
        };
        let over = (self.on_server as f64 / self.places() as f64).max(1.0);
        let time = match self.scene.knee {
            Knee::Queue => own,
            Knee::Share(power) => own * over.powf(power),
        };
        if self.chance.part() < self.scene.cancelled {
            self.at(time / 2.0, What::GiveUp { call });
        }
        self.at(time, What::Served { call });
    }

    /// The client goes away; the server does not notice, and works to the end.
    fn give_up(&mut self, call: usize) {
        if let Some(permit) = self.permits.remove(&call) {
            let core = self.calls[call].core;
            self.calls[call].ended = self.seconds();
            self.limiters[core].release(permit);
            self.serve(core);
        }
    }

    fn served(&mut self, call: usize) {
        self.working -= 1;
        self.on_server -= 1;
        while self.working < self.places() {
            let Some(next) = self.line.pop_front() else { break };
            self.begin(next);
        }
        if let Some(permit) = self.permits.remove(&call) {
            self.answer(call, permit);
        }
    }

    fn answer(&mut self, call: usize, permit: Permit) {
        let (seconds, now) = (self.seconds(), Ticks(self.now));
        let fails = in_force(&self.scene.fails, seconds).unwrap_or(0.0);
        let outcome = if self.chance.part() < fails { Outcome::Failed } else { Outcome::Answered };
        let core = self.calls[call].core;
        self.calls[call].ended = seconds;
        let latency = Duration::from_secs_f64(seconds - self.calls[call].sent.unwrap());
        self.limiters[core].observe(&permit, Sample { latency, outcome }, now);
        self.limiters[core].release(permit);
        self.serve(core);
    }
}

impl Run {
    /// Calls that were answered in this time, a second.
    pub fn throughput(&self, from: f64, to: f64) -> f64 {
        let in_time = |call: &&Call| call.sent.is_some() && call.ended >= from && call.ended < to;
        self.calls.iter().filter(in_time).count() as f64 / (to - from)
    }

    /// The part of the calls of a class that came in this time and were admitted.
    pub fn admitted(&self, class: Class, from: f64, to: f64) -> f64 {
        let of_class = |call: &&Call| call.class == class && call.came >= from && call.came < to;
        let all = self.calls.iter().filter(of_class).count();
        let sent = self.calls.iter().filter(of_class).filter(|call| call.sent.is_some()).count();
        sent as f64 / all.max(1) as f64
    }

    /// A quantile of the times from call to answer, waiting counted, of calls that came in this time and were admitted.
    pub fn latency(&self, quantile: f64, from: f64, to: f64) -> f64 {
        let in_time = |call: &&Call| {
            call.sent.is_some() && call.came >= from && call.came < to && call.ended.is_finite()
        };
        let mut times: Vec<f64> =
            self.calls.iter().filter(in_time).map(|call| call.ended - call.came).collect();
        times.sort_by(f64::total_cmp);
        times[((times.len() - 1) as f64 * quantile) as usize]
    }

    /// The mean limit in this time.
    pub fn limit(&self, from: f64, to: f64) -> f64 {
        let looks: Vec<f64> = self
            .limits
            .iter()
            .filter(|look| look.0 >= from && look.0 < to)
            .map(|look| look.1 as f64)
            .collect();
        looks.iter().sum::<f64>() / looks.len() as f64
    }
}

fn in_force<T: Copy>(phases: &[(f64, f64, T)], seconds: f64) -> Option<T> {
    phases.iter().find(|(from, to, _)| (*from..*to).contains(&seconds)).map(|phase| phase.2)
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}
