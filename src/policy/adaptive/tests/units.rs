//! Small facts: shares, verdicts of a window, baselines.

use std::time::Duration;

use crate::base::Ticks;
use crate::policy::adaptive::{Admit, Class, Config, Limiter, Outcome, Reason, Sample, Share, Shed, ToolKey};

pub fn config() -> Config {
    Config {
        min: 2,
        max: 40,
        start: 16,
        per_tool: false,
        queue: 0,
        queue_time: Duration::from_millis(100),
        percent: 150,
    }
}

#[test]
fn the_shares_of_all_cores_make_the_whole_and_none_is_empty() {
    for cores in 1..=65 {
        for whole in [1, 2, 7, 64, 200, 100_000] {
            let parts: Vec<u32> = (0..cores).map(|index| Share { index, cores }.of(whole)).collect();
            assert_eq!(
                parts.iter().sum::<u32>(),
                whole.max(u32::try_from(cores).unwrap()),
                "{whole} {cores}"
            );
            assert!(parts.iter().all(|part| *part >= 1));
        }
    }
    assert_eq!(Share { index: 0, cores: 0 }.of(5), 5);
}

/// A limiter and the time, which calls of the one tool pass.
struct Lone {
    limiter: Limiter,
    now: Ticks,
}

impl Lone {
    fn new(config: &Config) -> Self {
        Self { limiter: Limiter::new(config, Share::WHOLE), now: Ticks(1) }
    }

    /// So many calls at once, all of which take this long; as many more ask in vain, if `wanted`.
    fn round(&mut self, calls: usize, takes: Duration, outcome: Outcome, wanted: bool) {
        let permits: Vec<_> = (0..calls)
            .map_while(|_| match self.limiter.try_admit(Class::Critical, ToolKey(9), self.now) {
                Admit::Go(permit) => Some(permit),
                Admit::Shed(_) | Admit::Wait { .. } => None,
            })
            .collect();
        if wanted {
            for _ in 0..calls {
                let more = self.limiter.try_admit(Class::Critical, ToolKey(9), self.now);
                assert!(matches!(more, Admit::Shed(_)), "{more:?}");
            }
        }
        self.now = self.now + takes;
        for permit in permits {
            self.limiter.observe(&permit, Sample { latency: takes, outcome }, self.now);
            self.limiter.release(permit);
        }
    }

    fn limit(&self) -> u64 {
        self.limiter.numbers().limit
    }

    /// A limiter that knows its tool: it takes 100 ms.
    fn experienced(config: &Config) -> Self {
        let mut lone = Self::new(config);
        for _ in 0..40 {
            lone.round(1, TAKES, Outcome::Answered, false);
        }
        lone
    }
}

const TAKES: Duration = Duration::from_millis(100);

#[test]
fn calls_that_take_longer_shrink_the_limit_and_few_samples_do_not() {
    let mut lone = Lone::experienced(&config());
    let before = lone.limit();
    lone.round(7, TAKES * 3, Outcome::Answered, false);
    assert_eq!(lone.limit(), before, "seven calls are too few");
    lone.round(7, TAKES * 3, Outcome::Answered, false);
    assert!(lone.limit() < before, "{}", lone.limit());
    for _ in 0..50 {
        lone.round(7, TAKES * 30, Outcome::Failed, false);
    }
    assert_eq!(lone.limit(), 2, "not below its min");
}

#[test]
fn the_limit_grows_only_where_it_is_in_the_way_and_not_above_its_max() {
    let mut lone = Lone::experienced(&config());
    let before = lone.limit();
    for _ in 0..30 {
        lone.round(4, TAKES, Outcome::Answered, false);
    }
    assert_eq!(lone.limit(), before, "nobody asked for more");
    for _ in 0..60 {
        let all = usize::try_from(lone.limit()).unwrap();
        lone.round(all, TAKES, Outcome::Answered, true);
    }
    assert_eq!(lone.limit(), 40);
}

#[test]
fn failures_shrink_the_limit_however_fast_they_come_and_refusals_of_the_server_do_not() {
    let fast = Duration::from_millis(1);
    let mut lone = Lone::experienced(&config());
    for _ in 0..600 {
        lone.round(4, fast, Outcome::Failed, false);
    }
    assert_eq!(lone.limit(), 2);
    let mut lone = Lone::experienced(&config());
    let before = lone.limit();
    for _ in 0..300 {
        lone.round(4, fast, Outcome::Answered, false);
    }
    assert_eq!(lone.limit(), before);
}

#[test]
fn one_failure_in_ten_is_the_life_of_a_tool() {
    let mut lone = Lone::experienced(&config());
    let before = lone.limit();
    for _ in 0..50 {
        lone.round(9, TAKES, Outcome::Answered, false);
        lone.round(1, TAKES, Outcome::Failed, false);
    }
    assert_eq!(lone.limit(), before);
}

#[test]
fn idle_time_changes_nothing() {
    let mut lone = Lone::experienced(&config());
    for _ in 0..20 {
        let all = usize::try_from(lone.limit()).unwrap();
        lone.round(all, TAKES, Outcome::Answered, true);
    }
    let before = lone.limit();
    assert!(before > 16, "{before}");
    lone.now = lone.now + Duration::from_secs(7_200);
    lone.round(3, TAKES, Outcome::Answered, false);
    assert_eq!(lone.limit(), before);
    // Half a window from before the pause is not judged together with half a window after it.
    lone.round(4, TAKES * 4, Outcome::Answered, false);
    lone.now = lone.now + Duration::from_secs(7_200);
    lone.round(7, TAKES * 4, Outcome::Answered, false);
    assert_eq!(lone.limit(), before);
    lone.round(7, TAKES * 4, Outcome::Answered, false);
    assert!(lone.limit() < before);
}

#[test]
fn a_server_that_says_nothing_shrinks_the_limit_before_any_time_bound() {
    let mut lone = Lone::experienced(&config());
    let limit = lone.limit();
    let mut held = vec![];
    while let Admit::Go(permit) = lone.limiter.try_admit(Class::Critical, ToolKey(9), lone.now) {
        held.push(permit);
    }
    assert_eq!(held.len() as u64, limit);
    lone.now = lone.now + TAKES * 5;
    assert!(matches!(lone.limiter.try_admit(Class::Low, ToolKey(9), lone.now), Admit::Shed(_)));
    assert_eq!(lone.limit(), limit, "it may just be slow");
    lone.now = lone.now + TAKES * 2;
    assert!(matches!(lone.limiter.try_admit(Class::Low, ToolKey(9), lone.now), Admit::Shed(_)));
    assert_eq!(lone.limit(), limit / 2);
    held.into_iter().for_each(|permit| lone.limiter.release(permit));
}

#[test]
fn less_important_calls_find_fewer_places() {
    let config = Config { min: 10, max: 10, ..config() };
    let mut limiter = Limiter::new(&config, Share::WHOLE);
    let mut held = vec![];
    let mut fill = |limiter: &mut Limiter, class| loop {
        match limiter.try_admit(class, ToolKey(1), Ticks(5)) {
            Admit::Go(permit) => held.push(permit),
            Admit::Shed(shed) => {
                assert_eq!(shed, Shed { reason: Reason::Busy, class });
                return held.len();
            }
            Admit::Wait { .. } => panic!("there is no queue"),
        }
    };
    assert_eq!(fill(&mut limiter, Class::Low), 7);
    assert_eq!(fill(&mut limiter, Class::Normal), 9);
    assert_eq!(fill(&mut limiter, Class::Critical), 10);
    assert_eq!(limiter.numbers().shed_of(Class::Normal, Reason::Busy), 1);
    let low = Shed { reason: Reason::Busy, class: Class::Low }.retry_after();
    assert!(low > Shed { reason: Reason::Busy, class: Class::Critical }.retry_after());
}

#[test]
fn a_flood_of_names_takes_no_more_memory_and_moves_no_tool_that_is_called() {
    let mut lone = Lone::experienced(&config());
    for name in 0..10_000 {
        let now = lone.now;
        let Admit::Go(permit) = lone.limiter.try_admit(Class::Normal, ToolKey(1_000 + name), now) else {
            panic!("nothing is under way");
        };
        let sample = Sample { latency: Duration::from_micros(200), outcome: Outcome::Answered };
        lone.limiter.observe(&permit, sample, now);
        lone.limiter.release(permit);
        lone.now = now + Duration::from_micros(200);
    }
    // The tool is still known: calls of three times their time are seen as such.
    let before = lone.limit();
    lone.round(14, TAKES * 3, Outcome::Answered, false);
    lone.round(14, TAKES * 3, Outcome::Answered, false);
    assert!(lone.limit() < before);
}

#[test]
fn a_tool_with_a_limit_of_its_own_leaves_places_for_the_others() {
    let config = Config { per_tool: true, min: 2, max: 20, queue: 8, ..config() };
    let mut limiter = Limiter::new(&config, Share::WHOLE);
    let mut now = Ticks(10);
    let go = |limiter: &mut Limiter, tool| match limiter.try_admit(Class::Critical, ToolKey(tool), Ticks(9)) {
        Admit::Go(permit) => permit,
        Admit::Wait { .. } | Admit::Shed(_) => panic!("there is a place"),
    };
    // Two tools, called as often; after a while one of them takes 20 times as long.
    let (slow, quick) = (go(&mut limiter, 1), go(&mut limiter, 2));
    for (count, takes) in [(60, 100), (300, 2_000)] {
        for _ in 0..count {
            now = now + Duration::from_millis(100);
            let sample =
                |millis| Sample { latency: Duration::from_millis(millis), outcome: Outcome::Answered };
            limiter.observe(&slow, sample(takes), now);
            limiter.observe(&quick, sample(100), now);
        }
    }
    assert_eq!(limiter.numbers().limit, 16, "the server is well");
    let Admit::Go(second) = limiter.try_admit(Class::Critical, ToolKey(1), now) else { panic!("2 may go") };
    assert!(matches!(limiter.try_admit(Class::Critical, ToolKey(1), now), Admit::Wait { .. }));
    assert!(limiter.next(now).is_none());
    // Another tool is not held up by who waits for this one.
    let Admit::Wait { waiter, .. } = limiter.try_admit(Class::Low, ToolKey(2), now) else {
        panic!("the queue says who goes first")
    };
    let (goes, third) = limiter.next(now).unwrap();
    assert_eq!(goes, waiter);
    [slow, quick, second, third].into_iter().for_each(|permit| limiter.release(permit));
    let (_, last) = limiter.next(now).unwrap();
    limiter.release(last);
    assert_eq!((limiter.numbers().in_flight, limiter.numbers().queued), (0, 0));
}

#[test]
fn what_is_no_call_passes_beside_the_calls_up_to_the_most_that_is_configured() {
    let config = Config { min: 2, start: 4, max: 40, ..config() };
    let mut limiter = Limiter::new(&config, Share::WHOLE);
    // Of each class its part, so that no number of lists takes the places of those that are more important.
    let mut permits: Vec<_> = (0..28).map(|_| limiter.try_beside(Class::Low).unwrap()).collect();
    assert!(limiter.try_beside(Class::Low).is_none());
    permits.extend((0..8).map(|_| limiter.try_beside(Class::Normal).unwrap()));
    assert!(limiter.try_beside(Class::Normal).is_none());
    let call = |limiter: &mut Limiter| match limiter.try_admit(Class::Critical, ToolKey(9), Ticks(1)) {
        Admit::Go(permit) => Some(permit),
        Admit::Wait { .. } | Admit::Shed(_) => None,
    };
    // Forty sessions that begin at once take none of the places where calls start.
    let calls: Vec<_> = (0..5).filter_map(|_| call(&mut limiter)).collect();
    assert_eq!(calls.len(), 4);
    assert!(limiter.try_beside(Class::Critical).is_none(), "40 in all");
    let numbers = limiter.numbers();
    assert_eq!((numbers.in_flight, numbers.limit), (4, 4));
    // However slow, it moves nothing.
    for permit in permits {
        let sample = Sample { latency: Duration::from_secs(9), outcome: Outcome::Failed };
        limiter.observe(&permit, sample, Ticks(1));
        limiter.release(permit);
    }
    assert_eq!(limiter.numbers().limit, 4);
    calls.into_iter().for_each(|permit| limiter.release(permit));
    assert_eq!(limiter.numbers().in_flight, 0);
}

#[test]
fn a_pause_is_no_silence() {
    let mut lone = Lone::new(&Config { start: 16, ..config() });
    for _ in 0..10 {
        lone.round(4, Duration::from_millis(20), Outcome::Answered, false);
    }
    let before = lone.limiter.numbers().limit;
    lone.now = lone.now + Duration::from_secs(3_600);
    // Nobody called for an hour; then more come at once than there are places.
    lone.round(usize::try_from(before).unwrap(), Duration::from_millis(20), Outcome::Answered, true);
    assert!(lone.limiter.numbers().limit >= before, "{} of {before}", lone.limiter.numbers().limit);
}
