//! `authentication.saml`.

use crate::config::compile::{Context, grant};
use crate::config::file::File;
use crate::config::file::authentication::AuthenticationSection;
use crate::policy::authn::Saml;
use crate::schema::finding::Findings;

/// Who is asked about SAML assertions, if anybody.
pub fn compile(
    file: &File,
    section: &AuthenticationSection,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Saml> {
    let proofs = !section.issuers.value.is_empty() || section.introspection.is_some();
    let section = section.saml.as_ref()?;
    if !proofs {
        let fix = "add the issuer of the tokens that it gives to `issuers`, or `introspection` for them";
        findings.add(&section.place, "has nobody to verify the tokens that assertions are traded for", fix);
    }
    let section = &section.value;
    let (common, wish) = grant::saml(section);
    Some(Saml {
        grant: grant::compile(file, &common, context, findings)?,
        wish,
        entity_id: super::optional(&section.entity_id),
        cache: section.cache.value.as_secs(),
    })
}
