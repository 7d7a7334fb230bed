//! A scripted MCP server: each connection is given to a script, and what it asks for is noted.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};
use std::time::Duration;

use ringgate::io::sim::{Listener, Prng, Sim};
use ringgate::io::{Close, Conn, Hangup, LocalFuture, Net, Peer};

use super::call::Call;
use super::speech::{Ear, Mouth, Said, chunked, ends_of, hang_up};
use super::world::{World, address};

/// One server of a run.
#[derive(Default)]
pub struct Server {
    /// How often the request with this id was received whole.
    pub seen: RefCell<BTreeMap<u32, usize>>,
    /// Answers that only the end of the connection ends: a cut one looks whole.
    pub unframed: RefCell<BTreeSet<u32>>,
    /// The numbers of the connections that have ended.
    pub ended: RefCell<BTreeSet<usize>>,
    /// Connections so far.
    pub dialled: Cell<usize>,
    /// Weak, so that a connection is closed when its script has ended.
    hangups: RefCell<Vec<Weak<dyn Hangup>>>,
    listener: RefCell<Option<Rc<Listener>>>,
}

/// A connection from the gateway, in the hands of a script.
pub struct Visit {
    pub server: Rc<Server>,
    /// Counts the connections, from 0.
    pub number: usize,
    pub net: Rc<dyn Net>,
    pub ear: Ear,
    pub mouth: Mouth,
    pub hangup: Rc<dyn Hangup>,
    sim: Weak<Sim>,
}

impl Server {
    /// A server at `at`. `script` serves each of its connections.
    pub fn start<F: Future<Output = ()> + 'static>(
        world: &World,
        at: &str,
        script: impl Fn(Visit) -> F + 'static,
    ) -> Rc<Self> {
        let listener = Rc::new(world.sim.listen(&address(at)).unwrap());
        let server = Rc::new(Self::default());
        *server.listener.borrow_mut() = Some(listener.clone());
        let (this, net, sim) = (server.clone(), world.net(), Rc::downgrade(&world.sim));
        world.sim.spawn(async move {
            while let Ok(conn) = listener.accept().await {
                let visit = this.welcome(conn, &net, &sim);
                let (server, number) = (this.clone(), visit.number);
                let served = script(visit);
                net.spawn(Box::pin(async move {
                    served.await;
                    server.ended.borrow_mut().insert(number);
                }));
            }
        });
        server
    }

    fn welcome(self: &Rc<Self>, conn: Conn, net: &Rc<dyn Net>, sim: &Weak<Sim>) -> Visit {
        let number = self.dialled.get();
        self.dialled.set(number + 1);
        let (ear, mouth, hangup) = ends_of(conn);
        self.hangups.borrow_mut().push(Rc::downgrade(&hangup));
        Visit { server: self.clone(), number, net: net.clone(), ear, mouth, hangup, sim: sim.clone() }
    }

    /// Stops accepting and cuts all connections.
    pub fn leave(&self) {
        if let Some(listener) = self.listener.take() {
            listener.shut();
        }
        let hangups = self.hangups.take();
        hangups.iter().filter_map(Weak::upgrade).for_each(|hangup| hang_up(&hangup));
    }

    /// How often the request with this id came.
    pub fn count(&self, id: u32) -> usize {
        self.seen.borrow().get(&id).copied().unwrap_or(0)
    }
}

impl Visit {
    /// The next request and its id; `None` when the gateway ended the connection.
    pub async fn request(&mut self) -> Option<(u32, Said)> {
        let said = self.ear.message(false).await.ok()?;
        let id = said.id().unwrap_or(0);
        *self.server.seen.borrow_mut().entry(id).or_insert(0) += 1;
        Some((id, said))
    }

    /// Reads until the gateway ends the connection.
    pub async fn see_the_end(&mut self) {
        while self.ear.more().await {}
    }

    /// Breaks the connection off.
    pub fn reset(self) {
        let Some(sim) = self.sim.upgrade() else { return };
        let (reader, writer) = (self.ear.into_reader(), self.mouth.into_writer());
        let conn = Conn { reader, writer, hangup: self.hangup, peer: Peer::Unix };
        assert!(sim.reset(&conn), "a connection of this world");
    }

    /// An answer of known length.
    pub async fn answer(&mut self, call: &Call) -> bool {
        let bytes = whole_answer(call, "");
        self.mouth.say(&bytes).await
    }
}

/// A whole answer with a known length and these further header lines.
pub fn whole_answer(call: &Call, headers: &str) -> Vec<u8> {
    let (body, media) = (call.answer(), call.media());
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// Answers truthfully, in every form that HTTP has for it.
pub fn truthful(seed: u64, bytes_max: usize) -> impl Fn(Visit) -> LocalFuture<'static, ()> {
    let prng = Rc::new(Prng::new(seed ^ 0x5E4E));
    move |visit| Box::pin(serve_truthfully(visit, seed, bytes_max, prng.clone()))
}

async fn serve_truthfully(mut visit: Visit, seed: u64, bytes_max: usize, prng: Rc<Prng>) {
    while let Some((id, said)) = visit.request().await {
        let call = Call::of(seed, id, bytes_max);
        assert_eq!(said.body, call.body(), "the request {id} came changed");
        assert_eq!(said.line, "POST /up HTTP/1.1");
        if prng.chance(200) {
            visit.net.sleep(Duration::from_millis(prng.below(300))).await;
        }
        let mut form = Form::by_chance(&prng);
        if !form.say(&mut visit, &call, &prng).await || form.close {
            return;
        }
        if let Some(seconds) = form.keep_alive {
            let quiet = visit.net.sleep(Duration::from_secs(seconds));
            if !more_before(&mut visit.ear, quiet).await {
                return;
            }
        }
    }
}

/// How one answer is sent.
struct Form {
    interim: &'static str,
    framing: u64,
    close: bool,
    keep_alive: Option<u64>,
    pieces: bool,
}

impl Form {
    fn by_chance(prng: &Prng) -> Self {
        const INTERIM: [&str; 3] = [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </b>\r\n\r\n",
        ];
        let interim = if prng.chance(250) { INTERIM[prng.below(3) as usize] } else { "" };
        let framing = prng.below(5);
        let close = framing == 4 || prng.chance(100);
        let keep_alive = (!close && prng.chance(300)).then(|| 1 + prng.below(5));
        Self { interim, framing, close, keep_alive, pieces: prng.chance(400) }
    }

    async fn say(&mut self, visit: &mut Visit, call: &Call, prng: &Prng) -> bool {
        let body = call.answer();
        let mut head = format!("{}HTTP/1.1 200 OK\r\nContent-Type: {}\r\n", self.interim, call.media());
        if self.close && self.framing != 4 {
            head.push_str("Connection: close\r\n");
        }
        if let Some(seconds) = self.keep_alive {
            head.push_str(&format!("Connection: keep-alive\r\nKeep-Alive: timeout={seconds}, max=100\r\n"));
        }
        let body = match self.framing {
            0 | 1 => {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
                body
            }
            2 | 3 => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                let mut coded = chunked(&body, |left| prng.up_to(left));
                if self.framing == 3 {
                    // A trailer: what the gateway may not pass on.
                    coded.truncate(coded.len() - 2);
                    coded.extend_from_slice(b"x-check: 1\r\n\r\n");
                }
                coded
            }
            _ => {
                visit.server.unframed.borrow_mut().insert(call.id);
                body
            }
        };
        head.push_str("\r\n");
        let whole = [head.as_bytes(), &body].concat();
        let mut rest = &whole[..];
        while self.pieces && rest.len() > 1 {
            let (piece, after) = rest.split_at(prng.up_to(rest.len() - 1));
            if !visit.mouth.say(piece).await {
                return false;
            }
            visit.net.sleep(Duration::from_millis(prng.below(40))).await;
            rest = after;
        }
        visit.mouth.say(rest).await
    }
}

/// Whether more came (or the end did) before `quiet` was over.
async fn more_before(ear: &mut Ear, mut quiet: LocalFuture<'static, ()>) -> bool {
    let mut more = std::pin::pin!(ear.more());
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(more) = more.as_mut().poll(cx) {
            return std::task::Poll::Ready(more);
        }
        quiet.as_mut().poll(cx).map(|()| false)
    })
    .await
}
