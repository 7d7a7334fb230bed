//! `servers[].anonymous`, `audiences`, `scopes`: who may call a server, and how clients learn of it.

use crate::config::file::{File, ServerSection};
use crate::config::snapshot::{Access, ListenAddress, Listener, Protection, Server};
use crate::policy::authn::Authn;
use crate::policy::principal::sorted;

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
        metadata_url: None,
        metadata: None,
    }
}

/// Writes the metadata of each server (RFC 9728 section 2), where there is an issuer to send clients to.
pub fn publish(servers: &mut [Server], authn: Option<&Authn>, access: &Access, origin: Option<&str>) {
    let (Some(authn), Some(origin)) = (authn, origin) else { return };
    let issuers = authn.authorization_servers();
    if issuers.is_empty() {
        return;
    }
    for server in servers {
        let further = access.rules.iter().flat_map(|rules| rules.scopes_of(server.id.0)).map(Box::from);
        // Whether a client may stay signed in is between it and the issuer (MCP 2026-07-28, authorization).
        let all = server.protection.scopes.iter().cloned().chain(further);
        let scopes = sorted(all.filter(|scope| &**scope != "offline_access"));
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
