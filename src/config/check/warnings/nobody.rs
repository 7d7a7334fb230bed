//! Limits that ask who calls, on servers where nobody is known.

use crate::config::snapshot::{Server, Snapshot};
use crate::policy::rate_limit::{KeyPart, Limit, Who};

/// Servers that are named of each limit.
const SERVERS_MAX: usize = 4;

/// One line for each limit that concerns a server without authentication and does there what it hardly means: a
/// condition that nobody meets, or one bucket for all callers.
pub fn warnings(snapshot: &Snapshot) -> Vec<String> {
    let Some(limits) = &snapshot.rate_limits else { return Vec::new() };
    let roles = snapshot.authn.as_ref().map_or(&[][..], |authn| &authn.anonymous_roles);
    let mut all = Vec::new();
    for limit in limits.list() {
        let open = open_servers(snapshot, limit);
        if open.is_empty() {
            continue;
        }
        let on = names(&open);
        if let Some(what) = asks_for(&limit.who, roles) {
            all.push(format!(
                "the limit `{}` is for {what}, and without a credential nobody has any: callers of {on} are not \
                 limited by it (add `authentication`, or a limit with `key: [source]`)",
                limit.name
            ));
            continue;
        }
        for (at, other) in limit.overrides.iter().enumerate() {
            if let Some(what) = asks_for(&other.who, roles) {
                all.push(format!(
                    "overrides[{at}] of the limit `{}` is for {what}, and without a credential nobody has any: on \
                     {on} it counts for nobody (add `authentication`, or remove it)",
                    limit.name
                ));
            }
        }
        let parts: Vec<String> =
            limit.key.iter().filter(|part| is_of_caller(part)).map(KeyPart::label).collect();
        if !parts.is_empty() && !limit.key.iter().any(tells_apart) {
            all.push(format!(
                "the key of the limit `{}` has {}, which callers without a credential have not: all callers of {on} \
                 share one bucket (add `authentication`, or use `caller` or `source`)",
                limit.name,
                parts.join(", ")
            ));
        }
    }
    all
}

/// The servers of the limit that may be called without a credential.
fn open_servers<'s>(snapshot: &'s Snapshot, limit: &Limit) -> Vec<&'s Server> {
    let is_open = |server: &&Server| {
        (limit.servers.is_empty() || limit.servers.contains(&server.id.0))
            && (snapshot.authn.is_none() || server.protection.anonymous)
    };
    snapshot.servers.iter().filter(is_open).collect()
}

fn names(servers: &[&Server]) -> String {
    let mut text =
        servers.iter().take(SERVERS_MAX).map(|server| &*server.name).collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = servers.len().checked_sub(SERVERS_MAX) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// What of a caller without a credential would have to fit and cannot; `None` if all can.
fn asks_for(who: &Who, roles: &[Box<str>]) -> Option<&'static str> {
    let none = |patterns: &[crate::policy::authz::Pattern]| {
        !patterns.is_empty() && !patterns.iter().any(|pattern| pattern.matches(""))
    };
    if none(&who.agents) {
        return Some("agents");
    }
    if none(&who.users) {
        return Some("users");
    }
    if none(&who.tenants) {
        return Some("tenants");
    }
    let has_role = roles.iter().any(|role| who.roles.iter().any(|pattern| pattern.matches(role)));
    (!who.roles.is_empty() && !has_role).then_some("roles")
}

/// Whether the part is one and the same for all callers without a credential.
fn is_of_caller(part: &KeyPart) -> bool {
    matches!(part, KeyPart::Agent | KeyPart::User | KeyPart::Tenant | KeyPart::Claim(_))
}

/// Whether the part tells callers without a credential apart, so that the key still does what it is for.
fn tells_apart(part: &KeyPart) -> bool {
    matches!(part, KeyPart::Caller | KeyPart::Source { .. } | KeyPart::Header(_) | KeyPart::Cel(_))
}
