//! Servers that lie: what the client gets is defined, and the connection is never used again.

use std::rc::Rc;
use std::time::Duration;

use ringgate::io::sim::{Faults, Prng};

use super::call::Call;
use super::client::{Got, Habit, converse};
use super::seeds;
use super::server::{Server, Visit, whole_answer};
use super::world::{AGES, World};

const SERVER: &str = "127.0.0.1:7001";
const CONFIG: &str = "timeouts: {head: 10s, body: 30s, keep_alive: 60s, write: 30s, connect: 5s, first_byte: 20s, stream_idle: 20s, upstream_idle: 5m}
limits: {response_head_bytes_max: 1KiB}
servers: [{name: s, url: 'http://127.0.0.1:7001/up'}]\n";

/// A second of silence, so that what is under way arrives.
const PAUSE: Duration = Duration::from_secs(1);

/// Calls with other ids than this one must never get its answer.
const STRAY: u32 = 999;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    ExtraByte,
    TwoAnswers,
    StrayAnswerLater,
    BodyOfNoContent,
    CloseAtOnce,
    CloseInHead,
    CloseInBody,
    ResetInBody,
    GarbageLine,
    TwoLengths,
    LengthAndChunks,
    HugeHead,
    BadChunk,
    SwitchingProtocols,
    Silence,
    EndlessInterim,
    DrippingHead,
    SilenceInBody,
}

const LIES: [Lie; 18] = [
    Lie::ExtraByte,
    Lie::TwoAnswers,
    Lie::StrayAnswerLater,
    Lie::BodyOfNoContent,
    Lie::CloseAtOnce,
    Lie::CloseInHead,
    Lie::CloseInBody,
    Lie::ResetInBody,
    Lie::GarbageLine,
    Lie::TwoLengths,
    Lie::LengthAndChunks,
    Lie::HugeHead,
    Lie::BadChunk,
    Lie::SwitchingProtocols,
    Lie::Silence,
    Lie::EndlessInterim,
    Lie::DrippingHead,
    Lie::SilenceInBody,
];

/// What the client gets for a lie.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// The answer itself: what is wrong comes behind it.
    Truth,
    /// An error with this status and the call's own id.
    Error(u16),
    /// A part of the answer and the end of the connection; an error if nothing of it had come.
    Part,
    /// A part of an answer that is visibly cut, or this error.
    PartOrError(u16),
}

impl Lie {
    fn due(self) -> Due {
        match self {
            Self::ExtraByte | Self::TwoAnswers | Self::StrayAnswerLater | Self::BodyOfNoContent => Due::Truth,
            Self::CloseInBody | Self::ResetInBody | Self::SilenceInBody => Due::Part,
            Self::BadChunk => Due::PartOrError(502),
            Self::Silence | Self::EndlessInterim | Self::DrippingHead => Due::Error(504),
            _ => Due::Error(502),
        }
    }

    /// Tells it, and gives the visit back if the connection is still there.
    async fn tell(self, mut visit: Visit, call: &Call, stray: &Call) -> Option<Visit> {
        let whole = whole_answer(call, "");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
        let half = [head.as_bytes(), b"content-length: 1000000\r\n\r\nsay-"].concat();
        let said = match self {
            Self::ExtraByte => [&whole[..], b"x"].concat(),
            Self::TwoAnswers => [whole, whole_answer(stray, "")].concat(),
            Self::StrayAnswerLater => {
                visit.mouth.say(&whole).await;
                visit.net.sleep(PAUSE / 4).await;
                whole_answer(stray, "")
            }
            Self::BodyOfNoContent => b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n".to_vec(),
            Self::CloseAtOnce => return None,
            Self::CloseInHead => {
                visit.mouth.say(head.as_bytes()).await;
                return None;
            }
            Self::CloseInBody | Self::ResetInBody => {
                visit.mouth.say(&half).await;
                if self == Self::ResetInBody {
                    visit.net.sleep(PAUSE).await;
                    visit.reset();
                }
                return None;
            }
            Self::SilenceInBody => half,
            Self::GarbageLine => b"SPDY/9 200 what\r\n\r\n".to_vec(),
            Self::TwoLengths => format!("{head}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}").into(),
            Self::LengthAndChunks => {
                format!("{head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").into()
            }
            Self::HugeHead => format!("{head}x-filler: {}\r\n\r\n", "x".repeat(3_000)).into(),
            Self::BadChunk => format!("{head}transfer-encoding: chunked\r\n\r\n4\r\nsay-\r\nzz\r\n").into(),
            Self::SwitchingProtocols => b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_vec(),
            Self::Silence => Vec::new(),
            Self::EndlessInterim => {
                while visit.mouth.say(b"HTTP/1.1 100 Continue\r\n\r\n").await {
                    visit.net.sleep(PAUSE).await;
                }
                return None;
            }
            Self::DrippingHead => {
                for byte in head.as_bytes().iter().chain([b'x'; 100].iter()) {
                    if !visit.mouth.say(&[*byte]).await {
                        return None;
                    }
                    visit.net.sleep(PAUSE).await;
                }
                return None;
            }
        };
        visit.mouth.say(&said).await;
        Some(visit)
    }
}

fn run(seed: u64, lie: Lie, faults: Faults) {
    let world = World::new(seed, faults, faults, CONFIG);
    let prng = Rc::new(Prng::new(seed));
    // The lie is told on a connection that has served before, or on a fresh one.
    let warm = prng.chance(500);
    let (first, stray) = (Call::of(seed, 1, 500), Call::of(seed, STRAY, 500));
    let served = stray.clone();
    let server = Server::start(&world, SERVER, move |mut visit| {
        let stray = served.clone();
        async move {
            if visit.number == 0 {
                if warm {
                    let (id, _) = visit.request().await.unwrap();
                    visit.answer(&Call::of(seed, id, 500)).await;
                }
                let (id, _) = visit.request().await.unwrap();
                let Some(mut visit) = lie.tell(visit, &Call::of(seed, id, 500), &stray).await else { return };
                visit.see_the_end().await;
                assert!(visit.ear.heard().is_empty(), "{lie:?}: the connection was used again");
                return;
            }
            while let Some((id, _)) = visit.request().await {
                visit.answer(&Call::of(seed, id, 500)).await;
            }
        }
    });
    let habit = Habit { pipelines: false, closes: false };
    let call = |world: &World, call: Call| {
        let (net, conn, prng) = (world.net(), world.connect(), prng.clone());
        let task = world.sim.spawn(converse(net, conn, "/s/mcp", vec![call], habit, prng));
        assert!(world.sim.run_until(|| task.is_done(), AGES), "{lie:?}: a client waits for ever");
        world.sim.run_for(PAUSE);
        task.take().unwrap().remove(0).1
    };
    if warm {
        assert_truth(&first, &call(&world, first.clone()), lie);
    }
    let lied_to = Call::of(seed, 2, 500);
    let got = call(&world, lied_to.clone());
    let sent_again = warm && lied_to.safe && lie == Lie::CloseAtOnce;
    match (lie.due(), &got) {
        (Due::Truth, Got::Answer(said)) if lie == Lie::BodyOfNoContent => assert_eq!(said.status(), 204),
        (Due::Truth, got) => assert_truth(&lied_to, got, lie),
        (Due::Error(_), got) if sent_again => assert_truth(&lied_to, got, lie),
        (Due::Error(status), Got::Answer(said)) => {
            assert_eq!((said.status(), said.id()), (status, Some(2)), "{lie:?}: {said:?}");
        }
        (Due::Part | Due::PartOrError(_), Got::Cut(..)) => {}
        // What is wrong came with the head: nothing was passed on yet.
        (Due::PartOrError(status), Got::Answer(said)) => {
            assert_eq!((said.status(), said.id()), (status, Some(2)))
        }
        (due, got) => panic!("{lie:?}: {due:?} was due, got {got:?}"),
    }
    let next = Call::of(seed, 3, 500);
    assert_truth(&next, &call(&world, next.clone()), lie);
    assert_eq!(server.count(2), if sent_again { 2 } else { 1 }, "{lie:?}");
    assert_eq!(server.dialled.get(), 2, "{lie:?}: connections to the server");
    let exchanges = 2 + u64::from(warm);
    world.assert_nothing_left(|| server.leave());
    assert_eq!(world.settled(), exchanges, "{lie:?}");
}

fn assert_truth(call: &Call, got: &Got, lie: Lie) {
    let Got::Answer(said) = got else { panic!("{lie:?}: {call:?} got {got:?}") };
    assert_eq!(said.status(), 200, "{lie:?}: {said:?}");
    assert_eq!(said.body, call.answer(), "{lie:?}: {call:?}");
}

#[test]
fn a_lie_has_a_defined_end_and_taints_its_connection() {
    seeds::each("a_lie_has_a_defined_end_and_taints_its_connection", 12, |seed| {
        for lie in LIES {
            run(seed, lie, Faults::none());
            run(seed, lie, Faults::awkward());
        }
    });
}
