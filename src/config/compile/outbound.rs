//! `outbound`.

use super::{Context, material};
use crate::config::file::File;
use crate::config::snapshot::{Outbound, Roots};
use crate::schema::finding::Findings;
use crate::schema::world::TrustKind;

/// What the gateway fetches for itself, and how.
pub fn compile(file: &File, context: &Context<'_>, findings: &mut Findings) -> Outbound {
    let section = &file.outbound.value;
    if section.keys_max_age.value < section.keys_refresh.value {
        let fix = "make it several times `keys_refresh`, so that keys outlive an outage of their issuer";
        findings.add(&section.keys_max_age.place, "is less than `keys_refresh`", fix);
    }
    let ca = section.ca.as_ref();
    let pem = ca.and_then(|ca| material::authorities(ca, TrustKind::Ca, context, findings));
    Outbound {
        allow_http: section.allow_http.value,
        allow_private: section.allow_private.value,
        roots: pem.map_or(Roots::System, |pem| Roots::Pem(pem.into())),
        timeout: section.timeout.value,
        keys_refresh: section.keys_refresh.value,
        keys_max_age: section.keys_max_age.value,
    }
}
