//! What the server is shown of the gateway and of the caller: header lines that change from request to request.

use super::identify::Brought;
use crate::base::Secret;
use crate::config::snapshot::Server;
use crate::link::{Answer, Errand};
use crate::policy::propagate::{Credentials, MintError};
use crate::proxy::caller::{Caller, Granted};
use crate::proxy::reply::Reply;
use crate::proxy::worker::{Live, Worker};
use crate::telemetry::Cause;

/// Header lines to be added, each with its end.
#[derive(Default)]
pub struct Shown {
    /// The token for the server.
    pub token: Option<Secret>,
    /// Who calls.
    pub assertion: Option<Secret>,
}

/// Why the lines cannot be had.
pub enum Stop {
    /// A token must be fetched first.
    Wait(Errand),
    /// There is none.
    Refuse(Reply<'static>),
    /// The caller's credential has ended, if only by what its issuer's clock may be behind.
    Expired,
    /// The issuer does not change the caller's token for another any more: it must sign in again.
    RefusedGrant,
}

/// The lines for a request of `caller` to `server`.
pub fn to_server(
    worker: &Worker,
    live: &Live,
    caller: Option<&Caller>,
    brought: &mut Brought,
    server: &Server,
) -> Result<Shown, Stop> {
    if server.assertion.is_none() && server.credentials == Credentials::None {
        return Ok(Shown::default());
    }
    let token = token(worker, live, caller, brought, server)?;
    let assertion = match caller {
        Some(caller) => assertion(worker, live, caller, server)?,
        None => None,
    };
    Ok(Shown { token, assertion })
}

fn token(
    worker: &Worker,
    live: &Live,
    caller: Option<&Caller>,
    brought: &mut Brought,
    server: &Server,
) -> Result<Option<Secret>, Stop> {
    let now = worker.wall();
    let subject = match (&server.credentials, caller) {
        (Credentials::None, _) => return Ok(None),
        (Credentials::ClientCredentials(_), _) => {
            if let Some(held) = live.callers.server_token(server.id, now) {
                return Ok(Some(held.line));
            }
            None
        }
        (Credentials::Exchange(..), None) => return Err(Stop::Refuse(nothing_to_exchange())),
        (Credentials::Exchange(..), Some(caller)) => {
            if let Some(held) = Granted::of(&caller.token, now) {
                return Ok(Some(held.line));
            }
            Some(caller.subject.clone().ok_or_else(|| Stop::Refuse(nothing_to_exchange()))?)
        }
    };
    match brought.token.take() {
        Some(Answer::Token { token, expires }) => {
            let granted = Granted { line: server.credentials.line(&token), since: now, until: expires };
            let line = granted.line.clone();
            match caller.filter(|_| subject.is_some()) {
                Some(caller) => {
                    live.callers.note_kept(granted.line.reveal().len());
                    *caller.token.borrow_mut() = Some(granted);
                }
                None => live.callers.keep_server_token(server.id, granted),
            }
            Ok(Some(line))
        }
        Some(Answer::Refused { sign_in: true }) => Err(Stop::RefusedGrant),
        Some(Answer::Refused { sign_in: false }) => Err(Stop::Refuse(Reply::status(
            Cause::ServerCredential,
            403,
            "the issuer gives no token for this server on your behalf: ask for access to it there",
        ))),
        None if brought.may_wait() => Err(Stop::Wait(Errand::Token(server.id, subject))),
        _ => Err(Stop::Refuse(
            Reply::status(
                Cause::ServerCredential,
                503,
                "no token for the server is to be had now: try again",
            )
            .with_headers("retry-after: 2\r\n"),
        )),
    }
}

fn nothing_to_exchange() -> Reply<'static> {
    Reply::status(
        Cause::ServerCredential,
        403,
        "this server is called on behalf of the owner of a token: show a bearer token",
    )
}

fn assertion(worker: &Worker, live: &Live, caller: &Caller, server: &Server) -> Result<Option<Secret>, Stop> {
    let (Some(assertion), Some(signer)) = (&server.assertion, &live.deployment.snapshot.signer) else {
        return Ok(None);
    };
    let now = worker.wall();
    if let Some(held) = Granted::of(&caller.assertion, now) {
        return Ok(Some(held.line));
    }
    let minted = signer.mint_now(assertion, &caller.principal, now).map_err(|error| match error {
        MintError::Expired => Stop::Expired,
        MintError::TooLarge => Stop::Refuse(Reply::status(
            Cause::ServerCredential,
            403,
            "you have more roles than can be passed on to the server",
        )),
        MintError::Failed => Stop::Refuse(Reply::status(
            Cause::ServerCredential,
            500,
            "your identity cannot be passed on to the server",
        )),
    })?;
    let line = [assertion.header.as_bytes(), b": ", &minted, b"\r\n"].concat();
    // A line that is taken from here has half of its life before it at least.
    let until = now + u64::from(assertion.lifetime / 2).max(1);
    let until = caller.principal.expires.map_or(until, |expires| until.min(expires));
    let granted = Granted { line: Secret::new(line), since: now, until };
    let line = granted.line.clone();
    live.callers.note_kept(line.reveal().len());
    *caller.assertion.borrow_mut() = Some(granted);
    Ok(Some(line))
}
