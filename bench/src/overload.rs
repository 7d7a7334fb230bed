//! `bench overload`: a server is slowed down under a steady load, and what callers get meanwhile is drawn.

mod calls;
mod plot;

use crate::args::Args;
use crate::compare::handshake;
use crate::mock::{Capacity, Style, slow};
use crate::process::Session;
use calls::Call;
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
  --adaptive YAML     options of `servers[].adaptive` ({}); `off` leaves it out, to compare
  --connections N     connections of the callers: calls under way at the most (400)
  --bucket-ms MS      one point of the plot (500)
  --ringgate FILE     the program (the one beside this)
  --core N            where ringgate runs (0)
  --csv FILE          write the points (overload.csv)
  --svg FILE          draw them (overload.svg)

Calls that are refused with 503 are `shed`. A call that finds no connection of the callers free is late, and
its time counts from when it was due.
";

/// Runs the command.
pub fn main(mut args: Args) -> Result<(), String> {
    if args.flag("--help") {
        print!("{HELP}");
        return Ok(());
    }
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
    let csv = args.text("--csv")?.unwrap_or_else(|| "overload.csv".to_string());
    let svg = args.text("--svg")?.unwrap_or_else(|| "overload.svg".to_string());
    args.finish()?;

    crate::sys::raise_open_files();
    let directory = std::env::temp_dir().join(format!("bench-overload-{}", std::process::id()));
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let upstream = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let upstream_address = upstream.local_addr().map_err(|error| error.to_string())?;
    let (session, proxy) = start(&ringgate, upstream_address, &adaptive, core, &directory)?;
    let since = Instant::now() + HEAD_START;
    std::thread::spawn(move || {
        let style = Style { sse_writes: 0, answer_bytes: 290 };
        slow::serve(&upstream, capacity, style, since)
    });
    handshake::wait_answering(proxy, PATH)?;
    std::thread::sleep(since.saturating_duration_since(Instant::now()));
    let calls = calls::drive(proxy, PATH, rate, lasts, connections, since);
    drop(session);
    let _ = std::fs::remove_dir_all(&directory);

    let points = Point::of(&calls, lasts, bucket);
    report(&points, &capacity, bucket);
    let write =
        |name: &str, text: String| std::fs::write(name, text).map_err(|error| format!("{name}: {error}"));
    write(&csv, as_csv(&points))?;
    let title = format!(
        "{rate} calls/s; the server takes {} at once, {} ms each, {} times that from {} to {} s; adaptive: {adaptive}",
        capacity.places,
        capacity.takes.as_millis(),
        capacity.slow_factor,
        capacity.slow_at.as_secs_f64(),
        (capacity.slow_at + capacity.slow_for).as_secs_f64(),
    );
    write(&svg, plot::draw(&points, &capacity, &title))?;
    println!("written: {csv}, {svg}");
    Ok(())
}

/// Starts ringgate before `upstream`; where it listens.
fn start(
    ringgate: &Path,
    upstream: SocketAddr,
    adaptive: &str,
    core: usize,
    directory: &Path,
) -> Result<(Session, SocketAddr), String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let proxy = free.map_err(|error| error.to_string())?;
    let adaptive = if adaptive == "off" { String::new() } else { format!(", adaptive: {adaptive}") };
    let config = format!(
        "workers: 1\nlisteners: [{{ address: \"{proxy}\" }}]\nadmin: {{ address: off }}\n\
         servers: [{{ name: slow, url: \"http://{upstream}/mcp\"{adaptive} }}]\n"
    );
    let file = directory.join("ringgate.yaml");
    std::fs::write(&file, config).map_err(|error| error.to_string())?;
    let mut command = Command::new(ringgate);
    command.arg("serve").arg("--config").arg(&file);
    let mut session = Session::start("ringgate", command, core, directory)?;
    session.wait_listening(proxy)?;
    Ok((session, proxy))
}

/// What happened in one piece of the time.
#[derive(Clone, Debug, Default)]
pub struct Point {
    /// The middle of it, in seconds.
    pub at: f64,
    /// Calls that were due, a second.
    pub offered: f64,
    /// Calls that were due and were answered rightly, at whatever time, a second.
    pub admitted: f64,
    /// Calls that were due and were refused with 503, a second.
    pub shed: f64,
    /// Calls that were due and came to nothing else, a second.
    pub failed: f64,
    /// Half of the right answers to calls that were due took no longer, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 of 100.
    pub p99_ms: Option<f64>,
}

impl Point {
    fn of(calls: &[Call], lasts: Duration, bucket: Duration) -> Vec<Self> {
        let width = bucket.as_secs_f64();
        let count = (lasts.as_secs_f64() / width).ceil().max(1.0) as usize;
        (0..count)
            .map(|index| {
                let (from, to) = (index as f64 * width, (index + 1) as f64 * width);
                let due: Vec<&Call> = calls.iter().filter(|call| call.due >= from && call.due < to).collect();
                let per_second = |status: fn(u16) -> bool| {
                    due.iter().filter(|call| status(call.status)).count() as f64 / width
                };
                let right = due.iter().filter(|call| call.status == 200);
                let mut times: Vec<f64> = right.map(|call| call.took * 1e3).collect();
                times.sort_by(f64::total_cmp);
                let quantile = |part: f64| {
                    let last = times.len().checked_sub(1)?;
                    times.get((last as f64 * part) as usize).copied()
                };
                Self {
                    at: f64::midpoint(from, to),
                    offered: due.len() as f64 / width,
                    admitted: per_second(|status| status == 200),
                    shed: per_second(|status| status == 503),
                    failed: per_second(|status| !matches!(status, 200 | 503)),
                    p50_ms: quantile(0.5),
                    p99_ms: quantile(0.99),
                }
            })
            .collect()
    }
}

fn report(points: &[Point], capacity: &Capacity, bucket: Duration) {
    let (from, to) = (capacity.slow_at.as_secs_f64(), (capacity.slow_at + capacity.slow_for).as_secs_f64());
    println!(
        "| phase  | offered/s | admitted/s | shed/s | failed/s | worst p99 of {} ms |",
        bucket.as_millis()
    );
    for (name, from, to) in [("before", 0.0, from), ("slow", from, to), ("after", to, f64::INFINITY)] {
        let of: Vec<&Point> = points.iter().filter(|point| point.at >= from && point.at < to).collect();
        let mean = |value: fn(&Point) -> f64| {
            of.iter().map(|point| value(point)).sum::<f64>() / of.len().max(1) as f64
        };
        let worst = of.iter().filter_map(|point| point.p99_ms).fold(0.0, f64::max);
        println!(
            "| {name:6} | {:9.0} | {:10.0} | {:6.0} | {:8.0} | {worst:.0} ms |",
            mean(|point| point.offered),
            mean(|point| point.admitted),
            mean(|point| point.shed),
            mean(|point| point.failed),
        );
    }
}

fn as_csv(points: &[Point]) -> String {
    let number = |value: Option<f64>| value.map(|value| format!("{value:.1}")).unwrap_or_default();
    let mut text = "seconds,offered_per_s,admitted_per_s,shed_per_s,failed_per_s,p50_ms,p99_ms\n".to_string();
    for point in points {
        let Point { at, offered, admitted, shed, failed, p50_ms, p99_ms } = point;
        text += &format!(
            "{at:.3},{offered:.1},{admitted:.1},{shed:.1},{failed:.1},{},{}\n",
            number(*p50_ms),
            number(*p99_ms)
        );
    }
    text
}

/// Where the server is behind ringgate.
const PATH: &str = "/slow/mcp";
/// Between the start of everything and the first call.
const HEAD_START: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::{Call, Point, as_csv};
    use std::time::Duration;

    #[test]
    fn calls_are_counted_when_they_were_due() {
        let call = |due, took, status| Call { due, took, status };
        let calls = [call(0.1, 0.010, 200), call(0.2, 9.0, 200), call(0.3, 0.0, 503), call(0.9, 0.0, 0)];
        let points = Point::of(&calls, Duration::from_secs(1), Duration::from_millis(500));
        assert_eq!((points.len(), points[0].offered, points[1].failed), (2, 6.0, 2.0));
        assert_eq!((points[0].admitted, points[0].shed, points[0].p50_ms), (4.0, 2.0, Some(10.0)));
        assert_eq!(points[1].p99_ms, None);
        assert_eq!(as_csv(&points).lines().nth(2), Some("0.750,2.0,0.0,0.0,2.0,,"));
    }
}
