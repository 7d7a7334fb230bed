//! `access`.

use super::Context;
use crate::config::file::File;
use crate::config::file::access::{AccessSection, MissingScope, Mode, RuleSection, TimeSection};
use crate::config::snapshot::{Access, Network, Server};
use crate::policy::authz::{Block, Path, Pattern, Rule, Rules, Schedule, VARIABLES, Wanted, canonical};
use crate::policy::expr::Expression;
use crate::schema::finding::{At, Findings, Place, closest};
use crate::schema::units::shorten;

mod vouching;

use vouching::Vouching;

/// The rules.
pub fn compile(file: &File, servers: &[Server], context: &Context<'_>, findings: &mut Findings) -> Access {
    // Rules refer to nothing outside of the file.
    let _ = context;
    let vouching = Vouching::of(file);
    let Some(section) = file.access.as_ref().map(|section| &section.value) else { return Access::default() };
    let rules = section.rules.as_ref().map(|list| {
        check_names(&list.value, findings);
        list.value.iter().for_each(|rule| vouching.check(&rule.value, findings));
        let rules = list.value.iter().map(|rule| compile_rule(rule, servers, findings)).collect();
        Rules::new(rules, servers.iter().map(|server| server.name.clone()).collect())
            .showing_what_lacks_a_scope(section.lists.value.missing_scope.value == MissingScope::Show)
    });
    check_lists(section, findings);
    Access { rules, denied_as: section.denied_as.value }
}

/// Notes an option about scopes where no rule asks for one.
fn check_lists(section: &AccessSection, findings: &mut Findings) {
    let option = &section.lists.value.missing_scope;
    let rules = section.rules.iter().flat_map(|list| &list.value);
    if option.value == MissingScope::Show && !rules.into_iter().any(|rule| rule.value.scopes.is_some()) {
        let fix = "remove it, or give the rules that a scope opens `scopes`";
        findings.add(&option.place, "has no effect: no rule names `scopes`", fix);
    }
}

/// Notes names that are given twice.
fn check_names(rules: &[At<RuleSection>], findings: &mut Findings) {
    let mut names: Vec<&At<String>> = rules.iter().filter_map(|rule| rule.value.name.as_ref()).collect();
    names.sort_by(|a, b| (&a.value, a.place.spot).cmp(&(&b.value, b.place.spot)));
    for pair in names.windows(2).filter(|pair| pair[0].value == pair[1].value) {
        let what = format!("is also the name of the rule on line {}", pair[0].place.spot.line);
        findings.add(&pair[1].place, what, "give each rule a name of its own, or none");
    }
}

fn compile_rule(rule: &At<RuleSection>, servers: &[Server], findings: &mut Findings) -> Rule {
    let At { value: section, place } = rule;
    let patterns =
        |list: &Option<At<Vec<At<Pattern>>>>| -> Box<[Pattern]> { values(list).cloned().collect() };
    Rule {
        name: section.name.as_ref().map(|name| name.value.as_str().into()),
        line: place.spot.line,
        // Without an effect there is a finding, and this is never used.
        effect: section.effect.as_ref().map(|effect| effect.value).unwrap_or_default(),
        report: section.mode.value == Mode::Report,
        servers: server_indexes(section, servers, findings),
        methods: patterns(&section.methods),
        tools: patterns(&section.tools),
        prompts: patterns(&section.prompts),
        resources: resources(&section.resources, findings),
        roles: patterns(&section.roles),
        scopes: values(&section.scopes).map(|scope| scope.as_str().into()).collect(),
        agents: patterns(&section.agents),
        users: patterns(&section.users),
        tenants: patterns(&section.tenants),
        proofs: values(&section.proofs).copied().collect(),
        issuers: values(&section.issuers).map(|issuer| issuer.as_str().into()).collect(),
        claims: paths(section.claims.as_ref(), findings),
        sources: values(&section.sources).map(block).collect(),
        time: section.time.as_ref().map(|time| schedule(&time.value, &time.place, findings)),
        arguments: paths(section.arguments.as_ref(), findings),
        when: section.when.as_ref().and_then(|when| expression(when, findings)),
    }
}

fn values<T>(list: &Option<At<Vec<At<T>>>>) -> impl Iterator<Item = &T> {
    list.iter().flat_map(|list| list.value.iter().map(|element| &element.value))
}

/// Patterns of URIs. One that no URI can match that is let through would be a rule that does nothing.
fn resources(list: &Option<At<Vec<At<Pattern>>>>, findings: &mut Findings) -> Box<[Pattern]> {
    for At { value: pattern, place } in list.iter().flat_map(|list| &list.value) {
        if let Some(fault) = canonical::pattern_fault(pattern) {
            let what = format!(
                "`{}` matches no URI in its canonical spelling: {fault}",
                shorten(&pattern.to_string())
            );
            findings.add(place, what, "write it so; see `access.rules[].resources` in the reference");
        }
    }
    values(list).cloned().collect()
}

/// The servers by index. One that is not known is a finding, so that a rule never counts for more than it says.
fn server_indexes(section: &RuleSection, servers: &[Server], findings: &mut Findings) -> Box<[u16]> {
    let mut indexes = Vec::new();
    for At { value: name, place } in section.servers.iter().flat_map(|list| &list.value) {
        match servers.iter().find(|server| *server.name == **name) {
            Some(server) => indexes.push(server.id.0),
            None => {
                let near = closest(name, servers.iter().map(|server| &*server.name));
                let fix = near.map_or_else(
                    || "write the name of one of `servers`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                findings.add(place, format!("`{name}` is not the name of a server"), fix);
            }
        }
    }
    indexes.sort_unstable();
    indexes.dedup();
    indexes.into()
}

/// What values are wanted where, as written.
type WantedByPath = Vec<(At<String>, Vec<Wanted>)>;

fn paths(map: Option<&At<WantedByPath>>, findings: &mut Findings) -> Box<[(Path, Box<[Wanted]>)]> {
    let mut compiled = Vec::new();
    for (key, wanted) in map.into_iter().flat_map(|map| &map.value) {
        match Path::parse(&key.value) {
            Ok(path) => compiled.push((path, wanted.clone().into())),
            Err(what) => {
                findings.add(&key.place, what, "write `a.b`, or a JSON pointer such as `/a.b/c`");
            }
        }
    }
    compiled.into()
}

fn block(network: &Network) -> Block {
    Block { first: network.address, prefix_bits: network.prefix_bits }
}

fn schedule(section: &TimeSection, place: &Place, findings: &mut Findings) -> Schedule {
    let mut days = [section.days.is_none(); 7];
    for day in values(&section.days) {
        days[*day] = true;
    }
    let (from, to) = (section.from.value, section.to.value);
    if from == to {
        findings.add(place, "begins when it ends", "give another `from` or `to`; a whole day needs neither");
    }
    if from == crate::policy::authz::DAY {
        findings.add(&section.from.place, "is the end of the day", "write `\"00:00\"`");
    }
    Schedule { days, from, to, offset: section.utc_offset.value }
}

fn expression(when: &At<String>, findings: &mut Findings) -> Option<Expression> {
    Expression::compile(&when.value, VARIABLES)
        .map_err(|fault| {
            let fix = "see `access.rules[].when` in the reference; `ringgate explain` tries a rule out";
            findings.add(&when.place, fault.what, fix);
        })
        .ok()
}
