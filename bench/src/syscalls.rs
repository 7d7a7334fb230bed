//! `bench syscalls`: what a proxy asks of the kernel per request.
//!
//! io_uring hides socket operations from strace, but not from the kernel's
//! tracepoints: `sock_send_length` and `sock_recv_length` are passed by every
//! send and receive, whichever way it was asked for.

use crate::args::Args;
use crate::compare::{found, peer::Peer, turn::Stage};
use crate::load::Order;
use crate::process::Session;
use std::path::Path;
use std::process::Command;

const HELP: &str = "\
bench syscalls: system calls, ring operations and socket operations per request

  --peers LIST        as for compare (ringgate,bare-monoio,nginx,haproxy-http)
  --size N            bytes of a request's body (250)
  --seconds S         how long to count (2)
  --sse               the upstream answers with SSE
  --connections, --ringgate, --sse-writes, --no-build   as for compare

Counts by `perf stat` with tracepoints, which takes root or kernel.perf_event_paranoid = -1. Without
it by `strace -c`, which sees system calls only and slows the proxy down.
";

/// Runs the command.
pub fn main(mut args: Args) -> Result<(), String> {
    if args.flag("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let peers: Vec<Peer> = args.list("--peers", "ringgate,bare-monoio,nginx,haproxy-http")?;
    let size = args.value("--size", 250usize)?;
    let seconds = args.value("--seconds", 2.0)?;
    let sse = args.flag("--sse");
    let build = !args.flag("--no-build");
    let mut stage = Stage::from_args(&mut args)?;
    args.finish()?;
    if build {
        crate::build::build(&["ringgate", "loadgen"])?;
    }
    stage.set_up()?;
    stage.start_mock(sse)?;

    let perf = perf_counts();
    if !perf {
        println!("no tracepoints by perf: system calls by strace -c only");
    }
    for (peer, executable) in peers.into_iter().filter_map(found) {
        let proxy = stage.start_peer(peer, &executable)?;
        let watch = proxy.as_ref().map(Session::processes).unwrap_or_default();
        let order = Order { seconds, counts_all: true, watch, ..stage.order(peer, size)? };
        let counts = if perf { count_by_perf(&stage, &order) } else { count_by_strace(&stage, &order) };
        match counts {
            Ok(counts) => println!("\n{}, per request:\n{counts}", peer.name()),
            Err(error) => println!("\n{}: {error}", peer.name()),
        }
    }
    Ok(())
}

/// What is counted: its name, the tracepoint, and a condition on it.
const EVENTS: [(&str, &str, &str); 15] = [
    ("system calls", "raw_syscalls:sys_enter", ""),
    ("  io_uring_enter", "syscalls:sys_enter_io_uring_enter", ""),
    ("  epoll_wait", "syscalls:sys_enter_epoll_wait", ""),
    ("  epoll_ctl", "syscalls:sys_enter_epoll_ctl", ""),
    ("ring operations", "io_uring:io_uring_submit_req", ""),
    ("  send", "io_uring:io_uring_submit_req", "opcode==26"),
    ("  recv", "io_uring:io_uring_submit_req", "opcode==27"),
    ("  writev and sendmsg", "io_uring:io_uring_submit_req", "opcode==2 || opcode==9"),
    ("  readv and recvmsg", "io_uring:io_uring_submit_req", "opcode==1 || opcode==10"),
    ("  poll", "io_uring:io_uring_submit_req", "opcode==6"),
    ("  timeouts and cancels", "io_uring:io_uring_submit_req", "opcode==11 || opcode==12 || opcode==14"),
    ("sends on sockets", "sock:sock_send_length", ""),
    ("receives on sockets", "sock:sock_recv_length", ""),
    ("  with bytes", "sock:sock_recv_length", "ret > 0"),
    ("times off the core", "sched:sched_switch", ""),
];

fn perf_counts() -> bool {
    let probe = Command::new("perf").args(["stat", "-e", "sock:sock_send_length", "true"]).output();
    probe.is_ok_and(|output| {
        output.status.success() && !String::from_utf8_lossy(&output.stderr).contains("<not")
    })
}

fn count_by_perf(stage: &Stage, order: &Order) -> Result<String, String> {
    let file = stage.directory().join("perf.csv");
    let mut perf = Command::new("perf");
    perf.args(["stat", "-x", ",", "-o"]).arg(&file);
    for (_, tracepoint, condition) in EVENTS {
        perf.args(["-e", tracepoint]);
        if !condition.is_empty() {
            perf.args(["--filter", condition]);
        }
    }
    let processes: Vec<_> = order.watch.iter().map(u32::to_string).collect();
    perf.args(["-p", &processes.join(","), "--"]);
    let outcome = stage.load()?.run_below(perf, order)?;
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    Ok(per_request(&perf_lines(&text), outcome.requests, outcome.errors))
}

/// The counts of a `perf stat -x,` report, in the order of [`EVENTS`].
fn perf_lines(text: &str) -> Vec<(String, u64)> {
    let counts = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let counts = counts.map(|line| line.split(',').next().and_then(|word| word.parse().ok()).unwrap_or(0));
    EVENTS.iter().map(|(name, ..)| (*name).to_string()).zip(counts).collect()
}

fn count_by_strace(stage: &Stage, order: &Order) -> Result<String, String> {
    let file = stage.directory().join("strace.txt");
    let mut strace = Command::new("strace");
    strace.args(["-c", "-f", "-o"]).arg(&file);
    for process in &order.watch {
        strace.args(["-p", &process.to_string()]);
    }
    let tracer = Session::start("strace", strace, 0, stage.directory())?;
    std::thread::sleep(ATTACH_TIME);
    let outcome = stage.load()?.run(order)?;
    // It writes its table when it is asked to end.
    drop(tracer);
    Ok(per_request(&strace_lines(&read(&file)?), outcome.requests, outcome.errors))
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("no counts: {error}"))
}

/// The calls of a `strace -c` table by name; its last line is their sum.
fn strace_lines(text: &str) -> Vec<(String, u64)> {
    let row = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        // `% time, seconds, usecs/call, calls, [errors,] name`; the sum may lack the third.
        let name = words.last()?;
        let calls = words.get(3)?.parse().ok()?;
        words.first()?.parse::<f64>().ok()?;
        Some((name.replace("total", "system calls"), calls))
    };
    text.lines().filter_map(row).collect()
}

fn per_request(counts: &[(String, u64)], requests: u64, errors: u64) -> String {
    if requests == 0 {
        return format!("no right answer, {errors} errors");
    }
    let line =
        |(name, count): &(String, u64)| format!("  {name:24} {:8.3}\n", *count as f64 / requests as f64);
    let lines: String = counts.iter().filter(|(_, count)| *count > 0).map(line).collect();
    format!("{lines}  ({requests} requests, {errors} errors)")
}

const ATTACH_TIME: std::time::Duration = std::time::Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::{EVENTS, per_request, perf_lines, strace_lines};

    #[test]
    fn counts_of_perf_go_by_their_order() {
        let line = |index: usize| format!("{},,{},1,100.00,,\n", index * 10, EVENTS[index].1);
        let text: String =
            "# started on Sun\n\n".to_string() + &(0..EVENTS.len()).map(line).collect::<String>();
        let counts = perf_lines(&text);
        assert_eq!(counts.len(), EVENTS.len());
        assert_eq!(counts[1], ("  io_uring_enter".to_string(), 10));
        assert!(per_request(&counts, 100, 0).contains("io_uring_enter            0.100"));
    }

    #[test]
    fn a_table_of_strace_is_read_with_and_without_errors() {
        let text = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.600000           6    100000           writev
 40.00    0.400000           4    100010      5000 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    1.000000           5    200010      5000 total
";
        let expected = [("writev", 100_000), ("recvfrom", 100_010), ("system calls", 200_010)];
        assert_eq!(strace_lines(text), expected.map(|(name, calls)| (name.to_string(), calls)));
    }
}
