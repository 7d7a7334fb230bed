//! The ledger on all cores and with many keys: `cargo bench -p bench --bench ledger`.
//!
//! Costs are CPU time of the thread that pays them, by the scheduler's own account, so that waiting for a core is no
//! part of them. Ratios are of runs that follow each other; of several rounds the median counts. `--rounds N` (9).

#![allow(missing_docs, clippy::expect_used)]

mod charging;

use std::cell::Cell;
use std::hint::black_box;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use charging::{charge_and_settle, limit};
use ringgate::base::Ticks;
use ringgate::policy::Principal;
use ringgate::policy::rate_limit::{
    Ask, BucketKey, Drawn, KeyPart, Leases, Ledger, Level, Limits, Now, Refill, Secret, Unit, Window,
};
use ringgate::shared::ledger::{Book, Clerk};

fn main() {
    let mut words = std::env::args().skip_while(|word| word != "--rounds").skip(1);
    let rounds: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(9);
    // Root only: above other sessions on a busy machine.
    let _ = std::fs::write("/proc/self/autogroup", "-20");
    // First, while the heap is new.
    keys(rounds);
    contention(rounds);
}

/// Units a second and burst: more than any core can spend.
const PLENTY: NonZeroU64 = NonZeroU64::new(400_000_000).expect("not 0");
/// As in the gateway: what one worker knows at a time.
const LEASES_MAX: NonZeroUsize = NonZeroUsize::new(65_536).expect("not 0");
const WALL: u64 = 1_767_614_400;
/// Charges between two readings of the clock, as in a busy worker's turn.
const TURN: u32 = 16;

/// Counts what goes to the book.
struct Counted {
    clerk: Clerk,
    asked: Cell<u64>,
}

impl Counted {
    fn of(book: &Arc<Book>, core: usize) -> Self {
        Self { clerk: book.clerk(core), asked: Cell::new(0) }
    }

    fn note(&self) -> &Clerk {
        self.asked.set(self.asked.get() + 1);
        &self.clerk
    }
}

impl Ledger for Counted {
    fn draw(&self, key: BucketKey, refill: &Refill, ask: Ask, now: Ticks) -> Drawn {
        self.note().draw(key, refill, ask, now)
    }

    fn settle(&self, key: BucketKey, refill: &Refill, spent: u64, unspent: u64, now: Ticks) {
        self.note().settle(key, refill, spent, unspent, now);
    }

    fn charge(&self, key: BucketKey, refill: &Refill, units: u64, now: Ticks) -> bool {
        self.note().charge(key, refill, units, now)
    }

    fn undo(&self, key: BucketKey, refill: &Refill, units: u64, drawn: Ticks, now: Ticks) {
        self.note().undo(key, refill, units, drawn, now);
    }

    fn level(&self, key: BucketKey, refill: &Refill, now: Ticks) -> Level {
        self.note().level(key, refill, now)
    }
}

/// What a thread paid: nanoseconds of CPU a piece, and pieces and asks of the book a second.
#[derive(Clone, Copy, Default)]
struct Cost {
    ns: f64,
    asks_per_s: f64,
}

/// One hot key on all cores, against a key for each.
fn contention(rounds: usize) {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    println!("| {cores} threads, ns of CPU each        | own keys | one key | ratio | draws/s a thread |");
    println!("|-------------------------------|---------:|--------:|------:|-----------------:|");
    type Work = fn(&Arc<Book>, usize, usize, u32, &Barrier) -> Cost;
    let works: [(&str, Work); 2] = [("a charge, with leases", charges), ("a draw of one unit, none", draws)];
    for (name, work) in works {
        let mut own = Vec::new();
        let mut one = Vec::new();
        for _ in 0..rounds {
            own.push(on_all(cores, |core| core as u32, work));
            one.push(on_all(cores, |_| 0, work));
        }
        let ratio = median(own.iter().zip(&one).map(|(own, one)| one.ns / own.ns));
        let ns = |costs: &[Cost]| median(costs.iter().map(|cost| cost.ns));
        let asks = median(one.iter().map(|cost| cost.asks_per_s));
        println!("| {name:29} | {:8.1} | {:7.1} | {ratio:5.2} | {asks:16.0} |", ns(&own), ns(&one));
    }
}

fn on_all(
    cores: usize,
    key: impl Fn(usize) -> u32,
    work: fn(&Arc<Book>, usize, usize, u32, &Barrier) -> Cost,
) -> Cost {
    let book = Book::new(100_000, cores);
    let start = Barrier::new(cores);
    let costs: Vec<Cost> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|core| {
                let (book, start, key) = (&book, &start, key(core));
                scope.spawn(move || work(book, cores, core, key, start))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    let mean = |of: fn(&Cost) -> f64| costs.iter().map(of).sum::<f64>() / costs.len() as f64;
    Cost { ns: mean(|cost| cost.ns), asks_per_s: mean(|cost| cost.asks_per_s) }
}

/// Charges of one limit, whose bucket is that of the address `key`, as a worker makes them.
fn charges(book: &Arc<Book>, cores: usize, core: usize, key: u32, start: &Barrier) -> Cost {
    let mut till =
        Till::new(Counted::of(book, core), cores, Window::steady(PLENTY, Duration::from_secs(1), PLENTY));
    let run = |till: &mut Till<Counted>, time: Duration| till.run(time, || key);
    // The first leases are small.
    run(&mut till, Duration::from_millis(20));
    start.wait();
    let before = till.ledger.asked.get();
    let (ns, seconds) = run(&mut till, ROUND);
    Cost { ns, asks_per_s: (till.ledger.asked.get() - before) as f64 / seconds }
}

/// Draws of single units from the book itself.
fn draws(book: &Arc<Book>, _: usize, core: usize, key: u32, start: &Barrier) -> Cost {
    let clerk = book.clerk(core);
    let key = BucketKey((u128::from(key) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
    let refill = Refill::Steady { count: PLENTY, per: Duration::from_secs(1), burst: PLENTY };
    let ask = Ask { least: 1, most: 1, spent: 0, at_once: 1 };
    start.wait();
    let (ns, per_s) = timed(ROUND, |now| {
        black_box(clerk.draw(key, &refill, ask, now));
    });
    Cost { ns, asks_per_s: per_s }
}

/// A worker's share of one limit that has a bucket for each address.
struct Till<L> {
    limits: Limits,
    leases: Leases,
    ledger: L,
    principal: Principal,
}

impl<L: Ledger> Till<L> {
    fn new(ledger: L, cores: usize, window: Window) -> Self {
        let key = vec![KeyPart::Source { v4_bits: 32, v6_bits: 64 }];
        let by_address = limit("a", Unit::Calls, key, window);
        let limits = Limits::new(vec![by_address], Vec::new(), vec!["one".into()]);
        let cores = NonZeroUsize::new(cores).expect("not none");
        let leases = Leases::new(Secret::new([7; 16]), cores, LEASES_MAX);
        Self { limits, leases, ledger, principal: Principal::anonymous([]) }
    }

    /// Charges each of the first `count` addresses once.
    fn charge_each(&mut self, count: u32) {
        let keys = self.limits.caller(self.leases.secret(), &self.principal);
        let now = Now { ticks: ticks_at(Instant::now()), wall: WALL };
        for address in 0..count {
            let (caller, source) = ((&self.principal, &keys), address.to_be_bytes().into());
            charge_and_settle(&self.limits, &mut self.leases, &self.ledger, caller, source, now);
        }
    }

    /// Charges for so long, the addresses that `next` says. Nanoseconds of CPU each, and how long it took in seconds.
    fn run(&mut self, time: Duration, mut next: impl FnMut() -> u32) -> (f64, f64) {
        let keys = self.limits.caller(self.leases.secret(), &self.principal);
        let begun = Instant::now();
        let mut next_tick = Duration::ZERO;
        let (ns, _) = timed(time, |ticks| {
            let now = Now { ticks, wall: WALL };
            let source = next().to_be_bytes().into();
            let caller = (&self.principal, &keys);
            black_box(charge_and_settle(&self.limits, &mut self.leases, &self.ledger, caller, source, now));
            if begun.elapsed_by(ticks) >= next_tick {
                next_tick += Duration::from_millis(100);
                self.leases.tick(&self.ledger, now);
            }
        });
        (ns, begun.elapsed().as_secs_f64())
    }
}

/// Whether a tick is due is asked of the reading that is there.
trait ElapsedBy {
    fn elapsed_by(&self, ticks: Ticks) -> Duration;
}

impl ElapsedBy for Instant {
    fn elapsed_by(&self, ticks: Ticks) -> Duration {
        ticks.since(ticks_at(*self))
    }
}

/// Bytes of a key, and what a charge costs when there are many.
fn keys(rounds: usize) {
    let lease = lease_bytes();
    println!("| live keys | used in turn | ns a charge, with leases | ns a draw | bytes a key, resident |");
    println!("|----------:|-------------:|-------------------------:|----------:|----------------------:|");
    for (count, used) in [(1_u32, 1), (1_000, 1_000), (1_000_000, 1_000), (1_000_000, 1_000_000)] {
        let (per, burst) = slow(count);
        let refill = Refill::Steady { count: NonZeroU64::MIN, per, burst };
        let before = resident();
        let book = Book::new(1_000_000, 1);
        let clerk = book.clerk(0);
        let ask = Ask { least: 1, most: 1, spent: 0, at_once: 1 };
        let now = ticks_at(Instant::now());
        let granted =
            (0..count).filter(|&key| clerk.draw(spread(key), &refill, ask, now) == Drawn::Granted(1));
        let granted = granted.count();
        let bytes = (resident() - before) as f64 / f64::from(count);
        // With as many keys as there is room for, about one in a million finds none.
        assert!(granted + 10 >= count as usize && book.live(now) == granted);
        let draw = median((0..rounds).map(|_| {
            let mut pick = picker(used);
            timed(ROUND, |now| {
                black_box(clerk.draw(spread(pick()), &refill, ask, now));
            })
            .0
        }));
        assert!(book.live(ticks_at(Instant::now())) + 10 >= count as usize, "none is full again meanwhile");
        let window = Window::steady(NonZeroU64::MIN, per, burst);
        let mut till = Till::new(Book::new(1_000_000, 1).clerk(0), 1, window);
        till.charge_each(count);
        let charge = median((0..rounds).map(|_| till.run(ROUND, picker(used)).0));
        let bytes = if count == 1_000_000 { format!("{bytes:.1}") } else { "-".to_string() };
        println!("| {count:9} | {used:12} | {charge:24.1} | {draw:9.1} | {bytes:>21} |");
    }
    println!("\na lease that one worker holds: {lease:.0} bytes, resident");
    println!("one line of 32 MB, anywhere, read and waited for: {:.1} ns\n", line_ns(rounds));
}

/// A time for a unit in which no key of so many is full again, and a burst that is not used up meanwhile.
fn slow(count: u32) -> (Duration, NonZeroU64) {
    let seconds = if count == 1 { 1 } else { 100 };
    (Duration::from_secs(seconds), NonZeroU64::new(200_000_000 / seconds).expect("not 0"))
}

fn spread(key: u32) -> BucketKey {
    // Both halves choose: one the group, the other the slot and the tag.
    let mixed = (u64::from(key) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let other = (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    BucketKey(u128::from(mixed ^ other >> 32) << 64 | u128::from(other ^ mixed >> 31))
}

/// Numbers below `count`, in no order.
fn picker(count: u32) -> impl FnMut() -> u32 {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((u128::from(state) * u128::from(count)) >> 64) as u32
    }
}

/// What the table of leases takes of memory, by the lease, when it is full.
fn lease_bytes() -> f64 {
    let before = resident();
    let (per, burst) = slow(1_000);
    let window = Window::steady(NonZeroU64::MIN, per, burst);
    let mut till = Till::new(Book::new(100_000, 1).clerk(0), 1, window);
    till.charge_each(LEASES_MAX.get() as u32);
    (resident() - before - till.ledger.book().bytes()) as f64 / LEASES_MAX.get() as f64
}

/// Of a table as large as that of a million keys, one line after another that nobody foresees.
fn line_ns(rounds: usize) -> f64 {
    let lines = vec![1_u64; 32_000_000 / 8];
    median((0..rounds).map(|_| {
        let mut pick = picker(lines.len() as u32);
        // All are 1, which the compiler does not know: each place depends on what was read before.
        let mut read = 1;
        let (ns, _) = timed(ROUND, |_| read = lines[(u64::from(pick()) ^ read ^ 1) as usize]);
        black_box(read);
        ns
    }))
}

/// How long one measurement lasts.
const ROUND: Duration = Duration::from_millis(150);

/// Does it again and again for so long, with a reading of the clock for each [`TURN`] of them: nanoseconds of CPU a
/// piece, and pieces a second.
fn timed(time: Duration, mut piece: impl FnMut(Ticks)) -> (f64, f64) {
    let (begun, cpu) = (Instant::now(), cpu_ns());
    let mut count = 0_u64;
    while begun.elapsed() < time {
        let now = ticks_at(Instant::now());
        (0..TURN).for_each(|_| piece(now));
        count += u64::from(TURN);
    }
    let cpu = cpu_ns().saturating_sub(cpu);
    (cpu as f64 / count as f64, count as f64 / begun.elapsed().as_secs_f64())
}

/// Nanoseconds since the first time this was asked, and a second: a bucket needs some time behind it.
fn ticks_at(moment: Instant) -> Ticks {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let first = *FIRST.get_or_init(|| moment);
    Ticks(1_000_000_000 + moment.saturating_duration_since(first).as_nanos() as u64)
}

/// What the calling thread used of the CPU.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says so");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number")
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux says so");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
