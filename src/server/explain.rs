//! `ringgate explain`: who may do what by a configuration, and why.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use super::limits;
use crate::base::Ticks;
use crate::config::check::{self, expectations};
use crate::config::question::{Question, Thing, Words, Wrong};
use crate::config::snapshot::Snapshot;
use crate::policy::authz::{Decision, Effect, Rule, Verdict};
use crate::policy::rate_limit::{Now, Secret};
use crate::shared::ledger::Book;

/// What to explain, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The configuration.
    pub config: PathBuf,
    /// The question.
    pub words: Words,
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
    let question = options.words.question(&snapshot, now).map_err(|wrong| flagged(&wrong));
    let asked = question.and_then(|question| Ok((question, live(options)?)));
    match asked {
        Ok((question, live)) => answer(&question, &snapshot, options.all, live.as_ref(), out),
        Err(what) => {
            writeln!(out, "ringgate explain: {what}")?;
            Ok(USAGE)
        }
    }
}

/// What the running gateway says to the question, if it is to be asked.
fn live(options: &Options) -> Result<Option<Json>, String> {
    let Some(admin) = &options.admin else { return Ok(None) };
    let query = options.words.query().map_err(|wrong| flagged(&wrong))?;
    limits::ask(admin, &format!("/explain?{query}")).map(Some)
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
    let because = expectations::decider(&decision, snapshot);
    writeln!(out, "  because  {because}")?;
    if question.thing != Thing::Nothing {
        writeln!(out, "  lists    {} it", if question.is_shown(snapshot) { "show" } else { "hide" })?;
    }
    match live {
        Some(live) => {
            if live["verdict"] != label_of(&decision.verdict) || live["because"] != *because {
                let (verdict, because) = (limits::shown(&live["verdict"]), limits::shown(&live["because"]));
                writeln!(out, "  running  the gateway has another configuration: {verdict}, {because}")?;
            }
            left(live, out)?;
        }
        None => touched(question, snapshot, out)?,
    }
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

/// The limits that the request would touch, by the file. What is left of them only a running gateway knows.
fn touched(question: &Question, snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
    let Some(configured) = &snapshot.rate_limits else { return Ok(()) };
    let now = Now { ticks: Ticks::default(), wall: question.now };
    let nothing_used = Book::new(1, 1).clerk(0);
    let lines = question.limits(configured, &Secret::default(), &nothing_used, now);
    if lines.is_empty() {
        return writeln!(out, "  limits   none is about it");
    }
    writeln!(out, "  limits")?;
    for line in lines {
        let key: Vec<String> = line.key.iter().map(|(part, value)| format!("{part}={value}")).collect();
        let key = if key.is_empty() { ONE_BUCKET.to_owned() } else { key.join(" ") };
        let which = line.exception.map_or_else(String::new, |at| format!(" (overrides[{at}])"));
        let mode = if line.is_report { ONLY_REPORTS } else { "" };
        writeln!(out, "    {}: {}{which}{mode}; {key}", line.limit, line.rate)?;
    }
    Ok(())
}

/// The limits that the request would touch, and what is left of them, as a running gateway says.
fn left(live: &Json, out: &mut dyn Write) -> io::Result<()> {
    let lines = live["limits"].as_array().map_or(&[][..], |lines| lines);
    if lines.is_empty() {
        return writeln!(out, "  limits   none is about it");
    }
    writeln!(out, "  limits")?;
    for line in lines {
        let has_key = line["key"].as_object().is_some_and(|key| !key.is_empty());
        let key = if has_key { limits::key(&line["key"]) } else { ONE_BUCKET.to_owned() };
        let which = line["override"].as_u64().map_or_else(String::new, |at| format!(" (overrides[{at}])"));
        let mode = if line["mode"] == "report" { ONLY_REPORTS } else { "" };
        let (name, rate) = (limits::shown(&line["name"]), limits::shown(&line["rate"]));
        let number = |name: &str| line[name].as_i64().unwrap_or(0);
        write!(
            out,
            "    {name}: {rate}{which}{mode}; {key}; {} of {} left now",
            limits::amount(&line["available"]),
            limits::amount(&line["size"])
        )?;
        if line["outstanding"].as_f64().unwrap_or(0.0) > 0.0 {
            write!(out, ", workers hold {}", limits::amount(&line["outstanding"]))?;
        }
        if number("next_unit_seconds") > 0 {
            write!(out, ", the next in {} s at most", number("next_unit_seconds"))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

const ONE_BUCKET: &str = "one bucket for all";
const ONLY_REPORTS: &str = ", only reports";

/// The verdict as `GET /explain` names it.
fn label_of(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
        Verdict::NeedsScope(_) => "needs_scope",
    }
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

/// What is wrong with the words, as the command line has them.
fn flagged(wrong: &Wrong) -> String {
    match wrong.word {
        "" => wrong.what.clone(),
        "caller" => format!("--as: {}", wrong.what),
        word => format!("--{word}: {}", wrong.what),
    }
}

#[cfg(test)]
mod tests;
