//! Listening sockets: for TCP one a worker and listener, so that the kernel spreads connections.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::claims::{self, Claim};
use crate::config::snapshot::{ListenAddress, Listener};
use crate::io::process;

/// Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// An address in use is looked at so often, this far apart: a second in all.
const LETTING_GO_TRIES: u32 = 20;
const LETTING_GO_LOOK: Duration = Duration::from_millis(50);

/// A listening socket that belongs to no event loop yet.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// Unix stream.
    Unix(UnixListener),
}

/// The sockets of all listeners, for each worker, and the claims on their addresses.
///
/// # Errors
/// With the address and what to do about it.
pub fn bind_all(listeners: &[Listener], workers: usize) -> Result<(Vec<Vec<Bound>>, Vec<Claim>), String> {
    let mut sockets: Vec<Vec<Bound>> = (0..workers).map(|_| Vec::new()).collect();
    let mut claims = Vec::new();
    for listener in listeners {
        match &listener.address {
            ListenAddress::Tcp(address) => {
                let mut address = *address;
                if !listener.shared {
                    claims.extend(claim(address).map_err(|error| explain(&address.to_string(), &error))?);
                }
                for worker in &mut sockets {
                    let bound = bind_tcp(address, workers > 1 || listener.shared)
                        .map_err(|error| explain(&address.to_string(), &error))?;
                    // Port 0 is chosen by the first, and shared by the others.
                    address = bound.local_addr().map_err(|error| explain(&address.to_string(), &error))?;
                    worker.push(Bound::Tcp(bound));
                }
            }
            ListenAddress::Unix { path, mode } => {
                let name = format!("unix:{}", path.display());
                let bound = bind_unix(path, *mode).map_err(|error| explain(&name, &error))?;
                for worker in &mut sockets {
                    let shared = bound.try_clone().map_err(|error| explain(&name, &error))?;
                    worker.push(Bound::Unix(shared));
                }
            }
        }
    }
    Ok((sockets, claims))
}

/// Fails if anybody listens at `address` for longer than a process that was killed takes to let go of it: what a ring had
/// under way is ended after its process. The sockets of several workers share their port, and so would
/// those of a second gateway: each would get a part of the connections, and nobody would know why.
fn claim(address: SocketAddr) -> io::Result<Option<Claim>> {
    let mut tries = LETTING_GO_TRIES;
    loop {
        // Two gateways that start at the same moment would both find nobody there. Port 0 is another port for each.
        let claimed = if address.port() == 0 { Ok(None) } else { claims::claim_address(address).map(Some) };
        match (is_free(address), claimed) {
            (Ok(()), Ok(claim)) => return Ok(claim),
            (Ok(()), Err(error)) if tries == 0 => {
                // Whoever has the name listens nowhere; anybody can take one.
                tracing::warn!(%address, %error, "another process claims the address and does not listen there");
                return Ok(None);
            }
            (Err(error), _) if error.kind() != io::ErrorKind::AddrInUse || tries == 0 => return Err(error),
            _ => {
                tries -= 1;
                std::thread::sleep(LETTING_GO_LOOK);
            }
        }
    }
}

/// Fails if anybody listens there, sharing or not.
fn is_free(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())
}

/// A TCP listening socket. `shared`: several workers bind the same port.
///
/// # Errors
/// The system's.
pub fn bind_tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Accepted sockets inherit it: one system call less a connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A Unix listening socket. A socket file that nobody listens on any more is replaced.
fn bind_unix(path: &Path, mode: Option<u32>) -> io::Result<UnixListener> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file that is no socket is in the way",
            ));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    // With its mode from the first moment: nobody connects before it is set.
    let listener = match mode {
        Some(mode) => process::with_umask(!mode & 0o777, || UnixListener::bind(path))?,
        None => UnixListener::bind(path)?,
    };
    if let Some(mode) = mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn explain(address: &str, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another process listens there; stop it or choose another address (two gateways may share one with `shared: true` at both listeners)"
        }
        io::ErrorKind::AddrNotAvailable => ": this host does not have that address",
        io::ErrorKind::PermissionDenied => {
            ": ports below 1024 need CAP_NET_BIND_SERVICE, sockets a writable directory"
        }
        _ => "",
    };
    format!("cannot listen on {address}: {error}{hint}")
}
