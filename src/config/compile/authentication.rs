//! `authentication`.

use super::Context;
use crate::config::file::File;
use crate::config::finding::Findings;
use crate::policy::authn::Authn;

/// The proofs that are accepted; `None` where everybody is served.
pub fn compile(file: &File, context: &Context<'_>, findings: &mut Findings) -> Option<Authn> {
    let _ = (context, findings);
    let section = &file.authentication.as_ref()?.value;
    let roles = section.anonymous_roles.value.iter().map(|role| role.value.as_str().into());
    Some(Authn { anonymous_roles: roles.collect(), ..Authn::default() })
}
