//! The life of the process: run, reload, drain, stop.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::{admin, deploy, errands};
use crate::base::Ticks;
use crate::config::Snapshot;
use crate::config::snapshot::{Listener, restart_needed};
use crate::io::bell::Sleeper;
use crate::io::{Listen, Net};
use crate::link::Shared;
use crate::shared::Stage;

/// Names are resolved again this often.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// While draining, the workers are looked at this often.
const LOOK: Duration = Duration::from_millis(20);
/// After the drain deadline, connections that were cut get this long to end.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Reads the configuration again: the new one, or all that is wrong with it.
pub type Source = Box<dyn Fn(u64) -> Result<Snapshot, String>>;

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every exchange ended by itself.
    Drained,
    /// The drain deadline cut some.
    Cut,
    /// A second signal came while draining: whoever sent it does not want to wait.
    AtOnce,
}

/// The control thread's state.
pub struct Control {
    /// What all threads share.
    pub shared: Arc<Shared>,
    /// Time and tasks of this thread.
    pub net: Rc<dyn Net>,
    /// Where the configuration comes from.
    pub source: Source,
    /// How work that blocks for long gets a thread of its own.
    pub aside: deploy::Aside,
    /// Reloads that were refused.
    pub reloads_failed: Cell<u64>,
    /// Reloads that were taken.
    pub reloads: Cell<u64>,
    /// When the process started.
    pub started: Ticks,
}

/// What wakes control.
pub struct Signals {
    /// SIGHUP.
    pub reload: Sleeper,
    /// SIGTERM and SIGINT.
    pub stop: Sleeper,
    /// A worker has an errand.
    pub orders: Sleeper,
}

impl Control {
    /// Runs until the process has drained. `admin` is the operator's listener.
    pub async fn run(self: Rc<Self>, signals: Signals, admin: Option<Rc<dyn Listen>>) -> Ending {
        let Signals { reload, mut stop, orders } = signals;
        self.net.spawn(Box::pin(errands::run(self.clone(), orders)));
        self.net.spawn(Box::pin(self.clone().reload_on_signal(reload)));
        self.net.spawn(Box::pin(self.clone().resolve_now_and_then()));
        if let Some(listen) = admin {
            self.net.spawn(Box::pin(admin::serve(self.clone(), listen)));
        }
        self.shared.stage.advance(Stage::Running);
        let heard = stop.heard().await.is_ok();
        let mut drain = pin!(self.drain());
        let mut again = pin!(async {
            if !heard || stop.heard().await.is_err() {
                // No signal can come any more.
                std::future::pending().await
            }
        });
        poll_fn(|cx| match drain.as_mut().poll(cx) {
            Poll::Ready(ending) => Poll::Ready(ending),
            Poll::Pending => again.as_mut().poll(cx).map(|()| Ending::AtOnce),
        })
        .await
    }

    async fn reload_on_signal(self: Rc<Self>, mut signal: Sleeper) {
        while signal.heard().await.is_ok() {
            self.reload();
        }
    }

    /// Takes over the configuration as it is now, as a whole or not at all.
    fn reload(&self) {
        let old = self.shared.deployment.load();
        let generation = old.snapshot.generation + 1;
        let deployment = (self.source)(generation).and_then(|mut new| {
            let later = restart_needed(&old.snapshot, &new);
            new.listeners = at_their_sockets(&old.snapshot.listeners, &new.listeners);
            deploy::deploy(new, Some(&old)).map(|deployment| (deployment, later))
        });
        match deployment {
            Ok((deployment, later)) => {
                for option in later {
                    tracing::warn!(option, "this option changed, and takes effect only after a restart");
                }
                self.shared.deployment.store(Arc::new(deployment));
                self.ring_all();
                self.reloads.set(self.reloads.get() + 1);
                tracing::info!(generation, "configuration reloaded");
            }
            Err(findings) => {
                self.reloads_failed.set(self.reloads_failed.get() + 1);
                tracing::error!(%findings, "configuration refused; the old one stays in force");
            }
        }
    }

    async fn resolve_now_and_then(self: Rc<Self>) {
        loop {
            self.net.sleep(RESOLVE_EVERY).await;
            let old = self.shared.deployment.load();
            let newer = deploy::refresh_aside(old.clone(), self.aside).await;
            // A reload in the meantime has resolved for itself.
            let is_current = Arc::ptr_eq(&old, &self.shared.deployment.load());
            if let Some(newer) = newer.filter(|_| is_current) {
                tracing::info!("the addresses of a server changed");
                self.shared.deployment.store(Arc::new(newer));
                self.ring_all();
            }
        }
    }

    async fn drain(&self) -> Ending {
        let bound = self.shared.deployment.load().snapshot.timeouts.drain;
        tracing::info!(
            seconds = bound.as_secs_f64(),
            open = self.connections(),
            "draining; a second signal ends at once"
        );
        self.shared.stage.advance(Stage::Draining);
        self.ring_all();
        if self.empty_within(bound).await {
            tracing::info!("drained");
            self.shared.stage.advance(Stage::Stopping);
            self.ring_all();
            return Ending::Drained;
        }
        tracing::warn!(open = self.connections(), "drain deadline; cutting what is left");
        self.shared.stage.advance(Stage::Stopping);
        self.ring_all();
        self.empty_within(LAST_MOMENT).await;
        Ending::Cut
    }

    async fn empty_within(&self, bound: Duration) -> bool {
        let deadline = self.net.now() + bound;
        loop {
            if self.connections() == 0 {
                return true;
            }
            if self.net.now() >= deadline {
                return false;
            }
            self.net.sleep(LOOK).await;
        }
    }

    /// Open client connections of all workers.
    pub fn connections(&self) -> usize {
        self.shared.workers.iter().map(|worker| worker.connections.count()).sum()
    }

    /// Wakes every worker, so that it sees what changed at once.
    pub fn ring_all(&self) {
        for worker in &self.shared.workers {
            worker.bell.ring();
        }
    }
}

/// The listeners for the sockets that exist, in their order: each has the new rules for its address, or
/// keeps the old ones where the new configuration does not name it. Connections find theirs by index.
fn at_their_sockets(old: &[Listener], new: &[Listener]) -> Box<[Listener]> {
    let rules = |kept: &Listener| new.iter().find(|listener| listener.address == kept.address).cloned();
    old.iter().map(|kept| rules(kept).unwrap_or_else(|| kept.clone())).collect()
}

/// Rings `bell` whenever one of `signals` comes in.
///
/// # Errors
/// When the handler cannot be installed.
pub fn ring_on(signals: &[i32], bell: &crate::io::bell::Bell) -> io::Result<()> {
    for &signal in signals {
        signal_hook::low_level::pipe::register(signal, bell.try_clone()?.into_stream())?;
    }
    Ok(())
}
