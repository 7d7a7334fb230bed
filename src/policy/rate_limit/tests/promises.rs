//! Never more than the burst and what the rate gives; all of it or nothing; refunds to the unit.

use proptest::prelude::*;

use super::*;

/// One step of a life: time passes, a core ticks, a core gets calls of which some fail.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Tick(usize),
    Calls { core: usize, count: u8, bad: bool },
}

fn step(cores: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..2_000).prop_map(Step::Pass),
        (0..cores).prop_map(Step::Tick),
        (0..cores, 1_u8..12, any::<bool>()).prop_map(|(core, count, bad)| Step::Calls { core, count, bad }),
    ]
}

/// Cores that share a ledger, each with leases of its own.
struct Cores {
    gate: Gate,
    others: Vec<Leases>,
}

impl Cores {
    fn new(limits: Vec<Limit>, cores: usize) -> Self {
        let gate = Gate::new(limits);
        let leases = || {
            let count = NonZeroUsize::new(cores).unwrap();
            Leases::new(Secret::new([7; 16]), count, NonZeroUsize::new(64).unwrap())
        };
        Self { gate, others: (0..cores).map(|_| leases()).collect() }
    }

    fn on<T>(&mut self, core: usize, act: impl FnOnce(&mut Gate) -> T) -> T {
        std::mem::swap(&mut self.gate.leases, &mut self.others[core]);
        let result = act(&mut self.gate);
        std::mem::swap(&mut self.gate.leases, &mut self.others[core]);
        result
    }
}

/// A log of all that passed: the naive twin. Whether any stretch of it holds more than it may.
fn is_over(log: &[Ticks], count: u64, per: Duration, burst: u64) -> bool {
    log.iter().enumerate().any(|(first, from)| {
        log[first..].iter().zip(1_u128..).any(|(to, passed)| {
            let given = to.since(*from).as_nanos() * u128::from(count);
            passed.saturating_sub(u128::from(burst)) * per.as_nanos() > given
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_stretch_of_time_has_more_than_the_burst_and_the_rate(
        (cores, steps) in (1_usize..4).prop_flat_map(|cores| (Just(cores), prop::collection::vec(step(cores), 1..120))),
        count in 1_u64..200,
        burst in 1_u64..200,
    ) {
        let mut all = Cores::new(vec![calls("x", count, 1, burst)], cores);
        let mut log = Vec::new();
        for step in steps {
            match step {
                Step::Pass(time) => all.gate.pass(millis(time)),
                Step::Tick(core) => all.on(core, Gate::tick),
                Step::Calls { core, count, .. } => {
                    let passed = all.on(core, |gate| gate.passed("t", count.into()));
                    log.extend((0..passed).map(|_| all.gate.now.ticks));
                }
            }
        }
        prop_assert!(!is_over(&log, count, second(1), burst));
    }

    #[test]
    fn successes_alone_keep_the_bound_where_failures_are_free(
        steps in prop::collection::vec(step(1), 1..120),
        count in 1_u64..50,
        burst in 1_u64..50,
    ) {
        let limit = Limit { charge: Charge::OnSuccess, ..calls("x", count, 1, burst) };
        let mut gate = Gate::new(vec![limit]);
        let mut log = Vec::new();
        for step in steps {
            match step {
                Step::Pass(time) => gate.pass(millis(time)),
                Step::Tick(_) => gate.tick(),
                Step::Calls { count, bad, .. } => for _ in 0..count {
                    let (verdict, ticket) = gate.call("t");
                    gate.end(ticket, if bad { BAD } else { GOOD });
                    if matches!(verdict, Verdict::Allow { .. }) && !bad {
                        log.push(gate.now.ticks);
                    }
                },
            }
        }
        prop_assert!(!is_over(&log, count, second(1), burst));
    }

    #[test]
    fn a_refusal_takes_nothing_of_the_other_limits(
        counts in prop::collection::vec(1_u64..20, 2..10),
        tries in 1_u32..60,
        tick in any::<bool>(),
    ) {
        let limits = counts.iter().enumerate().map(|(at, count)| quota(&format!("x{at}"), Unit::Calls, *count, Period::Day, 0));
        let mut gate = Gate::new(limits.collect());
        let least = u32::try_from(*counts.iter().min().unwrap()).unwrap();
        prop_assert_eq!(gate.passed("t", tries), tries.min(least));
        if tick {
            gate.pass(second(1));
            gate.tick();
        }
        let passed = i64::from(tries.min(least));
        let lines = gate.facts("tools/call", Target::Tool("t"), |facts| {
            gate.limits.explain(gate.leases.secret(), &gate.ledger, facts, gate.now.wall, gate.now)
        });
        prop_assert_eq!(lines.len(), counts.len());
        for (line, count) in lines.iter().zip(&counts) {
            // What a core holds is outstanding, and nobody has spent it.
            let held = gate.leases.available(&gate.ledger, line.bucket, &Fill::Calendar {
                count: number(*count), period: Period::Day, begins: 0,
            }, gate.now.ticks);
            prop_assert_eq!(held, i64::try_from(*count).unwrap() - passed, "{}", line.limit);
        }
    }
}

#[test]
fn most_of_what_may_pass_does() {
    for (count, burst) in [(1_u64, 1_u64), (10, 10), (100, 20), (1_000, 1_000), (50_000, 50_000)] {
        let mut all = Cores::new(vec![calls("x", count, 1, burst)], 2);
        let (mut passed, mut log) = (0_u64, Vec::new());
        let seconds = if count > 5_000 { 2 } else { 20 };
        let steps = seconds * 100;
        for at in 0..steps {
            // Three times as many as may, in steps of 10 ms.
            let due = |at: u64| (at * 3 * count) / 100;
            for number in due(at)..due(at + 1) {
                let core = usize::try_from(number % 2).unwrap();
                if all.on(core, |gate| gate.passes("t")) {
                    passed += 1;
                    if count <= 100 {
                        log.push(all.gate.now.ticks);
                    }
                }
            }
            all.gate.pass(millis(10));
            (0..2).for_each(|core| all.on(core, Gate::tick));
        }
        // The last of them comes 10 ms before the end.
        let most = burst + count * (steps - 1) / 100;
        assert!(passed <= most && passed * 100 >= most * 97, "{count}/s: {passed} of {most}");
        assert!(!is_over(&log, count, second(1), burst));
    }
}

#[test]
fn a_request_that_is_not_sent_takes_nothing() {
    let mut gate = Gate::new(vec![quota("x", Unit::Calls, 2, Period::Day, 0)]);
    for _ in 0..10 {
        let (verdict, mut ticket) = gate.call("t");
        assert!(matches!(verdict, Verdict::Allow { .. }));
        gate.limits.refund(&mut gate.leases, &gate.ledger, &mut ticket, gate.now);
        gate.tick();
    }
    assert_eq!(gate.passed("t", 5), 2);
}

#[test]
fn more_limits_than_a_ticket_has_room_for_are_all_settled() {
    let window = Window::new(Fill::Held { count: number(1) });
    let limits = (0..20).map(|at| limit(&format!("x{at}"), Unit::InFlight, vec![window]));
    let mut gate = Gate::new(limits.collect());
    for _ in 0..3 {
        let (verdict, ticket) = gate.call("t");
        assert!(matches!(verdict, Verdict::Allow { .. }));
        assert!(matches!(gate.call("t").0, Verdict::Deny(_)));
        gate.end(ticket, GOOD);
    }
}

#[test]
fn limits_are_shared_by_workers_and_told_apart() {
    fn shared<T: Send + Sync>() {}
    shared::<Limits>();
    let limits = |count| Limits::new(vec![calls("x", count, 1, 1)], Vec::new(), Vec::new());
    assert_eq!(limits(1), limits(1));
    assert_ne!(limits(1), limits(2));
}
