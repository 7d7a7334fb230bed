//! Builds the programs that a measurement starts, so that never an old one is measured.

use std::process::Command;

/// Builds `packages` with the profile this program was built with, if cargo started it.
///
/// Started by hand it takes what lies beside it: then the caller chose what to measure.
pub fn build(packages: &[&str]) -> Result<(), String> {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return Ok(());
    };
    let profile = profile();
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--profile", &profile]);
    for package in packages {
        command.args(["--package", package]);
    }
    let status = command.status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("building {} failed", packages.join(" and "))) }
}

/// The cargo profile this program was built with, and so the one of what it builds and measures.
pub fn profile() -> String {
    let own = std::env::current_exe().unwrap_or_default();
    let directory = own.parent().and_then(|path| path.file_name()).and_then(|name| name.to_str());
    match directory {
        Some("debug") | None => "dev".to_string(),
        Some(name) => name.to_string(),
    }
}
