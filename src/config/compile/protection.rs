//! `servers[].anonymous`, `audiences`, `scopes`: who may call a server, and how clients learn of it.

use crate::config::file::authentication::{ChallengeScopesSection, InitialScopes};
use crate::config::file::{File, ServerSection};
use crate::config::snapshot::{Access, AskedScopes, ListenAddress, Listener, Protection, Server};
use crate::policy::authn::Authn;
use crate::policy::principal::sorted;
use crate::schema::finding::{At, Findings, closest};

/// Where the documents of RFC 9728 are: this, then the path of the server.
const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// What clients know the gateway by: `public_url`, or the first listener that has an address of its own.
pub fn origin(file: &File, listeners: &[Listener]) -> Option<String> {
    if let Some(url) = &file.public_url {
        return Some(url.value.serialize());
    }
    listeners.iter().find_map(|listener| match &listener.address {
        ListenAddress::Tcp(address) if !address.ip().is_unspecified() => {
            let scheme = if listener.tls.is_some() { "https" } else { "http" };
            Some(format!("{scheme}://{address}"))
        }
        ListenAddress::Tcp(_) | ListenAddress::Unix { .. } => None,
    })
}

/// The protection of a server at `path` of `origin`. What the rules have to say in it comes with [`publish`].
pub fn compile(section: &ServerSection, path: &str, origin: Option<&str>) -> Protection {
    let resource = origin.map(|origin| format!("{origin}{path}").into());
    let audiences = match &section.audiences {
        Some(list) => list.value.iter().map(|audience| audience.value.as_str().into()).collect(),
        None => resource.into_iter().collect(),
    };
    let scopes = section.scopes.value.iter().map(|scope| scope.value.as_str().into());
    Protection {
        anonymous: section.anonymous.value,
        audiences,
        scopes: sorted(scopes),
        asked_scopes: section
            .challenge_scopes
            .as_ref()
            .map(|section| asked(&section.value))
            .unwrap_or_default(),
        initial_scopes: None,
        publish_metadata: section.publish_metadata.value,
        metadata_url: None,
        metadata: None,
    }
}

fn asked(section: &ChallengeScopesSection) -> AskedScopes {
    let names = section.names.value.iter();
    let mut names: Vec<(Box<str>, Box<str>)> =
        names.map(|(own, asked)| (own.value.as_str().into(), asked.as_str().into())).collect();
    names.sort_unstable();
    AskedScopes {
        prefix: section.prefix.as_ref().map(|prefix| prefix.value.as_str().into()).unwrap_or_default(),
        names: names.into(),
        initial_all: section.initial.value == InitialScopes::All,
    }
}

/// Notes names for scopes that nothing tests: whoever wrote them has mistyped one, or the two the wrong way round.
pub fn check_names(file: &File, servers: &[Server], access: &Access, findings: &mut Findings) {
    for At { value: section, .. } in file.servers.iter().flat_map(|list| &list.value) {
        let Some(At { value: names, place }) = &section.challenge_scopes else { continue };
        let found = servers
            .iter()
            .find(|server| section.name.as_ref().is_some_and(|name| *name.value == *server.name));
        let Some(server) = found else { continue };
        // An option that is wrong reads as absent, and has its finding already.
        let below = format!("{}.", place.path);
        if findings.iter().any(|finding| finding.place.path.starts_with(&below)) {
            continue;
        }
        if names.prefix.is_none()
            && names.names.value.is_empty()
            && names.initial.value == InitialScopes::Required
        {
            findings.add(place, "says nothing", "add `prefix`, `names` or `initial`, or remove it");
            continue;
        }
        let rules = access.rules.iter().flat_map(|rules| rules.list());
        let of_rules = rules.filter(|rule| rule.is_for(server.id.0)).flat_map(|rule| &rule.scopes);
        let tested: Vec<&str> =
            server.protection.scopes.iter().chain(of_rules).map(|scope| &**scope).collect();
        if tested.is_empty() {
            findings.add(
                place,
                "has no effect: neither `scopes` of this server nor a rule for it names one",
                "remove it, or add `scopes`",
            );
            continue;
        }
        for (own, _) in &names.names.value {
            if !tested.contains(&own.value.as_str()) {
                let fix = closest(&own.value, tested.iter().copied()).map_or_else(
                    || "write the scope as tokens have it, and behind it the name to ask for".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                findings.add(&own.place, "is no scope that this server or a rule for it tests", fix);
            }
        }
    }
}

/// Writes the metadata of each server (RFC 9728 section 2), where there is an issuer to send clients to.
pub fn publish(servers: &mut [Server], authn: Option<&Authn>, access: &Access, origin: Option<&str>) {
    let Some(authn) = authn else { return };
    let issuers: Vec<&str> = authn.authorization_servers().collect();
    for server in servers {
        let further = access.rules.iter().flat_map(|rules| rules.scopes_of(server.id.0)).map(Box::from);
        // Whether a client may stay signed in is between it and the issuer (MCP 2026-07-28, authorization).
        let all = server.protection.scopes.iter().cloned().chain(further);
        let all = all.filter(|scope| &**scope != "offline_access");
        let all = sorted(all);
        let scopes = sorted(all.iter().map(|scope| server.protection.asked_scopes.of(scope).into()));
        if server.protection.asked_scopes.initial_all {
            server.protection.initial_scopes = Some(all);
        }
        let Some(origin) = origin.filter(|_| !issuers.is_empty() && server.protection.publish_metadata)
        else {
            continue;
        };
        let mut document = serde_json::json!({
            "resource": format!("{origin}{}", server.path),
            "authorization_servers": issuers,
            "bearer_methods_supported": ["header"],
        });
        if !scopes.is_empty() {
            document["scopes_supported"] = scopes.iter().map(|scope| &**scope).collect();
        }
        server.protection.metadata_url = Some(format!("{origin}{METADATA_PATH}{}", server.path).into());
        server.protection.metadata = Some(document.to_string().into());
    }
}
