//! The life of the process: run, reload, drain, stop.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::aside::{self, Aside, Claim, Gate, Turns};
use super::counters::{Counters, Kind};
use super::errands::Errands;
use super::fetch::{Fault, Fetcher};
use super::keys::Keeper;
use super::trust::{self, Trusted, Waiting, Works};
use super::{admin, counting, deploy, errands, keys, rotation};
use crate::base::Ticks;
use crate::config::Snapshot;
use crate::config::check::warnings;
use crate::config::snapshot::{Address, Listener, Outbound, restart_needed};
use crate::config::url;
use crate::io::bell::Sleeper;
use crate::io::notify;
use crate::io::{Listen, Net};
use crate::link::{Deployment, Shared, Source as Client};
use crate::policy::authn::KeySet;
use crate::schema::world::TrustFile;
use crate::shared::Stage;

/// Names are resolved again this often.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
/// While draining, the workers are looked at this often.
const LOOK: Duration = Duration::from_millis(20);
/// Listeners take no longer than this to close, or the drain begins while they do.
const CLOSING: Duration = Duration::from_secs(3);
/// After the drain deadline, connections that were cut get this long to end.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Fetchers that are kept: issuers may have authorities of their own.
const FETCHERS_MAX: usize = 8;

/// Where the configuration comes from. It answers with the new one, or with all that is wrong with it.
pub trait Source {
    /// Reads the text anew, and what it refers to.
    ///
    /// # Errors
    /// The findings.
    fn read(&self, generation: u64) -> Result<Snapshot, String>;
    /// The text that is in force, with what it refers to read anew: a file that somebody is still editing is left alone.
    ///
    /// # Errors
    /// The findings.
    fn read_references(&self, generation: u64) -> Result<Snapshot, String>;
    /// The text in force with these files read anew and all others as they were, one by one as far as they are good and
    /// `works` has nothing against them.
    fn read_trust(&self, _trust: &[TrustFile], _generation: u64, _works: &Works<'_>) -> Trusted {
        Trusted::default()
    }
    /// What was read last is in force now.
    fn accepted(&self);
    /// A configuration is in force that a reload has brought: what of it is not control's to change (the log) follows.
    fn follow(&self, _snapshot: &Snapshot) {}
}

/// A configuration that is made and not read, so that all of it is made anew.
impl<F: Fn(u64) -> Result<Snapshot, String>> Source for F {
    fn read(&self, generation: u64) -> Result<Snapshot, String> {
        self(generation)
    }

    fn read_references(&self, generation: u64) -> Result<Snapshot, String> {
        self(generation)
    }

    fn accepted(&self) {}
}

/// What is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Everything.
    All,
    /// What the text in force refers to.
    SameText,
    /// Of that, what says whom to trust.
    Trust,
}

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
    pub source: Box<dyn Source>,
    /// How work that blocks for long gets a thread of its own.
    pub aside: Aside,
    /// Reloads that were refused.
    pub reloads_failed: Cell<u64>,
    /// Reloads that were taken.
    pub reloads: Cell<u64>,
    /// What was refused and waits to be mended.
    pub waiting: RefCell<Waiting>,
    /// When the process started.
    pub started: Ticks,
    /// Fetches by kind and result.
    pub fetches: Counters,
    /// The keys of issuers.
    pub keys: Keeper,
    /// Errands under way.
    pub errands: Errands,
    /// The thread that counts tokens was started.
    pub counting: Cell<bool>,
    turns: Turns,
    fetchers: RefCell<Vec<Arc<Fetcher>>>,
    reloading: Gate,
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
    /// Control of the process whose threads share `shared`. It runs once [`Control::run`] is called.
    pub fn new(shared: Arc<Shared>, net: Rc<dyn Net>, source: Box<dyn Source>, aside: Aside) -> Self {
        let (started, outbound) = (net.now(), shared.deployment.load().snapshot.outbound.clone());
        Self {
            shared,
            net,
            source,
            aside,
            reloads_failed: Cell::new(0),
            reloads: Cell::new(0),
            waiting: RefCell::default(),
            started,
            fetches: Counters::default(),
            keys: Keeper::new(KeySet::parse),
            errands: Errands::default(),
            counting: Cell::new(false),
            turns: Turns::default(),
            fetchers: RefCell::new(vec![Arc::new(Fetcher::new(outbound))]),
            reloading: Gate::default(),
        }
    }

    /// Runs until the process has drained. `admin` is the operator's listener.
    pub async fn run(self: Rc<Self>, signals: Signals, admin: Option<Rc<dyn Listen>>) -> Ending {
        let Signals { reload, mut stop, orders } = signals;
        self.net.spawn(Box::pin(errands::run(self.clone(), orders)));
        self.net.spawn(Box::pin(self.clone().reload_on_signal(reload)));
        self.net.spawn(Box::pin(self.clone().resolve_now_and_then()));
        self.net.spawn(Box::pin(keys::keep(self.clone())));
        self.net.spawn(Box::pin(rotation::watch(self.clone())));
        if let Some(listen) = admin {
            self.net.spawn(Box::pin(admin::serve(self.clone(), listen)));
        }
        counting::start(&self);
        self.shared.stage.advance(Stage::Running);
        notify::tell(notify::State::Ready);
        if let Some(every) = notify::watchdog() {
            self.net.spawn(Box::pin(self.clone().show_life(every)));
        }
        let heard = stop.heard().await.is_ok();
        notify::tell(notify::State::Stopping);
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
            notify::tell(notify::State::Reloading);
            self.reload(Reload::All).await;
            notify::tell(notify::State::Ready);
        }
    }

    /// Shows the service manager that control goes round.
    async fn show_life(self: Rc<Self>, every: Duration) {
        loop {
            notify::tell(notify::State::Alive);
            self.net.sleep(every).await;
        }
    }

    /// Takes over the configuration as it is now, as a whole or not at all; but what takes trust away, in any case. One at
    /// a time.
    pub async fn reload(&self, what: Reload) {
        let _pass = loop {
            match self.reloading.enter() {
                Some(pass) => break pass,
                None => self.reloading.opened().await,
            }
        };
        if what == Reload::Trust {
            let refused = self.waiting.borrow().configuration;
            return trust::take_over(self, refused);
        }
        match self.reloaded(what).await {
            Ok(None) => drop(self.waiting.take()),
            Ok(Some(generation)) => {
                self.reloads.set(self.reloads.get() + 1);
                self.waiting.take();
                counting::start(self);
                tracing::info!(generation, "configuration reloaded");
                if what == Reload::All {
                    for warning in warnings(&self.shared.deployment.load().snapshot, self.net.wall()) {
                        tracing::warn!("{warning}");
                    }
                }
            }
            Err(findings) => {
                self.reloads_failed.set(self.reloads_failed.get() + 1);
                let findings = findings.to_string();
                tracing::error!(
                    findings = %findings.trim_end(),
                    "configuration refused; the old one stays in force"
                );
                trust::take_over(self, true);
            }
        }
    }

    /// The generation that is in force now; `None` if nothing was changed.
    async fn reloaded(&self, what: Reload) -> Result<Option<u64>, String> {
        let old = self.shared.deployment.load();
        let generation = old.snapshot.generation + 1;
        let mut new = match what {
            Reload::All => self.source.read(generation)?,
            Reload::SameText | Reload::Trust => self.source.read_references(generation)?,
        };
        let later = restart_needed(&old.snapshot, &new);
        new.listeners = at_their_sockets(&old.snapshot.listeners, &new.listeners);
        if what == Reload::SameText {
            new.generation = old.snapshot.generation;
            if new == *old.snapshot {
                self.source.accepted();
                return Ok(None);
            }
            new.generation = generation;
            tracing::info!("a file that the configuration refers to changed");
        }
        let new = Arc::new(new);
        let addresses = deploy::resolve_aside(new.clone(), old, self.aside).await;
        // Keys and addresses may have changed while names were resolved.
        let deployment = deploy::assemble(new, addresses, Some(&self.shared.deployment.load()))?;
        for option in later {
            tracing::warn!(option, "this option changed, and takes effect only after a restart");
        }
        trust::note_unreadable(&self.shared.deployment.load().snapshot, &deployment.snapshot);
        self.shared.deployment.store(Arc::new(deployment));
        self.ring_all();
        self.source.accepted();
        if what == Reload::All {
            self.source.follow(&self.shared.deployment.load().snapshot);
        }
        Ok(Some(generation))
    }

    async fn resolve_now_and_then(self: Rc<Self>) {
        loop {
            self.net.sleep(RESOLVE_EVERY).await;
            let old = self.shared.deployment.load();
            let addresses = deploy::resolve_aside(old.snapshot.clone(), old.clone(), self.aside).await;
            let now = self.shared.deployment.load();
            // A reload in the meantime has resolved for itself.
            if Arc::ptr_eq(&old.snapshot, &now.snapshot) && addresses != now.addresses {
                tracing::info!("the addresses of a server changed");
                self.publish(|deployment| deployment.addresses = addresses);
            }
        }
    }

    /// Changes something of the deployment in force that the configuration does not say. All of this happens on the
    /// control thread, between two waits, so that no change is lost.
    pub fn publish(&self, change: impl FnOnce(&mut Deployment)) {
        let mut next = deploy::copy(&self.shared.deployment.load());
        change(&mut next);
        self.shared.deployment.store(Arc::new(next));
        self.ring_all();
    }

    /// Runs `job`, which fetches from the host of `url`, beside this thread, when it is its turn. `client` is for whom,
    /// if it is for anybody.
    ///
    /// # Errors
    /// Those of `job`, and [`Fault::Busy`] when its turn did not come within `outbound.timeout`.
    pub async fn fetch<T: Send + 'static>(
        &self,
        kind: Kind,
        client: Option<Client>,
        outbound: &Outbound,
        url: &str,
        job: impl FnOnce(&Fetcher) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let result = self.fetch_in_turn(kind, client, outbound, url, job).await;
        self.fetches.count(kind, result.as_ref().err().map_or("ok", Fault::label));
        result
    }

    async fn fetch_in_turn<T: Send + 'static>(
        &self,
        kind: Kind,
        client: Option<Client>,
        outbound: &Outbound,
        url: &str,
        job: impl FnOnce(&Fetcher) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let host = match url::endpoint(url).map(|url| url.address) {
            Ok(Address::Tcp { host, port }) => format!("{host}:{port}"),
            Ok(Address::Unix(_)) | Err(_) => return Err(Fault::Url),
        };
        let claim = Claim { kind, host: host.into(), source: client };
        let turn = self.turns.ask(claim).ok_or(Fault::Busy)?;
        let (mut granted, mut patience) = (pin!(turn.granted()), self.net.sleep(outbound.timeout));
        let in_time = poll_fn(|cx| match granted.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => patience.as_mut().poll(cx).map(|()| false),
        });
        if !in_time.await {
            return Err(Fault::Busy);
        }
        let fetcher = self.fetcher(outbound);
        aside::run(self.aside, move || job(&fetcher)).await.unwrap_or(Err(Fault::Busy))
    }

    /// The fetcher by these rules. Those that were used last are kept.
    fn fetcher(&self, outbound: &Outbound) -> Arc<Fetcher> {
        let mut kept = self.fetchers.borrow_mut();
        let found = kept.iter().position(|fetcher| fetcher.outbound() == outbound);
        let fetcher = match found {
            Some(at) => kept.remove(at),
            None => Arc::new(Fetcher::new(outbound.clone())),
        };
        if kept.len() == FETCHERS_MAX {
            kept.remove(0);
        }
        kept.push(fetcher.clone());
        fetcher
    }

    async fn drain(&self) -> Ending {
        let (announce, bound) = {
            let snapshot = &self.shared.deployment.load().snapshot;
            (snapshot.drain.announce, snapshot.timeouts.drain)
        };
        if !announce.is_zero() {
            tracing::info!(
                seconds = announce.as_secs_f64(),
                "not ready from now on, so that load balancers send nothing more; a second signal ends at once"
            );
            self.enter(Stage::Announcing);
            self.net.sleep(announce).await;
        }
        self.enter(Stage::Closing);
        self.within(CLOSING, || self.listening() == 0).await;
        tracing::info!(
            seconds = bound.as_secs_f64(),
            open = self.connections(),
            "draining; a second signal ends at once"
        );
        self.enter(Stage::Draining);
        if self.empty_within(bound).await {
            tracing::info!("drained");
            self.enter(Stage::Stopping);
            return Ending::Drained;
        }
        tracing::warn!(open = self.connections(), "drain deadline; cutting what is left");
        self.enter(Stage::Stopping);
        self.empty_within(LAST_MOMENT).await;
        Ending::Cut
    }

    /// Tells every worker that the process is there now.
    fn enter(&self, stage: Stage) {
        self.shared.stage.advance(stage);
        self.ring_all();
    }

    async fn empty_within(&self, bound: Duration) -> bool {
        // A listener that still accepts counts its connections before it ends.
        self.within(bound, || self.listening() == 0 && self.connections() == 0).await
    }

    async fn within(&self, bound: Duration, met: impl Fn() -> bool) -> bool {
        let deadline = self.net.now() + bound;
        loop {
            if met() {
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

    /// Listeners of all workers that still accept.
    fn listening(&self) -> usize {
        self.shared.workers.iter().map(|worker| worker.listening.count()).sum()
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
pub(super) fn at_their_sockets(old: &[Listener], new: &[Listener]) -> Box<[Listener]> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::scene::{Scene, snapshot};
    use crate::policy::authn::Authn;
    use crate::policy::propagate::Credentials;

    #[test]
    fn references_that_give_the_same_are_no_reload_and_others_are_taken_over_whole() {
        let plain = || snapshot(Authn::default(), Credentials::None);
        let mut renewed = plain();
        renewed.servers[0].headers = crate::base::Secret::new(*b"authorization: Bearer new\r\n");
        let mut broken = plain();
        broken.listeners[0].tls = Some(crate::config::snapshot::ListenerTls {
            identities: [crate::config::snapshot::TlsIdentity {
                certificate: Box::default(),
                key: crate::base::Secret::new(*b""),
                names: Box::default(),
                ends: None,
            }]
            .into(),
            client_ca: None,
        });
        Scene::play(plain(), vec![plain(), renewed, broken], async |scene| {
            let now = || {
                let snapshot = scene.control.shared.deployment.load().snapshot.clone();
                (snapshot.generation, snapshot.servers[0].headers.reveal().len())
            };
            let counted = || (scene.control.reloads.get(), scene.control.reloads_failed.get());
            for (generation, bytes, reloads, failed) in
                [(1, 0, 0, 0), (2, 27, 1, 0), (2, 27, 1, 1), (2, 27, 1, 2)]
            {
                scene.control.reload(Reload::SameText).await;
                assert_eq!((now(), counted()), ((generation, bytes), (reloads, failed)));
            }
        });
    }
}
