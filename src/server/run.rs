//! `ringgate serve`: threads, sockets and signals, from start to drained.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use core_affinity::CoreId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::bind::{Bound, bind_all, bind_tcp};
use super::claims::{self, Claim};
use super::doctor;
use super::runtime::{EventLoop, event_loop};
use super::state::{self, State};
use crate::config::Snapshot;
use crate::config::snapshot::{Driver, Workers};
use crate::control::life::{Signals, Source, ring_on};
use crate::control::usage::Keeping;
use crate::control::{Control, Ending, deploy};
use crate::io::bell::{BellWire, bell};
use crate::io::uring::{TcpListen, UnixListen, UringNet};
use crate::io::{Listen, Net, process};
use crate::link::{Deployment, Message, Shared, WorkerHandle};
use crate::policy::rate_limit::{self, KEYS_MAX_DEFAULT};
use crate::policy::session::SessionKey;
use crate::proxy::worker::TICK;
use crate::proxy::{Worker, cancel, closing, listener};
use crate::shared::ledger::Book;
use crate::shared::{Gauge, Mailbox, Slot, Stage, StageCell};

/// Messages that a worker may have unread.
const MAILBOX: usize = 1024;
/// Errands that may wait for control.
const ORDERS: usize = 4096;

/// Why the gateway could not start, in words for the operator.
pub type Failure = String;

/// Serves until drained. `source` reads the configuration again on SIGHUP; `announce` is called once
/// everything listens.
///
/// # Errors
/// When it cannot start; nothing was served then.
pub fn serve(
    snapshot: Snapshot,
    source: Box<dyn Source>,
    announce: impl FnOnce(&Deployment),
) -> Result<Ending, Failure> {
    let start = Instant::now();
    let driver = usable_driver(snapshot.driver)?;
    let (cpus, _claimed_cpus) = choose_cpus(&snapshot.workers)?;
    let connections_room = room_for_connections(snapshot.limits.connections_max, cpus.len());
    let (sockets, _claimed_addresses) = bind_all(&snapshot.listeners, cpus.len())?;
    let admin = snapshot.admin.address.map(|address| {
        bind_tcp(address, false)
            .map_err(|error| format!("cannot listen on the admin address {address}: {error}"))
    });
    let admin = admin.transpose()?;
    let deployment = Arc::new(deploy(snapshot, None)?);
    let state = state::open(&deployment.snapshot)?;
    let (shared, wires, orders) = shared_state(deployment.clone(), cpus.len(), connections_room, &state)?;
    let keeping = keep_usage(&state, &shared, start)?;
    let reload = signal_wire(&[SIGHUP])?;
    let stop = signal_wire(&[SIGTERM, SIGINT])?;
    process::release_reload();
    let workers = spawn_workers(&shared, sockets, wires, &cpus, driver, start)?;
    announce(&deployment);

    let (control_loop, _) = event_loop(Driver::Epoll).map_err(|error| format!("control thread: {error}"))?;
    let ending = control_loop.block_on(async {
        let net: Rc<dyn Net> = Rc::new(UringNet::new(start));
        let control = Rc::new(Control::new(shared.clone(), net, source, aside));
        let listen = |error: std::io::Error| format!("control thread: {error}");
        let signals = Signals {
            reload: reload.listen().map_err(listen)?,
            stop: stop.listen().map_err(listen)?,
            orders: orders.listen().map_err(listen)?,
        };
        let admin = match admin {
            Some(socket) => Some(Rc::new(TcpListen::new(socket).map_err(listen)?) as Rc<dyn Listen>),
            None => None,
        };
        Ok::<_, Failure>(control.run(signals, admin).await)
    })?;
    if ending == Ending::AtOnce {
        tracing::warn!("second signal; ending at once");
        return Ok(ending);
    }
    for worker in workers {
        // A worker that panicked has said so.
        let _ = worker.join();
    }
    if let Some(keeping) = keeping {
        keeping.end();
    }
    Ok(ending)
}

/// Client connections of a worker that there are descriptors for; says if these are fewer than may come. A quarter of all is
/// kept for connections to servers and the rest, so that neither calls nor the admin address wait for a client to leave.
fn room_for_connections(connections_max: usize, workers: usize) -> usize {
    let Some(descriptors) = process::raise_descriptors() else { return usize::MAX };
    let wanted = connections_max.saturating_mul(workers).saturating_add(DESCRIPTORS_BESIDE) as u64;
    if descriptors < wanted {
        tracing::warn!(
            descriptors,
            wanted,
            "fewer descriptors than limits.connections_max may take: raise LimitNOFILE (ulimit -n), or lower the limit"
        );
    }
    usize::try_from(descriptors / 4 * 3).unwrap_or(usize::MAX) / workers.max(1)
}

/// Descriptors beside those of client connections: rings, listeners, admin, idle connections to servers.
const DESCRIPTORS_BESIDE: usize = 1_024;

/// What was used of limits before is booked, and what will be is kept, if there is a place for it.
fn keep_usage(state: &State, shared: &Arc<Shared>, start: Instant) -> Result<Option<Keeping>, Failure> {
    let Some((path, secret)) = &state.limits else { return Ok(None) };
    let most = keys_max(&shared.deployment.load());
    let spawn = |life| thread::Builder::new().name("usage".to_owned()).spawn(life);
    Keeping::begin(path, *secret, &shared.book, most, start, spawn).map(Some).map_err(|what| {
        format!(
            "what limits have used cannot be had: {} {what} (restore it; or move it away, and nothing counts as used)",
            path.display()
        )
    })
}

fn keys_max(deployment: &Deployment) -> usize {
    deployment.snapshot.rate_limits.as_ref().map_or(KEYS_MAX_DEFAULT, |limits| limits.keys_max)
}

/// The driver to ask for. A ring that can be made but not entered would wait for ever, so the host is asked first.
fn usable_driver(wanted: Driver) -> Result<Driver, Failure> {
    match (wanted, doctor::why_no_ring()) {
        (Driver::Epoll, _) | (_, None) => Ok(wanted),
        (Driver::IoUring, Some(finding)) => {
            Err(format!("driver: io_uring: {}; {}", finding.what, finding.fix))
        }
        (Driver::Auto, Some(finding)) => {
            let (what, cost, fix) = (finding.what, finding.cost, finding.fix);
            tracing::warn!(%what, %cost, %fix, "no io_uring, so the workers use epoll");
            Ok(Driver::Epoll)
        }
    }
}

/// What control does not wait for itself: names, fetches, looks at files.
fn aside(work: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    thread::Builder::new().name("aside".to_owned()).spawn(work).map(drop)
}

/// The CPUs to run on, one a worker (`None` where a worker is not pinned), and the claims on them.
fn choose_cpus(workers: &Workers) -> Result<(Vec<Option<CoreId>>, Vec<Claim>), Failure> {
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    let claimed = |cpus: Vec<CoreId>| {
        let claims = cpus.iter().filter_map(|&cpu| claims::claim_cpu(cpu)).collect();
        (cpus.into_iter().map(Some).collect(), claims)
    };
    match workers {
        Workers::Auto if allowed.is_empty() => Ok((vec![None], Vec::new())),
        Workers::Auto => Ok(claimed(allowed)),
        Workers::Count(count) => {
            let count = usize::from(count.get());
            if count > allowed.len() {
                // The scheduler shares the CPUs out better than pinning would.
                return Ok((vec![None; count], Vec::new()));
            }
            let (chosen, claims) = claims::choose(&allowed, count);
            if chosen.contains(&None) {
                tracing::warn!(
                    "other gateways have the CPUs of this host: workers without a CPU of their own are not pinned"
                );
            }
            Ok((chosen, claims))
        }
        Workers::Cpus(list) => {
            let find = |&cpu: &u16| {
                let found = allowed.iter().find(|core| core.id == usize::from(cpu)).copied();
                found.ok_or_else(|| {
                    format!("workers: CPU {cpu} is not one this process may use; see `ringgate doctor`")
                })
            };
            list.iter().map(find).collect::<Result<_, _>>().map(claimed)
        }
    }
}

fn shared_state(
    deployment: Arc<Deployment>,
    workers: usize,
    connections_room: usize,
    state: &State,
) -> Result<(Arc<Shared>, Vec<BellWire>, BellWire), Failure> {
    let mut handles = Vec::with_capacity(workers);
    let mut wires = Vec::with_capacity(workers);
    for _ in 0..workers {
        let (bell, wire) = bell().map_err(|error| format!("no descriptors left at start: {error}"))?;
        handles.push(WorkerHandle {
            mailbox: Mailbox::new(MAILBOX),
            bell,
            connections: Gauge::default(),
            listening: Gauge::default(),
        });
        wires.push(wire);
    }
    let (orders_bell, orders_wire) =
        bell().map_err(|error| format!("no descriptors left at start: {error}"))?;
    let random = || "the system has no random numbers to give".to_owned();
    let keys = keys_max(&deployment);
    let kept = state.limits.as_ref().map(|(_, secret)| *secret);
    let session_key = state.session_key.clone();
    let shared = Shared {
        book: if kept.is_some() { Book::kept(keys, workers) } else { Book::new(keys, workers) },
        limit_secret: kept.or_else(rate_limit::Secret::random).ok_or_else(random)?,
        deployment: Slot::new(deployment),
        stage: StageCell::default(),
        workers: handles.into(),
        session_key: session_key.or_else(SessionKey::random).ok_or_else(random)?,
        orders: Mailbox::new(ORDERS),
        orders_bell,
        counting: Default::default(),
        connections_room,
        bodies: Default::default(),
    };
    Ok((Arc::new(shared), wires, orders_wire))
}

fn signal_wire(signals: &[i32]) -> Result<BellWire, Failure> {
    let explain = |error: std::io::Error| format!("cannot handle signals: {error}");
    let (bell, wire) = bell().map_err(explain)?;
    ring_on(signals, &bell).map_err(explain)?;
    Ok(wire)
}

fn spawn_workers(
    shared: &Arc<Shared>,
    sockets: Vec<Vec<Bound>>,
    wires: Vec<BellWire>,
    cpus: &[Option<CoreId>],
    driver: Driver,
    start: Instant,
) -> Result<Vec<thread::JoinHandle<()>>, Failure> {
    let (ready, started) = std::sync::mpsc::channel();
    let mut threads = Vec::new();
    for (index, ((sockets, wire), &cpu)) in sockets.into_iter().zip(wires).zip(cpus).enumerate() {
        let (shared, ready) = (shared.clone(), ready.clone());
        let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            let pinned = cpu.is_some_and(core_affinity::set_for_current);
            // The ring belongs to the thread that makes it.
            match event_loop(driver) {
                Ok((event_loop, fallback)) => {
                    report(index, cpu, pinned, &event_loop, fallback);
                    event_loop.block_on(work(index, shared, sockets, wire, start, ready));
                }
                Err(error) => {
                    let _ = ready.send(Err(format!(
                        "worker {index} has no event loop: {error}; see `ringgate doctor`"
                    )));
                }
            }
        });
        threads.push(thread.map_err(|error| format!("cannot start worker {index}: {error}"))?);
    }
    drop(ready);
    for _ in cpus {
        started.recv().map_err(|_| "a worker ended at its start".to_owned())??;
    }
    Ok(threads)
}

fn report(
    index: usize,
    cpu: Option<CoreId>,
    pinned: bool,
    event_loop: &EventLoop,
    fallback: Option<std::io::Error>,
) {
    if let (0, Some(error)) = (index, fallback) {
        tracing::warn!(%error, "no io_uring: the workers use epoll, at about a third more CPU a request; run `ringgate doctor`");
    }
    let cpu = cpu.filter(|_| pinned).map_or_else(|| "any".to_owned(), |cpu| cpu.id.to_string());
    tracing::info!(worker = index, %cpu, driver = event_loop.label(), "worker started");
}

/// The life of one worker.
async fn work(
    index: usize,
    shared: Arc<Shared>,
    sockets: Vec<Bound>,
    wire: BellWire,
    start: Instant,
    ready: std::sync::mpsc::Sender<Result<(), Failure>>,
) {
    let worker = Worker::new(index, Rc::new(UringNet::new(start)), shared);
    let opened = sockets.into_iter().map(open).collect::<Result<Vec<_>, _>>();
    let (listeners, mut sleeper) = match opened.and_then(|listeners| Ok((listeners, wire.listen()?))) {
        Ok(opened) => opened,
        Err(error) => {
            let _ = ready.send(Err(format!("worker {index} cannot use its sockets: {error}")));
            return;
        }
    };
    for (at, listen) in listeners.iter().enumerate() {
        worker.handle().listening.up();
        worker.net.spawn(Box::pin(listener::accept_loop(worker.clone(), at, listen.clone())));
    }
    let hearing = worker.clone();
    worker.net.spawn(Box::pin(async move {
        while sleeper.heard().await.is_ok() {
            // The newest configuration first: a report is read under it.
            hearing.take_news();
            read_mail(&hearing);
        }
    }));
    let _ = ready.send(Ok(()));
    tick_until_drained(&worker, &listeners).await;
    worker.close();
}

fn open(socket: Bound) -> std::io::Result<Rc<dyn Listen>> {
    Ok(match socket {
        Bound::Tcp(socket) => Rc::new(TcpListen::new(socket)?),
        Bound::Unix(socket) => Rc::new(UnixListen::new(socket)?),
    })
}

fn read_mail(worker: &Rc<Worker>) {
    while let Some(message) = worker.handle().mailbox.take() {
        match message {
            Message::Connection(accepted, listener) => listener::start(worker, accepted, listener),
            Message::Errand(number, answer) => worker.errands.deliver(number, answer),
            Message::Cancel(calls, grace) => cancel::bound(worker, &calls, grace),
            Message::Report(answers, bell) => {
                // Full only if somebody answered twice, which nobody does.
                let _ = answers.post(worker.report());
                bell.ring();
            }
            Message::HotKeys(answers, bell) => {
                let _ = answers.post(worker.purse.hot.report(worker.net.now()));
                bell.ring();
            }
        }
    }
}

async fn tick_until_drained(worker: &Rc<Worker>, listeners: &[Rc<dyn Listen>]) {
    let mut closing = false;
    loop {
        worker.net.sleep(TICK).await;
        worker.tick(worker.net.now());
        if worker.stage() >= Stage::Closing && !closing {
            closing = true;
            for listen in listeners {
                let (net, listen) = (worker.net.clone(), listen.clone());
                worker.net.spawn(Box::pin(async move { closing::close(&*net, &*listen).await }));
            }
        }
        // Control moves on once every connection has ended, or their time is over. Then there is time for last words.
        if worker.has_stopped(worker.net.now()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::check::Flags;
    use crate::control::deploy::resolve_aside;

    #[test]
    fn names_are_resolved_beside_the_event_loop() {
        let flags =
            Flags { servers: vec![("s".into(), "http://127.0.0.1:8/mcp".into())], ..Flags::default() };
        let mut old = deploy(Snapshot::from_flags(&flags).unwrap(), None).unwrap();
        old.addresses[0] = Box::default();
        let old = Arc::new(old);
        let (event_loop, _) = event_loop(Driver::Epoll).unwrap();
        let none = |_: Box<dyn FnOnce() + Send>| Err(std::io::ErrorKind::WouldBlock.into());
        let (found, without_a_thread) = event_loop.block_on(async {
            let resolve = |aside| resolve_aside(old.snapshot.clone(), old.clone(), aside);
            (resolve(aside).await, resolve(none).await)
        });
        for found in [found, without_a_thread] {
            assert_eq!(*found[0], [([127, 0, 0, 1], 8).into()]);
        }
    }
}
