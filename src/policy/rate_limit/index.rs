//! Which limits can concern a message, found by its server, its method and its tool.

use std::collections::HashMap;

use super::facts::Facts;
use super::limit::{Limit, Unit};
use crate::policy::authz::Pattern;

/// The limits by what they are about.
#[derive(Debug, Default)]
pub struct Index {
    /// The table of each server.
    servers: Box<[u16]>,
    /// Servers with the same limits share one.
    tables: Vec<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Calls of tools that some limit names.
    tools: HashMap<Box<str>, Box<[u16]>>,
    /// Calls of other tools. The patterns of these limits are still to be compared.
    other_tools: Box<[u16]>,
    /// Other methods that some limit names.
    methods: HashMap<Box<str>, Box<[u16]>>,
    /// All other methods. The patterns of these limits are still to be compared.
    other_methods: Box<[u16]>,
}

/// The method that calls a tool.
pub const CALL: &str = "tools/call";

impl Index {
    /// Of these limits, for so many servers.
    pub fn new(limits: &[Limit], servers: usize) -> Self {
        let mut known: HashMap<Vec<u16>, u16> = HashMap::new();
        let mut tables = Vec::new();
        let servers = (0..servers).map(|server| {
            let concerns = |limit: &Limit| {
                limit.servers.is_empty() || limit.servers.iter().any(|one| usize::from(*one) == server)
            };
            let own: Vec<u16> =
                (0..).zip(limits).filter(|(_, limit)| concerns(limit)).map(|(at, _)| at).collect();
            *known.entry(own).or_insert_with_key(|own| {
                tables.push(Table::new(limits, own));
                u16::try_from(tables.len() - 1).unwrap_or(u16::MAX)
            })
        });
        Self { servers: servers.collect(), tables }
    }

    /// The limits that can concern the message, and whether their patterns are still to be compared.
    #[inline]
    pub fn find(&self, facts: &Facts<'_>) -> (&[u16], bool) {
        let table =
            self.servers.get(usize::from(facts.server)).and_then(|at| self.tables.get(usize::from(*at)));
        let Some(table) = table else { return (&[], false) };
        match facts.tool() {
            Some(tool) => match table.tools.get(tool) {
                Some(limits) => (limits, false),
                None => (&table.other_tools, true),
            },
            None if table.methods.is_empty() => (&table.other_methods, true),
            None => match table.methods.get(facts.method) {
                Some(limits) => (limits, false),
                None => (&table.other_methods, true),
            },
        }
    }
}

impl Table {
    fn new(limits: &[Limit], own: &[u16]) -> Self {
        let each = || own.iter().filter_map(|at| Some((*at, limits.get(usize::from(*at))?)));
        let calls = |name: Option<&str>| -> Box<[u16]> {
            let concerns = |limit: &Limit| {
                fits(&limit.methods, Some(CALL))
                    && fits(&limit.tools, name)
                    && !name.is_some_and(|name| is_except(limit, name))
            };
            each().filter(|(_, limit)| concerns(limit)).map(|(at, _)| at).collect()
        };
        let others = |name: Option<&str>| -> Box<[u16]> {
            let concerns = |limit: &Limit| {
                limit.tools.is_empty() && limit.unit != Unit::Calls && fits(&limit.methods, name)
            };
            each().filter(|(_, limit)| concerns(limit)).map(|(at, _)| at).collect()
        };
        let literals = |patterns: fn(&Limit) -> &[Pattern]| {
            each().flat_map(move |(_, limit)| patterns(limit)).filter_map(Pattern::literal)
        };
        let tools = literals(|limit| &limit.tools).map(|name| (name.into(), calls(Some(name))));
        let methods = literals(|limit| &limit.methods)
            .filter(|name| *name != CALL)
            .map(|name| (name.into(), others(Some(name))));
        Self {
            tools: tools.collect(),
            other_tools: calls(None),
            methods: methods.collect(),
            other_methods: others(None),
        }
    }
}

/// Whether the name is met; `None`: whether some name that nobody gives exactly could be.
fn fits(patterns: &[Pattern], name: Option<&str>) -> bool {
    patterns.is_empty()
        || patterns.iter().any(|pattern| match name {
            Some(name) => pattern.matches(name),
            None => pattern.literal().is_none(),
        })
}

fn is_except(limit: &Limit, tool: &str) -> bool {
    limit.except.iter().any(|pattern| pattern.matches(tool))
}

/// Whether the patterns are met that [`Index::find`] has not compared.
pub fn rest_fits(limit: &Limit, facts: &Facts<'_>) -> bool {
    match facts.tool() {
        Some(tool) => fits(&limit.tools, Some(tool)) && !is_except(limit, tool),
        None => fits(&limit.methods, Some(facts.method)),
    }
}

/// Whether the unit of a limit is used by the message.
#[inline]
pub fn uses(unit: Unit, facts: &Facts<'_>) -> bool {
    use super::facts::Message;
    match unit {
        // One of each bucket for all messages of a request: see [`super::charge`].
        Unit::Requests | Unit::Bytes => true,
        Unit::Calls | Unit::Cost => facts.is_call(),
        Unit::Tokens | Unit::InFlight => facts.message == Message::Request,
    }
}
