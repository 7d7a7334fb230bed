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

/// Chooses `count` of the CPUs, those first that no other gateway has claimed, and claims them; and whether some of them are
/// another's too.
pub fn choose(allowed: &[CoreId], count: usize) -> (Vec<CoreId>, Vec<Claim>, bool) {
    let (mut chosen, mut claims, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for &cpu in allowed {
        if chosen.len() == count {
            break;
        }
        match claim_cpu(cpu) {
            Some(claim) => {
                chosen.push(cpu);
                claims.push(claim);
            }
            None => taken.push(cpu),
        }
    }
    let missing = count - chosen.len();
    chosen.extend(taken.into_iter().take(missing));
    chosen.sort_by_key(|cpu| cpu.id);
    (chosen, claims, missing > 0)
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
        let ids = |chosen: &[CoreId]| chosen.iter().map(|cpu| cpu.id - 70_000).collect::<Vec<_>>();
        let (one, held, shares) = choose(&cpus, 1);
        assert_eq!((ids(&one), shares), (vec![0], false));
        let (two, more, shares) = choose(&cpus, 2);
        assert_eq!((ids(&two), shares), (vec![1, 2], false));
        let (three, _claims, shares) = choose(&cpus, 2);
        assert_eq!((ids(&three), shares), (vec![0, 3], true), "the rest is shared");
        drop((held, more));
        assert_eq!(ids(&choose(&cpus, 1).0), [0], "a claim ends with who made it");
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
