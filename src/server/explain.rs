//! `ringgate explain`: who may do what by a configuration, and why.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use super::limits;
use crate::base::Ticks;
use crate::config::check::{self, expectations};
use crate::config::moment;
use crate::config::question::{Question, Thing, issuer_of};
use crate::config::snapshot::Snapshot;
use crate::policy::authz::{Decision, Effect, Rule, Verdict};
use crate::policy::principal::sorted;
use crate::policy::rate_limit::{Now, Secret};
use crate::policy::{Principal, Proof};
use crate::shared::ledger::Book;

/// The question as the words of the command line put it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The configuration.
    pub config: PathBuf,
    /// The server, by name.
    pub server: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// The prompt.
    pub prompt: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// Who asks: `role=support`, `agent=x`, `claim:a.b=1`, ...
    pub caller: Vec<String>,
    /// The arguments, in JSON.
    pub arguments: Option<String>,
    /// The client's address.
    pub source: Option<String>,
    /// When, as RFC 3339 writes it.
    pub at: Option<String>,
    /// Header lines.
    pub headers: Vec<String>,
    /// Tell of every rule.
    pub all: bool,
    /// The admin listener of a running gateway, to ask what is left.
    pub admin: Option<String>,
}

/// Exit code of a request that would be denied.
const DENIED: u8 = 3;
/// Exit code of words that make no question.
const USAGE: u8 = 2;
/// Exit code of a configuration that is not good.
const BAD_FILE: u8 = 1;

/// Answers the question. Returns the exit code: 0 for allowed, 3 for denied, 1 for a bad file, 2 for bad words.
///
/// # Errors
/// Those of writing to `out`.
pub fn run(options: &Options, out: &mut dyn Write) -> io::Result<u8> {
    let snapshot = match check::load(&options.config, 1) {
        Ok(snapshot) => snapshot,
        Err(findings) => {
            write!(out, "{findings}")?;
            return Ok(BAD_FILE);
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match question(options, &snapshot, now) {
        Ok(question) => {
            let live = match options.admin.as_deref().map(limits::ask).transpose() {
                Ok(live) => live,
                Err(what) => {
                    writeln!(out, "ringgate explain: {what}")?;
                    return Ok(USAGE);
                }
            };
            answer(&question, &snapshot, options.all, live.as_ref(), out)
        }
        Err(what) => {
            writeln!(out, "ringgate explain: {what}")?;
            Ok(USAGE)
        }
    }
}

fn answer(
    question: &Question,
    snapshot: &Snapshot,
    all: bool,
    live: Option<&Json>,
    out: &mut dyn Write,
) -> io::Result<u8> {
    let decision = question.decide(snapshot);
    let (verdict, code) = match &decision.verdict {
        Verdict::Allow => ("allow".to_owned(), 0),
        Verdict::Deny => ("deny".to_owned(), DENIED),
        Verdict::NeedsScope(scopes) => (format!("deny, needs the scopes: {scopes}"), DENIED),
    };
    writeln!(out, "{verdict}")?;
    writeln!(out, "  because  {}", expectations::decider(&decision, snapshot))?;
    if question.thing != Thing::Nothing {
        writeln!(out, "  lists    {} it", if question.is_shown(snapshot) { "show" } else { "hide" })?;
    }
    touched(question, snapshot, live, out)?;
    let Some(rules) = &snapshot.access.rules else { return Ok(code) };
    if let Some((index, rule)) = decision.reported.and_then(|at| Some((at, rules.list().get(at as usize)?))) {
        let would = if rule.effect == Effect::Allow { "allow" } else { "deny" };
        writeln!(out, "  report   {} would {would} it, were it enforced", label(index as usize, rule))?;
    }
    if all {
        let reasons = question.why_not(rules);
        writeln!(out, "  rules")?;
        for ((index, rule), reason) in rules.list().iter().enumerate().zip(reasons) {
            writeln!(out, "    {}: {}", label(index, rule), role_of(index, rule, &decision, reason))?;
        }
    }
    Ok(code)
}

/// The limits that the request would touch. What is left of them only a running gateway knows.
fn touched(
    question: &Question,
    snapshot: &Snapshot,
    live: Option<&Json>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(configured) = &snapshot.rate_limits else { return Ok(()) };
    let now = Now { ticks: Ticks::default(), wall: question.now };
    let nothing_used = Book::new(1, 1).clerk(0);
    let lines = question.limits(configured, &Secret::default(), &nothing_used, now);
    if lines.is_empty() {
        return writeln!(out, "  limits   none is about it");
    }
    writeln!(out, "  limits")?;
    for line in lines {
        let left = match live.map(|page| limits::left(page, &line)) {
            None => String::new(),
            Some(None) => "; not among the busiest, see `ringgate limits`".to_owned(),
            Some(Some(left)) => format!("; {left} left now"),
        };
        let key: Vec<String> = line.key.iter().map(|(part, value)| format!("{part}={value}")).collect();
        let key = if key.is_empty() { "one bucket for all".to_owned() } else { key.join(" ") };
        let which = line.exception.map_or_else(String::new, |at| format!(" (overrides[{at}])"));
        let mode = if line.is_report { ", only reports" } else { "" };
        writeln!(out, "    {}: {}{which}{mode}; {key}{left}", line.limit, line.rate)?;
    }
    Ok(())
}

/// What a rule has to do with the decision.
fn role_of(index: usize, rule: &Rule, decision: &Decision, reason: Option<String>) -> String {
    let decides = decision.rule.is_some_and(|rule| rule as usize == index);
    let needs_scope = matches!(decision.verdict, Verdict::NeedsScope(_));
    match reason {
        Some(reason) if decides && needs_scope => format!("would allow it, but {reason}"),
        Some(reason) => format!("does not match: {reason}"),
        None if decides => "matches and decides".to_owned(),
        None if rule.report => "matches, in report mode".to_owned(),
        None => "matches".to_owned(),
    }
}

fn label(index: usize, rule: &Rule) -> String {
    let name = rule.name.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
    let effect = if rule.effect == Effect::Allow { "allow" } else { "deny" };
    format!("access.rules[{index}]{name} ({effect}, line {})", rule.line)
}

/// The question that the words ask. `now`: the present, in seconds since 1970.
fn question(options: &Options, snapshot: &Snapshot, now: u64) -> Result<Question, String> {
    let server = match (&options.server, &*snapshot.servers) {
        (None, [only]) => only,
        (None, _) => return Err("say which server is meant, with --server NAME".to_owned()),
        (Some(name), servers) => servers
            .iter()
            .find(|server| *server.name == **name)
            .ok_or_else(|| format!("there is no server `{name}` in this configuration"))?,
    };
    let thing = match (&options.tool, &options.prompt, &options.resource) {
        (Some(tool), None, None) => Thing::Tool(tool.clone()),
        (None, Some(prompt), None) => Thing::Prompt(prompt.clone()),
        (None, None, Some(uri)) => Thing::Resource(uri.clone()),
        (None, None, None) => Thing::Nothing,
        _ => return Err("give only one of --tool, --prompt, --resource".to_owned()),
    };
    let method = options.method.clone().or_else(|| thing.method().map(Into::into));
    let source = options.source.as_deref().map(str::parse::<IpAddr>).transpose();
    let arguments = options.arguments.as_deref().map(serde_json::from_str::<Json>).transpose();
    Ok(Question {
        principal: principal(&options.caller, snapshot)?,
        server: server.id,
        method: method.ok_or("say what is asked for: --tool, --prompt, --resource or --method")?,
        thing,
        arguments: arguments.map_err(|error| format!("--arguments is not JSON: {error}"))?,
        source: source.map_err(|_| "--source is not an IP address".to_owned())?,
        now: match &options.at {
            Some(text) => {
                moment::moment(text).map_err(|problem| format!("--at: {} ({})", problem.what, problem.fix))?
            }
            None => now,
        },
        headers: options.headers.iter().map(|line| header(line)).collect::<Result<_, _>>()?,
    })
}

fn header(line: &str) -> Result<(String, String), String> {
    match line.split_once(':') {
        Some((name, value)) if !name.is_empty() => {
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err(format!("--header `{line}` is not of the form `name: value`")),
    }
}

/// The caller. One of whom nothing is said is anonymous; any other has a token unless `proof=` says otherwise.
fn principal(words: &[String], snapshot: &Snapshot) -> Result<Principal, String> {
    let mut principal = Principal::anonymous([]);
    let (mut roles, mut scopes, mut issuer) = (Vec::new(), Vec::new(), None);
    if !words.is_empty() {
        principal.proof = Proof::Jwt;
    }
    for word in words {
        let wrong = || {
            format!(
                "--as `{word}`: write agent=, user=, tenant=, role=, scope=, proof=, issuer= or claim:PATH="
            )
        };
        let (key, value) = word.split_once('=').ok_or_else(wrong)?;
        match key {
            "agent" => principal.agent = Some(value.into()),
            "user" => principal.user = Some(value.into()),
            "tenant" => principal.tenant = Some(value.into()),
            "role" => roles.push(value.into()),
            "scope" => scopes.extend(value.split_whitespace().map(Into::into)),
            "issuer" => issuer = Some(value.into()),
            "proof" => principal.proof = proof(value).ok_or_else(wrong)?,
            _ => {
                let path = key.strip_prefix("claim:").filter(|path| !path.is_empty()).ok_or_else(wrong)?;
                put(&mut principal.claims, path, value).ok_or_else(wrong)?;
            }
        }
    }
    principal.roles = sorted(roles);
    principal.scopes = sorted(scopes);
    principal.issuer = issuer.unwrap_or_else(|| issuer_of(principal.proof, snapshot));
    Ok(principal)
}

fn proof(word: &str) -> Option<Proof> {
    let all = [Proof::Jwt, Proof::ApiKey, Proof::Certificate, Proof::Introspection, Proof::Anonymous];
    all.into_iter().find(|proof| proof.label() == word)
}

/// Sets a claim: a value that is JSON is taken as such, any other is text. `None` if something else is in the way.
fn put(claims: &mut Json, path: &str, value: &str) -> Option<()> {
    let steps: Vec<String> = match path.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect(),
        None => path.split('.').map(Into::into).collect(),
    };
    let mut place = claims;
    for step in steps {
        if place.is_null() {
            *place = Json::Object(serde_json::Map::new());
        }
        place = place.as_object_mut()?.entry(step).or_insert(Json::Null);
    }
    *place = serde_json::from_str(value).unwrap_or_else(|_| Json::String(value.to_owned()));
    Some(())
}

#[cfg(test)]
mod tests;
