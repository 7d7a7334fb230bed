//! SAML assertions that were traded for tokens. What came of one is kept here for all workers: an issuer may take an
//! assertion once only (RFC 7522 section 3, rule 10 of what it checks), and each worker would ask for itself.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::super::counters::Kind;
use super::super::fetch::{Fault, Fetcher};
use super::super::life::Control;
use super::super::tokens;
use super::{denied, failed};
use crate::base::Secret;
use crate::config::snapshot::ServerId;
use crate::link::{Answer, Order};

/// Assertions of which it is kept what they were traded for. The oldest goes first.
const KEPT_MAX: usize = 1024;

/// What assertions were traded for, under one configuration.
#[derive(Default)]
pub struct Traded {
    generation: u64,
    kept: HashMap<u64, Kept>,
    /// The keys of what is kept, the oldest first.
    order: VecDeque<u64>,
    /// Keyed, so that nobody chooses assertions that fall on one place.
    hasher: RandomState,
}

struct Kept {
    server: ServerId,
    assertion: Secret,
    token: Secret,
    /// Not believed any more from here on, in seconds since 1970 (UTC).
    until: u64,
}

impl Traded {
    /// What this assertion was traded for, for this server, and until when that is believed.
    fn find(
        &mut self,
        generation: u64,
        server: ServerId,
        assertion: &Secret,
        now: u64,
    ) -> Option<(Secret, u64)> {
        self.follow(generation);
        let kept = self.kept.get(&self.key(server, assertion))?;
        let is_it = generation == self.generation
            && kept.until > now
            && kept.server == server
            && kept.assertion.is(assertion.reveal());
        is_it.then(|| (kept.token.clone(), kept.until))
    }

    fn keep(&mut self, generation: u64, server: ServerId, assertion: Secret, token: Secret, until: u64) {
        self.follow(generation);
        // What an older configuration asked for is not for the newer one.
        if generation != self.generation {
            return;
        }
        let key = self.key(server, &assertion);
        if self.kept.insert(key, Kept { server, assertion, token, until }).is_some() {
            self.order.retain(|other| *other != key);
        }
        self.order.push_back(key);
        if self.order.len() > KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }

    /// A reload may have changed what tokens are for.
    fn follow(&mut self, generation: u64) {
        if generation > self.generation {
            self.kept.clear();
            self.order.clear();
            self.generation = generation;
        }
    }

    fn key(&self, server: ServerId, assertion: &Secret) -> u64 {
        self.hasher.hash_one((server, assertion.reveal()))
    }
}

/// What becomes of an assertion that was shown to this server.
pub async fn trade(control: &Control, order: &Order, id: ServerId, assertion: &Secret) -> Answer {
    let snapshot = order.deployment.snapshot.clone();
    let (generation, now) = (snapshot.generation, control.net.wall());
    let found = control.errands.traded.borrow_mut().find(generation, id, assertion, now);
    if let Some((token, expires)) = found {
        return Answer::Token { token, expires };
    }
    let Some(saml) = snapshot.authn.as_ref().and_then(|authn| authn.saml.as_ref()) else {
        return Answer::Failed;
    };
    let (theirs, subject) = (snapshot.clone(), assertion.clone());
    let job = move |fetcher: &Fetcher| {
        let saml = theirs.authn.as_ref().and_then(|authn| authn.saml.as_ref()).ok_or(Fault::Url)?;
        let names_none = saml.grant.audience.is_none() && saml.grant.resource.is_none();
        let audience = theirs.server(id).protection.audiences.first().filter(|_| names_none);
        tokens::exchange(fetcher, &saml.grant, &saml.wish, &subject, audience.map(|text| &**text), now)
    };
    match control.fetch(Kind::Saml, order.source, &snapshot.outbound, &saml.grant.token_url, job).await {
        Ok(granted) => {
            let until = now.saturating_add(granted.usable.min(saml.cache));
            let mut traded = control.errands.traded.borrow_mut();
            traded.keep(generation, id, assertion.clone(), granted.token.clone(), until);
            Answer::Token { token: granted.token, expires: until }
        }
        Err(Fault::Denied(said)) => denied(control, Kind::Saml, "", &said),
        Err(fault) => failed(control, Kind::Saml, "", &fault),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes())
    }

    #[test]
    fn what_came_of_an_assertion_is_for_one_server_one_configuration_and_a_while() {
        let mut traded = Traded::default();
        traded.keep(1, ServerId(0), secret("a"), secret("t"), 100);
        assert_eq!(traded.find(1, ServerId(0), &secret("a"), 99), Some((secret("t"), 100)));
        assert_eq!(traded.find(1, ServerId(0), &secret("a"), 100), None, "over");
        assert_eq!(traded.find(1, ServerId(1), &secret("a"), 99), None, "another server");
        assert_eq!(traded.find(1, ServerId(0), &secret("b"), 99), None, "another assertion");
        assert_eq!(traded.find(2, ServerId(0), &secret("a"), 99), None, "another configuration");
        traded.keep(1, ServerId(0), secret("a"), secret("t"), 100);
        traded.keep(2, ServerId(0), secret("a"), secret("t"), 100);
        assert_eq!(traded.find(1, ServerId(0), &secret("a"), 99), None, "an older configuration");
    }

    #[test]
    fn so_many_are_kept_and_the_newest_stay() {
        let mut traded = Traded::default();
        let text = |number: usize| secret(&number.to_string());
        for number in 0..2 * KEPT_MAX {
            traded.keep(1, ServerId(0), text(number), secret("t"), 100);
            // Again: that is no second one.
            traded.keep(1, ServerId(0), text(number), secret("t"), 100);
            assert_eq!(
                (traded.kept.len(), traded.order.len()),
                ((number + 1).min(KEPT_MAX), traded.kept.len())
            );
        }
        let mut known = |number: usize| traded.find(1, ServerId(0), &text(number), 50).is_some();
        assert!(known(2 * KEPT_MAX - 1) && known(KEPT_MAX) && !known(KEPT_MAX - 1));
    }
}
