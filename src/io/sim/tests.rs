#![allow(clippy::unwrap_used)]
use std::cell::RefCell;

use super::*;
use crate::base::Buf;
use crate::io::{Close, Direction};

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn filled(bytes: &[u8]) -> Buf {
    let mut buf = Buf::with_capacity(bytes.len());
    assert!(buf.append(bytes));
    buf
}

fn at(port: u16) -> Address {
    Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// Dials `rounds` times through `net` and has `size` bytes echoed each time.
async fn echo_client(net: Rc<dyn Net>, rounds: usize, size: usize) -> io::Result<usize> {
    let sent = pattern(size);
    for _ in 0..rounds {
        let Conn { mut reader, mut writer, hangup, .. } = net.dial(&at(80)).await?;
        let bytes = sent.clone();
        net.spawn(Box::pin(async move {
            let _ = writer.send(filled(&bytes)).await;
            hangup.hang_up(Direction::Write);
        }));
        let mut got = Vec::new();
        loop {
            reader.arm(Buf::with_capacity(1000));
            let (count, buf) = reader.read().await;
            got.extend_from_slice(buf.filled());
            if count? == 0 {
                break;
            }
        }
        if got != sent {
            assert!(sent.starts_with(&got), "bytes are lost at the end or not at all");
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(rounds)
}

async fn echo_server(net: Rc<dyn Net>, listener: Rc<Listener>) {
    while let Ok(mut conn) = listener.accept().await {
        net.spawn(Box::pin(async move {
            let mut buf = Buf::with_capacity(500);
            loop {
                buf.clear();
                conn.reader.arm(buf);
                let (Ok(1..), got) = conn.reader.read().await else { break };
                let (Ok(()), sent) = conn.writer.send(got).await else { break };
                buf = sent;
            }
        }));
    }
}

/// Four clients at once; their results, the number of the trace and the time at the end.
fn echo_world(seed: u64, faults: Faults, most: Duration) -> (Vec<Option<io::Result<usize>>>, u64, Ticks) {
    let sim = Sim::new(seed, faults);
    let listener = Rc::new(sim.listen(&at(80)).unwrap());
    sim.spawn(echo_server(sim.net(), listener.clone()));
    let clients: Vec<_> = (1..=4).map(|n| sim.spawn(echo_client(sim.net(), n, n * 1500))).collect();
    sim.run_until(|| clients.iter().all(Task::is_done), most);
    listener.shut();
    let results: Vec<_> = clients.iter().map(Task::take).collect();
    if results.iter().flatten().count() == 4 {
        assert!(sim.run_until_idle(YEAR));
        if faults.stall_per_mille == 0 {
            assert_eq!((sim.tasks(), sim.open_connections()), (0, 0), "seed {seed}");
        }
    }
    (results, sim.trace_hash(), sim.now())
}

#[test]
fn an_awkward_network_loses_nothing() {
    for seed in 0..100 {
        let (results, _, end) = echo_world(seed, Faults::awkward(), YEAR);
        for (result, rounds) in results.into_iter().zip(1..) {
            assert_eq!(result.unwrap().unwrap(), rounds, "seed {seed}");
        }
        assert!(end > Ticks(0), "delays took no time");
    }
}

#[test]
fn a_hostile_network_fails_in_each_way() {
    let mut seen = std::collections::BTreeSet::new();
    let mut unfinished = 0;
    for seed in 0..150 {
        for result in echo_world(seed, Faults::hostile(), MINUTE).0 {
            match result {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    seen.insert(format!("{:?}", error.kind()));
                }
                None => unfinished += 1,
            }
        }
    }
    let all: Vec<_> = seen.iter().map(String::as_str).collect();
    assert_eq!(all, ["ConnectionRefused", "ConnectionReset", "UnexpectedEof"]);
    assert!(unfinished > 0, "some dials and stalls never end");
}

#[test]
fn a_seed_replays() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..40 {
        for faults in [Faults::awkward(), Faults::hostile()] {
            let first = echo_world(seed, faults, MINUTE);
            let again = echo_world(seed, faults, MINUTE);
            assert_eq!((first.1, first.2), (again.1, again.2), "seed {seed}");
            hashes.insert(first.1);
        }
    }
    assert_eq!(hashes.len(), 80, "each seed is a run of its own");
}

#[test]
fn an_ideal_network_takes_no_time() {
    let (results, hash, end) = echo_world(1, Faults::none(), MINUTE);
    assert!(results.iter().all(|result| matches!(result, Some(Ok(_)))));
    assert_eq!(end, Ticks(0));
    assert_eq!(hash, echo_world(2, Faults::none(), MINUTE).1, "without faults the seed decides nothing");
}

#[test]
fn reads_can_come_byte_by_byte() {
    let sim = Sim::new(3, Faults { split_per_mille: 1000, split_bytes_max: 1, ..Faults::none() });
    let (near, far) = sim.connect_pair();
    let (mut near, mut far) = (sim.remote(near), sim.remote(far));
    let counts = sim.block_on(
        async move {
            near.send(b"four").await.unwrap();
            near.close();
            let mut counts = Vec::new();
            for _ in 0..5 {
                counts.push(far.hear().await.unwrap());
            }
            counts
        },
        MINUTE,
    );
    assert_eq!(counts.unwrap(), [1, 1, 1, 1, 0]);
}

#[test]
fn time_jumps_from_alarm_to_alarm() {
    let sim = Sim::new(0, Faults::none());
    let net = sim.net();
    let order = Rc::new(RefCell::new(Vec::new()));
    for hours in [5, 1, 3] {
        let (sleep, order) = (net.sleep(hours * 60 * MINUTE), order.clone());
        sim.spawn(async move {
            sleep.await;
            order.borrow_mut().push(hours);
        });
    }
    sim.run_for(2 * 60 * MINUTE);
    assert_eq!(*order.borrow(), [1]);
    assert_eq!(sim.now(), Ticks(0) + 2 * 60 * MINUTE);
    assert_eq!(sim.tasks(), 2);
    assert!(sim.run_until_idle(YEAR));
    assert_eq!(*order.borrow(), [1, 3, 5]);
    assert_eq!(sim.now(), Ticks(0) + 5 * 60 * MINUTE);
    assert!(!sim.run_until(|| false, YEAR), "nothing is left that could change it");
}

#[test]
fn a_dropped_sleep_wakes_nobody() {
    let sim = Sim::new(0, Faults::none());
    let net = sim.net();
    sim.spawn(async move {
        let mut sleep = net.sleep(YEAR);
        poll_once(&mut sleep).await;
    });
    assert!(sim.run_until_idle(MINUTE));
    assert_eq!(sim.now(), Ticks(0));
}

async fn poll_once(future: &mut LocalFuture<'static, ()>) {
    std::future::poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

#[test]
fn cutting_reads_ends_the_pending_one_and_nothing_else() {
    let sim = Sim::new(0, Faults::none());
    let (near, far) = sim.connect_pair();
    let hangup = near.hangup.clone();
    let (mut near, mut far) = (sim.remote(near), sim.remote(far));
    let heard = sim.spawn(async move {
        let end = near.hear().await.unwrap();
        near.send(b"still").await.unwrap();
        (end, near)
    });
    assert!(sim.run_until_idle(MINUTE));
    assert!(!heard.is_done());
    hangup.hang_up(Direction::Read);
    assert!(sim.run_until(|| heard.is_done(), MINUTE));
    let (end, _near) = heard.take().unwrap();
    assert_eq!(end, 0);
    sim.block_on(async move { far.expect(b"still").await.unwrap() }, MINUTE).unwrap();
}

#[test]
fn cutting_both_breaks_writes_and_ends_the_peer() {
    let sim = Sim::new(0, Faults { buffer_bytes: (8, 8), ..Faults::none() });
    let (near, far) = sim.connect_pair();
    let hangup = near.hangup.clone();
    let (mut near, mut far) = (sim.remote(near), sim.remote(far));
    let sent = sim.spawn(async move { (near.send(&[7; 20]).await, near) });
    sim.run_for(MINUTE);
    assert!(!sent.is_done(), "a full buffer makes the write wait");
    hangup.hang_up(Direction::Both);
    assert!(sim.run_until(|| sent.is_done(), MINUTE));
    let (result, mut near) = sent.take().unwrap();
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let kinds = sim.block_on(
        async move {
            assert_eq!(far.take_rest().await.unwrap(), [7; 8]);
            far.send(b"into the void").await.unwrap();
            let late = far.send(b"too late").await.unwrap_err().kind();
            (late, near.hear().await.unwrap())
        },
        MINUTE,
    );
    assert_eq!(kinds.unwrap(), (io::ErrorKind::ConnectionReset, 0));
    assert_eq!(sim.open_connections(), 1, "whoever can hang up holds the end open");
    drop(hangup);
    assert_eq!(sim.open_connections(), 0);
}

#[test]
fn a_short_buffer_holds_the_writer_until_the_peer_reads() {
    let sim = Sim::new(0, Faults { buffer_bytes: (10, 10), ..Faults::none() });
    let (near, far) = sim.connect_pair();
    let (mut near, mut far) = (sim.remote(near), sim.remote(far));
    let sent = sim.spawn(async move { near.send(&pattern(35)).await.map(|()| near) });
    assert!(sim.run_until_idle(MINUTE));
    assert!(!sent.is_done());
    let got = sim.block_on(async move { far.take(35).await.map(|got| (got, far)) }, MINUTE);
    assert_eq!(got.unwrap().unwrap().0, pattern(35));
    assert!(sent.is_done());
}

#[test]
fn a_reset_is_told_once_and_keeps_what_has_arrived() {
    let sim = Sim::new(0, Faults { latency: Duration::from_millis(1), ..Faults::none() });
    let (near, far) = sim.connect_pair();
    let (mut near, mut far) = (sim.remote(near), sim.remote(far));
    let script = async move {
        near.send(b"arrived ").await.unwrap();
        far.take(1).await.unwrap();
        near.send(b"in flight").await.unwrap();
        near.reset();
        let error = far.take_until(b"flight").await.unwrap_err();
        assert_eq!(far.heard(), b"rrived ");
        let end = far.hear().await.unwrap();
        (error.kind(), end, far.send(b"?").await.unwrap_err().kind())
    };
    let wanted = (io::ErrorKind::ConnectionReset, 0, io::ErrorKind::BrokenPipe);
    assert_eq!(sim.block_on(script, MINUTE).unwrap(), wanted);
}

#[test]
fn closing_with_bytes_unread_resets() {
    let sim = Sim::new(0, Faults::none());
    let (near, far) = sim.connect_pair();
    let (mut near, far) = (sim.remote(near), sim.remote(far));
    let script = async move {
        near.send(b"never read").await.unwrap();
        far.close();
        near.hear().await.unwrap_err().kind()
    };
    assert_eq!(sim.block_on(script, MINUTE).unwrap(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_half_close_leaves_the_other_half() {
    let sim = Sim::new(0, Faults::none());
    let (near, far) = sim.connect_pair();
    let (mut near, mut far) = (sim.remote(near), sim.remote(far));
    let script = async move {
        near.send(b"question").await.unwrap();
        near.half_close();
        far.expect(b"question").await.unwrap();
        far.expect_end().await.unwrap();
        far.send(b"answer").await.unwrap();
        far.close();
        near.expect(b"answer").await.unwrap();
        near.expect_end().await.unwrap();
    };
    assert!(sim.block_on(script, MINUTE).is_some());
    assert_eq!(sim.open_connections(), 0);
}

#[test]
fn a_stall_ends_when_it_is_said_to() {
    let sim = Sim::new(0, Faults::none());
    let (near, far) = sim.connect_pair();
    let (mut near, mut far) = (sim.remote(near), sim.remote(far));
    let script = async move {
        near.stall(Some(3 * MINUTE));
        near.send(b"late").await.unwrap();
        far.expect(b"late").await.unwrap();
        near.stall(None);
        near.send(b"never").await.unwrap();
        far.expect(b"never").await
    };
    assert!(sim.block_on(script, YEAR).is_none());
    assert_eq!(sim.now(), Ticks(0) + 3 * MINUTE);
    assert_eq!(sim.open_connections(), 2);
}

#[test]
fn dials_reach_listeners_and_nobody_else() {
    let sim = Sim::new(0, Faults::none());
    let unix = Address::Unix("/run/up.sock".into());
    let (tcp, local) = (sim.listen(&at(80)).unwrap(), sim.listen(&unix).unwrap());
    assert_eq!(sim.listen(&at(80)).err().unwrap().kind(), io::ErrorKind::AddrInUse);
    let client = sim.connect(&at(80)).unwrap();
    assert_eq!(client.peer, Peer::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 80))));
    assert_ne!(tcp.try_accept().unwrap().peer, client.peer);
    assert_eq!(sim.connect(&unix).unwrap().peer, Peer::Unix);
    assert!(local.try_accept().is_some() && local.try_accept().is_none());
    assert_eq!(sim.connect(&at(81)).err().unwrap().kind(), io::ErrorKind::ConnectionRefused);

    let waiting = sim.connect(&at(80)).unwrap();
    tcp.shut();
    assert_eq!(sim.connect(&at(80)).err().unwrap().kind(), io::ErrorKind::ConnectionRefused);
    let mut waiting = sim.remote(waiting);
    assert!(sim.block_on(async move { waiting.expect_end().await.unwrap() }, MINUTE).is_some());
    assert!(sim.listen(&at(80)).is_ok(), "the address is free again");
}

#[test]
fn dials_fail_as_often_as_asked() {
    let sim = Sim::new(0, Faults { refuse_per_mille: 1000, ..Faults::none() });
    let _listener = sim.listen(&at(80)).unwrap();
    let dial = |sim: &Sim| {
        let dialling = sim.net().dial(&at(80));
        sim.block_on(async move { dialling.await.map(|conn| conn.peer) }, YEAR)
    };
    assert_eq!(dial(&sim).unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    sim.set_faults(Faults { hang_per_mille: 1000, ..Faults::none() });
    assert!(dial(&sim).is_none());
    sim.set_faults(Faults { latency: MINUTE, ..Faults::none() });
    let before = sim.now();
    assert!(dial(&sim).unwrap().is_ok());
    assert_eq!(sim.now(), before + MINUTE);
}

#[test]
fn a_dropped_world_drops_its_tasks() {
    let sim = Sim::new(0, Faults::none());
    let held = Rc::new(());
    let (net, kept) = (sim.net(), held.clone());
    sim.spawn(async move {
        net.sleep(YEAR).await;
        drop(kept);
    });
    sim.run_for(MINUTE);
    assert_eq!(Rc::strong_count(&held), 2);
    drop(sim);
    assert_eq!(Rc::strong_count(&held), 1);
}
