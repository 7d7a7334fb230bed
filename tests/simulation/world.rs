//! A gateway in a simulated network: one worker with its timer, a listener, a deployment.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use ringgate::config::snapshot::Address as Configured;
use ringgate::config::{Findings, check::check, compile::Context};
use ringgate::io::bell::bell;
use ringgate::io::sim::{Faults, Listener, Sim};
use ringgate::io::{Address, Close, Conn, Hangup, Net};
use ringgate::link::{Deployment, Shared, WorkerHandle};
use ringgate::proxy::{Worker, closing, listener};
use ringgate::schema::world::World as Answers;
use ringgate::shared::{Gauge, Mailbox, Slot, Stage, StageCell};
use ringgate::telemetry::{Outcome, WorkerStats};

use super::speech::hang_up;

/// How often the worker's timer rings, as in the product.
pub const TICK: Duration = Duration::from_millis(100);

/// Longer than every bound of every configuration here that comes into play, one after the other.
pub const AGES: Duration = Duration::from_secs(4 * 3600);

/// Where the gateway listens.
pub const GATEWAY: &str = "127.0.0.1:8080";

/// The world of one run.
pub struct World {
    pub sim: Rc<Sim>,
    pub worker: Rc<Worker>,
    pub shared: Arc<Shared>,
    /// The faults of paths from clients to the gateway; the simulation's own are those to the servers.
    client_faults: Faults,
    server_faults: Faults,
    listener: Rc<Listener>,
    clients: RefCell<Vec<Weak<dyn Hangup>>>,
    ended: Rc<Cell<bool>>,
}

impl World {
    /// A gateway that runs `config`.
    pub fn new(seed: u64, client_faults: Faults, server_faults: Faults, config: &str) -> Self {
        let sim = Rc::new(Sim::new(seed, server_faults));
        let (bell, wire) = bell().unwrap();
        // Nobody listens: messages between workers are tried elsewhere.
        drop(wire);
        let (orders_bell, orders_wire) = ringgate::io::bell::bell().unwrap();
        drop(orders_wire);
        let handle = WorkerHandle {
            mailbox: Mailbox::new(8),
            bell,
            connections: Gauge::default(),
            listening: Gauge::default(),
        };
        let shared = Arc::new(Shared {
            book: ringgate::shared::ledger::Book::new(1024, 1),
            limit_secret: Default::default(),
            deployment: Slot::new(deployment(config, 1)),
            stage: StageCell::default(),
            workers: [handle].into(),
            session_key: ringgate::policy::session::SessionKey::new(&[7; 32]),
            orders: Mailbox::new(8),
            orders_bell,
            counting: Default::default(),
            connections_room: usize::MAX,
            bodies: Default::default(),
        });
        let worker = Worker::new(0, sim.net(), shared.clone());
        let listener = Rc::new(sim.listen(&address(GATEWAY)).unwrap());
        let ended = Rc::new(Cell::new(false));
        worker.handle().listening.up();
        sim.spawn(accept(worker.clone(), listener.clone()));
        sim.spawn(ring_timer(worker.clone(), ended.clone()));
        Self {
            sim,
            worker,
            shared,
            client_faults,
            server_faults,
            listener,
            clients: RefCell::default(),
            ended,
        }
    }

    /// Publishes another configuration; the worker takes it at its next tick.
    pub fn deploy(&self, config: &str) {
        self.shared.deployment.store(deployment(config, 2));
    }

    /// A client's connection to the gateway.
    pub fn connect(&self) -> Conn {
        self.sim.set_faults(self.client_faults);
        let conn = self.sim.connect(&address(GATEWAY)).unwrap();
        self.sim.set_faults(self.server_faults);
        self.clients.borrow_mut().push(Rc::downgrade(&conn.hangup));
        conn
    }

    /// All clients lose their patience.
    pub fn send_clients_away(&self) {
        self.clients.take().iter().filter_map(Weak::upgrade).for_each(|hangup| hang_up(&hangup));
    }

    /// No connection is accepted any more.
    pub fn shut(&self) {
        self.listener.shut();
    }

    /// The listener closes, and then idle connections do, as in the product.
    pub fn drain(&self) {
        self.shared.stage.advance(Stage::Closing);
        let (net, listener) = (self.net(), self.listener.clone());
        self.sim.spawn(async move { closing::close(&*net, &*listener).await });
        let closed = || self.worker.handle().listening.count() == 0;
        assert!(self.sim.run_until(closed, AGES), "the listener does not close");
        self.shared.stage.advance(Stage::Draining);
    }

    pub fn net(&self) -> Rc<dyn Net> {
        self.sim.net()
    }

    /// How many exchanges ended so, whatever their server and kind.
    pub fn ended_as(&self, outcome: Outcome) -> u64 {
        let stats = self.worker.report();
        stats.servers.iter().flat_map(|server| server.ended).map(|kinds| kinds[outcome as usize]).sum()
    }

    /// How many exchanges were forwarded and have ended.
    pub fn settled(&self) -> u64 {
        let all = Outcome::ALL.into_iter().filter(|&outcome| outcome != Outcome::Refused);
        all.map(|outcome| self.ended_as(outcome)).sum()
    }

    /// Once all clients are gone: the gateway has let go of everything. `leave` makes the servers go.
    pub fn assert_nothing_left(&self, leave: impl FnOnce()) -> WorkerStats {
        let places = || self.worker.handle().connections.count();
        assert!(self.sim.run_until(|| places() == 0, AGES), "client connections stay: {}", places());
        self.listener.shut();
        self.worker.close();
        self.ended.set(true);
        self.sim.run_for(TICK);
        let stats = self.worker.report();
        assert_eq!((stats.connections_open, stats.exchanges_open, stats.upstream_open), (0, 0, 0));
        assert_eq!(self.worker.watches.count(), 0, "connections are watched that are gone");
        leave();
        assert!(self.sim.run_until_idle(AGES), "something goes on for ever");
        assert_eq!((self.sim.tasks(), self.sim.open_connections()), (0, 0), "tasks, ends of connections");
        stats
    }
}

async fn accept(worker: Rc<Worker>, listener: Rc<Listener>) {
    while let Ok(conn) = listener.accept().await {
        let this = worker.clone();
        this.handle().connections.up();
        this.stats.borrow_mut().connections_open += 1;
        worker.net.spawn(Box::pin(async move {
            listener::serve(&this, conn, 0).await;
            this.stats.borrow_mut().connections_open -= 1;
            this.handle().connections.down();
        }));
    }
    worker.handle().listening.down();
}

async fn ring_timer(worker: Rc<Worker>, ended: Rc<Cell<bool>>) {
    while !ended.get() {
        worker.net.sleep(TICK).await;
        worker.tick(worker.net.now());
    }
}

/// The address that `text` spells.
pub fn address(text: &str) -> Address {
    Address::Tcp(text.parse().unwrap())
}

fn deployment(config: &str, generation: u64) -> Arc<Deployment> {
    let context = Context { world: &Made, directory: Path::new("") };
    let snapshot = check(config, generation, &context, Findings::default());
    let snapshot = snapshot.unwrap_or_else(|findings| panic!("{findings}\n{config}"));
    let endpoints = || snapshot.servers.iter().flat_map(|server| &server.endpoints);
    let addresses = endpoints().map(|endpoint| resolve(&endpoint.address)).collect();
    let endpoint_tls = endpoints().map(|_| None).collect();
    let listener_tls = snapshot.listeners.iter().map(|_| None).collect();
    Arc::new(Deployment {
        snapshot: Arc::new(snapshot),
        listener_tls,
        endpoint_tls,
        addresses,
        keys: Box::default(),
    })
}

/// Answers references: no run depends on the machine that it runs on.
struct Made;

impl Answers for Made {
    /// `REVOKED_X` is a list that names the token `X`; all others are one secret.
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Some(match name.strip_prefix("REVOKED_") {
            Some(jti) => format!("jti:{jti}\n").into_bytes(),
            None => vec![b's'; 32],
        })
    }

    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

fn resolve(address: &Configured) -> Box<[SocketAddr]> {
    match address {
        Configured::Tcp { host, port } => [SocketAddr::new(host.parse().unwrap(), *port)].into(),
        Configured::Unix(_) => Box::default(),
    }
}
