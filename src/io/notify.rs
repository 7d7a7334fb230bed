//! What the service manager is told, where it wants to know (sd_notify(3)): a datagram to the socket that it names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A state of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It serves; or a reload has ended, with or without success.
    Ready,
    /// A reload has begun.
    Reloading,
    /// It drains.
    Stopping,
    /// It lives.
    Alive,
}

/// Tells the manager. Does nothing where nobody wants to know, or the manager is not there.
pub fn tell(state: State) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let text = match state {
        State::Ready => "READY=1".to_owned(),
        State::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_micros()),
        State::Stopping => "STOPPING=1".to_owned(),
        State::Alive => "WATCHDOG=1".to_owned(),
    };
    let address = match socket.as_bytes() {
        // The manager's own notation of an abstract socket.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
    };
    let send = |address: SocketAddr| {
        let socket = UnixDatagram::unbound()?;
        // A manager that takes nothing must not stop the process.
        socket.set_nonblocking(true)?;
        socket.send_to_addr(text.as_bytes(), &address)
    };
    // Nobody else could be told that this failed.
    let _ = address.and_then(send);
}

/// How often the manager wants a sign of life: half of what it allows.
pub fn watchdog() -> Option<Duration> {
    let micros = std::env::var("WATCHDOG_USEC").ok()?.parse::<u64>().ok()?;
    let own = std::env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    (own && micros > 0).then(|| Duration::from_micros(micros / 2))
}

fn monotonic_micros() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the value outlives the call.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) } != 0 {
        return 0;
    }
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}
