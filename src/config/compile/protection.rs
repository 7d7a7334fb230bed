//! `servers[].anonymous`, `audiences`, `scopes`: who may call a server, and how clients learn of it.

use crate::config::file::{File, ServerSection};
use crate::config::snapshot::Protection;

/// The protection of a server at `path`.
pub fn compile(file: &File, section: &ServerSection, path: &str) -> Protection {
    let resource = file.public_url.as_ref().map(|url| format!("{}{path}", url.value.serialize()));
    let audiences = match &section.audiences {
        Some(list) => list.value.iter().map(|audience| audience.value.as_str().into()).collect(),
        None => resource.into_iter().map(Into::into).collect(),
    };
    let scopes = section.scopes.value.iter().map(|scope| scope.value.as_str().into());
    Protection {
        anonymous: section.anonymous.value,
        audiences,
        scopes: crate::policy::principal::sorted(scopes),
        ..Protection::default()
    }
}
