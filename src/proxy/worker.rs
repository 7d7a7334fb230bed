//! One worker: everything that one core owns.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::bodies::{self, Bodies};
use super::caller::Callers;
use super::drain::{Drain, LAST_WORDS};
use super::errands::Errands;
use super::purse::Purse;
use super::refused::Restraints;
use super::sources::Sources;
use super::throttle::Throttle;
use super::upstream::Pool;
use super::watch::Watches;
use crate::base::buffer::Holding;
use crate::base::{Buf, BufPool, Ticks};
use crate::config::snapshot::{EndpointId, Listener, Server, ServerId};
use crate::io::Net;
use crate::link::{Count, Deployment, Shared, WorkerHandle};
use crate::policy::adaptive::{Class, Numbers, Reason, Share};
use crate::policy::authn::KeySet;
use crate::policy::rate_limit::{self, Transcript};
use crate::policy::session::SessionKey;
use crate::shared::Stage;
use crate::telemetry::{Adaptive, ExchangeRecord, WorkerStats};
use crate::wire::http1::date;

/// What is due every so often (deadlines, the newest deployment, idle upstream connections) is looked at so often.
pub const TICK: Duration = Duration::from_millis(100);

/// The state of one worker. Only its own thread touches it.
pub struct Worker {
    /// Its number, from 0.
    pub index: usize,
    /// Time, tasks and connections.
    pub net: Rc<dyn Net>,
    /// What all threads share.
    pub shared: Arc<Shared>,
    /// Where header lines are composed that go into a head. Never borrowed over an await.
    pub fields: RefCell<Vec<u8>>,
    /// Its deadlines.
    pub watches: Rc<Watches>,
    /// What it counted.
    pub stats: RefCell<WorkerStats>,
    /// Where heads are composed before they are put in front of a body. Never borrowed over an await.
    pub scratch: RefCell<Vec<u8>>,
    /// What its calls use of the limits.
    pub purse: Purse,
    /// Exchanges that wait for control.
    pub errands: Errands,
    /// Where its connections come from.
    pub sources: Rc<Sources>,
    /// Restraint of its log lines.
    pub restraints: Restraints,
    bodies: Bodies,
    live: RefCell<Rc<Live>>,
    bufs: RefCell<BufPool>,
    stage: Cell<Stage>,
    drain: Cell<Option<Drain>>,
    /// Once the process stops: whatever is left is cut here.
    cut_at: Cell<Ticks>,
    last_tick: Cell<Ticks>,
    wall: Cell<u64>,
    date: Cell<[u8; date::LINE_BYTES]>,
}

/// The deployment as this worker uses it. An exchange keeps the one that admitted it.
pub struct Live {
    /// What control published.
    pub deployment: Arc<Deployment>,
    /// Who was verified under it.
    pub callers: Rc<Callers>,
    /// What binds session ids to callers, where callers are known.
    pub session_key: Option<SessionKey>,
    version: u64,
    /// For each listener the version since which its authorities for client certificates are what they are.
    trust: Box<[u64]>,
    pools: Box<[Rc<Pool>]>,
    turns: Box<[Cell<usize>]>,
    throttles: Box<[Option<Rc<Throttle>>]>,
}

/// Whether both are one server at one path.
fn is_at(now: &Server, before: &Server) -> bool {
    now.name == before.name && now.path == before.path
}

impl Worker {
    /// A worker with the deployment in force.
    pub fn new(index: usize, net: Rc<dyn Net>, shared: Arc<Shared>) -> Rc<Self> {
        let (deployment, version) =
            shared.deployment.newer_than(0).unwrap_or_else(|| (shared.deployment.load(), 0));
        let live = Live::new(deployment, version, None, &Surroundings { index, net: &net, shared: &shared });
        let stats = WorkerStats::new(live.deployment.snapshot.servers.len());
        let (now, wall) = (net.now(), net.wall());
        let purse = Purse::new(&shared, index);
        Rc::new(Self {
            index,
            net,
            shared,
            watches: Rc::default(),
            stats: RefCell::new(stats),
            fields: RefCell::new(Vec::with_capacity(256)),
            scratch: RefCell::new(Vec::with_capacity(4096)),
            purse,
            errands: Errands::default(),
            sources: Rc::default(),
            restraints: Restraints::default(),
            bodies: Bodies::default(),
            live: RefCell::new(Rc::new(live)),
            bufs: RefCell::new(BufPool::new()),
            stage: Cell::new(Stage::Running),
            drain: Cell::new(None),
            cut_at: Cell::new(Ticks::NEVER),
            last_tick: Cell::new(now),
            wall: Cell::new(wall),
            date: Cell::new(date::line(wall)),
        })
    }

    /// What other threads know of this worker.
    pub fn handle(&self) -> &WorkerHandle {
        &self.shared.workers[self.index]
    }

    /// The deployment for a new exchange.
    pub fn live(&self) -> Rc<Live> {
        self.live.borrow().clone()
    }

    /// An empty buffer with room for `capacity` bytes.
    pub fn take_buf(&self, capacity: usize) -> Buf {
        self.bufs.borrow_mut().take(capacity)
    }

    /// The same for a connection that waits: [`Worker::count_buf`] counts it once something has come.
    pub fn take_idle_buf(&self, capacity: usize) -> Buf {
        self.bufs.borrow_mut().take_idle(capacity)
    }

    /// Counts a buffer against `limits.bodies_bytes_max`, unless it is.
    pub fn count_buf(&self, buf: &mut Buf) {
        self.bufs.borrow().count(buf);
    }

    /// Gives a buffer back.
    pub fn give_buf(&self, buf: Buf) {
        self.bufs.borrow_mut().give(buf);
    }

    /// Bytes of buffers in use that count against `limits.bodies_bytes_max`.
    pub fn held_bytes(&self) -> usize {
        self.bufs.borrow().held()
    }

    /// Counts what is held in other memory than these buffers.
    pub fn holding(&self) -> Holding {
        self.bufs.borrow().holding()
    }

    /// Bytes of bodies that one source may hold here.
    pub fn share_of_source(&self) -> usize {
        bodies::share_of_source(self)
    }

    /// Whether so many bytes more of a body may be held.
    pub fn may_hold(&self, more: usize) -> bool {
        self.bodies.may_hold(self, more)
    }

    /// Where the process is in its life, as of the last tick.
    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// The time of the last tick: at most [`TICK`] ago on a worker that keeps up. For deadlines that need not be
    /// finer; reading the clock costs.
    pub fn recently(&self) -> Ticks {
        self.last_tick.get()
    }

    /// The time of day as of the last tick, in seconds since 1970 (UTC): what credentials are judged by.
    pub fn wall(&self) -> u64 {
        self.wall.get()
    }

    /// The `Date` line of that time.
    pub fn date(&self) -> [u8; date::LINE_BYTES] {
        self.date.get()
    }

    /// Whether connections are to end after their present exchange: the process is going to stop.
    pub fn is_leaving(&self) -> bool {
        self.stage.get() >= Stage::Announcing
    }

    /// Whether idle connections are closed.
    pub fn is_draining(&self) -> bool {
        self.stage.get() >= Stage::Draining
    }

    /// Whether the process stops, and every client was told of it, or had time for that.
    pub fn has_stopped(&self, now: Ticks) -> bool {
        self.stage.get() == Stage::Stopping
            && (self.handle().connections.count() == 0 || self.cut_at.get() + TICK <= now)
    }

    /// The drain, once it has begun.
    pub(super) fn drain(&self) -> Option<Drain> {
        self.drain.get()
    }

    /// Takes the record of an ended exchange. Counters today; audit and tracing hang on the same record.
    pub fn settle(&self, record: &ExchangeRecord) {
        self.stats.borrow_mut().record(record);
    }

    /// Counts the tokens of an ended exchange by who counted them. What the tokenizer is to count is handed over; where that
    /// cannot be, the estimate stays.
    pub fn note_tokens(
        &self,
        outcome: &rate_limit::Outcome,
        exact: bool,
        transcript: Option<Box<Transcript>>,
        deployment: &Arc<Deployment>,
    ) {
        let mut stats = self.stats.borrow_mut();
        let counting = &self.shared.counting;
        match transcript {
            Some(transcript) if outcome.reported || transcript.bill.is_empty() => {
                counting.put_back(transcript);
            }
            Some(transcript) => {
                if counting.hand_over(Count { deployment: deployment.clone(), transcript }) {
                    return;
                }
                stats.tokens.missed += 1;
            }
            None => stats.tokens.missed += u64::from(exact && !outcome.reported),
        }
        let by = if outcome.reported { &mut stats.tokens.reported } else { &mut stats.tokens.estimated };
        by.exchanges += 1;
        by.tokens = by.tokens.saturating_add(outcome.tokens);
    }

    /// What is due every few milliseconds: deadlines, the newest deployment, the stage, idle upstreams.
    pub fn tick(&self, now: Ticks) {
        self.last_tick.set(now);
        let wall = self.net.wall();
        if self.wall.replace(wall) != wall {
            self.date.set(date::line(wall));
        }
        self.purse.tick(super::purse::now(self, now));
        self.watches.sweep(now);
        if self.cut_at.get() <= now {
            self.watches.cut_all();
        }
        self.bodies.settle(self);
        self.take_news();
        let live = self.live();
        for pool in &live.pools {
            pool.prune(now);
        }
    }

    /// What control may have changed: the deployment and the stage. Cheap if it did not, so it may be asked whenever
    /// the bell rings, which with balanced placement is as often as a connection comes in.
    pub fn take_news(&self) {
        self.take_newest_deployment();
        self.take_stage();
    }

    /// The index in the deployment of now of a server of `live`, for counters.
    pub fn index_now(&self, live: &Rc<Live>, server: ServerId) -> Option<u16> {
        let now = self.live();
        if Rc::ptr_eq(&now, live) {
            return Some(server.0);
        }
        index_of(&live.deployment.snapshot.server(server).name, &now)
            .and_then(|index| u16::try_from(index).ok())
    }

    fn take_newest_deployment(&self) {
        let old = self.live();
        let Some((deployment, version)) = self.shared.deployment.newer_than(old.version) else { return };
        let surroundings = Surroundings { index: self.index, net: &self.net, shared: &self.shared };
        let new = Live::new(deployment, version, Some(&old), &surroundings);
        for pool in old.pools.iter().filter(|pool| !new.pools.iter().any(|kept| Rc::ptr_eq(kept, pool))) {
            pool.retire();
        }
        let before = new.deployment.snapshot.servers.iter().map(|server| index_of(&server.name, &old));
        self.stats.borrow_mut().rearrange(before);
        self.stats.borrow_mut().credentials_known += old.callers.take_hits();
        let (was, is) = (&old.deployment.snapshot, &new.deployment.snapshot);
        let others_may = was.authn != is.authn
            || was.access != is.access
            || old.trust != new.trust
            || has_lost_keys(&old.deployment, &new.deployment)
            || was.servers.iter().any(|server| !is.servers.iter().any(|now| is_at(now, server)));
        *self.live.borrow_mut() = Rc::new(new);
        if others_may {
            // A stream that lasts would outlive a revocation, or its server. Its client opens it again, and is judged anew.
            self.watches.end_endless(self.net.now());
        }
    }

    /// Whether another configuration than that of `live` is in force.
    pub fn is_superseded(&self, live: &Rc<Live>) -> bool {
        !Rc::ptr_eq(&self.live.borrow(), live)
    }

    fn take_stage(&self) {
        let stage = self.shared.stage.now();
        if stage != self.stage.replace(stage) {
            match stage {
                Stage::Starting | Stage::Running | Stage::Announcing | Stage::Closing => {}
                Stage::Draining => {
                    let bound = self.live().deployment.snapshot.timeouts.drain;
                    let drain = Drain::new(self.net.now(), bound);
                    self.drain.set(Some(drain));
                    self.watches.cut_idle(self.net.now());
                    self.watches.drain_endless(&drain);
                }
                Stage::Stopping => {
                    self.cut_at.set(self.net.now() + LAST_WORDS);
                    self.watches.stop();
                    self.errands.give_up();
                }
            }
        }
    }

    /// A copy of the counters, with the gauges filled in.
    pub fn report(&self) -> WorkerStats {
        self.stats.borrow_mut().credentials_known += self.live().callers.take_hits();
        let mut stats = self.stats.borrow().clone();
        let live = self.live();
        stats.upstream_open = live.pools.iter().map(|pool| pool.open() as u64).sum();
        for (server, throttle) in stats.servers.iter_mut().zip(&live.throttles) {
            server.adaptive = throttle.as_ref().map(|throttle| shown(&throttle.numbers()));
        }
        stats
    }

    /// Lets go of the pools, which would keep each other alive, and of what was not used of the limits.
    pub fn close(&self) {
        self.purse.close(self.net.now());
        for pool in &self.live().pools {
            pool.retire();
        }
    }
}

/// What of an adaptive limit goes into the metrics.
fn shown(numbers: &Numbers) -> Adaptive {
    let reasons = |class: Class| Reason::ALL.map(|reason| (class, reason));
    let shed = Class::ALL.into_iter().flat_map(reasons);
    let shed = shed.map(|(class, reason)| (class.label(), reason.label(), numbers.shed_of(class, reason)));
    Adaptive {
        limit: numbers.limit,
        in_flight: numbers.in_flight,
        queued: numbers.queued,
        shed: shed.collect(),
    }
}

/// What a [`Live`] is made in.
struct Surroundings<'a> {
    index: usize,
    net: &'a Rc<dyn Net>,
    shared: &'a Shared,
}

/// The throttles of the servers that have one. One whose rules stay keeps what it learnt.
fn throttles(
    deployment: &Deployment,
    before: Option<&Live>,
    surroundings: &Surroundings<'_>,
) -> Box<[Option<Rc<Throttle>>]> {
    let share = Share { index: surroundings.index, cores: surroundings.shared.workers.len() };
    let throttle = |server: &Server| {
        let config = server.adaptive.as_ref()?;
        let kept = before.and_then(|before| before.throttle(index_of(&server.name, before)?));
        let kept = kept.filter(|throttle| throttle.is_of(config)).cloned();
        Some(kept.unwrap_or_else(|| Throttle::new(config, share, surroundings.net.clone())))
    };
    deployment.snapshot.servers.iter().map(throttle).collect()
}

/// See [`Live::trust`]. The sockets of a process, and so the listeners, stay in their order.
fn trust(deployment: &Deployment, before: Option<&Live>, version: u64) -> Box<[u64]> {
    let authorities = |listener: &Listener| listener.tls.as_ref().and_then(|tls| tls.client_ca.clone());
    let listeners = deployment.snapshot.listeners.iter().enumerate();
    let since = |(index, listener): (usize, &Listener)| match before {
        Some(before) => match before.deployment.snapshot.listeners.get(index) {
            Some(old) if authorities(old) == authorities(listener) => before.trust(index),
            _ => version,
        },
        None => version,
    };
    listeners.map(since).collect()
}

/// Whether a key that an issuer had is none of its keys now. A key that came in addition takes trust from nobody.
fn has_lost_keys(old: &Deployment, new: &Deployment) -> bool {
    let kept = |(old, new): (&Option<Arc<KeySet>>, &Option<Arc<KeySet>>)| match (old, new) {
        (Some(old), Some(new)) => new.has_all_of(old),
        (None, _) => true,
        (Some(_), None) => false,
    };
    // Other issuers are another configuration.
    !old.keys.iter().zip(&new.keys).all(kept)
}

fn index_of(name: &str, live: &Live) -> Option<usize> {
    live.deployment.snapshot.servers.iter().position(|server| *server.name == *name)
}

impl Live {
    /// Keeps the pools of `old` whose endpoint is unchanged, and who was verified, unless by what has changed.
    fn new(
        deployment: Arc<Deployment>,
        version: u64,
        before: Option<&Self>,
        surroundings: &Surroundings<'_>,
    ) -> Self {
        let session_key = &surroundings.shared.session_key;
        let old = before.map(|before| &before.pools[..]).unwrap_or_default();
        let mut pools = Vec::new();
        for endpoint in deployment.snapshot.servers.iter().flat_map(|server| &server.endpoints) {
            let at = usize::from(endpoint.id.0);
            let addresses = deployment.addresses.get(at).cloned().unwrap_or_default();
            let kept = old.iter().find(|pool| {
                pool.endpoint.address == endpoint.address
                    && pool.endpoint.tls == endpoint.tls
                    && pool.endpoint.authority == endpoint.authority
                    && !pools.iter().any(|taken| Rc::ptr_eq(taken, pool))
            });
            pools.push(match kept {
                Some(pool) => {
                    pool.set_addresses(addresses);
                    pool.clone()
                }
                None => {
                    let tls = deployment.endpoint_tls.get(at).cloned().flatten();
                    Rc::new(Pool::new(endpoint.clone(), tls, addresses))
                }
            });
        }
        let turns = deployment.snapshot.servers.iter().map(|_| Cell::new(0)).collect();
        let same = |before: &&Self| {
            Arc::ptr_eq(&before.deployment.snapshot, &deployment.snapshot)
                && before.deployment.keys == deployment.keys
        };
        let callers = before.filter(same).map(|before| before.callers.clone());
        let remembered = deployment.snapshot.limits.credentials_bytes_max;
        let callers = callers.unwrap_or_else(|| Rc::new(Callers::new(remembered)));
        let session_key = deployment.snapshot.authn.is_some().then(|| {
            let configured = deployment.snapshot.session_key.as_ref();
            configured.map_or_else(|| session_key.clone(), |key| SessionKey::new(key.reveal()))
        });
        let throttles = throttles(&deployment, before, surroundings);
        let trust = trust(&deployment, before, version);
        Self { deployment, throttles, callers, session_key, version, trust, pools: pools.into(), turns }
    }

    /// Stands for the authorities whose client certificates a listener accepts: another number, other authorities.
    #[inline]
    pub fn trust(&self, listener: usize) -> u64 {
        self.trust.get(listener).copied().unwrap_or_default()
    }

    /// What stands before a server, if anything does.
    pub fn throttle(&self, server: usize) -> Option<&Rc<Throttle>> {
        self.throttles.get(server)?.as_ref()
    }

    /// The pool of an endpoint of this deployment.
    pub fn pool(&self, endpoint: EndpointId) -> &Rc<Pool> {
        &self.pools[usize::from(endpoint.0)]
    }

    /// The index among `server`'s endpoints to try next: in turn, those whose last dial failed only when all did.
    pub fn choose(&self, server: &Server, now: Ticks) -> usize {
        let count = server.endpoints.len();
        if count == 1 {
            return 0;
        }
        let turn = &self.turns[usize::from(server.id.0)];
        let first = turn.get();
        turn.set((first + 1) % count);
        (0..count)
            .map(|step| (first + step) % count)
            .find(|&at| self.pool(server.endpoints[at].id).is_inviting(now))
            .unwrap_or(first % count)
    }
}
