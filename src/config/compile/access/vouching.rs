//! `access.rules[].issuers`: whose word a rule takes for a name.

use super::values;
use crate::config::file::File;
use crate::config::file::access::RuleSection;
use crate::policy::Proof;
use crate::policy::authz::{Effect, Pattern};
use crate::schema::finding::{At, Findings, Place, closest};
use crate::schema::units::shorten;

/// Those that `authentication` believes about callers: how these are proven, and who vouches.
pub struct Vouching {
    all: Vec<(Proof, String)>,
    /// An issuer has no name; there is a finding of that already.
    incomplete: bool,
}

impl Vouching {
    /// Those of the file.
    pub fn of(file: &File) -> Self {
        let mut vouching = Self { all: Vec::new(), incomplete: false };
        let Some(section) = file.authentication.as_ref().map(|section| &section.value) else {
            return vouching;
        };
        for issuer in &section.issuers.value {
            vouching.add(Proof::Jwt, issuer.value.issuer.as_ref().map(|name| name.value.as_str()));
        }
        if let Some(asked) = section.introspection.as_ref().map(|section| &section.value) {
            let name = asked.issuer.as_ref().or(asked.url.as_ref());
            vouching.add(Proof::Introspection, name.map(|name| name.value.as_str()));
        }
        if !section.api_keys.value.is_empty() || section.api_keys_file.is_some() {
            vouching.add(Proof::ApiKey, Some(Proof::ApiKey.label()));
        }
        if section.certificates.is_some() {
            vouching.add(Proof::Certificate, Some(Proof::Certificate.label()));
        }
        vouching
    }

    fn add(&mut self, proof: Proof, name: Option<&str>) {
        self.incomplete |= name.is_none();
        self.all.extend(name.map(|name| (proof, name.to_owned())));
    }

    /// Notes issuers of a rule that do not exist, and a rule that takes anybody's word for a name.
    pub fn check(&self, section: &RuleSection, findings: &mut Findings) {
        if self.incomplete {
            return;
        }
        self.check_known(section, findings);
        if section.effect.as_ref().is_some_and(|effect| effect.value == Effect::Allow) {
            self.check_clear(section, findings);
        }
    }

    fn check_known(&self, section: &RuleSection, findings: &mut Findings) {
        let names = || self.all.iter().map(|(_, name)| name.as_str()).chain([Proof::Anonymous.label()]);
        for At { value: name, place } in section.issuers.iter().flat_map(|list| &list.value) {
            if names().any(|known| known == name) {
                continue;
            }
            let fix = match closest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write the name of an issuer as `authentication` has it, `api_key` or `certificate`"
                    .to_owned(),
            };
            findings.add(place, format!("`{}` vouches for nobody here", shorten(name)), fix);
        }
    }

    fn check_clear(&self, section: &RuleSection, findings: &mut Findings) {
        let Some((place, kind)) = named(section) else { return };
        let proofs: Vec<Proof> = values(&section.proofs).copied().collect();
        let may = |proof: &Proof| proofs.is_empty() || proofs.contains(proof);
        let may: Vec<String> = self
            .all
            .iter()
            .filter(|(proof, _)| may(proof))
            .map(|(_, name)| format!("`{}`", shorten(name)))
            .collect();
        let by_claim = section.claims.iter().flat_map(|map| &map.value);
        let is_clear = section.issuers.is_some()
            || by_claim.into_iter().any(|(path, _)| matches!(path.value.as_str(), "iss" | "/iss"));
        if is_clear || may.len() < 2 {
            return;
        }
        let what = format!("names {kind}, which {} may each say of any caller", may.join(", "));
        findings.add(place, what, "add `issuers` with those whose word the rule takes");
    }
}

/// Where and by what a rule names callers, unless it means all of them.
fn named(section: &RuleSection) -> Option<(&Place, &'static str)> {
    [(&section.agents, "agents"), (&section.users, "users"), (&section.tenants, "tenants")]
        .into_iter()
        .find_map(|(list, kind)| {
            let some = !values(list).any(Pattern::is_all);
            list.as_ref().filter(|_| some).map(|list| (&list.place, kind))
        })
}
