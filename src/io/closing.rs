//! Listening TCP sockets that are about to close.

use std::os::fd::RawFd;

/// One instruction of a classic BPF program.
const fn step(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    // The codes of the classic machine fit 16 bits.
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Where the flags are in a TCP header, and SYN and ACK among them (RFC 9293 section 3.1).
const FLAGS_AT: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// Drops a segment that has SYN and not ACK, and passes every other.
static NO_SYN: [libc::sock_filter; 5] = [
    step(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, FLAGS_AT),
    step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, SYN | ACK),
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, SYN),
    step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
];

/// Has the kernel drop handshakes that begin at this listening TCP socket; those under way end, and can be accepted. A
/// client whose SYN is dropped sends it again after a second (RFC 6298 section 2.1), and is refused by then, or finds
/// another process that listens. `false` if the system refuses.
pub fn drop_new_handshakes(listening: RawFd) -> bool {
    let program = libc::sock_fprog { len: NO_SYN.len() as u16, filter: NO_SYN.as_ptr().cast_mut() };
    // SAFETY: the caller's listener keeps the descriptor open; the call copies the program that `program` points to,
    // whose length it is told, and changes nothing of it.
    let failed = unsafe {
        libc::setsockopt(
            listening,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    failed == 0
}

/// How many connections wait in the accept queue of this listening TCP socket; 0 if the system does not say.
pub fn accept_queue(listening: RawFd) -> usize {
    // SAFETY: `tcp_info` is numbers only, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the caller's listener keeps the descriptor open; the call writes at most `len` bytes to `info`.
    let failed = unsafe {
        libc::getsockopt(listening, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut len)
    };
    // Of a listening socket this field is the length of its queue.
    if failed == 0 { info.tcpi_unacked as usize } else { 0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_connected_waits_and_nobody_else_gets_in() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A host without IPv6 has one less to try.
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let to: SocketAddr = listener.local_addr().unwrap();
            let fd = listener.as_raw_fd();
            let before: Vec<_> = (0..3).map(|_| TcpStream::connect(to).unwrap()).collect();
            assert_eq!(accept_queue(fd), before.len());
            assert!(drop_new_handshakes(fd));
            assert!(TcpStream::connect_timeout(&to, Duration::from_millis(200)).is_err());
            for _ in &before {
                listener.accept().unwrap();
            }
            assert_eq!(accept_queue(fd), 0);
        }
    }
}
