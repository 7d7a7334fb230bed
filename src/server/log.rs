//! The log: where lines go, and what a reload changes of them.

use std::fmt;
use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::snapshot::{Log, LogFormat, LogLevel};
use crate::shared::Flag;

/// Log lines that may wait to be written.
const LINES_MAX: usize = 8192;

/// Lines are written as JSON.
static AS_JSON: Flag = Flag::new();
/// Puts another least level in force, where the configuration decides it.
static FILTER: OnceLock<Box<dyn Fn(LogLevel) + Send + Sync>> = OnceLock::new();

/// Sets the log up. Lines are written by a thread of their own, so that a full pipe never stops a worker; when
/// too many wait, the newest are dropped. What waits is written when the guard is dropped.
pub fn set_up(log: Log) -> WorkerGuard {
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_MAX).finish(std::io::stderr());
    AS_JSON.set(log.format == LogFormat::Json);
    // RUST_LOG, where it is set, is more specific than the file.
    let set = EnvFilter::try_from_default_env();
    let from_environment = set.is_ok();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(set.unwrap_or_else(|_| EnvFilter::new(name(log.level))))
        .with_writer(writer)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .event_format(Lines {
            text: Format::default().with_target(false),
            json: Format::default().json().flatten_event(true).with_target(false),
        })
        .with_filter_reloading();
    let handle = builder.reload_handle();
    // A second set-up can only come from a test, which keeps the first.
    if builder.try_init().is_ok() && !from_environment {
        let change = move |level| {
            // Fails only if the subscriber is gone.
            let _ = handle.reload(EnvFilter::new(name(level)));
        };
        let _ = FILTER.set(Box::new(change));
    }
    guard
}

/// Takes over what a reload has changed. Where RUST_LOG is set it still decides the level.
pub fn follow(log: Log) {
    AS_JSON.set(log.format == LogFormat::Json);
    if let Some(change) = FILTER.get() {
        change(log.level);
    }
}

fn name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// Both forms of a line; which one is written is asked for each.
struct Lines {
    text: Format<Full>,
    json: Format<Json>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if AS_JSON.is_set() {
            // JSON has no colours.
            let mut plain = String::new();
            self.json.format_event(context, Writer::new(&mut plain), event)?;
            return writer.write_str(&plain);
        }
        self.text.format_event(context, writer, event)
    }
}
