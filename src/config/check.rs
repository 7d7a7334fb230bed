//! The door between the two forms: text in, a snapshot or every finding out.

use std::io::{self, Write};
use std::path::Path;

use super::compile::{Context, compile};
use super::file::File;
use super::snapshot::{Address, ListenAddress, Snapshot};
use crate::config::world::System;
use crate::schema::finding::{Findings, Place, Spot};
use crate::schema::section::Section;
use crate::schema::world::World;
use crate::schema::yaml::{self, Entry, Node, Value};

pub mod expectations;
mod overlay;
mod report;
mod warnings;

use report::Report;

pub use report::Format;
pub use warnings::warnings;

/// Reads, checks and compiles the configuration in `path`.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn load(path: &Path, generation: u64) -> Result<Snapshot, Findings> {
    load_in(path, generation, &System, &Flags::default())
}

/// What a file says, and what it was compiled to.
type Checked = (Snapshot, File);

fn load_from(path: &Path, generation: u64, world: &dyn World, over: &Flags) -> Result<Checked, Findings> {
    let mut findings = Findings::of(path.display().to_string());
    let bytes = match world.read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let fix = match error.kind() {
                io::ErrorKind::NotFound => {
                    "name another with --config, or begin without a file: `ringgate serve --server NAME=URL`, `ringgate demo`"
                }
                io::ErrorKind::FileTooLarge => "a configuration has at most 1 MiB",
                _ => "let the user that runs ringgate read it",
            };
            findings.add(&Place::default(), format!("cannot be read: {error}"), fix);
            return Err(findings);
        }
    };
    // The directory of a bare file name is the empty path, which joins as it should.
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    match std::str::from_utf8(&bytes) {
        Ok(text) => check_both(text, generation, &Context { world, directory }, findings, over),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
            let spot = Spot { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 };
            let place = Place { spot, path: String::new() };
            findings.add(&place, "is not UTF-8 text", "save the file as UTF-8");
            Err(findings)
        }
    }
}

/// [`load`], in another world than the process's own, and with the flags of the command line over the file.
///
/// # Errors
/// As [`load`].
pub fn load_in(path: &Path, generation: u64, world: &dyn World, over: &Flags) -> Result<Snapshot, Findings> {
    load_from(path, generation, world, over).map(|(snapshot, _)| snapshot)
}

/// Checks and compiles `text`; `findings` is empty and names the file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn check(
    text: &str,
    generation: u64,
    context: &Context<'_>,
    findings: Findings,
) -> Result<Snapshot, Findings> {
    check_both(text, generation, context, findings, &Flags::default()).map(|(snapshot, _)| snapshot)
}

fn check_both(
    text: &str,
    generation: u64,
    context: &Context<'_>,
    findings: Findings,
    over: &Flags,
) -> Result<Checked, Findings> {
    let mut findings = findings.within(File::nested);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match yaml::parse(text, &mut findings) {
        Some(mut node) => {
            overlay::lay_over(&mut node, over, &mut findings);
            check_tree(&node, generation, context, findings).map_err(|mut findings| {
                findings.rename(|path| {
                    overlay::flag_of(path, over).map_or_else(|| path.to_owned(), str::to_owned)
                });
                findings
            })
        }
        None => Err(findings),
    }
}

fn check_tree(
    node: &Node,
    generation: u64,
    context: &Context<'_>,
    mut findings: Findings,
) -> Result<Checked, Findings> {
    let root = Place { spot: node.spot, path: String::new() };
    let Value::Map(entries) = &node.value else {
        findings.add(&root, "is not a map of options", "begin with `servers:`");
        return Err(findings);
    };
    let file = File::read(entries, &root, &mut findings);
    let snapshot = compile(&file, generation, context, &mut findings);
    if findings.is_empty() {
        return Ok((snapshot, file));
    }
    findings.sort();
    Err(findings)
}

/// A configuration in the words of a command line: the options worth having without a file, or, without servers, in the
/// place of what a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Name and URL of each server. At least one, if there is no file.
    pub servers: Vec<(String, String)>,
    /// Where to listen.
    pub listen: Option<String>,
    /// How many workers, or where.
    pub workers: Option<String>,
    /// Where the operator's listener is, or `off`.
    pub admin: Option<String>,
}

impl Snapshot {
    /// The first snapshot of a gateway without a file: these servers, each at `/NAME/mcp`.
    ///
    /// # Errors
    /// Everything that is wrong with the flags, each under its flag's name.
    pub fn from_flags(flags: &Flags) -> Result<Self, Findings> {
        let servers = &flags.servers;
        let node = |value| Node { spot: Spot::default(), value };
        let text = |text: &str| node(Value::Text { text: text.to_owned(), quoted: true });
        let entry = |key: &str, node| Entry { key: key.to_owned(), spot: Spot::default(), node };
        let server = |(name, url): &(String, String)| {
            node(Value::Map(vec![entry("name", text(name)), entry("url", text(url))]))
        };
        let mut entries = vec![entry("servers", node(Value::List(servers.iter().map(server).collect())))];
        if let Some(address) = &flags.listen {
            let listener = node(Value::Map(vec![entry("address", text(address))]));
            entries.push(entry("listeners", node(Value::List(vec![listener]))));
        }
        if let Some(workers) = &flags.workers {
            entries.push(entry("workers", text(workers)));
        }
        if let Some(address) = &flags.admin {
            entries.push(entry("admin", node(Value::Map(vec![entry("address", text(address))]))));
        }
        let context = Context { world: &System, directory: Path::new("") };
        let checked = check_tree(&node(Value::Map(entries)), 1, &context, Findings::default());
        checked.map(|(snapshot, _)| snapshot).map_err(|mut findings| {
            findings.rename(|path| flag_of(path, servers));
            findings
        })
    }
}

/// The flag that a place of the tree came from.
fn flag_of(path: &str, servers: &[(String, String)]) -> String {
    if path.starts_with("listeners") {
        return "--listen".to_owned();
    }
    if path.starts_with("workers") {
        return "--workers".to_owned();
    }
    if path.starts_with("admin") {
        return "--admin".to_owned();
    }
    let index = path
        .strip_prefix("servers[")
        .and_then(|rest| rest.split(']').next())
        .and_then(|index| index.parse::<usize>().ok());
    match index.and_then(|index| servers.get(index)) {
        Some((name, _)) => format!("--server {}", crate::schema::units::shorten(name)),
        None => "--server".to_owned(),
    }
}

/// `ringgate check FILE`: writes the findings, or the [`warnings`] and one line about what will be served. Also runs the
/// `tests` of the file, which nothing else does. `set_up` tells what else is wrong with what the file refers to. Returns the
/// exit code: 0 if the file is good, whatever there is to warn of, 1 if it is not.
///
/// # Errors
/// Those of writing to `out`.
pub fn run(
    path: &Path,
    format: Format,
    out: &mut dyn Write,
    set_up: impl Fn(&Snapshot) -> Vec<String>,
    wall: u64,
) -> io::Result<u8> {
    run_in(path, format, out, &System, &set_up, wall)
}

fn run_in(
    path: &Path,
    format: Format,
    out: &mut dyn Write,
    world: &dyn World,
    set_up: &dyn Fn(&Snapshot) -> Vec<String>,
    wall: u64,
) -> io::Result<u8> {
    let report = examine(path, world, set_up, wall);
    report.write(&path.display().to_string(), format, out)?;
    Ok(u8::from(!report.is_good()))
}

fn examine(path: &Path, world: &dyn World, set_up: &dyn Fn(&Snapshot) -> Vec<String>, wall: u64) -> Report {
    let none = || Report {
        findings: Findings::of(path.display().to_string()),
        faults: Vec::new(),
        warnings: Vec::new(),
        servers: Vec::new(),
        summary: String::new(),
    };
    let (snapshot, file) = match load_from(path, 1, world, &Flags::default()) {
        Ok(checked) => checked,
        Err(findings) => {
            let count = findings.len();
            let summary = format!("{count} {}", if count == 1 { "mistake" } else { "mistakes" });
            return Report { findings, summary, ..none() };
        }
    };
    let faults = set_up(&snapshot);
    if !faults.is_empty() {
        let summary = "what it refers to is not good".to_owned();
        return Report { faults, summary, ..none() };
    }
    let mut failed = Findings::of(path.display().to_string());
    expectations::run(&file, &snapshot, &mut failed);
    let tests = file.tests.value.len();
    if !failed.is_empty() {
        failed.sort();
        let noun = if tests == 1 { "test" } else { "tests" };
        let summary = format!("{} of {tests} {noun} failed", places(&failed));
        return Report { findings: failed, summary, ..none() };
    }
    let passed = match tests {
        0 => String::new(),
        1 => " 1 test passed.".to_owned(),
        count => format!(" {count} tests passed."),
    };
    let summary = format!("good.{passed} {}", summary(&snapshot));
    let servers = snapshot.servers.iter().map(|server| (server.name.to_string(), server.path.to_string()));
    Report { warnings: warnings(&snapshot, wall), servers: servers.collect(), summary, ..none() }
}

/// How many tests the findings are about.
fn places(findings: &Findings) -> usize {
    let test = |path: &str| path.split(']').next().map(str::to_owned);
    let mut tests: Vec<_> = findings.iter().map(|finding| test(&finding.place.path)).collect();
    tests.sort_unstable();
    tests.dedup();
    tests.len()
}

/// One line about what will be served, for people.
pub fn summary(snapshot: &Snapshot) -> String {
    const SHOWN_MAX: usize = 8;
    let listeners: Vec<_> = snapshot
        .listeners
        .iter()
        .map(|listener| match (&listener.address, &listener.tls) {
            (ListenAddress::Tcp(address), None) => format!("http://{address}"),
            (ListenAddress::Tcp(address), Some(_)) => format!("https://{address}"),
            (ListenAddress::Unix { path, .. }, _) => format!("unix:{}", path.display()),
        })
        .collect();
    let mut servers: Vec<_> = snapshot
        .servers
        .iter()
        .take(SHOWN_MAX)
        .map(|server| {
            // With the path, since one that was not written means `/mcp`, and a query may hold a secret.
            let place = server.endpoints.first().map(|endpoint| {
                let path = endpoint.target.split('?').next().unwrap_or_default();
                match &endpoint.address {
                    Address::Tcp { host, port } => format!("{host}:{port}{path}"),
                    Address::Unix(socket) => format!("unix:{}:{path}", socket.display()),
                }
            });
            let more = match server.endpoints.len() {
                0 | 1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            format!("{} -> {}{more}", server.path, place.unwrap_or_default())
        })
        .collect();
    if snapshot.servers.len() > SHOWN_MAX {
        servers.push(format!("{} more", snapshot.servers.len() - SHOWN_MAX));
    }
    let noun = if snapshot.servers.len() == 1 { "server" } else { "servers" };
    format!("{} {noun} on {}: {}", snapshot.servers.len(), listeners.join(", "), servers.join("; "))
}

#[cfg(test)]
mod tests;
