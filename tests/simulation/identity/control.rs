//! Control, played: errands are answered late, wrongly or never, and keys come with a new deployment.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringgate::base::Secret;
use ringgate::io::sim::{Prng, WALL_AT_START};
use ringgate::link::{Answer, Deployment, Errand, Order, Shared};
use ringgate::proxy::Worker;

use super::super::world::World;
use super::cast;

/// Answers errands until `ended`.
pub fn play(world: &World, prng: &Rc<Prng>, ended: &Rc<Cell<bool>>) {
    let (worker, prng, ended) = (world.worker.clone(), prng.clone(), ended.clone());
    world.sim.spawn(async move {
        while !ended.get() {
            while let Some(order) = worker.shared.orders.take() {
                let (theirs, prng) = (worker.clone(), prng.clone());
                worker.net.spawn(Box::pin(async move { obey(theirs, order, prng).await }));
            }
            worker.net.sleep(Duration::from_millis(5)).await;
        }
    });
}

async fn obey(worker: Rc<Worker>, order: Order, prng: Rc<Prng>) {
    // Now and then longer than an exchange waits.
    let delay = if prng.chance(50) { 20_000 } else { prng.below(1_500) };
    worker.net.sleep(Duration::from_millis(delay)).await;
    let answer = match prng.below(20) {
        0 => return,
        1 => Answer::Failed,
        2 if matches!(order.errand, Errand::Token(..)) => Answer::Refused { sign_in: false },
        _ => answer(&worker, &order, &prng),
    };
    worker.take_news();
    worker.errands.deliver(order.number, answer);
}

fn answer(worker: &Worker, order: &Order, prng: &Prng) -> Answer {
    let snapshot = &order.deployment.snapshot;
    match &order.errand {
        Errand::Keys(issuer) => {
            publish(&worker.shared, order, *issuer);
            Answer::Keys
        }
        Errand::Introspect(token) => {
            Answer::Introspected(Secret::new(cast::introspected(token.reveal()).as_bytes()))
        }
        Errand::Trade(..) | Errand::Renew(..) => Answer::Failed,
        Errand::Token(server, subject) => {
            let whose = subject.as_ref().map_or("all", |subject| cast::owner(subject.reveal()).name);
            let expires = worker.net.wall() + 1 + prng.below(20);
            let (since, server) = (expires - WALL_AT_START, &snapshot.server(*server).name);
            // It says for whom it is, of which configuration, and when it ends.
            let token = format!("{whose}.{server}.{}.{since}", snapshot.generation);
            Answer::Token { token: Secret::new(token.as_bytes()), expires }
        }
    }
}

/// Puts the keys of an issuer into the deployment in force, if the errand is of that one's configuration.
fn publish(shared: &Shared, order: &Order, issuer: usize) {
    let now = shared.deployment.load();
    if !Arc::ptr_eq(&now.snapshot, &order.deployment.snapshot) {
        return;
    }
    let count = now.snapshot.authn.as_ref().unwrap().issuers.len();
    let mut keys = now.keys.to_vec();
    keys.resize(count, None);
    keys[issuer] = Some(cast::keys(issuer));
    shared.deployment.store(Arc::new(Deployment {
        snapshot: now.snapshot.clone(),
        listener_tls: now.listener_tls.iter().map(|_| None).collect(),
        endpoint_tls: now.endpoint_tls.iter().map(|_| None).collect(),
        addresses: now.addresses.clone(),
        keys: keys.into(),
    }));
}
