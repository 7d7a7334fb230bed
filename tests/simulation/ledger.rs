//! Cores that spend from one account: leases, lagging clocks, stalls, lost cores, a rate that changes. In every
//! window they admit together at most burst + rate × window, and under load they admit nearly that.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use ringgate::base::Ticks;
use ringgate::base::ledger::{Ask, BucketKey, Drawn, Last, Ledger, Refill, lease, rest};
use ringgate::io::sim::Prng;
use ringgate::shared::ledger::{Book, Clerk};

use super::seeds;

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLI;
/// How often a core reports and gives back what it did not spend.
const TICK: u64 = 100 * MILLI;

/// `count` units a second, and a burst.
#[derive(Clone, Copy, Debug)]
struct Rate {
    count: u64,
    burst: u64,
}

impl Rate {
    fn refill(self) -> Refill {
        let number = |number| NonZeroU64::new(number).unwrap();
        Refill::Steady { count: number(self.count), per: Duration::from_secs(1), burst: number(self.burst) }
    }

    /// What may be admitted in so long, from a full bucket.
    fn most(self, time: u64) -> f64 {
        self.burst as f64 + self.count as f64 * time as f64 / SECOND as f64
    }
}

/// What a core holds of a key.
#[derive(Clone, Copy, Default)]
struct Lease {
    left: u64,
    spent: u64,
    drawn: u64,
    drawn_at: Ticks,
    rests_until: Ticks,
}

struct Core {
    clerk: Clerk,
    leases: Vec<Lease>,
    refill: Refill,
    cores: NonZeroUsize,
    /// So far its clock is behind.
    lag: u64,
    next_tick: u64,
    /// Does nothing until then.
    stalled: u64,
    /// How often it went to the account that all share.
    asked: u64,
}

impl Core {
    fn now(&self, time: u64) -> Ticks {
        Ticks(time - self.lag)
    }

    /// Whether a request for `key` is admitted. Some are refused after all, by another limit.
    fn admit(&mut self, key: usize, time: u64, refused_after_all: bool) -> bool {
        let (now, refill, id) = (self.now(time), self.refill, name(key));
        let held = &mut self.leases[key];
        if held.left > 0 {
            if !refused_after_all {
                held.left -= 1;
                held.spent += 1;
            }
            return !refused_after_all;
        }
        if now < held.rests_until {
            return false;
        }
        let last = (held.drawn > 0).then(|| Last { units: held.drawn, lasted: now.since(held.drawn_at) });
        let most = lease(&refill, self.cores, last);
        let ask = Ask { least: 1, most, spent: held.spent, at_once: 1 };
        self.asked += 1;
        match self.clerk.draw(id, &refill, ask, now) {
            Drawn::Granted(units) => {
                *held = Lease { left: units - 1, drawn: units, drawn_at: now, ..Lease::default() };
                if refused_after_all {
                    self.clerk.undo(id, &refill, 1, now, now);
                }
                !refused_after_all
            }
            Drawn::Refused { wait } => {
                held.spent = 0;
                held.rests_until = now + rest(&refill, self.cores, wait);
                false
            }
            Drawn::NoRoom => panic!("no room for key {key}"),
        }
    }

    fn tick(&mut self, time: u64) {
        self.next_tick = time + TICK;
        let now = self.now(time);
        for (key, held) in self.leases.iter_mut().enumerate() {
            if held.left + held.spent > 0 {
                self.asked += 1;
                self.clerk.settle(name(key), &self.refill, held.spent, held.left, now);
            }
            // What was used tells how large the next should be.
            *held = Lease { drawn: held.drawn - held.left, left: 0, spent: 0, ..*held };
        }
    }
}

fn name(key: usize) -> BucketKey {
    BucketKey((key as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

/// A unit that was spent: when, by the clock of its core and by the true one, and under which rate.
#[derive(Clone, Copy)]
struct Spent {
    stamp: u64,
    time: u64,
    changed: bool,
}

struct World {
    cores: Vec<Core>,
    time: u64,
    prng: Prng,
    /// Per key.
    log: Vec<Vec<Spent>>,
    offered: Vec<u64>,
    /// Which cores run by a new rate.
    changed: Vec<bool>,
    refused_after_all: u16,
}

impl World {
    fn new(seed: u64, cores: usize, keys: usize, rate: Rate, lag_max: u64) -> Self {
        let prng = Prng::new(seed);
        let book = Book::new(keys * 4, cores);
        let core = |index| Core {
            clerk: book.clerk(index),
            leases: vec![Lease::default(); keys],
            refill: rate.refill(),
            cores: NonZeroUsize::new(cores).unwrap(),
            lag: if lag_max == 0 { 0 } else { prng.below(lag_max) },
            next_tick: SECOND + prng.below(TICK),
            stalled: 0,
            asked: 0,
        };
        let cores: Vec<_> = (0..cores).map(core).collect();
        let changed = vec![false; cores.len()];
        Self {
            cores,
            time: SECOND,
            prng,
            log: vec![Vec::new(); keys],
            offered: vec![0; keys],
            changed,
            refused_after_all: 0,
        }
    }

    /// Requests that come every `gap` on the whole, half of them for the first key and each further one half as
    /// often as the one before, to cores as chance has it.
    fn run(&mut self, until: u64, gap: u64, mut event: impl FnMut(&mut Self)) {
        while self.time < until {
            self.time += 1 + self.prng.below(2 * gap);
            for core in &mut self.cores {
                if core.next_tick <= self.time && core.stalled <= self.time {
                    core.tick(self.time);
                }
            }
            event(self);
            let keys = self.log.len();
            let key = (self.prng.word().trailing_zeros() as usize).min(keys - 1);
            let index = self.prng.below(self.cores.len() as u64) as usize;
            self.offered[key] += 1;
            let refused_after_all = self.prng.chance(self.refused_after_all);
            let core = &mut self.cores[index];
            if core.stalled <= self.time && core.admit(key, self.time, refused_after_all) {
                let stamp = core.now(self.time).0;
                self.log[key].push(Spent { stamp, time: self.time, changed: self.changed[index] });
            }
        }
    }
}

/// Fails if in any window more was admitted than `burst + rate × window`.
#[track_caller]
fn assert_never_over(what: &str, mut stamps: Vec<u64>, rate: Rate) {
    stamps.sort_unstable();
    let height = |(index, &at): (usize, &u64)| {
        index as i128 * i128::from(SECOND) - i128::from(at) * i128::from(rate.count)
    };
    // From the lowest point before, the admissions may lead the rate by a burst.
    let mut lowest = i128::MAX;
    for point in stamps.iter().enumerate() {
        lowest = lowest.min(height(point));
        let lead = height(point) - lowest + i128::from(SECOND);
        assert!(
            lead <= i128::from(rate.burst) * i128::from(SECOND),
            "{what}: {lead} leads by more than {rate:?} at {}",
            point.1
        );
    }
}

fn stamps(log: &[Spent], which: impl Fn(&Spent) -> bool) -> Vec<u64> {
    log.iter().filter(|spent| which(spent)).map(|spent| spent.stamp).collect()
}

fn any_rate(prng: &Prng) -> Rate {
    let count = [1, 7, 60, 1000, 50_000][prng.below(5) as usize];
    let burst = [1, 2, 5, count / 10, count, count * 5][prng.below(6) as usize].max(1);
    Rate { count, burst }
}

/// How long a run takes that has some 20,000 requests at `load` hundredths of the first key's rate, and their gap.
fn span(rate: Rate, load: u64) -> (u64, u64) {
    let gap = (SECOND * 100 / (2 * rate.count * load)).max(1);
    (gap * 20_000, gap)
}

#[test]
fn no_window_admits_more_than_it_may() {
    seeds::each("no_window_admits_more_than_it_may", 120, |seed| {
        let prng = Prng::new(seed ^ 0xACC0);
        let rate = any_rate(&prng);
        let cores = 2 + prng.below([3, 15, 63][prng.below(3) as usize]) as usize;
        let lag_max = [0, MILLI, TICK][prng.below(3) as usize];
        let load = [50, 100, 300, 1000][prng.below(4) as usize];
        let mut world = World::new(seed, cores, 1 + prng.below(12) as usize, rate, lag_max);
        world.refused_after_all = 30;
        let (length, gap) = span(rate, load);
        let (rests, troubles) = (prng.chance(600), prng.chance(500));
        world.run(SECOND + length, gap, |world| {
            if rests && world.prng.chance(2) {
                // Nobody asks for a while, and buckets fill. Some cores are late with their tick then, and go on
                // spending what they drew before.
                world.time += world.prng.below(2 * rate.burst * SECOND / rate.count);
                for core in &mut world.cores {
                    if world.prng.chance(700) {
                        core.next_tick = world.time + world.prng.below(gap * 2000);
                    }
                }
            }
            if troubles && world.prng.chance(1) {
                let core = world.prng.below(cores as u64) as usize;
                let lost = world.prng.chance(100);
                world.cores[core].stalled =
                    if lost { u64::MAX } else { world.time + world.prng.below(length / 5) };
            }
        });
        for (key, log) in world.log.iter().enumerate() {
            assert_never_over(&format!("key {key}, own clocks"), stamps(log, |_| true), rate);
            // By the true clock, what the clocks lag comes on top.
            let ahead = (rate.count * lag_max).div_ceil(SECOND);
            let wide = Rate { burst: rate.burst + ahead, ..rate };
            assert_never_over("true clock", log.iter().map(|spent| spent.time).collect(), wide);
        }
    });
}

#[test]
fn a_rate_that_changes_holds_on_both_sides() {
    seeds::each("a_rate_that_changes_holds_on_both_sides", 60, |seed| {
        let prng = Prng::new(seed ^ 0xC4A9);
        let (before, after) = (any_rate(&prng), any_rate(&prng));
        let cores = 2 + prng.below(63) as usize;
        let mut world = World::new(seed, cores, 3, before, 0);
        let (length, gap) = span(before, 300);
        let change = SECOND + length / 2;
        let mut last_change = change;
        let mut begin = |world: &mut World| {
            // Each core takes up the new rate at a moment of its own, within a tick, and settles by the old.
            for index in 0..cores {
                let moment = change + index as u64 * TICK / cores as u64;
                if !world.changed[index] && world.time >= moment {
                    let time = world.time;
                    world.cores[index].tick(time);
                    world.cores[index].refill = after.refill();
                    world.changed[index] = true;
                    last_change = time;
                }
            }
        };
        world.run(change, gap, |_| {});
        world.run(change + TICK, gap.min(TICK / 1000), &mut begin);
        let (length, gap) = span(after, 300);
        let end = world.time + length;
        world.run(end, gap, &mut begin);
        let both = Rate { count: before.count.max(after.count), burst: before.burst + after.burst };
        for log in &world.log {
            assert_never_over("before", stamps(log, |spent| spent.time < change), before);
            assert_never_over("after", stamps(log, |spent| spent.changed && spent.time > last_change), after);
            assert_never_over("across", stamps(log, |_| true), both);
        }
    });
}

#[test]
fn a_window_of_the_calendar_gives_its_count_once() {
    seeds::each("a_window_of_the_calendar_gives_its_count_once", 40, |seed| {
        let prng = Prng::new(seed ^ 0xDA7E);
        let (cores, count) = (2 + prng.below(63) as usize, 1 + prng.below(5000));
        let mut world = World::new(seed, cores, 1, Rate { count: 1, burst: 1 }, 0);
        let mut given = Vec::new();
        for index in 0..5 {
            let end = world.time + 2 * SECOND;
            let left = Duration::from_secs(2);
            for core in &mut world.cores {
                // What is left of the old window is void, and is dropped.
                core.leases.fill(Lease::default());
                core.refill = Refill::Window { count: NonZeroU64::new(count).unwrap(), index, left };
            }
            let before = world.log[0].len();
            world.run(end, 2 * SECOND / (3 * count), |_| {});
            given.push((world.log[0].len() - before) as u64);
        }
        assert!(given.iter().all(|&given| given <= count), "{given:?} of {count}");
        assert!(given.iter().all(|&given| given + given / 50 >= count), "{given:?} of {count}");
    });
}

#[test]
fn under_load_nearly_all_is_used() {
    println!("| units/s | burst | cores | offered | admitted of what may be |");
    println!("|--------:|------:|------:|--------:|------------------------:|");
    for (count, burst) in [(1, 5), (10, 10), (100, 100), (5000, 500), (50_000, 500), (50_000, 50_000)] {
        for cores in [2, 8, 64] {
            let rate = Rate { count, burst };
            let mut world = World::new(count ^ cores as u64, cores, 1, rate, 0);
            let gap = SECOND / (3 * count);
            let length = gap * 120_000 + 60 * SECOND / count;
            world.run(SECOND + length, gap, |_| {});
            let admitted = world.log[0].len() as f64;
            assert_never_over("under load", stamps(&world.log[0], |_| true), rate);
            let share = 100.0 * admitted / rate.most(world.time - SECOND);
            println!("| {count:7} | {burst:5} | {cores:5} | {:7} | {share:21.2} % |", world.offered[0]);
            let possible = rate.most(world.time - SECOND).min(world.offered[0] as f64);
            assert!(admitted >= 0.97 * possible, "{rate:?} on {cores} cores: {admitted} of {possible}");
        }
    }
}

#[test]
fn cores_ask_seldom_whatever_their_number() {
    // Calls a second of each core, all of one key. Where the limit is reached, a core is refused once in each rest of a
    // tenth of a millisecond, and granted once after it.
    const CALLS: u64 = 40_000;
    println!("| cores | limit, of what is offered | asks/s a core | asks/s in all | calls that ask |");
    println!("|------:|--------------------------:|--------------:|--------------:|---------------:|");
    for (offered, of, most_asks) in [(4, 1, 1_100), (1, 3, 20_100)] {
        for cores in [2, 8, 64] {
            let all = CALLS * cores;
            let count = all * offered / of;
            let mut world = World::new(cores, cores as usize, 1, Rate { count, burst: count / 4 }, 0);
            let gap = SECOND / all;
            // The first leases are small, and the bucket is full at first.
            let settled = SECOND + SECOND * 3 / 10;
            world.run(settled, gap, |_| {});
            let asked = |world: &World| world.cores.iter().map(|core| core.asked).sum::<u64>();
            let (asks, calls, time) = (asked(&world), world.offered[0], world.time);
            world.run(settled + SECOND / 5, gap, |_| {});
            let seconds = (world.time - time) as f64 / SECOND as f64;
            let asks = (asked(&world) - asks) as f64 / seconds;
            let part = 100.0 * asks * seconds / (world.offered[0] - calls) as f64;
            let each = asks / cores as f64;
            println!("| {cores:5} | {offered:23}/{of} | {each:13.0} | {asks:13.0} | {part:12.1} % |");
            assert!(each <= f64::from(most_asks), "{cores} cores ask {each:.0} times a second each");
        }
    }
}
