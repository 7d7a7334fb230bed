//! The thread that counts tokens as a tokenizer does. It is started when a configuration first wants it, stays, and gives
//! way to the workers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::life::Control;
use crate::base::{Restraint, Ticks};
use crate::io::background;
use crate::link::{Count, Shared, note_alerts};
use crate::policy::rate_limit::{Leases, Now, o200k};
use crate::shared::ledger::Clerk;

/// Starts it if the deployment in force wants it and it does not run.
pub fn start(control: &Control) {
    let wanted = |shared: &Shared| {
        let snapshot = &shared.deployment.load().snapshot;
        snapshot.rate_limits.as_ref().is_some_and(|limits| limits.wants_tokenizer())
    };
    if control.counting.get() || !wanted(&control.shared) {
        return;
    }
    let shared = control.shared.clone();
    let clock = Clock { ticks: control.net.now(), at: Instant::now() };
    let started = (control.aside)(Box::new(move || run(&shared, &clock)));
    match started {
        Ok(()) => control.counting.set(true),
        Err(error) => tracing::error!(%error, "no thread to count tokens: they are estimated"),
    }
}

/// The clock of the workers, on another thread.
struct Clock {
    ticks: Ticks,
    at: Instant,
}

impl Clock {
    fn now(&self) -> Now {
        let wall = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        Now { ticks: self.ticks + self.at.elapsed(), wall }
    }
}

/// Counts for as long as the process lives.
fn run(shared: &Arc<Shared>, clock: &Clock) {
    background::give_way(c"tokens");
    o200k::load();
    let mut teller = Teller::new(shared);
    if !shared.counting.begin() {
        return;
    }
    tracing::info!("tokens are counted as o200k does");
    loop {
        let next = shared.counting.next();
        teller.count(next, || clock.now());
    }
}

/// Counts, and puts right what was estimated.
pub(super) struct Teller<'a> {
    shared: &'a Shared,
    clerk: Clerk,
    /// It holds nothing of any bucket; it knows the time, and which quotas run out.
    leases: Leases,
    restraint: Restraint,
}

impl<'a> Teller<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        let cores = NonZeroUsize::new(shared.workers.len()).unwrap_or(NonZeroUsize::MIN);
        let leases = Leases::new(shared.limit_secret, cores, NonZeroUsize::MIN);
        Self { shared, clerk: shared.book.clerk(0), leases, restraint: Restraint::new() }
    }

    pub(super) fn count(&mut self, count: Count, now: impl Fn() -> Now) {
        let Count { deployment, mut transcript } = count;
        let tokens = transcript.count();
        let counting = &self.shared.counting;
        if let Some(limits) = &deployment.snapshot.rate_limits {
            let bill = &mut transcript.bill;
            let lost = limits.correct(&mut self.leases, &self.clerk, bill, tokens, now());
            if lost > 0
                && let Some(kept_back) = self.restraint.may_speak(now().ticks)
            {
                tracing::warn!(
                    buckets = lost,
                    kept_back,
                    "no room in the ledger: raise rate_limits.keys_max"
                );
            }
            let restraint = (&self.restraint, now().ticks);
            note_alerts(
                limits,
                &mut self.leases,
                restraint,
                |_, _| (),
                |_| "(counted by the tokenizer)".to_owned(),
            );
        }
        // Last, so that whoever sees it finds the limits put right.
        counting.tokens.add(tokens);
        counting.exchanges.add(1);
        counting.put_back(transcript);
    }
}
