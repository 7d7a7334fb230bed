//! A token that its server refuses: another is had, and the request is sent once more.
//!
//! A 401 says that nothing was done for want of a credential (RFC 9110 section 15.5.2), and the whole request is still
//! in the client's inbox, so that sending it again is safe whatever it asks for. It happens once for a request; and a
//! token that was had a moment ago is not changed for another, or a server that wants something else would have its
//! issuer asked with every request.

use super::admit::Forward;
use super::caller::Granted;
use super::client::Client;
use super::errands;
use super::exchange::{Exchange, replace_front};
use super::worker::Worker;
use crate::base::Secret;
use crate::link::{Answer, Errand};
use crate::policy::propagate::Credentials;

/// A token that was had within so many seconds is not changed for another.
const REST: u64 = 5;

/// Puts another token in the place of the one that the server has refused. Whether there is one.
pub async fn renew(exchange: &mut Exchange<'_>, client: &mut Client) -> bool {
    let (worker, forward) = (exchange.worker, &exchange.forward);
    let line = forward.front_len..forward.front_len + forward.token_len;
    let Some(refused) = client.inbox.filled().get(line).map(Secret::new) else { return false };
    let now = worker.wall();
    let line = match held(forward, now) {
        // Another request has changed it already.
        Some(held) if !refused.is(held.line.reveal()) => held.line,
        Some(held) if now < held.since.saturating_add(REST) => return false,
        _ => {
            forget(forward);
            match fetch(exchange, client, &refused, now).await {
                Some(line) => line,
                None => return false,
            }
        }
    };
    put_in_place(exchange, client, &line);
    worker.stats.borrow_mut().retries += 1;
    true
}

/// The token that would be shown now.
fn held(forward: &Forward, now: u64) -> Option<Granted> {
    match &forward.live.deployment.snapshot.server(forward.server).credentials {
        Credentials::Exchange(..) => Granted::of(&forward.caller.as_ref()?.token, now),
        _ => forward.live.callers.server_token(forward.server, now),
    }
}

/// Sees to it that no further request shows the token.
fn forget(forward: &Forward) {
    forward.live.callers.forget_server_token(forward.server);
    if let Some(caller) = &forward.caller {
        caller.token.take();
    }
}

/// Another token, as a header line. It is kept as the first was.
async fn fetch(exchange: &Exchange<'_>, client: &mut Client, refused: &Secret, now: u64) -> Option<Secret> {
    let (worker, forward) = (exchange.worker, &exchange.forward);
    let (live, id) = (&forward.live, forward.server);
    let server = live.deployment.snapshot.server(id);
    let caller = forward.caller.as_ref();
    let errand = match &server.credentials {
        Credentials::None => return None,
        Credentials::ClientCredentials(_) => Errand::Renew(id, refused.clone()),
        Credentials::Exchange(..) => Errand::Token(id, Some(caller?.subject.clone()?)),
    };
    let is_own = matches!(errand, Errand::Renew(..));
    let answer = errands::run(worker, live, errand, client).await?;
    let Answer::Token { token, expires } = answer else { return None };
    let line = server.credentials.line(&token);
    if refused.is(line.reveal()) {
        return None;
    }
    let granted = Granted { line: line.clone(), since: now, until: expires };
    match caller.filter(|_| !is_own) {
        Some(caller) => {
            live.callers.note_kept(line.reveal().len());
            *caller.token.borrow_mut() = Some(granted);
        }
        None => live.callers.keep_server_token(id, granted),
    }
    Some(line)
}

fn put_in_place(exchange: &mut Exchange<'_>, client: &mut Client, line: &Secret) {
    let worker: &Worker = exchange.worker;
    let forward = &mut exchange.forward;
    let old = forward.front_len + forward.token_len;
    let mut front = worker.scratch.borrow_mut();
    front.clear();
    front.extend_from_slice(&client.inbox.filled()[..forward.front_len]);
    front.extend_from_slice(line.reveal());
    replace_front(worker, client, forward, old, &front);
    forward.token_len = line.reveal().len();
}
