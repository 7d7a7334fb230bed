//! Any order of calls: permits never leak, the queue keeps its order, deadlines hold.

use std::time::Duration;

use proptest::prelude::*;

use crate::base::Ticks;
use crate::policy::adaptive::{
    Admit, Class, Config, Limiter, Outcome, Permit, Sample, Share, ToolKey, WaiterId,
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask { class: usize, tool: u64 },
    End { which: usize, millis: u64, fails: bool },
    GiveUp { which: usize },
    Leave { which: usize },
    Pass { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 0..5_u64).prop_map(|(class, tool)| Step::Ask { class, tool }),
        4 => (any::<usize>(), 0..3_000_u64, prop::bool::weighted(0.1))
            .prop_map(|(which, millis, fails)| Step::End { which, millis, fails }),
        1 => any::<usize>().prop_map(|which| Step::GiveUp { which }),
        1 => any::<usize>().prop_map(|which| Step::Leave { which }),
        2 => (0..400_u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

/// What a plain list knows of the queue.
struct Twin {
    waiting: Vec<(WaiterId, Class, Ticks)>,
    permits: Vec<Permit>,
    limiter: Limiter,
    config: Config,
    now: Ticks,
}

impl Twin {
    fn take(&mut self, id: WaiterId) -> (Class, Ticks) {
        let at = self.waiting.iter().position(|waiter| waiter.0 == id).expect("it waits");
        let (_, class, since) = self.waiting.remove(at);
        (class, since)
    }

    fn ask(&mut self, class: Class, tool: u64) {
        match self.limiter.try_admit(class, ToolKey(tool), self.now) {
            Admit::Go(permit) => {
                assert!(self.waiting.is_empty(), "nobody overtakes");
                self.permits.push(permit);
            }
            Admit::Wait { waiter, displaced } => {
                if let Some(displaced) = displaced {
                    assert_eq!(self.waiting.len() as u32, self.config.queue, "only of a full queue");
                    let (lower, _) = self.take(displaced);
                    assert!(lower <= class && self.waiting.iter().all(|other| lower <= other.1));
                }
                self.waiting.push((waiter, class, self.now));
            }
            Admit::Shed(shed) => {
                assert_eq!(shed.class, class);
                assert_eq!(self.waiting.len() as u32, self.config.queue);
                assert!(self.waiting.iter().all(|other| other.1 >= class));
            }
        }
        self.serve();
    }

    fn serve(&mut self) {
        while let Some((waiter, permit)) = self.limiter.next(self.now) {
            let (class, _) = self.take(waiter);
            if !self.config.per_tool {
                assert!(self.waiting.iter().all(|other| other.1 <= class), "the most important first");
            }
            self.permits.push(permit);
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Ask { class, tool } => self.ask(Class::ALL[class], tool),
            Step::End { which, millis, fails } if !self.permits.is_empty() => {
                let permit = self.permits.swap_remove(which % self.permits.len());
                let outcome = if fails { Outcome::Failed } else { Outcome::Answered };
                let sample = Sample { latency: Duration::from_millis(millis), outcome };
                self.limiter.observe(&permit, sample, self.now);
                self.limiter.release(permit);
                self.serve();
            }
            Step::GiveUp { which } if !self.permits.is_empty() => {
                let permit = self.permits.swap_remove(which % self.permits.len());
                self.limiter.release(permit);
                self.serve();
            }
            Step::Leave { which } if !self.waiting.is_empty() => {
                let (id, ..) = self.waiting.remove(which % self.waiting.len());
                assert!(self.limiter.leave(id));
                assert!(!self.limiter.leave(id), "once");
            }
            Step::Pass { millis } => {
                self.now = self.now + Duration::from_millis(millis);
                let due = self.limiter.wakes_at();
                assert_eq!(due, self.waiting.iter().map(|waiter| waiter.2 + self.config.queue_time).min());
                while let Some((id, _)) = self.limiter.expire(self.now) {
                    let (_, since) = self.take(id);
                    assert!(since + self.config.queue_time <= self.now, "not before its time");
                }
                self.serve();
            }
            Step::End { .. } | Step::GiveUp { .. } | Step::Leave { .. } => {}
        }
        self.check();
    }

    fn check(&self) {
        let numbers = self.limiter.numbers();
        assert_eq!(numbers.in_flight, self.permits.len() as u64);
        assert_eq!(numbers.queued, self.waiting.len() as u64);
        assert!(numbers.limit >= u64::from(self.config.min) && numbers.limit <= u64::from(self.config.max));
        assert!(self.waiting.iter().all(|waiter| waiter.2 + self.config.queue_time >= self.now));
        assert!(self.waiting.is_empty() || !self.permits.is_empty(), "who waits will be woken");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn permits_never_leak_and_the_queue_keeps_its_order(
        steps in prop::collection::vec(step(), 1..400),
        (min, more, queue, per_tool) in (1..4_u32, 0..12_u32, 0..6_u32, any::<bool>()),
    ) {
        let queue_time = Duration::from_millis(200);
        let config = Config { min, max: min + more, start: 16, per_tool, queue, queue_time, percent: 150 };
        let limiter = Limiter::new(&config, Share::WHOLE);
        let mut twin = Twin { waiting: vec![], permits: vec![], limiter, config, now: Ticks(0) };
        for step in steps {
            twin.apply(step);
        }
        while let Some(permit) = twin.permits.pop() {
            twin.limiter.release(permit);
            twin.serve();
            twin.check();
        }
        let numbers = twin.limiter.numbers();
        prop_assert_eq!((numbers.in_flight, numbers.queued), (0, 0));
    }
}
