//! `bench overload`: a server is slowed down under a steady load, and what callers get meanwhile is drawn.

mod calls;
mod gauges;
mod plot;
mod point;

use crate::args::Args;
use crate::compare::{handshake, record, turn};
use crate::mock::{Capacity, Style, slow};
use crate::process::Session;
use crate::{host, noise};
use gauges::Gauges;
use plot::Run;
use point::Point;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const HELP: &str = "\
bench overload: callers come at a steady rate; the server behind ringgate becomes slow, and well again

  --rate N            calls per second, sent when they are due whatever the answers do (600)
  --seconds S         how long (40)
  --places N          calls the server works on at once (20)
  --takes-ms MS       how long each takes (20): with 20 places, 1000 calls a second
  --slow-at S         when it becomes slow (10)
  --slow-for S        for how long (15)
  --slow-factor F     how many times as long calls take then (5)
  --adaptive YAML     options of `servers[].adaptive` ({}) in the second run; the first is without it
  --connections N     connections of the callers: calls under way at the most (400)
  --bucket-ms MS      one point of the plot (500)
  --ringgate FILE     the program (the one beside this)
  --core N            where ringgate runs (0)
  --record DIR        where to keep the points (bench/record)
  --no-record         do not keep them
  --svg FILE          draw them (overload.svg)
  --no-build          take ringgate as it lies beside this program

Calls that are refused with 503 are `shed`. Answers that take more than a second are late; the time of a call
counts from when it was due, also if no connection of the callers was free then.
";

/// Runs the command.
pub fn main(mut args: Args) -> Result<(), String> {
    if args.flag("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let command_line = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let seconds = |value: f64| Duration::try_from_secs_f64(value).map_err(|error| error.to_string());
    let capacity = Capacity {
        places: args.value("--places", 20usize)?,
        takes: Duration::from_millis(args.value("--takes-ms", 20)?),
        slow_at: seconds(args.value("--slow-at", 10.0)?)?,
        slow_for: seconds(args.value("--slow-for", 15.0)?)?,
        slow_factor: args.value("--slow-factor", 5.0)?,
    };
    let rate = args.value("--rate", 600u32)?.max(1);
    let lasts = seconds(args.value("--seconds", 40.0)?)?;
    let connections = args.value("--connections", 400usize)?.max(1);
    let bucket = Duration::from_millis(args.value("--bucket-ms", 500u64)?.max(1));
    let adaptive = args.text("--adaptive")?.unwrap_or_else(|| "{}".to_string());
    let core = args.value("--core", 0usize)?;
    let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("ringgate");
    let ringgate = args.text("--ringgate")?.map_or(beside, PathBuf::from);
    let (keep, build) = (!args.flag("--no-record"), !args.flag("--no-build"));
    let root = args.text("--record")?.map_or_else(record::default_root, PathBuf::from);
    let svg = args.text("--svg")?.unwrap_or_else(|| "overload.svg".to_string());
    args.finish()?;

    if build {
        crate::build::build(&["ringgate"])?;
    }
    crate::sys::raise_open_files();
    noise::favour(std::process::id());
    let mut notes = host::describe();
    notes.push(format!("command: bench {command_line}"));
    notes.push(format!("cargo profile: {}", crate::build::profile()));
    notes.extend(noise::warnings().into_iter().map(|warning| format!("warning: {warning}")));
    let scene = Scene { ringgate, core, capacity, rate, lasts, connections, bucket };
    let mut runs = Vec::new();
    for adaptive in [None, Some(adaptive.as_str())] {
        let run = scene.play(adaptive)?;
        println!("{}", run.title);
        point::report(&run.points, &capacity, bucket);
        runs.push(run);
    }
    if keep {
        for run in &runs {
            let notes = [notes.as_slice(), std::slice::from_ref(&run.title)].concat();
            let path = record::append_rows(&root, "overload", &point::as_csv(&run.points), &notes)?;
            eprintln!("recorded in {}", path.display());
        }
    }
    let title = format!(
        "{rate} calls/s. The server takes {} at once, {} ms each, and {} times that in the shaded time.",
        capacity.places,
        capacity.takes.as_millis(),
        capacity.slow_factor,
    );
    std::fs::write(&svg, plot::draw(&runs, &capacity, &title)).map_err(|error| format!("{svg}: {error}"))?;
    println!("written: {svg}");
    Ok(())
}

/// What stays the same in both runs.
struct Scene {
    ringgate: PathBuf,
    core: usize,
    capacity: Capacity,
    rate: u32,
    lasts: Duration,
    connections: usize,
    bucket: Duration,
}

impl Scene {
    /// One run on a fresh server and a fresh gateway.
    fn play(&self, adaptive: Option<&str>) -> Result<Run, String> {
        let directory = std::env::temp_dir().join(format!("bench-overload-{}", std::process::id()));
        std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let upstream = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let upstream_address = upstream.local_addr().map_err(|error| error.to_string())?;
        let (proxy, admin) = (turn::free_address()?, turn::free_address()?);
        let config = configuration(proxy, admin, upstream_address, adaptive);
        let session = start(&self.ringgate, proxy, &config, self.core, &directory)?;
        let since = Instant::now() + HEAD_START;
        let capacity = self.capacity;
        std::thread::spawn(move || {
            let style = Style { sse_writes: 0, answer_bytes: 290 };
            slow::serve(&upstream, capacity, style, since)
        });
        handshake::wait_answering(proxy, PATH)?;
        std::thread::sleep(since.saturating_duration_since(Instant::now()));
        let gauges = Gauges::watch(admin, since, self.lasts, self.bucket);
        let calls = calls::drive(proxy, PATH, self.rate, self.lasts, self.connections, since);
        let readings = gauges.end();
        drop(session);
        let _ = std::fs::remove_dir_all(&directory);
        let title = adaptive
            .map_or_else(|| "without adaptive".to_string(), |options| format!("with adaptive: {options}"));
        Ok(Run { title, points: Point::of(&calls, self.lasts, self.bucket), readings })
    }
}

fn configuration(
    proxy: SocketAddr,
    admin: SocketAddr,
    upstream: SocketAddr,
    adaptive: Option<&str>,
) -> String {
    let adaptive = adaptive.map(|options| format!(", adaptive: {options}")).unwrap_or_default();
    format!(
        "workers: 1\nlisteners: [{{ address: \"{proxy}\" }}]\nadmin: {{ address: \"{admin}\" }}\n\
         servers: [{{ name: slow, url: \"http://{upstream}/mcp\"{adaptive} }}]\n"
    )
}

fn start(
    ringgate: &Path,
    proxy: SocketAddr,
    config: &str,
    core: usize,
    directory: &Path,
) -> Result<Session, String> {
    let file = directory.join("ringgate.yaml");
    std::fs::write(&file, config).map_err(|error| error.to_string())?;
    let mut command = Command::new(ringgate);
    command.arg("serve").arg("--config").arg(&file);
    let mut session = Session::start("ringgate", command, core, directory)?;
    noise::favour(session.id());
    session.wait_listening(proxy)?;
    Ok(session)
}

/// Where the server is behind ringgate.
const PATH: &str = "/slow/mcp";
/// Between the start of everything and the first call.
const HEAD_START: Duration = Duration::from_secs(2);
