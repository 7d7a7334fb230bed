//! `access`.

use super::Context;
use crate::config::file::File;
use crate::config::file::access::DeniedAs;
use crate::config::finding::Findings;
use crate::config::snapshot::{Access, Server};

/// The rules.
pub fn compile(file: &File, servers: &[Server], context: &Context<'_>, findings: &mut Findings) -> Access {
    let _ = (servers, context, findings);
    let Some(section) = file.access.as_ref().map(|section| &section.value) else { return Access::default() };
    Access { rules: None, forbidden: section.denied_as.value == DeniedAs::Forbidden }
}
