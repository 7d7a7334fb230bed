//! For tests: control with an event loop of its own, two workers that only have mailboxes, and a configuration.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deploy::deploy;
use super::life::{Control, Source};
use crate::base::Secret;
use crate::config::Snapshot;
use crate::config::check::Flags;
use crate::config::snapshot::{Driver, Outbound, ServerId};
use crate::io::bell::{BellWire, bell};
use crate::io::uring::UringNet;
use crate::link::{Answer, Errand, Message, Order, Shared, WorkerHandle};
use crate::policy::authn::{Authn, Introspection, Issuer, KeySet, KeySource};
use crate::policy::propagate::{ClientProof, Credentials, Grant};
use crate::server::runtime::event_loop;
use crate::shared::{Gauge, Mailbox, Slot, StageCell};

/// A configuration with one server, this authentication, and `http` permitted.
pub(super) fn snapshot(authn: Authn, credentials: Credentials) -> Snapshot {
    let servers = vec![("up".to_owned(), "http://127.0.0.1:8/mcp".to_owned())];
    let mut snapshot = Snapshot::from_flags(&Flags { servers, ..Flags::default() }).unwrap();
    snapshot.authn = Some(authn);
    snapshot.servers[0].credentials = credentials;
    snapshot.outbound =
        Outbound { allow_http: true, timeout: Duration::from_secs(20), ..Outbound::default() };
    snapshot
}

/// These issuers.
pub(super) fn issuers(all: &[(&str, KeySource)]) -> Authn {
    let issuer = |(name, source): &(&str, KeySource)| Issuer::new(name, source.clone());
    Authn { issuers: all.iter().map(issuer).collect(), ..Authn::default() }
}

/// Introspection at this URL.
pub(super) fn introspection(url: String) -> Authn {
    Authn { introspection: Some(introspection_at(url, "gateway", b"hunter2")), ..Authn::default() }
}

/// Introspection at this URL, by this client.
pub(super) fn introspection_at(url: String, client_id: &str, client_secret: &[u8]) -> Introspection {
    let client_secret = Secret::new(client_secret);
    Introspection {
        url: url.into(),
        client_id: client_id.into(),
        client_secret,
        token_pattern: None,
        issuer: None,
        authorization_server: None,
        cache: 60,
        require_audience: false,
        audiences: Box::default(),
        skew: 30,
        required: Box::default(),
        mapping: Default::default(),
    }
}

/// A client that asks at this URL.
pub(super) fn grant(url: String) -> Grant {
    Grant {
        token_url: url.into(),
        client_id: "gateway".into(),
        client: ClientProof::Basic(Secret::new(*b"hunter2")),
        audience: None,
        resource: None,
        scope: Box::default(),
    }
}

/// Takes any text with `keys` in it for a set of keys.
pub(super) fn parse(text: &[u8]) -> Result<KeySet, String> {
    let has = memchr::memmem::find(text, b"keys").is_some();
    has.then(KeySet::default).ok_or_else(|| "is no key set".to_owned())
}

/// What a reload reads: the first that is left.
#[derive(Default)]
pub(super) struct Queue(pub(super) RefCell<Vec<Result<Snapshot, String>>>);

impl Source for Queue {
    fn read(&self, generation: u64) -> Result<Snapshot, String> {
        let mut all = self.0.borrow_mut();
        if all.is_empty() {
            return Err("nothing is left".to_owned());
        }
        all.remove(0).map(|snapshot| Snapshot { generation, ..snapshot })
    }

    fn read_references(&self, generation: u64) -> Result<Snapshot, String> {
        self.read(generation)
    }

    fn accepted(&self) {}
}

/// Control, and what keeps its workers' bells from being dead.
pub(super) struct Scene {
    pub(super) control: Rc<Control>,
    _wires: Vec<BellWire>,
}

impl Scene {
    /// Runs `play` with control of this configuration; `next` is what reloads will read.
    pub(super) fn play<F: Future<Output = ()>>(
        first: Snapshot,
        next: Vec<Snapshot>,
        play: impl FnOnce(Rc<Self>) -> F,
    ) {
        let (event_loop, _) = event_loop(Driver::Epoll).unwrap();
        event_loop.block_on(async {
            let mut wires = Vec::new();
            let worker = |wires: &mut Vec<BellWire>| {
                let (bell, wire) = bell().unwrap();
                wires.push(wire);
                WorkerHandle {
                    mailbox: Mailbox::new(64),
                    bell,
                    connections: Gauge::default(),
                    listening: Gauge::default(),
                }
            };
            let (orders_bell, orders_wire) = bell().unwrap();
            let workers = [worker(&mut wires), worker(&mut wires)].into();
            wires.push(orders_wire);
            let shared = Shared {
                book: crate::shared::ledger::Book::new(1024, 1),
                limit_secret: Default::default(),
                session_key: crate::policy::session::SessionKey::new(&[7; 32]),
                deployment: Slot::new(Arc::new(deploy(first, None).unwrap())),
                stage: StageCell::default(),
                workers,
                orders: Mailbox::new(64),
                orders_bell,
                counting: Default::default(),
                connections_room: usize::MAX,
                bodies: Default::default(),
            };
            // As if the process had run for a while, so that things can be long ago.
            let start = Instant::now().checked_sub(Duration::from_secs(100)).unwrap();
            let queue = Queue(RefCell::new(next.into_iter().map(Ok).collect()));
            let mut control =
                Control::new(Arc::new(shared), Rc::new(UringNet::new(start)), Box::new(queue), aside);
            control.keys = super::keys::Keeper::new(parse);
            play(Rc::new(Self { control: Rc::new(control), _wires: wires })).await;
        });
    }

    /// An order of the deployment in force.
    pub(super) fn order(&self, worker: usize, number: u64, errand: Errand) -> Order {
        let deployment = self.control.shared.deployment.load();
        Order { deployment, errand, source: None, worker, number }
    }

    /// The next answer for this worker.
    pub(super) async fn answer(&self, worker: usize) -> (u64, Answer) {
        let mut found = None;
        self.until(|| {
            found = self.control.shared.workers[worker].mailbox.take();
            found.is_some()
        })
        .await;
        match found {
            Some(Message::Errand(number, answer)) => (number, answer),
            _ => panic!("another message"),
        }
    }

    /// Waits for `is_so`, which must become so soon.
    pub(super) async fn until(&self, mut is_so: impl FnMut() -> bool) {
        for _ in 0..4000 {
            if is_so() {
                return;
            }
            self.control.net.sleep(Duration::from_millis(5)).await;
        }
        panic!("it never became so");
    }
}

/// The first server.
pub(super) const UP: ServerId = ServerId(0);

fn aside(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    std::thread::Builder::new().spawn(work).map(drop)
}
