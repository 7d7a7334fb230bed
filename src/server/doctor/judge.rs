//! The rules: facts in, findings out. No rule reads anything but its arguments.

mod cpus;
mod host;
mod limits;
mod network;
mod ring;

use super::facts::{Facts, Plan};
use super::report::{Finding, Level};

/// All findings about a host that is meant to run the planned workers, in the order of the report.
pub fn judge(facts: &Facts, plan: &Plan) -> Vec<Finding> {
    let workers = plan.workers(&facts.cpus);
    let mut findings = vec![ring::kernel(facts.kernel.as_ref())];
    findings.extend(ring::ring(facts));
    findings.push(limits::open_files(&facts.limits, workers));
    findings.push(limits::locked_memory(facts, workers));
    findings.extend(cpus::cpus(&facts.cpus, plan));
    findings.extend(network::sysctls(&facts.sysctl));
    findings.extend(network::interfaces(facts, workers));
    findings.extend(host::host(facts));
    findings
}

/// Why a ring cannot be used on this host, if so.
pub fn ring_refusal(facts: &Facts) -> Option<Finding> {
    ring::ring(facts).into_iter().find(|finding| finding.topic == ring::TOPIC && finding.level == Level::Warn)
}

#[cfg(test)]
mod tests;
