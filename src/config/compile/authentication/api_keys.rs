//! `authentication.api_keys` and `api_keys_file`.

use super::{Twins, names, optional, sorted};
use crate::config::compile::{Context, material};
use crate::config::file::File;
use crate::config::file::authentication::{API_KEYS, ApiKeySection, AuthenticationSection};
use crate::config::text::Reference;
use crate::policy::authn::ApiKeys;
use crate::policy::authn::api_key::ApiKey;
use crate::schema::finding::{At, Findings, closest};
use crate::schema::rule::Rule;
use crate::schema::units::shorten;
use crate::schema::world::TrustKind;
use crate::schema::yaml;

/// The API keys; `None` if there cannot be any.
pub fn compile(
    file: &File,
    section: &AuthenticationSection,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<ApiKeys> {
    let others = section.api_keys_file.as_ref().map(|list| from_file(list, context, findings));
    let all = || section.api_keys.value.iter().chain(others.iter().flatten());
    let mut twins = Twins::default();
    for id in all().filter_map(|key| key.value.id.as_ref()) {
        twins.refuse(id, "give each key an id of its own; several keys may have one `agent`", findings);
    }
    let keys: Vec<ApiKey> = all().filter_map(|key| key_of(file, &key.value, findings)).collect();
    (others.is_some() || !keys.is_empty()).then(|| ApiKeys::new(keys))
}

/// The entries of another text. All of its findings stand where it is referred to.
fn from_file(list: &At<Reference>, context: &Context<'_>, findings: &mut Findings) -> Vec<At<ApiKeySection>> {
    let text = match material::trusted(&list.value, TrustKind::ApiKeys, context) {
        Ok(bytes) => String::from_utf8(bytes),
        Err(problem) => {
            findings.note(&list.place, problem);
            return Vec::new();
        }
    };
    let Ok(text) = text else {
        findings.add(&list.place, "is not UTF-8 text", "save it as UTF-8");
        return Vec::new();
    };
    let mut inner = Findings::default();
    let node = yaml::parse(text.strip_prefix('\u{feff}').unwrap_or(&text), &mut inner);
    let keys = node.and_then(|mut node| {
        node.move_to(list.place.spot);
        API_KEYS.read(&node, &list.place, findings)
    });
    if !inner.is_empty() {
        // What is wrong is not quoted: it may be a key.
        let line = inner.iter().next().map_or(0, |finding| finding.place.spot.line);
        let fix = "write it as `ringgate key new` prints it: a list of entries with `id`, `hash` and `agent`";
        findings.add(&list.place, format!("is not YAML that can be read: line {line}"), fix);
    }
    keys.unwrap_or_default()
}

fn key_of(file: &File, section: &ApiKeySection, findings: &mut Findings) -> Option<ApiKey> {
    if let Some(servers) = &section.servers {
        check_servers(file, &servers.value, findings);
    }
    Some(ApiKey {
        id: section.id.as_ref()?.value.as_str().into(),
        hash: section.hash.as_ref()?.value.clone(),
        agent: section.agent.as_ref()?.value.as_str().into(),
        user: optional(&section.user),
        tenant: optional(&section.tenant),
        roles: sorted(&section.roles),
        scopes: sorted(&section.scopes),
        expires: section.expires.as_ref().map(|end| end.value),
        servers: section.servers.as_ref().map(names).unwrap_or_default(),
    })
}

/// Notes servers that do not exist: such a key would be good for nothing.
fn check_servers(file: &File, servers: &[At<String>], findings: &mut Findings) {
    let known =
        || file.servers.iter().flat_map(|list| &list.value).filter_map(|server| server.value.name.as_ref());
    for server in servers.iter().filter(|server| known().all(|name| name.value != server.value)) {
        let fix = match closest(&server.value, known().map(|name| name.value.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write the `name` of one of `servers`".to_owned(),
        };
        findings.add(&server.place, format!("`{}` is not the name of a server", shorten(&server.value)), fix);
    }
}
