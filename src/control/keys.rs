//! The keys of issuers: fetched at the start, now and then, and when a token names one that is not known.
//!
//! Keys stay in force while their issuer is down, up to `outbound.keys_max_age`. How often an issuer is asked does not
//! depend on what tokens say: not twice within [`COOL_DOWN`] of a success, and after failures by a fixed back-off.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::aside::Gate;
use super::counters::Kind;
use super::fetch::{Fault, Fetcher};
use super::life::Control;
use crate::base::{Secret, Ticks};
use crate::config::snapshot::{Roots, Snapshot};
use crate::link::{Answer, Deployment};
use crate::policy::authn::{Issuer, KeySet, KeySource};
use crate::telemetry::prometheus::IssuerKeys;

mod discovery;

/// Keys that were fetched are not asked for again within this time, whatever tokens say.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// After the first failure. It doubles with each further one, up to [`BACK_OFF_MAX`].
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// An issuer that wants its keys fetched again sooner is asked after this time.
const REFRESH_MIN: Duration = Duration::from_secs(60);
/// What is due is looked for this often.
const LOOK: Duration = Duration::from_millis(500);

/// Reads a JWK set.
pub type Parse = fn(&[u8]) -> Result<KeySet, String>;

/// What is known of the issuers whose keys are fetched.
pub struct Keeper {
    parse: Parse,
    issuers: RefCell<Vec<Rc<Kept>>>,
}

struct Kept {
    name: Box<str>,
    source: KeySource,
    /// When to ask without being told to.
    due: Cell<Ticks>,
    /// When its keys came last.
    fetched: Cell<Option<Ticks>>,
    /// How often in a row they did not.
    failures: Cell<u32>,
    /// How often in all.
    failures_ever: Cell<u64>,
    gate: Gate,
}

impl Keeper {
    /// One that knows no issuer yet, and reads sets with `parse`.
    pub fn new(parse: Parse) -> Self {
        Self { parse, issuers: RefCell::default() }
    }

    /// Drops what is known of issuers that `deployment` does not have, and takes its new ones in.
    fn follow(&self, deployment: &Deployment, now: Ticks) {
        let mut kept = self.issuers.borrow_mut();
        let before = std::mem::take(&mut *kept);
        let fetched = issuers(deployment).filter(|issuer| !matches!(issuer.source, KeySource::Given(_)));
        for issuer in fetched {
            let known = before.iter().find(|known| known.is(issuer)).cloned();
            kept.push(known.unwrap_or_else(|| Rc::new(Kept::of(issuer, now))));
        }
    }

    fn find(&self, issuer: &Issuer) -> Option<Rc<Kept>> {
        self.issuers.borrow().iter().find(|known| known.is(issuer)).cloned()
    }
}

impl Kept {
    fn of(issuer: &Issuer, now: Ticks) -> Self {
        Self {
            name: issuer.name.clone(),
            source: issuer.source.clone(),
            due: Cell::new(now),
            fetched: Cell::new(None),
            failures: Cell::new(0),
            failures_ever: Cell::new(0),
            gate: Gate::default(),
        }
    }

    fn is(&self, issuer: &Issuer) -> bool {
        self.name == issuer.name && self.source == issuer.source
    }

    /// Whether the issuer may be asked because of a token.
    fn is_rested(&self, now: Ticks) -> bool {
        match (self.failures.get(), self.fetched.get()) {
            (0, Some(fetched)) => now >= fetched + COOL_DOWN,
            (0, None) => true,
            _ => now >= self.due.get(),
        }
    }
}

fn issuers(deployment: &Deployment) -> impl Iterator<Item = &Issuer> {
    deployment.snapshot.authn.iter().flat_map(|authn| &authn.issuers)
}

/// Keeps the keys of all issuers for as long as the process lives.
pub async fn keep(control: Rc<Control>) {
    loop {
        look(&control);
        control.net.sleep(LOOK).await;
    }
}

fn look(control: &Rc<Control>) {
    let now = control.net.now();
    let deployment = control.shared.deployment.load();
    control.keys.follow(&deployment, now);
    let max_age = deployment.snapshot.outbound.keys_max_age;
    for kept in control.keys.issuers.borrow().iter() {
        if kept.due.get() <= now {
            // Not again before this fetch has ended and set its own time.
            kept.due.set(Ticks::NEVER);
            let (this, kept) = (control.clone(), kept.clone());
            control.net.spawn(Box::pin(async move {
                refresh(&this, &kept).await;
            }));
        }
        if kept.fetched.get().is_some_and(|fetched| now.since(fetched) > max_age) {
            kept.fetched.set(None);
            tracing::error!(issuer = %kept.name, "its keys could not be fetched for outbound.keys_max_age, and are used no more");
            publish(control, kept, None);
        }
    }
}

/// What becomes of a worker's wish for newer keys of the issuer with this index in `deployment`.
pub async fn on_demand(control: &Control, deployment: &Deployment, index: usize) -> Answer {
    control.keys.follow(&control.shared.deployment.load(), control.net.now());
    // An issuer that a reload has removed is asked no more.
    let kept = issuers(deployment).nth(index).and_then(|issuer| control.keys.find(issuer));
    let Some(kept) = kept else { return Answer::Failed };
    // What is under way may bring them.
    if !kept.gate.is_busy() && !kept.is_rested(control.net.now()) {
        return if kept.failures.get() == 0 { Answer::KeysResting } else { Answer::Failed };
    }
    if refresh(control, &kept).await { Answer::Keys } else { Answer::Failed }
}

/// Fetches the keys of one issuer, or waits for whoever does. Whether they came.
async fn refresh(control: &Control, kept: &Kept) -> bool {
    let Some(_pass) = kept.gate.enter() else {
        kept.gate.opened().await;
        return kept.failures.get() == 0;
    };
    let (name, source, parse) = (kept.name.clone(), kept.source.clone(), control.keys.parse);
    let place = match &source {
        KeySource::Url(url) => url.clone(),
        KeySource::Discovery | KeySource::Given(_) => name.clone(),
    };
    let deployment = control.shared.deployment.load();
    let mut outbound = deployment.snapshot.outbound.clone();
    let issuer = issuers(&deployment).find(|issuer| kept.is(issuer));
    if let Some(pem) = issuer.and_then(|issuer| issuer.keys_ca.clone()) {
        outbound.roots = Roots::Pem(pem);
    }
    let bearer = issuer.and_then(|issuer| issuer.keys_bearer.clone());
    let job = move |fetcher: &Fetcher| fetch(fetcher, &name, &source, bearer.as_ref(), parse);
    let fetched = control.fetch(Kind::Keys, None, &outbound, &place, job).await;
    let now = control.net.now();
    match fetched {
        Ok(Fetched { keys, max_age }) => {
            let wished = max_age.map_or(outbound.keys_refresh, |wished| wished.max(REFRESH_MIN));
            kept.due.set(now + wished.min(outbound.keys_refresh));
            kept.fetched.set(Some(now));
            kept.failures.set(0);
            note_dropped(
                &kept.name,
                &keys,
                control
                    .shared
                    .deployment
                    .load()
                    .keys
                    .iter()
                    .flatten()
                    .any(|old| old.dropped() == keys.dropped()),
            );
            publish(control, kept, Some(Arc::new(keys)));
            true
        }
        Err(fault) => {
            let failures = kept.failures.get().saturating_add(1);
            kept.failures.set(failures);
            kept.failures_ever.set(kept.failures_ever.get() + 1);
            let back_off = BACK_OFF.saturating_mul(1 << (failures - 1).min(6)).min(BACK_OFF_MAX);
            kept.due.set(now + back_off);
            tracing::warn!(issuer = %kept.name, error = %fault, again_in = ?back_off, "the keys of an issuer could not be fetched");
            false
        }
    }
}

/// Fetches the keys of an issuer once, and waits for them: to try whether they can be had.
///
/// # Errors
/// Why they cannot.
pub fn fetch_once(snapshot: &Snapshot, issuer: &Issuer) -> Result<KeySet, Fault> {
    let mut outbound = snapshot.outbound.clone();
    if let Some(pem) = &issuer.keys_ca {
        outbound.roots = Roots::Pem(pem.clone());
    }
    let fetcher = Fetcher::new(outbound);
    fetch(&fetcher, &issuer.name, &issuer.source, issuer.keys_bearer.as_ref(), KeySet::parse)
        .map(|fetched| fetched.keys)
}

/// Names the keys of an issuer that are not used, unless that is known.
fn note_dropped(issuer: &str, keys: &KeySet, is_known: bool) {
    let dropped = keys.dropped();
    if !is_known && !dropped.is_usual() {
        tracing::warn!(issuer, %dropped, "keys of an issuer are not used");
    }
}

/// Puts these keys of the issuer in force, if it still is one and they are others than before.
fn publish(control: &Control, kept: &Kept, keys: Option<Arc<KeySet>>) {
    let now = control.shared.deployment.load();
    let Some(index) = issuers(&now).position(|issuer| kept.is(issuer)) else { return };
    if now.keys.get(index).is_none_or(|old| *old == keys) {
        return;
    }
    tracing::info!(issuer = %kept.name, "the keys of an issuer changed");
    control.publish(|deployment| deployment.keys[index] = keys);
}

/// The issuer whose keys the gateway waits for, if it can verify nobody until they come: each way to show a credential is
/// an issuer without keys, and no server takes callers without one.
pub fn awaited(control: &Control) -> Option<Box<str>> {
    let deployment = control.shared.deployment.load();
    let snapshot = &deployment.snapshot;
    let authn = snapshot.authn.as_ref()?;
    let other_ways = authn.api_keys.is_some()
        || authn.certificates.is_some()
        || authn.introspection.is_some()
        || authn.saml.is_some()
        || snapshot.servers.iter().any(|server| server.protection.anonymous);
    let known = deployment.keys.iter().any(Option::is_some);
    let first = issuers(&deployment).next().map(|issuer| issuer.name.clone());
    first.filter(|_| !other_ways && !known)
}

/// How the keys of each issuer are.
pub fn now(control: &Control) -> Vec<IssuerKeys> {
    let deployment = control.shared.deployment.load();
    let (known, now) = (deployment.keys.iter(), control.net.now());
    let all = issuers(&deployment).zip(known).map(|(issuer, keys)| {
        let kept = control.keys.find(issuer);
        let fetched = kept.as_ref().and_then(|kept| kept.fetched.get());
        IssuerKeys {
            issuer: issuer.name.clone(),
            keys: keys.as_ref().map_or(0, |keys| keys.len()),
            age: fetched.map(|at| now.since(at)),
            failures: kept.as_ref().map_or(0, |kept| kept.failures_ever.get()),
            failures_in_a_row: kept.as_ref().map_or(0, |kept| kept.failures.get()),
        }
    });
    all.collect()
}

struct Fetched {
    keys: KeySet,
    max_age: Option<Duration>,
}

fn fetch(
    fetcher: &Fetcher,
    issuer: &str,
    source: &KeySource,
    bearer: Option<&Secret>,
    parse: Parse,
) -> Result<Fetched, Fault> {
    let (reply, url) = match source {
        KeySource::Discovery => discovery::key_set(fetcher, issuer, bearer)?,
        KeySource::Url(url) => {
            let reply = discovery::operators(fetcher, url, bearer).map_err(|fault| fault.at(url))?;
            (reply, url.to_string())
        }
        KeySource::Given(_) => return Err(Fault::Url),
    };
    let keys = parse(&reply.body).map_err(|what| Fault::Keys(what).at(&url))?;
    Ok(Fetched { keys, max_age: reply.max_age })
}

#[cfg(test)]
mod tests;
