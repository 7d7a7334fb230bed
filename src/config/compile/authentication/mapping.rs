//! `claims` and `required_claims`.

use crate::config::file::authentication::ClaimsSection;
use crate::policy::authn::Required;
use crate::policy::authn::claims::{ClaimPath, Mapping};
use crate::schema::finding::{At, Findings};
use crate::schema::units::shorten;

/// Which claims say who calls.
pub fn mapping(section: &ClaimsSection, findings: &mut Findings) -> Mapping {
    let paths = |list: &At<Vec<At<ClaimPath>>>| list.value.iter().map(|path| path.value.clone()).collect();
    if let Some(prefix) = &section.roles_prefix
        && !section.role_map.value.is_empty()
    {
        let fix = "keep one of the two; the map can hold the prefix in its own names";
        findings.add(&prefix.place, "has no effect beside `role_map`", fix);
    }
    if section.agent.value.is_empty() && section.user.value.is_empty() {
        let fix = "name a claim under `agent` or `user`";
        findings.add(&section.agent.place, "and `user` are both empty, so every token is nobody's", fix);
    }
    let mut role_map: Vec<(Box<str>, Box<str>)> = Vec::new();
    for (theirs, ours) in &section.role_map.value {
        role_map.push((theirs.value.as_str().into(), ours.as_str().into()));
    }
    role_map.sort_unstable();
    Mapping {
        agent: paths(&section.agent),
        user: paths(&section.user),
        tenant: paths(&section.tenant),
        roles: paths(&section.roles),
        role_keys: paths(&section.role_keys),
        scopes: paths(&section.scopes),
        roles_prefix: section
            .roles_prefix
            .as_ref()
            .map(|prefix| prefix.value.as_str().into())
            .unwrap_or_default(),
        role_map: role_map.into(),
    }
}

/// Claims that a token must have.
pub fn required(section: &At<Vec<(At<String>, String)>>, findings: &mut Findings) -> Box<[Required]> {
    let mut required = Vec::new();
    for (name, wanted) in &section.value {
        let Some(path) = ClaimPath::parse(&name.value) else {
            let fix = "write it as under `claims`";
            findings.add(&name.place, format!("`{}` does not name a claim", shorten(&name.value)), fix);
            continue;
        };
        required.push((path, (wanted != "*").then(|| wanted.as_str().into())));
    }
    required.into()
}
