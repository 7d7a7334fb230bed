//! What workers cannot do themselves, because it waits for somebody outside.
//!
//! Equal errands of one configuration run once, and everybody who waits is answered. What an errand waits for runs
//! beside the control loop, and a slow issuer has only its share of that, as has a client with many of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::counters::Kind;
use super::fetch::{Fault, Fetcher, Said};
use super::keys;
use super::life::Control;
use super::tokens::{self, Granted};
use crate::base::{Restraint, Secret, Ticks};
use crate::config::snapshot::{Server, ServerId};
use crate::io::bell::Sleeper;
use crate::link::{Answer, Errand, Message, Order};
use crate::policy::propagate::Credentials;

mod assertions;

/// After a failure, a token of the gateway's own is not asked for again within this time.
const REST: std::time::Duration = std::time::Duration::from_secs(1);

/// Errands under way, and what is kept of them.
#[derive(Default)]
pub struct Errands {
    open: RefCell<HashMap<Key, Vec<Waiter>>>,
    /// The gateway's own tokens, by generation and server.
    own: RefCell<HashMap<(u64, u16), Own>>,
    /// What assertions were traded for.
    traded: RefCell<assertions::Traded>,
    restraint: Restraint,
    denials: Restraint,
}

struct Waiter {
    worker: usize,
    number: u64,
}

#[derive(Clone)]
enum Own {
    /// A token, and when it ends, in seconds since 1970 (UTC).
    Token(Granted, u64),
    /// None, and none is asked for before then.
    Resting(Ticks),
}

/// What makes two errands the same. The generation stands for all that the errand's numbers refer to.
#[derive(PartialEq, Eq)]
struct Key {
    generation: u64,
    errand: Errand,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.generation.hash(state);
        match &self.errand {
            Errand::Keys(issuer) => (0, issuer).hash(state),
            Errand::Introspect(token) => (1, token.reveal()).hash(state),
            Errand::Renew(server, line) => (4, server, line.reveal()).hash(state),
            Errand::Trade(server, assertion) => (3, server, assertion.reveal()).hash(state),
            Errand::Token(server, subject) => {
                (2, server, subject.as_ref().map(Secret::reveal)).hash(state);
            }
        }
    }
}

/// Runs errands for as long as the process lives.
pub async fn run(control: Rc<Control>, mut bell: Sleeper) {
    loop {
        while let Some(order) = control.shared.orders.take() {
            take(&control, order);
        }
        if bell.heard().await.is_err() {
            return;
        }
    }
}

fn take(control: &Rc<Control>, order: Order) {
    let waiter = Waiter { worker: order.worker, number: order.number };
    let generation = order.deployment.snapshot.generation;
    let key = Key { generation, errand: order.errand.clone() };
    if let Some(waiters) = control.errands.open.borrow_mut().get_mut(&key) {
        waiters.push(waiter);
        return;
    }
    control.errands.open.borrow_mut().insert(key, vec![waiter]);
    let this = control.clone();
    control.net.spawn(Box::pin(async move {
        let answer = obey(&this, &order).await;
        let key = Key { generation, errand: order.errand };
        let waiters = this.errands.open.borrow_mut().remove(&key).unwrap_or_default();
        for waiter in waiters {
            tell(&this, &waiter, answer.clone());
        }
    }));
}

/// Tells the worker what became of its errand. A worker whose mailbox is full waits until its patience ends.
fn tell(control: &Control, waiter: &Waiter, answer: Answer) {
    let Some(worker) = control.shared.workers.get(waiter.worker) else { return };
    if worker.mailbox.post(Message::Errand(waiter.number, answer)).is_ok() {
        worker.bell.ring();
    }
}

async fn obey(control: &Control, order: &Order) -> Answer {
    match &order.errand {
        Errand::Keys(issuer) => keys::on_demand(control, &order.deployment, *issuer).await,
        Errand::Introspect(_) => introspect(control, order).await,
        Errand::Trade(server, assertion) => assertions::trade(control, order, *server, assertion).await,
        Errand::Renew(server, line) => renew(control, order, *server, line).await,
        Errand::Token(server, _) => token(control, order, *server).await,
    }
}

async fn introspect(control: &Control, order: &Order) -> Answer {
    let (snapshot, Errand::Introspect(token)) = (order.deployment.snapshot.clone(), order.errand.clone())
    else {
        return Answer::Failed;
    };
    let Some(url) = snapshot.authn.as_ref().and_then(|authn| Some(authn.introspection.as_ref()?.url.clone()))
    else {
        return Answer::Failed;
    };
    let whom = snapshot.clone();
    let job = move |fetcher: &Fetcher| {
        let whom = whom.authn.as_ref().and_then(|authn| authn.introspection.as_ref()).ok_or(Fault::Url)?;
        tokens::introspect(fetcher, whom, &token)
    };
    match control.fetch(Kind::Introspection, order.source, &snapshot.outbound, &url, job).await {
        Ok(body) => Answer::Introspected(body),
        Err(fault) => failed(control, Kind::Introspection, "", &fault),
    }
}

async fn token(control: &Control, order: &Order, id: ServerId) -> Answer {
    let snapshot = order.deployment.snapshot.clone();
    let Some(server) = snapshot.servers.get(usize::from(id.0)) else { return Answer::Failed };
    match (&server.credentials, &order.errand) {
        (Credentials::ClientCredentials(_), Errand::Token(_, None)) => {
            own_token(control, order, server).await
        }
        (Credentials::Exchange(grant, _), Errand::Token(_, Some(subject))) => {
            let (theirs, subject) = (snapshot.clone(), subject.clone());
            let now = control.net.wall();
            let job = move |fetcher: &Fetcher| match &theirs.server(id).credentials {
                Credentials::Exchange(grant, wish) => {
                    tokens::exchange(fetcher, grant, wish, &subject, None, now)
                }
                _ => Err(Fault::Url),
            };
            let kind = Kind::TokenExchange;
            match control.fetch(kind, order.source, &snapshot.outbound, &grant.token_url, job).await {
                Ok(granted) => shown(granted.clone(), control.net.wall().saturating_add(granted.usable)),
                Err(Fault::Denied(said)) => denied(control, kind, &server.name, &said),
                Err(fault) => failed(control, kind, &server.name, &fault),
            }
        }
        _ => Answer::Failed,
    }
}

/// Another token of the gateway's own than the one in this header line, which the server has refused. Several workers may
/// have shown it: the first has it dropped, and the others get the new one.
async fn renew(control: &Control, order: &Order, id: ServerId, line: &Secret) -> Answer {
    let snapshot = &order.deployment.snapshot;
    let Some(server) = snapshot.servers.get(usize::from(id.0)) else { return Answer::Failed };
    let is_refused = |own: &Own| matches!(own, Own::Token(granted, _) if server.credentials.line(&granted.token).is(line.reveal()));
    let key = (snapshot.generation, id.0);
    if control.errands.own.borrow().get(&key).is_some_and(is_refused) {
        control.errands.own.borrow_mut().remove(&key);
    }
    own_token(control, order, server).await
}

/// A token of the gateway's own. It is kept, so that each worker need not fetch one.
async fn own_token(control: &Control, order: &Order, server: &Server) -> Answer {
    let snapshot = order.deployment.snapshot.clone();
    let (id, key) = (server.id, (snapshot.generation, server.id.0));
    let kept = control.errands.own.borrow().get(&key).cloned();
    match kept {
        Some(Own::Token(granted, expires)) if expires > control.net.wall() => return shown(granted, expires),
        Some(Own::Resting(until)) if until > control.net.now() => return Answer::Failed,
        _ => {}
    }
    let Credentials::ClientCredentials(grant) = &server.credentials else { return Answer::Failed };
    let theirs = snapshot.clone();
    let now = control.net.wall();
    let job = move |fetcher: &Fetcher| match &theirs.server(id).credentials {
        Credentials::ClientCredentials(grant) => tokens::client_credentials(fetcher, grant, now),
        _ => Err(Fault::Url),
    };
    let kind = Kind::ClientCredentials;
    let fetched = control.fetch(kind, None, &snapshot.outbound, &grant.token_url, job).await;
    let (own, answer) = match fetched {
        Ok(granted) => {
            let expires = control.net.wall().saturating_add(granted.usable);
            (Own::Token(granted.clone(), expires), shown(granted, expires))
        }
        Err(fault) => (Own::Resting(control.net.now() + REST), failed(control, kind, &server.name, &fault)),
    };
    let newest = control.shared.deployment.load().snapshot.generation;
    let mut kept = control.errands.own.borrow_mut();
    kept.insert(key, own);
    // A reload may have changed what the tokens are for.
    kept.retain(|(generation, _), _| *generation >= newest);
    answer
}

fn shown(granted: Granted, expires: u64) -> Answer {
    Answer::Token { token: granted.token, expires }
}

/// Says what an issuer has against a caller's token, where callers cannot fill the log.
fn denied(control: &Control, kind: Kind, server: &str, said: &Said) -> Answer {
    if let Some(kept_back) = control.errands.denials.may_speak(control.net.now()) {
        let (what, error, error_description) = (kind.label(), &*said.error, &*said.description);
        tracing::warn!(
            what,
            server,
            error,
            error_description,
            kept_back,
            "an issuer refuses a caller's token"
        );
    }
    Answer::Refused { sign_in: said.error == "invalid_grant" }
}

/// Says why in the log, where callers cannot fill it.
fn failed(control: &Control, kind: Kind, server: &str, fault: &Fault) -> Answer {
    if let Some(kept_back) = control.errands.restraint.may_speak(control.net.now()) {
        let what = kind.label();
        if matches!(fault, Fault::Client(_)) {
            tracing::error!(what, server, error = %fault, kept_back, "an issuer refuses the gateway");
        } else {
            tracing::warn!(what, server, error = %fault, kept_back, "a fetch failed");
        }
    }
    Answer::Failed
}

#[cfg(test)]
mod tests;
