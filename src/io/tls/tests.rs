#![allow(clippy::unwrap_used)]
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::ClientConfig;
use rustls::crypto::ring;

use super::*;
use crate::io::sim::{Faults, Remote, Sim};
use crate::io::{Accepted, Direction, Peer, Reader, Socket, Writer, uring};

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// An authority, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `name` and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn server(&self) -> TlsServer {
        let (chain, key) = self.sign("gate.test");
        TlsServer::single(chain.as_bytes(), key.as_bytes(), None).unwrap()
    }

    fn client(&self) -> TlsClient {
        TlsClient::new(Some(self.0.pem().as_bytes()), None).unwrap()
    }
}

type Shaken = io::Result<(Conn, TlsInfo)>;

fn shake(sim: &Sim, client: &TlsClient, server: &TlsServer, name: &'static str) -> (Shaken, Shaken) {
    let (near, far) = sim.connect_pair();
    shake_over(sim, (near, far), (client, server), name)
}

fn shake_over(
    sim: &Sim,
    (near, far): (Conn, Conn),
    (client, server): (&TlsClient, &TlsServer),
    name: &'static str,
) -> (Shaken, Shaken) {
    let (client, server) = (client.clone(), server.clone());
    let near = sim.spawn(async move { connect(&client, near, name).await });
    let far = sim.spawn(async move { accept(&server, far, Buf::none()).await });
    assert!(sim.run_until(|| near.is_done() && far.is_done(), YEAR), "the handshake hangs");
    (near.take().unwrap(), far.take().unwrap())
}

/// Two ends of an encrypted connection.
fn encrypted(sim: &Sim) -> (Remote, Remote) {
    let authority = Authority::new();
    let (near, far) = shake(sim, &authority.client(), &authority.server(), "gate.test");
    (sim.remote(near.unwrap().0), sim.remote(far.unwrap().0))
}

fn error_of(shaken: Shaken) -> String {
    let error = shaken.err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    error.to_string()
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

async fn send_all(mut writer: Writer, sizes: Vec<usize>) {
    for size in sizes {
        let mut buf = Buf::with_capacity(size);
        assert!(buf.append(&pattern(size)));
        writer.send(buf).await.0.unwrap();
    }
}

async fn echo(mut conn: Conn) {
    let mut buf = Buf::with_capacity(7000);
    loop {
        buf.clear();
        conn.reader.arm(buf);
        let (count, got) = conn.reader.read().await;
        if count.unwrap() == 0 {
            break;
        }
        let (sent, back) = conn.writer.send(got).await;
        sent.unwrap();
        buf = back;
    }
    conn.hangup.hang_up(Direction::Write);
    conn.reader.arm(Buf::with_capacity(1));
    assert_eq!(conn.reader.read().await.0.unwrap(), 0);
}

async fn read_patterns(mut reader: Reader, sizes: Vec<usize>) {
    let wanted: Vec<u8> = sizes.iter().flat_map(|&size| pattern(size)).collect();
    let (mut got, mut room) = (Vec::new(), 1);
    while got.len() < wanted.len() {
        // Buffers of every size, so that plaintext is left over again and again.
        room = room % 20_000 + 777;
        reader.arm(Buf::with_capacity(room));
        let (count, buf) = reader.read().await;
        assert!(count.unwrap() > 0);
        got.extend_from_slice(buf.filled());
    }
    assert!(got == wanted, "bytes differ");
}

const SIZES: [usize; 12] = [0, 1, 100, 2047, 2048, 2049, 16_383, 16_384, 16_385, 65_537, 70_001, 200 << 10];

#[test]
fn all_sizes_go_round_on_an_awkward_network() {
    let authority = Authority::new();
    let (client, server) = (authority.client(), authority.server());
    for seed in 0..6 {
        let sim = Sim::new(seed, Faults { split_bytes_max: 4000, ..Faults::awkward() });
        let (near, far) = shake(&sim, &client, &server, "gate.test");
        let (near, far) = (near.unwrap().0, far.unwrap().0);
        sim.spawn(echo(far));
        let Conn { reader, writer, .. } = near;
        sim.spawn(send_all(writer, SIZES.to_vec()));
        let done = sim.spawn(read_patterns(reader, SIZES.to_vec()));
        assert!(sim.run_until(|| done.is_done(), YEAR), "seed {seed}");
    }
}

#[test]
fn a_handshake_survives_any_split() {
    let authority = Authority::new();
    let (client, server) = (authority.client(), authority.server());
    let bytewise = Faults { split_per_mille: 1000, split_bytes_max: 1, ..Faults::none() };
    for (seed, faults) in (0..20).map(|seed| (seed, Faults::awkward())).chain([(99, bytewise)]) {
        let sim = Sim::new(seed, faults);
        let (near, far) = shake(&sim, &client, &server, "gate.test");
        let (mut near, far) = (sim.remote(near.unwrap().0), far.unwrap().0);
        let echoing = sim.spawn(echo(far));
        let script = async move {
            near.send(b"question").await.unwrap();
            near.expect(b"question").await.unwrap();
            near.half_close();
            near.expect_end().await.unwrap();
        };
        assert!(sim.block_on(script, YEAR).is_some(), "seed {seed}");
        assert!(sim.run_until(|| echoing.is_done(), YEAR), "seed {seed}");
    }
}

#[test]
fn a_hostile_network_hangs_nobody_for_ever_and_forges_nothing() {
    let authority = Authority::new();
    let (client, server) = (authority.client(), authority.server());
    let mut broken = 0;
    for seed in 0..60 {
        let faults = Faults {
            stall_per_mille: 0,
            reset_per_mille: 300,
            half_close_per_mille: 300,
            doom_bytes_max: 9000,
            ..Faults::hostile()
        };
        let sim = Sim::new(seed, faults);
        let (near, far) = sim.connect_pair();
        let (client, server) = (client.clone(), server.clone());
        sim.spawn(async move {
            let Ok((conn, _)) = connect(&client, near, "gate.test").await else { return };
            let mut buf = Buf::with_capacity(10_000);
            assert!(buf.append(&pattern(10_000)));
            let Conn { mut writer, hangup, .. } = conn;
            if writer.send(buf).await.0.is_ok() {
                hangup.hang_up(Direction::Write);
            }
        });
        let net = sim.net();
        let got = sim.spawn(async move {
            let (conn, _) = accept(&server, far, Buf::none()).await?;
            let Conn { mut reader, .. } = conn;
            let mut got = Vec::new();
            loop {
                reader.arm(Buf::with_capacity(3000));
                let (count, buf) = reader.read().await;
                got.extend_from_slice(buf.filled());
                assert!(pattern(10_000).starts_with(&got));
                if count? == 0 {
                    net.sleep(MINUTE).await;
                    return io::Result::Ok(got.len());
                }
            }
        });
        assert!(sim.run_until(|| got.is_done(), YEAR), "seed {seed}");
        match got.take().unwrap() {
            Ok(count) => assert_eq!(count, 10_000, "an end that was announced is the whole, seed {seed}"),
            Err(_) => broken += 1,
        }
        assert!(sim.run_until_idle(YEAR));
        assert_eq!((sim.tasks(), sim.open_connections()), (0, 0), "seed {seed}");
    }
    assert!((5..55).contains(&broken), "{broken}");
}

#[test]
fn both_sides_know_what_was_agreed() {
    let sim = Sim::new(0, Faults::none());
    let authority = Authority::new();
    let (near, far) = shake(&sim, &authority.client(), &authority.server(), "gate.test");
    let (near, far) = (near.unwrap().1, far.unwrap().1);
    assert_eq!(far, TlsInfo { sni: Some("gate.test".into()), ..near.clone() });
    assert_eq!(far.alpn.as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!((far.version, far.resumed), ("TLSv1_3", false));
    assert!(far.cipher.starts_with("TLS13_"), "{}", far.cipher);
    assert!(far.client_chain_der.is_empty());
}

#[test]
fn a_second_connection_resumes() {
    let sim = Sim::new(0, Faults::none());
    let authority = Authority::new();
    let (client, server) = (authority.client(), authority.server());
    let (near, far) = shake(&sim, &client, &server, "gate.test");
    let (mut near, mut far) = (sim.remote(near.unwrap().0), sim.remote(far.unwrap().0));
    let first = async move {
        far.send(b"behind the ticket").await.unwrap();
        near.expect(b"behind the ticket").await.unwrap();
    };
    sim.block_on(first, MINUTE).unwrap();
    let (near, far) = shake(&sim, &client, &server.clone(), "gate.test");
    assert!(near.unwrap().1.resumed);
    let far = far.unwrap().1;
    assert!(far.resumed);
    assert_eq!(far.sni.as_deref(), Some("gate.test"));
}

#[test]
fn tls_1_2_works() {
    let sim = Sim::new(5, Faults::awkward());
    let authority = Authority::new();
    let mut roots = rustls::RootCertStore::empty();
    let certificate: &rcgen::Certificate = authority.0.as_ref();
    roots.add(certificate.der().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let client = TlsClient(Arc::new(config));
    let (near, far) = shake(&sim, &client, &authority.server(), "gate.test");
    let ((near, info), (far, _)) = (near.unwrap(), far.unwrap());
    assert_eq!((info.version, info.alpn.as_deref()), ("TLSv1_2", Some(&b"http/1.1"[..])));
    sim.spawn(echo(far));
    let Conn { reader, writer, .. } = near;
    sim.spawn(send_all(writer, vec![5, 40_000]));
    assert!(sim.block_on(read_patterns(reader, vec![5, 40_000]), YEAR).is_some());
}

#[test]
fn a_server_of_another_authority_or_name_is_refused() {
    let sim = Sim::new(0, Faults::none());
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (near, far) = shake(&sim, &ours.client(), &theirs.server(), "gate.test");
    assert!(error_of(near).contains("invalid peer certificate"));
    assert!(error_of(far).contains("alert"), "the server is told");
    let (near, far) = shake(&sim, &ours.client(), &ours.server(), "other.test");
    assert!(error_of(near).contains("not valid for name"));
    assert!(far.is_err());
    let (near, _far) = sim.connect_pair();
    let client = ours.client();
    let refused = sim.block_on(async move { connect(&client, near, "not a name").await.err() }, MINUTE);
    assert_eq!(refused.unwrap().unwrap().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn only_certified_clients_get_in_where_certificates_are_asked_for() {
    let sim = Sim::new(0, Faults::none());
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (chain, key) = authority.sign("gate.test");
    let ca = authority.0.pem();
    let server = TlsServer::single(chain.as_bytes(), key.as_bytes(), Some(ca.as_bytes())).unwrap();

    let own = authority.sign("agent.test");
    let identity = Some((own.0.as_bytes(), own.1.as_bytes()));
    let client = TlsClient::new(Some(ca.as_bytes()), identity).unwrap();
    let (near, far) = shake(&sim, &client, &server, "gate.test");
    assert!(near.is_ok());
    let der = far.unwrap().1.client_chain_der.remove(0);
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    assert_eq!(der, CertificateDer::from_pem_slice(own.0.as_bytes()).unwrap().to_vec());

    let forged = stranger.sign("agent.test");
    let forged =
        TlsClient::new(Some(ca.as_bytes()), Some((forged.0.as_bytes(), forged.1.as_bytes()))).unwrap();
    for client in [authority.client(), forged] {
        let (near, far) = shake(&sim, &client, &server, "gate.test");
        error_of(far);
        let mut near = sim.remote(near.unwrap().0);
        let told = sim.block_on(async move { near.hear().await.unwrap_err() }, MINUTE).unwrap();
        assert!(told.to_string().contains("alert"), "{told}");
    }
}

#[test]
fn garbage_is_answered_with_an_alert() {
    let sim = Sim::new(0, Faults::none());
    let server = Authority::new().server();
    let (near, far) = sim.connect_pair();
    let mut near = sim.remote(near);
    let shaking = sim.spawn(async move { accept(&server, far, Buf::none()).await });
    let answer = sim.block_on(
        async move {
            near.send(b"GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n").await.unwrap();
            near.take_rest().await.unwrap()
        },
        MINUTE,
    );
    let answer = answer.unwrap();
    // RFC 8446 section 5.1 and 6: a record of type 21 with a fatal alert.
    assert_eq!((answer[0], answer[5], answer.len()), (21, 2, 7));
    error_of(shaking.take().unwrap());
}

#[test]
fn a_handshake_cut_short_is_an_error() {
    let sim = Sim::new(0, Faults::none());
    let server = Authority::new().server();
    let (near, far) = sim.connect_pair();
    let mut near = sim.remote(near);
    let shaking = sim.spawn(async move { accept(&server, far, Buf::none()).await });
    sim.block_on(async move { near.send(&[22, 3, 1, 0, 200, 1]).await.unwrap() }, MINUTE).unwrap();
    assert!(sim.run_until(|| shaking.is_done(), MINUTE));
    assert_eq!(shaking.take().unwrap().err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn bytes_read_before_tls_began_count() {
    let sim = Sim::new(0, Faults::none());
    let authority = Authority::new();
    let (client, server) = (authority.client(), authority.server());
    let (near, mut far) = sim.connect_pair();
    let near = sim.spawn(async move { connect(&client, near, "gate.test").await });
    let far = sim.spawn(async move {
        far.reader.arm(Buf::with_capacity(50));
        let (count, hello) = far.reader.read().await;
        assert_eq!(count.unwrap(), 50);
        accept(&server, far, hello).await
    });
    assert!(sim.run_until(|| near.is_done() && far.is_done(), MINUTE));
    assert!(near.take().unwrap().is_ok() && far.take().unwrap().is_ok());
}

#[test]
fn an_announced_end_is_an_end_and_a_cut_is_an_error() {
    let sim = Sim::new(0, Faults::none());
    let (mut near, mut far) = encrypted(&sim);
    let script = async move {
        near.send(b"all").await.unwrap();
        near.half_close();
        far.expect(b"all").await.unwrap();
        far.expect_end().await.unwrap();
        far.expect_end().await.unwrap();
        assert_eq!(near.send(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        far.send(b"the other half is open").await.unwrap();
        near.expect(b"the other half is open").await.unwrap();
    };
    assert!(sim.block_on(script, MINUTE).is_some());

    let (mut near, mut far) = encrypted(&sim);
    let script = async move {
        far.send(b"read this first, or closing resets").await.unwrap();
        near.expect(b"read this first, or closing resets").await.unwrap();
        near.send(b"not all").await.unwrap();
        near.into_conn().hangup.hang_up(Direction::Both);
        far.expect(b"not all").await.unwrap();
        far.hear().await.unwrap_err().kind()
    };
    assert_eq!(sim.block_on(script, MINUTE), Some(io::ErrorKind::UnexpectedEof));
    assert_eq!(sim.open_connections(), 0);
}

#[test]
fn a_hangup_ends_the_pending_read_and_tells_the_peer() {
    for (direction, end) in [(Direction::Read, Some(0)), (Direction::Both, Some(0)), (Direction::Write, None)]
    {
        let sim = Sim::new(0, Faults::none());
        let authority = Authority::new();
        let (near, far) = shake(&sim, &authority.client(), &authority.server(), "gate.test");
        let (near, mut far) = (near.unwrap().0, sim.remote(far.unwrap().0));
        let hangup = near.hangup.clone();
        let mut near = sim.remote(near);
        let pending = sim.spawn(async move { (near.hear().await.unwrap(), near) });
        sim.run_for(MINUTE);
        assert!(!pending.is_done());
        hangup.hang_up(direction);
        sim.run_for(MINUTE);
        assert_eq!(pending.take().map(|(count, _)| count), end, "{direction:?}");
        if direction == Direction::Write {
            assert!(sim.block_on(async move { far.expect_end().await.unwrap() }, MINUTE).is_some());
        }
    }
}

#[test]
fn a_write_to_a_peer_that_does_not_read_can_be_cut() {
    for direction in [Direction::Write, Direction::Both] {
        let sim = Sim::new(0, Faults { buffer_bytes: (3000, 3000), ..Faults::none() });
        let authority = Authority::new();
        let (near, far) = shake(&sim, &authority.client(), &authority.server(), "gate.test");
        let (near, _far) = (near.unwrap().0, far.unwrap().0);
        let hangup = near.hangup.clone();
        let mut near = sim.remote(near);
        let sent = sim.spawn(async move { near.send(&pattern(100_000)).await });
        sim.run_for(MINUTE);
        assert!(!sent.is_done());
        hangup.hang_up(direction);
        assert!(sim.run_until(|| sent.is_done(), MINUTE));
        assert_eq!(sent.take().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

#[test]
fn a_changed_byte_is_noticed_and_the_sender_told() {
    let sim = Sim::new(0, Faults::none());
    let authority = Authority::new();
    let ((near, left), (right, far)) = (sim.connect_pair(), sim.connect_pair());
    let changed = Rc::new(std::cell::Cell::new(false));
    let (mut left_in, mut left_out) = (left.reader, left.writer);
    let (mut right_in, mut right_out) = (right.reader, right.writer);
    let change = changed.clone();
    sim.spawn(async move {
        loop {
            left_in.arm(Buf::with_capacity(2000));
            let (Ok(1..), mut buf) = left_in.read().await else { break };
            if change.get() {
                *buf.filled_mut().last_mut().unwrap() ^= 1;
            }
            right_out.send(buf).await.0.unwrap();
        }
    });
    sim.spawn(async move {
        loop {
            right_in.arm(Buf::with_capacity(2000));
            let (Ok(1..), buf) = right_in.read().await else { break };
            left_out.send(buf).await.0.unwrap();
        }
    });
    let (near, far) = shake_over(&sim, (near, far), (&authority.client(), &authority.server()), "gate.test");
    let (mut near, mut far) = (sim.remote(near.unwrap().0), sim.remote(far.unwrap().0));
    let script = async move {
        near.send(b"honest").await.unwrap();
        far.expect(b"honest").await.unwrap();
        changed.set(true);
        near.send(b"forged").await.unwrap();
        let noticed = far.hear().await.unwrap_err();
        (noticed.kind(), near.hear().await.unwrap_err().to_string())
    };
    let (noticed, told) = sim.block_on(script, MINUTE).unwrap();
    assert_eq!(noticed, io::ErrorKind::InvalidData);
    assert!(told.contains("BadRecordMac"), "{told}");
}

#[test]
fn one_configuration_serves_all_workers() {
    let authority = Authority::new();
    let (client, server) = (authority.client(), authority.server());
    let (near, far) = std::thread::spawn(move || {
        let sim = Sim::new(0, Faults::none());
        let (near, far) = shake(&sim, &client.clone(), &server.clone(), "gate.test");
        (near.unwrap().1, far.unwrap().1)
    })
    .join()
    .unwrap();
    assert_eq!(near, far);
}

#[test]
fn wrong_files_are_explained() {
    let authority = Authority::new();
    let ((chain, key), (_, other_key)) = (authority.sign("a.test"), authority.sign("b.test"));
    let explain = |chain: &str, key: &str, ca: Option<&str>| {
        TlsServer::single(chain.as_bytes(), key.as_bytes(), ca.map(str::as_bytes)).unwrap_err()
    };
    assert!(explain("", &key, None).contains("holds no certificate"));
    assert!(explain(&chain, "", None).contains("BEGIN PRIVATE KEY"));
    assert!(explain(&chain, &other_key, None).contains("does not belong"));
    assert!(explain(&chain, &key, Some("")).contains("client CA file"));
    assert!(explain("-----BEGIN CERTIFICATE-----\nAA", &key, None).contains("not valid PEM"));
    let client = TlsClient::new(Some(b"nothing"), None).unwrap_err();
    assert!(client.contains("the CA file holds no certificate"), "{client}");
}

#[test]
fn an_idle_session_holds_no_buffer() {
    let authority = Authority::new();
    let name = "gate.test".try_into().unwrap();
    let near = UnbufferedClientConnection::new(authority.client().0.clone(), name).unwrap();
    let far = UnbufferedServerConnection::new(authority.server().config.clone()).unwrap();
    let mut near = Session::new(Engine::Client(near), Buf::none());
    let mut far = Session::new(Engine::Server(far), Buf::none());
    while !(near.shake().unwrap() & far.shake().unwrap()) {
        carry(&mut near, &mut far);
        carry(&mut far, &mut near);
    }
    carry(&mut far, &mut near);
    near.seal(&pattern(50_000)).unwrap();
    carry(&mut near, &mut far);
    let mut plain = Buf::with_capacity(30_000);
    far.open(&mut plain).unwrap();
    assert_eq!(plain.filled(), &pattern(50_000)[..30_000]);
    assert!(!far.is_idle(), "the rest waits");
    plain.clear();
    far.open(&mut plain).unwrap();
    assert_eq!(plain.filled(), &pattern(50_000)[30_000..]);
    plain.clear();
    near.open(&mut plain).unwrap();
    assert!(plain.is_empty());
    assert!(near.is_idle() && far.is_idle());
}

#[test]
fn a_key_update_is_answered_with_the_next_write() {
    let authority = Authority::new();
    let name = "gate.test".try_into().unwrap();
    let mut near = rustls::ClientConnection::new(authority.client().0.clone(), name).unwrap();
    let far = UnbufferedServerConnection::new(authority.server().config.clone()).unwrap();
    let mut far = Session::new(Engine::Server(far), Buf::none());
    while !far.shake().unwrap() {
        exchange(&mut near, &mut far);
    }
    let mut plain = Buf::with_capacity(100);
    for text in ["one", "two", "three"] {
        near.refresh_traffic_keys().unwrap();
        std::io::Write::write_all(&mut near.writer(), text.as_bytes()).unwrap();
        exchange(&mut near, &mut far);
        plain.clear();
        far.open(&mut plain).unwrap();
        assert_eq!(plain.filled(), text.as_bytes());
        exchange(&mut near, &mut far);
        far.seal(text.as_bytes()).unwrap();
        exchange(&mut near, &mut far);
        let mut answer = vec![0; text.len()];
        std::io::Read::read_exact(&mut near.reader(), &mut answer).unwrap();
        assert_eq!(answer, text.as_bytes());
    }
}

/// Carries what both have to say, each once.
fn exchange(near: &mut rustls::ClientConnection, far: &mut Session) {
    let mut records = Vec::new();
    while near.wants_write() {
        near.write_tls(&mut records).unwrap();
    }
    let mut buf = Buf::with_capacity(records.len());
    assert!(buf.append(&records));
    far.feed(buf);
    if far.facts().is_handshaking() {
        far.shake().unwrap();
    }
    if let Some(buf) = far.take_outgoing() {
        near.read_tls(&mut buf.filled()).unwrap();
        near.process_new_packets().unwrap();
    }
}

fn carry(from: &mut Session, to: &mut Session) {
    if let Some(buf) = from.take_outgoing() {
        to.feed(buf);
    }
}

#[test]
fn it_works_on_real_sockets() {
    let authority = Authority::new();
    let (client, server) = (authority.client(), authority.server());
    let mut runtime = monoio::RuntimeBuilder::<monoio::FusionDriver>::new().build().unwrap();
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        let adopt =
            |stream| uring::adopt(Accepted { socket: Socket::Tcp(stream), peer: Peer::Unix }).unwrap();
        let (near, far) = (adopt(near), adopt(far));
        monoio::spawn(async move {
            let (conn, info) = accept(&server, far, Buf::none()).await.unwrap();
            assert_eq!(info.sni.as_deref(), Some("gate.test"));
            echo(conn).await;
        });
        let (near, _) = connect(&client, near, "gate.test").await.unwrap();
        let Conn { reader, writer, hangup, .. } = near;
        let sender = monoio::spawn(send_all(writer, SIZES.to_vec()));
        let mut reader = read_patterns_back(reader).await;
        sender.await;
        hangup.hang_up(Direction::Write);
        reader.arm(Buf::with_capacity(100));
        assert_eq!(reader.read().await.0.unwrap(), 0, "both ends were announced");
    });
}

async fn read_patterns_back(mut reader: Reader) -> Reader {
    let wanted: Vec<u8> = SIZES.iter().flat_map(|&size| pattern(size)).collect();
    let mut got = Vec::new();
    while got.len() < wanted.len() {
        reader.arm(Buf::with_capacity(9999));
        let (count, buf) = reader.read().await;
        assert!(count.unwrap() > 0);
        got.extend_from_slice(buf.filled());
    }
    assert!(got == wanted, "bytes differ");
    reader
}
