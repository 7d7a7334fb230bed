//! What one gateway has taken so that no second takes it unawares: addresses and CPUs. Abstract Unix sockets hold the claims: the
//! kernel gives each name to one process and frees it with the process, however that ends. They reach as far as the network
//! namespace, as the addresses do.

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};

use core_affinity::CoreId;

/// A claim, until it is dropped.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "held, never used")] UnixDatagram);

fn claim(name: &str) -> io::Result<Claim> {
    let address = UnixAddr::from_abstract_name(format!("ringgate/{name}"))?;
    UnixDatagram::bind_addr(&address).map(Claim)
}

/// Claims a listening address, which processes that share ports could otherwise share without a word.
///
/// # Errors
/// Another gateway has claimed it ([`io::ErrorKind::AddrInUse`]).
pub fn claim_address(address: SocketAddr) -> io::Result<Claim> {
    claim(&format!("listen/{address}"))
}

/// Chooses `count` of the CPUs that no other gateway has claimed, and claims them. Where there are fewer, the rest is `None`: the
/// scheduler finds a better place for a worker than the CPU of another gateway's.
pub fn choose(allowed: &[CoreId], count: usize) -> (Vec<Option<CoreId>>, Vec<Claim>) {
    let (mut chosen, mut claims) = (Vec::new(), Vec::new());
    for &cpu in allowed {
        if chosen.len() == count {
            break;
        }
        if let Some(claim) = claim_cpu(cpu) {
            chosen.push(Some(cpu));
            claims.push(claim);
        }
    }
    chosen.resize(count, None);
    (chosen, claims)
}

/// A claim on a CPU, unless another gateway has it.
pub fn claim_cpu(cpu: CoreId) -> Option<Claim> {
    claim(&format!("cpu/{}", cpu.id)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_gateways_take_other_cpus_while_there_are_any() {
        // Of no real machine, so that no gateway here has them.
        let cpus: Vec<CoreId> = (70_000..70_004).map(|id| CoreId { id }).collect();
        let ids = |chosen: &[Option<CoreId>]| {
            chosen.iter().map(|cpu| cpu.map(|cpu| cpu.id - 70_000)).collect::<Vec<_>>()
        };
        let (one, held) = choose(&cpus, 1);
        assert_eq!(ids(&one), [Some(0)]);
        let (two, more) = choose(&cpus, 2);
        assert_eq!(ids(&two), [Some(1), Some(2)]);
        let (three, _claims) = choose(&cpus, 2);
        assert_eq!(ids(&three), [Some(3), None], "none is shared");
        drop((held, more));
        assert_eq!(ids(&choose(&cpus, 1).0), [Some(0)], "a claim ends with who made it");
    }

    #[test]
    fn an_address_is_claimed_once() {
        let address = "127.0.0.9:9".parse().unwrap();
        let first = claim_address(address).unwrap();
        assert_eq!(claim_address(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        claim_address(address).unwrap();
    }
}
