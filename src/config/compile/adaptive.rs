//! `servers[].adaptive` and `priorities`.

use crate::config::file::adaptive::PrioritySection;
use crate::config::file::{File, ServerSection, TransportWord};
use crate::config::snapshot::{Timeouts, Workers};
use crate::policy::adaptive::{Config, Priorities, Priority};
use crate::schema::finding::{At, Findings};

/// What a server's calls are limited by, if by anything.
pub fn compile(section: &ServerSection, timeouts: &Timeouts, findings: &mut Findings) -> Option<Config> {
    let At { value: adaptive, place } = section.adaptive.as_ref()?;
    if section.transport.value == TransportWord::Sse {
        // The answer to a message comes on another connection, so its time is not known.
        findings.add(place, "has no effect with `transport: sse`", "remove it");
    }
    if adaptive.min.value > adaptive.max.value {
        let fix = "make it at most `max`, or raise that";
        findings.add(&adaptive.min.place, "is more than `max`", fix);
    }
    if let Some(call) = timeouts.call.filter(|call| *call <= adaptive.queue_time.value) {
        let what = format!("is no less than the {} that a call may take", show(call));
        findings.add(&adaptive.queue_time.place, what, "make it shorter, or raise `timeouts.call`");
    }
    Some(Config {
        min: places(adaptive.min.value),
        max: places(adaptive.max.value.max(adaptive.min.value)),
        start: places(adaptive.start.value),
        per_tool: adaptive.per_tool.value,
        queue: places(adaptive.queue.value),
        queue_time: adaptive.queue_time.value,
        percent: u16::try_from(adaptive.latency_percent.value).unwrap_or(u16::MAX),
    })
}

/// Notes limits that the workers exceed by their mere number.
pub fn check_workers(file: &File, findings: &mut Findings) {
    let workers = match &file.workers.value {
        Workers::Auto => return,
        Workers::Count(count) => usize::from(count.get()),
        Workers::Cpus(cpus) => cpus.len(),
    };
    let sections = file.servers.iter().flat_map(|list| &list.value);
    for adaptive in sections.filter_map(|section| section.value.adaptive.as_ref()) {
        let max = &adaptive.value.max;
        if max.value < workers {
            let what = format!("is less than one call for each of the {workers} workers");
            findings.add(&max.place, what, "raise it, or take fewer workers");
        }
    }
}

/// Whose calls go first.
pub fn priorities(file: &File, findings: &mut Findings) -> Priorities {
    let Some(list) = &file.priorities else { return Priorities::default() };
    if file.authentication.is_none() {
        let fix = "add `authentication`, or remove this";
        findings.add(&list.place, "have no effect: without `authentication` nobody is known", fix);
    } else if !file.servers.iter().flat_map(|list| &list.value).any(|server| server.value.adaptive.is_some())
    {
        let fix = "give a server `adaptive: {}`, or remove this";
        findings.add(&list.place, "have no effect: no server has `adaptive`", fix);
    }
    let mut before: Vec<(&str, &str)> = Vec::new();
    Priorities(list.value.iter().filter_map(|entry| priority(entry, &mut before, findings)).collect())
}

fn priority<'f>(
    At { value: section, place }: &'f At<PrioritySection>,
    before: &mut Vec<(&'f str, &'f str)>,
    findings: &mut Findings,
) -> Option<Priority> {
    let (roles, agents) = (&section.roles.value, &section.agents.value);
    if roles.is_empty() && agents.is_empty() {
        findings.add(place, "names nobody", "give it `roles` or `agents`");
    }
    for (kind, name) in
        roles.iter().map(|role| ("role", role)).chain(agents.iter().map(|agent| ("agent", agent)))
    {
        if before.contains(&(kind, &name.value)) {
            findings.add(&name.place, "is named before, and the first entry counts", "remove one of the two");
        }
        before.push((kind, &name.value));
    }
    let names = |list: &[At<String>]| list.iter().map(|name| name.value.as_str().into()).collect();
    Some(Priority { roles: names(roles), agents: names(agents), class: section.class.as_ref()?.value })
}

fn places(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn show(time: std::time::Duration) -> String {
    crate::schema::units::show_duration(time)
}
