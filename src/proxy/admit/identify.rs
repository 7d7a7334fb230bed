//! Who calls: the credential of a request, judged before anything else of it is read, and the answers to those who
//! have none (MCP 2026-07-28, authorization; RFC 6750 section 3; RFC 9728).

use std::rc::Rc;
use std::sync::Arc;

use super::Refusal;
use super::refuser::Refuser;
use crate::base::Secret;
use crate::config::snapshot::{Protection, Server, Snapshot};
use crate::link::{Answer, Errand};
use crate::policy::authn::{Credential, Facts, Outcome, Refused, refused, saml};
use crate::policy::propagate::Credentials;
use crate::policy::{Principal, Proof};
use crate::proxy::caller::{Caller, Callers, Place, REFUSED_REMEMBERED};
use crate::proxy::reply::Reply;
use crate::proxy::worker::{Live, Worker};
use crate::telemetry::Cause;
use crate::wire::http1::{HeaderId, Method, RequestHead};

/// Where the documents of RFC 9728 are: this, then the path of the server.
pub const METADATA_PATH: &[u8] = b"/.well-known/oauth-protected-resource";

/// A request that waited so often is given up.
const WAITS_MAX: u8 = 4;

/// What errands have brought for the request in the inbox.
#[derive(Default)]
pub struct Brought {
    waits: u8,
    /// The configuration that asked for it. Under another it means nothing: the issuer may be gone, and a number may be
    /// that of another server.
    asked_by: Option<Arc<Snapshot>>,
    /// The keys are as new as they get.
    keys: bool,
    /// They could not be fetched.
    keys_failed: bool,
    /// They were fetched a moment ago, and are not fetched again so soon.
    keys_resting: bool,
    introspected: Option<Answer>,
    /// What the SAML assertion was traded for.
    traded: Option<Answer>,
    /// The token for the server.
    pub token: Option<Answer>,
    /// Who calls, once that was found out: a request whose body takes its time is not judged again with each part of it.
    bound: Option<(Rc<Callers>, Rc<Caller>)>,
}

impl Brought {
    /// Takes what an errand of this configuration brought.
    pub fn note(&mut self, errand: &Errand, answer: Answer, asked_by: &Arc<Snapshot>) {
        self.keep_only(asked_by);
        self.asked_by = Some(asked_by.clone());
        self.waits = self.waits.saturating_add(1);
        match errand {
            Errand::Keys(_) => {
                self.keys = true;
                self.keys_failed = matches!(answer, Answer::Failed);
                self.keys_resting = matches!(answer, Answer::KeysResting);
            }
            Errand::Introspect(_) => self.introspected = Some(answer),
            Errand::Trade(..) => self.traded = Some(answer),
            Errand::Token(..) | Errand::Renew(..) => self.token = Some(answer),
        }
    }

    /// What the assertion was traded for, and until when that is believed.
    fn traded(&self) -> Option<(&Secret, u64)> {
        match &self.traded {
            Some(Answer::Token { token, expires }) => Some((token, *expires)),
            _ => None,
        }
    }

    /// Forgets what another configuration than `now` asked for.
    pub fn keep_only(&mut self, now: &Arc<Snapshot>) {
        if self.asked_by.as_ref().is_some_and(|asked_by| !Arc::ptr_eq(asked_by, now)) {
            *self = Self { waits: self.waits, ..Self::default() };
        }
    }

    /// Keeps who calls for the rest of the request.
    pub fn bind(&mut self, live: &Live, caller: Option<&Rc<Caller>>) {
        self.bound = caller.map(|caller| (live.callers.clone(), caller.clone()));
    }

    /// Who calls, if that was found out for this request: by the configuration and the keys of now, with a credential
    /// that has not ended at `now`, in seconds since 1970 (UTC).
    fn bound(&self, live: &Live, now: u64) -> Option<Rc<Caller>> {
        let (callers, caller) = self.bound.as_ref()?;
        let holds =
            Rc::ptr_eq(callers, &live.callers) && caller.principal.expires.is_none_or(|ends| ends > now);
        holds.then(|| caller.clone())
    }

    /// Whether another errand may be run for this request.
    pub fn may_wait(&self) -> bool {
        self.waits < WAITS_MAX
    }
}

/// Why it is not known who calls.
pub enum Stop {
    /// Something must be fetched first.
    Wait(Errand),
    /// The request is refused.
    Refuse(Refusal),
}

/// What a caller is told whose credential ended while it was being served.
pub fn expired(refuser: &Refuser<'_>, protection: &Protection) -> Refusal {
    challenge(refuser, protection, &refused::EXPIRED)
}

/// What a client is told whose connection is not served any more: its certificate has ended, or its authority is none
/// now.
pub fn untrusted(worker: &Worker, refuser: &mut Refuser<'_>, protection: &Protection) -> Refusal {
    refuser.close = true;
    worker.stats.borrow_mut().note_unauthenticated(refused::UNTRUSTED_CERTIFICATE.reason);
    challenge(refuser, protection, &refused::UNTRUSTED_CERTIFICATE)
}

/// Who calls `server`; `None` where nobody asks.
pub fn identify(
    worker: &Worker,
    live: &Live,
    head: &RequestHead<'_>,
    certificate: Option<&[u8]>,
    brought: &mut Brought,
    server: &Server,
    refuser: &Refuser<'_>,
) -> Result<Option<Rc<Caller>>, Stop> {
    let snapshot = &live.deployment.snapshot;
    let callers = &live.callers;
    let secret = &worker.shared.limit_secret;
    let Some(authn) = &snapshot.authn else {
        return Ok(asks_who(snapshot).then(|| callers.anonymous(snapshot, secret, server.id)));
    };
    if let Some(caller) = brought.bound(live, worker.wall()) {
        return Ok(Some(caller));
    }
    let refuse = |reason: &Refused| {
        worker.stats.borrow_mut().note_unauthenticated(reason.reason);
        Stop::Refuse(challenge(refuser, &server.protection, reason))
    };
    let credential = shown(head).map_err(|reason| refuse(&reason))?;
    let (place, bytes) = match (credential, certificate) {
        (Credential::Bearer(token), _) => (Place::Bearer, token),
        (Credential::ApiKey(key), _) => (Place::ApiKey, key),
        (Credential::None, Some(certificate)) => (Place::Certificate, certificate),
        (Credential::None, None) if server.protection.anonymous => {
            return Ok(Some(callers.anonymous(snapshot, secret, server.id)));
        }
        (Credential::None, None) => (Place::Bearer, &b""[..]),
    };
    let now = worker.wall();
    if let Some(caller) = callers.find(place, server.id, bytes, now) {
        return Ok(Some(caller));
    }
    if let Some(reason) = callers.find_refused(place, server.id, bytes, now) {
        return Err(refuse(&reason));
    }
    // One that is known equals one that was checked.
    let credential = credential.checked().map_err(|reason| refuse(&reason))?;
    // The time of the last tick would make a token that was issued a moment ago one of the future.
    let now = worker.net.wall();
    // An answer is believed from when it is first looked at, and never looked at again.
    let introspected = brought.introspected.take();
    let was_asked = introspected.is_some() || brought.traded.is_some();
    let facts = Facts {
        server: &server.name,
        audiences: &server.protection.audiences,
        anonymous: server.protection.anonymous,
        keys: &live.deployment.keys,
        keys_are_fresh: brought.keys,
        certificate,
        now,
    };
    let outcome = match (&introspected, &brought.traded) {
        (Some(Answer::Introspected(answer)), _) => authn.introspected(answer.reveal(), &facts),
        (_, Some(Answer::Token { token, .. })) => authn.traded(token.reveal(), &facts),
        (_, Some(Answer::Refused)) => Outcome::Refused(refused::REFUSED_ASSERTION),
        _ => authn.authenticate(credential, &facts),
    };
    match outcome {
        Outcome::Known(mut principal) => {
            worker.stats.borrow_mut().credentials_verified += 1;
            if let Some((_, believed)) = brought.traded() {
                principal.expires = Some(principal.expires.map_or(believed, |ends| ends.min(believed)));
            }
            let subject = subject(server, &principal, bytes, brought);
            let caller = callers.caller(snapshot, secret, principal, subject);
            callers.remember(place, server.id, bytes, caller.clone(), now);
            Ok(Some(caller))
        }
        // A key that is not known is not known to be wrong while the issuer cannot be asked.
        Outcome::Refused(reason) if brought.keys_failed && reason == refused::UNKNOWN_KEY => {
            Err(refuse(&refused::NO_KEYS))
        }
        // The issuer may have published it since.
        Outcome::Refused(reason) if brought.keys_resting && reason == refused::UNKNOWN_KEY => {
            Err(refuse(&refused::UNKNOWN_KEY_YET))
        }
        Outcome::Refused(reason) => {
            if was_asked && reason.status == 401 {
                callers.remember_refused(place, server.id, bytes, reason, now + REFUSED_REMEMBERED);
            }
            Err(refuse(&reason))
        }
        Outcome::NeedsKeys(issuer) if brought.may_wait() => Err(Stop::Wait(Errand::Keys(issuer))),
        Outcome::NeedsIntrospection if brought.may_wait() && introspected.is_none() => {
            let token = brought.traded().map_or_else(|| Secret::new(bytes), |(token, _)| token.clone());
            Err(Stop::Wait(Errand::Introspect(token)))
        }
        Outcome::NeedsTrade if brought.may_wait() && brought.traded.is_none() => {
            Err(Stop::Wait(Errand::Trade(server.id, Secret::new(bytes))))
        }
        Outcome::NeedsKeys(_) | Outcome::NeedsIntrospection | Outcome::NeedsTrade => {
            worker.stats.borrow_mut().note_unauthenticated("unavailable");
            let message = "who you are cannot be verified now: try again";
            Err(Stop::Refuse(
                refuser.refuse(
                    Reply::status(Cause::Credential, 503, message).with_headers("retry-after: 2\r\n"),
                ),
            ))
        }
    }
}

/// Whether anything is decided by who calls.
fn asks_who(snapshot: &Snapshot) -> bool {
    snapshot.access.rules.is_some() || snapshot.rate_limits.is_some() || !snapshot.priorities.0.is_empty()
}

/// The credential in the head, of which the bytes are still to be checked.
fn shown<'b>(head: &RequestHead<'b>) -> Result<Credential<'b>, Refused> {
    let present = head.fields.present();
    if !present.contains(HeaderId::Authorization)
        && !present.contains(HeaderId::XApiKey)
        && head.query.is_none()
    {
        return Ok(Credential::None);
    }
    let all = |id| head.headers().filter(move |field| field.id == id).map(|field| field.value);
    Credential::shown(all(HeaderId::Authorization), all(HeaderId::XApiKey), head.query)
}

/// What of a caller that shows `shown` is exchanged for a token for `server`, where one is: its token. An API key is the
/// gateway's own secret, and no issuer's business.
fn subject(server: &Server, principal: &Principal, shown: &[u8], brought: &Brought) -> Option<Secret> {
    let Credentials::Exchange(_, wish) = &server.credentials else { return None };
    if !matches!(principal.proof, Proof::Jwt | Proof::Introspection) {
        return None;
    }
    match brought.traded() {
        _ if wish.wants_saml() => saml::has_form(shown).then(|| Secret::new(shown)),
        Some((token, _)) => Some(token.clone()),
        None => Some(Secret::new(shown)),
    }
}

/// The answer to a request whose credential is missing or not good.
fn challenge(refuser: &Refuser<'_>, protection: &Protection, refused: &Refused) -> Refusal {
    if refused.status != 401 {
        let headers = match refused.status {
            503 => format!("retry-after: {}\r\n", refused.retry_after()),
            _ => String::new(),
        };
        return refuser.refuse(
            Reply::status(Cause::Credential, refused.status, refused.message).with_headers(&headers),
        );
    }
    // A request that shows nothing is not told of an error (RFC 6750 section 3.1).
    let error = (!refused.shows_nothing()).then_some(("invalid_token", refused.message));
    let initial = protection.initial_scopes.as_deref().unwrap_or(&protection.scopes);
    let scope = protection.asked_scopes.all(initial.iter().map(|scope| &**scope));
    let headers = www_authenticate(protection, error, &scope);
    refuser.refuse(Reply::status(Cause::Credential, 401, refused.message).with_headers(&headers))
}

/// The answer to a request whose token has not all the scopes that it needs: it names them all (MCP 2026-07-28,
/// authorization, scope challenge).
pub fn needs_scope(
    refuser: &Refuser<'_>,
    protection: &Protection,
    further: &str,
    id: Option<&[u8]>,
) -> Refusal {
    let message = "the token has not the scopes that this needs; the challenge names them";
    let error = Some(("insufficient_scope", message));
    let headers = www_authenticate(protection, error, &scope(protection, further));
    refuser.refuse(Reply::status(Cause::Scope, 403, message).with_headers(&headers).with_id(id))
}

/// The scopes of a server and `further` ones by the names that clients ask for them, separated by spaces, none twice.
fn scope(protection: &Protection, further: &str) -> String {
    let further = further.split(' ').filter(|scope| !scope.is_empty());
    protection.asked_scopes.all(protection.scopes.iter().map(|scope| &**scope).chain(further))
}

fn www_authenticate(protection: &Protection, error: Option<(&str, &str)>, scope: &str) -> String {
    let mut parts = Vec::with_capacity(4);
    if let Some((error, description)) = error {
        parts.push(format!("error=\"{error}\", error_description=\"{description}\""));
    }
    if let Some(url) = &protection.metadata_url {
        parts.push(format!("resource_metadata=\"{url}\""));
    }
    if !scope.is_empty() {
        parts.push(format!("scope=\"{scope}\""));
    }
    if parts.is_empty() {
        // A challenge has at least one parameter (RFC 6750 section 3).
        parts.push("realm=\"ringgate\"".to_owned());
    }
    format!("www-authenticate: Bearer {}\r\n", parts.join(", "))
}

/// The answer to a request for the metadata of a server (RFC 9728 section 3), if `path` is one. Anybody may ask.
pub fn metadata(snapshot: &Snapshot, head: &RequestHead<'_>, refuser: &mut Refuser<'_>) -> Option<Refusal> {
    let path = head.path.strip_prefix(METADATA_PATH)?;
    let server = snapshot.route(path).filter(|route| route.rest.is_none()).map(|route| route.server);
    let Some((server, document)) =
        server.and_then(|server| Some((server, server.protection.metadata.as_ref()?)))
    else {
        return Some(refuser.refuse(Reply::status(
            Cause::NoServer,
            404,
            "no protected MCP server at this path",
        )));
    };
    refuser.server = Some(server.id);
    Some(match head.method {
        Method::Get | Method::Head => refuser.document(document),
        Method::Options if head.get(HeaderId::Origin).is_some() => refuser.preflight(head),
        _ => refuser.refuse(
            Reply::status(Cause::Method, 405, "this is a document: GET it")
                .with_headers("allow: GET, HEAD\r\n"),
        ),
    })
}

/// Whether the caller's token has all scopes of the server. Who needs no token needs no scope.
pub fn has_scopes(caller: &Caller, protection: &Protection) -> bool {
    caller.principal.proof == Proof::Anonymous
        || protection.scopes.iter().all(|scope| caller.principal.has_scope(scope))
}
