//! `outbound`.

use super::Context;
use crate::config::file::File;
use crate::config::finding::Findings;
use crate::config::snapshot::Outbound;

/// What the gateway fetches for itself, and how.
pub fn compile(file: &File, context: &Context<'_>, findings: &mut Findings) -> Outbound {
    let _ = (context, findings);
    Outbound { allow_http: file.outbound.value.allow_http.value }
}
