//! `bench limits`: a limit under three times the load it lets through, on all workers of the real gateway.

mod count;

use crate::args::Args;
use crate::compare::{record, turn};
use crate::load::{Load, Order, Scenario, Whole};
use crate::mock::{self, Style};
use crate::process::Session;
use crate::{host, metrics, noise};
use count::Row;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const HELP: &str = "\
bench limits: three times what a limit lets through, over all workers, and how much was let through

  --rates LIST        limits in calls per second (1,10,100,1000,10000,50000)
  --seconds S         how long each is loaded (60)
  --times N           how many times the limit is offered (3)
  --burst N           the burst of each (a second's worth, at least 5)
  --open-max N        up to so many calls a second are sent on schedule, whatever the answers do; beyond, as many
                      as can be (30000)
  --connections N     keep-alive connections (64)
  --workers N         workers of the gateway (auto: one per core)
  --ringgate FILE     the program (the one beside this)
  --record DIR        where to keep the rows (bench/record)
  --no-record         do not keep them
  --no-build          take ringgate and loadgen as they lie beside this program

All calls share one bucket. What was admitted is counted three times: by the load generator (right answers), by the
server behind the gateway (calls), and by the gateway (exchanges less refusals). The most that was counted must not
exceed burst + rate x time, where time is from the first request to the last answer. Of that, 97 % must be used
where at least as much was offered. Fails if any of this does not hold.

A bucket of one unit gives callers who do not wait less than its rate: a unit that has come back lies there until the
next call comes. That is not the gateway's doing, so bursts here are at least 5.
";

/// What a run has to be told.
struct Setting {
    seconds: f64,
    times: f64,
    burst: Option<u64>,
    open_max: f64,
    connections: usize,
    workers: String,
    ringgate: PathBuf,
    directory: PathBuf,
    upstream: SocketAddr,
    upstream_calls: Arc<AtomicU64>,
    load: Load,
}

/// Runs the command.
pub fn main(mut args: Args) -> Result<(), String> {
    if args.flag("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let command_line = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let rates: Vec<u64> = args.list("--rates", "1,10,100,1000,10000,50000")?;
    let (keep, build) = (!args.flag("--no-record"), !args.flag("--no-build"));
    let root = args.text("--record")?.map_or_else(record::default_root, PathBuf::from);
    let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("ringgate");
    let ringgate = args.text("--ringgate")?.map_or(beside, PathBuf::from);
    if build {
        crate::build::build(&["ringgate", "loadgen"])?;
    }
    let (upstream, upstream_calls) = mock::serve_counted(Style { sse_writes: 0, answer_bytes: 290 })?;
    let setting = Setting {
        seconds: args.value("--seconds", 60.0)?,
        times: args.value("--times", 3.0)?,
        burst: args.text("--burst")?.map(|text| text.parse()).transpose().map_err(|_| "--burst: a number")?,
        open_max: args.value("--open-max", 30_000.0)?,
        connections: args.value("--connections", 64)?,
        workers: args.text("--workers")?.unwrap_or_else(|| "auto".to_string()),
        ringgate,
        directory: std::env::temp_dir().join(format!("bench-limits-{}", std::process::id())),
        upstream,
        upstream_calls,
        load: Load::find(None)?,
    };
    args.finish()?;

    crate::sys::raise_open_files();
    noise::favour(std::process::id());
    std::fs::create_dir_all(&setting.directory).map_err(|error| error.to_string())?;
    let mut notes = host::describe();
    notes.push(format!("command: bench {command_line}"));
    notes.push(format!("cargo profile: {}", crate::build::profile()));
    notes.extend(noise::warnings().into_iter().map(|warning| format!("warning: {warning}")));
    notes.iter().for_each(|note| eprintln!("{note}"));
    println!("{}", count::TABLE_HEAD);
    let rows: Result<Vec<Row>, String> = rates.into_iter().map(|rate| setting.run(rate)).collect();
    let _ = std::fs::remove_dir_all(&setting.directory);
    let rows = rows?;
    if keep {
        let path = record::append_rows(&root, "limits", &count::as_csv(&rows), &notes)?;
        eprintln!("recorded in {}", path.display());
    }
    let broken: Vec<String> = rows.iter().flat_map(Row::complaints).collect();
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}

impl Setting {
    /// One limit, under load, on a fresh gateway.
    fn run(&self, rate: u64) -> Result<Row, String> {
        let burst = self.burst.unwrap_or_else(|| rate.max(5));
        let gateway = Gateway::start(self, rate, burst)?;
        let wanted = rate as f64 * self.times;
        let open = wanted <= self.open_max;
        let before = self.upstream_calls.load(Ordering::Relaxed);
        let outcome = self.load.run(&Order {
            url: format!("http://{}{PATH}", gateway.address),
            connections: self.connections,
            seconds: self.seconds,
            counts_all: true,
            scenario: Scenario::Calls,
            rate: open.then_some(wanted as u32),
            body_bytes: 250,
            tool: "echo".to_string(),
            headers: Vec::new(),
            refusals: true,
            watch: Vec::new(),
        })?;
        let upstream = self.upstream_calls.load(Ordering::Relaxed) - before;
        if let Some(fault) = outcome.fault.filter(|_| outcome.errors > outcome.unsent) {
            eprintln!("wrong answers, most often {fault}");
        }
        let row = Row {
            rate,
            burst,
            open,
            whole: outcome.whole,
            errors: outcome.errors - outcome.unsent,
            upstream,
            gateway: gateway.counts(&outcome.whole)?,
        };
        println!("{row}");
        Ok(row)
    }
}

/// A gateway with one limit, on all cores.
struct Gateway {
    address: SocketAddr,
    admin: SocketAddr,
    _session: Session,
}

impl Gateway {
    fn start(setting: &Setting, rate: u64, burst: u64) -> Result<Self, String> {
        let (address, admin) = (turn::free_address()?, turn::free_address()?);
        let Setting { directory, upstream, workers, .. } = setting;
        let config = format!(
            "workers: {workers}\nlisteners: [{{ address: \"{address}\" }}]\nadmin: {{ address: \"{admin}\" }}\n\
             servers: [{{ name: up, url: \"http://{upstream}/mcp\" }}]\n\
             rate_limits: {{ limits: [{{ name: bound, unit: calls, deny_as: error, rate: {rate}/s, burst: {burst} }}] }}\n"
        );
        let file = directory.join("ringgate.yaml");
        std::fs::write(&file, config).map_err(|error| error.to_string())?;
        let mut command = Command::new(&setting.ringgate);
        command.arg("serve").arg("--config").arg(&file);
        let mut session = Session::start("ringgate", command, None, directory)?;
        noise::favour(session.id());
        session.wait_listening(address)?;
        session.wait_listening(admin)?;
        Ok(Self { address, admin, _session: session })
    }

    /// What it let through and what its limit refused, by its own metrics: as soon as they have caught up with what
    /// the load generator saw, or after a while as they are.
    fn counts(&self, seen: &Whole) -> Result<Whole, String> {
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let page = metrics::page(self.admin)?;
            let refused = metrics::sum(&page, "ringgate_limited_total", "mode=\"enforce\"");
            let ended = metrics::sum(&page, "ringgate_exchanges_total", "kind=\"request\"");
            let counts = Whole { answered: ended.saturating_sub(refused), refused, ..*seen };
            if counts == *seen || Instant::now() > deadline {
                return Ok(counts);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Where the server is behind the gateway.
const PATH: &str = "/up/mcp";
