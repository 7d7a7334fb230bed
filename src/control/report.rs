//! The workers' counters, asked for and merged.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::life::Control;
use crate::config::Snapshot;
use crate::io::bell::{Bell, bell};
use crate::link::Message;
use crate::policy::authn::refused;
use crate::policy::rate_limit::Limits;
use crate::shared::Mailbox;
use crate::telemetry::{HotKey, WorkerStats, hot};

/// A worker that does not answer within this time is left out, and the metrics say so.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the workers counted, merged, and how many of them answered.
pub async fn collect(control: &Control) -> (WorkerStats, usize) {
    let mut total = WorkerStats::new(0);
    seed(&mut total, &control.shared.deployment.load().snapshot);
    let answered = ask(control, Message::Report, |stats| total.merge(&stats)).await;
    (total, answered)
}

/// Zeros for all that the configuration knows: a series that appears with its first event hides that event from
/// `increase()`.
fn seed(stats: &mut WorkerStats, snapshot: &Snapshot) {
    let limits = snapshot.rate_limits.iter().flat_map(Limits::list);
    for limit in limits {
        stats.add_limit(&limit.name, 0, 0);
        let windows = limit.windows.iter().chain(limit.overrides.iter().flat_map(|other| &other.windows));
        for percent in windows.flat_map(|window| window.alerts.percents()) {
            stats.note_budget(&limit.name, percent, 0);
        }
    }
    if snapshot.authn.is_some() {
        for reason in refused::ALL {
            stats.add_unauthenticated(reason.reason, 0);
        }
    }
}

/// The keys of limits that the workers see the most.
pub async fn hot_keys(control: &Control) -> Vec<HotKey> {
    let mut all = Vec::new();
    ask(control, Message::HotKeys, |keys| hot::merge(&mut all, keys)).await;
    all
}

/// Asks all workers, and returns how many answered in time.
async fn ask<T>(
    control: &Control,
    question: impl Fn(Arc<Mailbox<T>>, Arc<Bell>) -> Message,
    mut take: impl FnMut(T),
) -> usize {
    let workers = &control.shared.workers;
    let Ok((bell, wire)) = bell() else { return 0 };
    let Ok(mut sleeper) = wire.listen() else { return 0 };
    let (answers, bell) = (Arc::new(Mailbox::new(workers.len())), Arc::new(bell));
    let mut asked = 0;
    for worker in workers {
        if worker.mailbox.post(question(answers.clone(), bell.clone())).is_ok() {
            worker.bell.ring();
            asked += 1;
        }
    }
    let mut patience = control.net.sleep(PATIENCE);
    let mut answered = 0;
    loop {
        while let Some(answer) = answers.take() {
            take(answer);
            answered += 1;
        }
        if answered == asked {
            return answered;
        }
        let mut heard = std::pin::pin!(sleeper.heard());
        let rang = poll_fn(|cx| {
            if let Poll::Ready(heard) = heard.as_mut().poll(cx) {
                return Poll::Ready(heard.is_ok());
            }
            patience.as_mut().poll(cx).map(|()| false)
        })
        .await;
        if !rang {
            return answered;
        }
    }
}
