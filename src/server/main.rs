//! From the command line to an exit code.

use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use super::cli::{self, Command};
use super::{demo, doctor, explain, key, limits, log, run};
use crate::config::check::{self, Flags};
use crate::config::schema;
use crate::config::snapshot::{ListenAddress, Log, LogLevel, Snapshot};
use crate::control::Ending;
use crate::control::deploy::tls_faults;
use crate::control::life::Source;
use crate::io::process;
use crate::link::Deployment;
use crate::server::reader::Reader;

/// The address that `ringgate demo` listens on, if none is named.
const DEMO_LISTEN: &str = "127.0.0.1:8080";

/// Exit code of a command that was well-formed and failed.
const FAILED: u8 = 1;

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    process::hold_reload();
    // A kernel without it (before 3.15) has the host's setting.
    let _ = process::disable_huge_pages();
    match cli::parse(std::env::args_os()) {
        Ok(command) => obey(command),
        Err(exit) => {
            // Help and version go to standard output, mistakes to standard error.
            let _ = match exit.code {
                0 => write!(std::io::stdout(), "{}", exit.text),
                _ => write!(std::io::stderr(), "{}", exit.text),
            };
            ExitCode::from(exit.code)
        }
    }
}

fn obey(command: Command) -> ExitCode {
    let mut out = std::io::stdout();
    match command {
        Command::Serve(source) => match Reader::begin(source) {
            Ok((snapshot, reader)) => serve(snapshot, Box::new(reader)),
            Err(findings) => fail(&findings),
        },
        Command::Demo { listen } => match start_demo(listen.as_deref().unwrap_or(DEMO_LISTEN)) {
            Ok(code) => code,
            Err(what) => fail(&what),
        },
        Command::Check { file, format } => {
            ExitCode::from(check::run(&file, format, &mut out, tls_faults, wall()).unwrap_or(FAILED))
        }
        Command::Explain(options) => ExitCode::from(explain::run(&options, &mut out).unwrap_or(FAILED)),
        Command::Limits(options) => match limits::run(&options, &mut out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(what) => fail(&format!("ringgate limits: {what}")),
        },
        Command::Schema { markdown } => {
            let text = if markdown { schema::markdown() } else { format!("{:#}", schema::json_schema()) };
            match writeln!(out, "{}", text.trim_end()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(FAILED),
            }
        }
        Command::NewKey(order) => match key::new(&order, &mut out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(what) => fail(&what),
        },
        Command::Doctor { config } => match doctor::tries::findings(config.as_deref(), wall()) {
            Ok((plan, findings)) => doctor::run(&mut out, &doctor::Options::for_stdout(plan), findings),
            Err(what) => fail(&what),
        },
    }
}

/// Seconds since 1970 (UTC).
fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn fail(what: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{}", what.trim_end());
    ExitCode::from(FAILED)
}

fn serve(snapshot: Snapshot, source: Box<dyn Source>) -> ExitCode {
    let _flushed_at_the_end = log::set_up(snapshot.log);
    if !snapshot.core_files && !process::forbid_core_files() {
        tracing::warn!("the kernel does not let core files be forbidden: they would hold what callers show");
    }
    let ended = run::serve(snapshot, source, |deployment| {
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            "serving. {}",
            check::summary(&deployment.snapshot)
        );
        for warning in check::warnings(&deployment.snapshot, wall()) {
            tracing::warn!("{warning}");
        }
    });
    exit_code(ended)
}

fn exit_code(ended: Result<Ending, run::Failure>) -> ExitCode {
    match ended {
        // A drain that met its deadline did what it was told to.
        Ok(Ending::Drained | Ending::Cut) => ExitCode::SUCCESS,
        // The caller ends the process, and the workers with it.
        Ok(Ending::AtOnce) => ExitCode::from(FAILED),
        Err(what) => fail(&format!("ringgate: {what}")),
    }
}

fn start_demo(listen: &str) -> Result<ExitCode, String> {
    let upstream = demo::start()?;
    let servers = vec![("demo".to_owned(), format!("http://{upstream}/mcp"))];
    let flags = Flags { servers, listen: Some(listen.to_owned()), ..Flags::default() };
    let (mut snapshot, mut reader) = Reader::begin(cli::Source::Flags(flags.clone()))?;
    if snapshot.admin.address.is_some_and(|address| TcpListener::bind(address).is_err()) {
        // Another gateway has the usual port; a first look needs no metrics.
        let without = Flags { admin: Some("off".to_owned()), ..flags };
        (snapshot, reader) = Reader::begin(cli::Source::Flags(without))?;
    }
    let _flushed_at_the_end = log::set_up(Log { level: LogLevel::Warn, ..snapshot.log });
    Ok(exit_code(run::serve(snapshot, Box::new(reader), show_demo)))
}

fn show_demo(deployment: &Deployment) {
    let Some(ListenAddress::Tcp(address)) =
        deployment.snapshot.listeners.first().map(|listener| &listener.address)
    else {
        return;
    };
    let url = format!("http://{address}/demo/mcp");
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"countdown","arguments":{"from":3},"_meta":{"progressToken":1}}}"#;
    let text = format!(
        "A small MCP server (tools: echo, add, countdown) with ringgate in front of it:\n\n  \
         {url}\n\n\
         Point an MCP client at this URL, or try it by hand; the progress comes as it happens:\n\n  \
         curl -N {url} \\\n    \
         -H 'content-type: application/json' -H 'accept: application/json, text/event-stream' \\\n    \
         -d '{call}'\n\n\
         Metrics: {}. Ctrl-C ends.\n",
        deployment
            .snapshot
            .admin
            .address
            .map_or_else(|| "off".to_owned(), |admin| format!("http://{admin}/metrics")),
    );
    // Without a reader on standard output there is nobody to show it to.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}
