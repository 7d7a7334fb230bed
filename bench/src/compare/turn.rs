//! One turn: a proxy is started, warmed, measured in closed loop and at a fixed rate, and ended.

use super::own::Own;
use super::peer::{Addresses, Peer, RINGGATE};
use super::sample::{Case, Sample};
use super::{handshake, identity};
use crate::args::Args;
use crate::load::{Load, Order, Outcome, Scenario};
use crate::noise::{self, Guard};
use crate::process::Session;
use crate::sys;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

/// When proxy, mock and load generator have real-time priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Realtime {
    /// Never.
    Off,
    /// At the fixed rate, where they sleep most of the time and a wait is what is measured.
    Rate,
    /// In closed loop too, where they take both cores whole.
    All,
}

impl std::str::FromStr for Realtime {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "off" => Ok(Self::Off),
            "rate" => Ok(Self::Rate),
            "all" => Ok(Self::All),
            _ => Err(()),
        }
    }
}

/// Everything that stays the same from turn to turn.
pub struct Stage {
    seconds: f64,
    connections: usize,
    rate: u32,
    sse_writes: u8,
    answer_bytes: usize,
    proxy_core: usize,
    load_core: usize,
    realtime: Realtime,
    guard: bool,
    ringgate: String,
    /// What `ringgate-config` runs with.
    pub own: Option<Own>,
    directory: PathBuf,
    addresses: Addresses,
    load: Option<Load>,
    mock: Option<Session>,
}

impl Stage {
    /// Takes its options out of `args`. Nothing is started yet.
    pub fn from_args(args: &mut Args) -> Result<Self, String> {
        let directory = std::env::temp_dir().join(format!("ringgate-bench-{}", std::process::id()));
        let guard = args.flag("--guard");
        let realtime = args.value("--realtime", Realtime::Rate)?;
        Ok(Self {
            seconds: args.value("--seconds", 4.0)?,
            connections: args.value("--connections", 64)?,
            rate: args.value("--rate", 5000)?,
            sse_writes: args.value("--sse-writes", 1u8)?.clamp(1, 3),
            answer_bytes: args.value("--answer-bytes", 290)?,
            proxy_core: args.value("--proxy-core", 0)?,
            load_core: args.value("--load-core", 1)?,
            realtime: if sys::is_root() { realtime } else { Realtime::Off },
            guard,
            own: Own::from_args(args)?,
            ringgate: args.text("--ringgate")?.unwrap_or_else(|| RINGGATE.to_string()),
            addresses: Addresses {
                upstream: free_address()?,
                upstream_unix: directory.join("mock.sock"),
                proxy: free_address()?,
                admin: free_address()?,
            },
            directory,
            load: None,
            mock: None,
        })
    }

    /// Finds the load generator and makes the directory for configurations and logs.
    pub fn set_up(&mut self) -> Result<(), String> {
        std::fs::create_dir_all(&self.directory).map_err(|error| error.to_string())?;
        self.load = Some(Load::find(self.load_core)?);
        noise::favour(std::process::id());
        Ok(())
    }

    /// How it measures, in a line for the record.
    pub fn describe(&self) -> String {
        let realtime = match self.realtime {
            Realtime::Off => "no real-time priority",
            Realtime::Rate => "real-time priority at the fixed rate",
            Realtime::All => "real-time priority throughout",
        };
        let guard = if self.guard { " with guards" } else { "" };
        format!(
            "{} connections, {} s each, proxy on core {}, load and mock on core {}, {realtime}{guard}",
            self.connections, self.seconds, self.proxy_core, self.load_core
        )
    }

    /// The load generator, once [`Self::set_up`] has found it.
    pub fn load(&self) -> Result<&Load, String> {
        self.load.as_ref().ok_or_else(|| "no load generator".to_string())
    }

    /// Starts the upstream anew, with the kind of answers given.
    pub fn start_mock(&mut self, sse: bool) -> Result<(), String> {
        self.mock = None;
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(own);
        command.arg("mock").arg("--unix").arg(&self.addresses.upstream_unix);
        command.args(["--listen", &self.addresses.upstream.to_string()]);
        command.args(["--answer-bytes", &self.answer_bytes.to_string()]);
        if sse {
            command.args(["--sse", "--sse-writes", &self.sse_writes.to_string()]);
        }
        let mut mock = Session::start("mock", command, self.load_core, &self.directory)?;
        noise::favour(mock.id());
        mock.wait_listening(self.addresses.upstream)?;
        self.mock = Some(mock);
        Ok(())
    }

    /// Where files of this run go; removed at the end.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts `peer` in front of the upstream; none for [`Peer::Direct`].
    pub fn start_peer(&self, peer: Peer, executable: &Path) -> Result<Option<Session>, String> {
        let command = match (&self.own, peer) {
            (Some(own), Peer::RinggateConfig) => {
                Some(own.command(executable, &self.addresses, &self.directory))
            }
            _ => peer.command(executable, &self.addresses, &self.directory, &self.ringgate)?,
        };
        let Some(command) = command else {
            return Ok(None);
        };
        let mut session = Session::start(peer.name(), command, self.proxy_core, &self.directory)?;
        noise::favour(session.id());
        session.wait_listening(self.addresses.proxy)?;
        handshake::wait_answering(self.addresses.proxy, self.path_of(peer))
            .map_err(|error| format!("{error}\nits last words:\n{}", session.last_words()))?;
        Ok(Some(session))
    }

    fn path_of(&self, peer: Peer) -> &str {
        match (&self.own, peer) {
            (Some(own), Peer::RinggateConfig) => own.path(),
            _ => peer.path(),
        }
    }

    /// The load for `peer` in closed loop; what differs is set by the caller.
    pub fn order(&self, peer: Peer, body_bytes: usize) -> Result<Order, String> {
        let address = if peer == Peer::Direct { self.addresses.upstream } else { self.addresses.proxy };
        let headers = match peer {
            Peer::RinggatePolicy => vec![identity::header()?],
            Peer::RinggateConfig => self.own.as_ref().map(Own::headers).unwrap_or_default(),
            _ => Vec::new(),
        };
        Ok(Order {
            url: format!("http://{address}{}", self.path_of(peer)),
            connections: self.connections,
            seconds: self.seconds,
            counts_all: false,
            scenario: if peer.terminates_sessions() { Scenario::LegacyCalls } else { Scenario::Calls },
            rate: None,
            body_bytes,
            tool: peer.tool().to_string(),
            headers,
            refusals: false,
            watch: Vec::new(),
        })
    }

    /// A whole turn of `peer`.
    pub fn run_turn(
        &mut self,
        peer: Peer,
        executable: &Path,
        case: Case,
        round: usize,
    ) -> Result<Sample, String> {
        let proxy = self.start_peer(peer, executable)?;
        let outcome = self.measure(peer, proxy.as_ref(), case, round);
        outcome.map_err(|error| match &proxy {
            Some(proxy) => format!("{error}\nits last words:\n{}", proxy.last_words()),
            None => error,
        })
    }

    fn measure(
        &self,
        peer: Peer,
        proxy: Option<&Session>,
        case: Case,
        round: usize,
    ) -> Result<Sample, String> {
        let of_proxy = proxy.map(Session::processes).unwrap_or_default();
        let of_mock = self.mock.as_ref().map(Session::processes).unwrap_or_default();
        let watch = [of_proxy.as_slice(), &of_mock].concat();
        let closed = Order { watch, ..self.order(peer, case.body_bytes)? };
        let load = self.load()?;
        let full = answered(self.run_favoured(load, proxy, &closed, self.realtime == Realtime::All)?)?;
        if let Some(fault) = &full.fault {
            eprintln!("wrong answers, most often {fault}");
        }
        if proxy.is_some() && full.cpu_us(&of_proxy) <= 0.0 {
            return Err("its processes used no time: others must have done the work".to_string());
        }
        let mut sample = Sample {
            case,
            round,
            peer,
            cpu_us: full.cpu_us(&of_proxy),
            rps: full.rps,
            busy: full.cpu_us(&of_proxy) * full.rps / 1e6,
            mock_us: full.cpu_us(&of_mock),
            load_us: full.own_us,
            rate: 0,
            p50_us: 0.0,
            p99_us: 0.0,
            rate_cpu_us: 0.0,
            rss_mib: full.rss_peak_mib(&of_proxy),
            errors: full.errors,
        };
        if self.rate > 0 {
            // Half of what a slow peer can do: beyond that one measures its queue.
            let rate = self.rate.min((sample.rps / 2.0) as u32).max(1);
            let fixed = self.run_favoured(
                load,
                proxy,
                &Order { rate: Some(rate), ..closed },
                self.realtime != Realtime::Off,
            );
            let fixed = answered(fixed?)?;
            sample.rate = rate;
            sample.p50_us = fixed.p50_us;
            sample.p99_us = fixed.p99_us;
            sample.rate_cpu_us = fixed.cpu_us(&of_proxy);
            sample.errors += fixed.errors;
        }
        Ok(sample)
    }

    /// Runs `order`, with proxy, mock and load generator above all normal work if `realtime` says so.
    fn run_favoured(
        &self,
        load: &Load,
        proxy: Option<&Session>,
        order: &Order,
        realtime: bool,
    ) -> Result<Outcome, String> {
        if !realtime {
            return load.run(order);
        }
        let mut sessions = proxy.into_iter().chain(self.mock.as_ref());
        let set = |session: &Session| session.set_realtime(REALTIME_PRIORITY);
        sessions.try_for_each(set).map_err(|error| format!("no real-time priority: {error}"))?;
        let cores = [self.proxy_core, self.load_core];
        let guard = self.guard.then(|| Guard::start(&cores, &self.directory)).transpose()?;
        let outcome = load.at_priority(REALTIME_PRIORITY).run(order);
        drop(guard);
        let mut sessions = proxy.into_iter().chain(self.mock.as_ref());
        sessions.try_for_each(|session| session.set_realtime(0)).map_err(|error| error.to_string())?;
        outcome
    }
}

fn answered(outcome: Outcome) -> Result<Outcome, String> {
    if outcome.requests > 0 {
        Ok(outcome)
    } else {
        Err(format!("no right answer, {} errors", outcome.errors))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.mock = None;
        // Configurations and logs were of use only while the peers ran.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A loopback address that nothing listens on now, with a port below those that the system gives to outgoing
/// connections: one of the load's own could take it before a proxy listens there.
pub fn free_address() -> Result<SocketAddr, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 17_000).unwrap_or(0);
    for _ in 0..1000 {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 14_000 + (start + turn) % 17_000;
        if let Ok(address) = TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr())
        {
            return Ok(address);
        }
    }
    Err("no free port".to_owned())
}

const REALTIME_PRIORITY: i32 = 10;
