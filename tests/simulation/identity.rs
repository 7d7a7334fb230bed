//! Callers of every kind, errands that are answered late or never, and a reload in the middle that changes rules,
//! issuers, revocations and what servers are shown. Nothing reaches a server but what somebody who was verified may
//! do, nobody is served with another's token or session, and nothing outlives its end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ringgate::base::Ticks;
use ringgate::io::sim::{Faults, Prng, Task, WALL_AT_START};
use ringgate::io::{Conn, Net};
use serde_json::{Value as Json, json};

use super::seeds;
use super::server::{Server, Visit};
use super::speech::{Said, ends_of, find, hang_up};
use super::world::{AGES, World};

mod cast;
mod control;

use cast::{CAST, DAVE_ENDS, Person, TOOLS, person};

/// Clients begin within this time, and the reload comes within it.
const SPAN: Duration = Duration::from_secs(30);
/// How long what was admitted may be on its way, and a worker behind the news.
const SLACK: Duration = Duration::from_secs(8);

/// What all parties of a run note.
#[derive(Default)]
struct Notes {
    /// When each request was begun to be sent.
    sent: RefCell<BTreeMap<u32, Ticks>>,
    /// Requests that came to a server.
    arrived: Cell<usize>,
    /// When the second configuration was published.
    reloaded: Cell<Option<Ticks>>,
    /// Answers by status.
    answers: RefCell<BTreeMap<u16, usize>>,
}

impl Notes {
    /// Whether this configuration can have admitted what was sent then and is here now.
    fn possible(&self, second: bool, sent: Ticks, now: Ticks) -> bool {
        match (self.reloaded.get(), second) {
            (None, second) => !second,
            (Some(at), true) => at <= now,
            (Some(at), false) => sent < at + SLACK,
        }
    }
}

/// One request.
#[derive(Clone)]
struct Ask {
    id: u32,
    who: &'static Person,
    server: usize,
    /// `None`: the list of tools.
    tool: Option<&'static str>,
}

impl Ask {
    fn by_chance(id: u32, who: &'static Person, prng: &Prng) -> Self {
        let tool = (!prng.chance(250)).then(|| TOOLS[prng.below(3) as usize]);
        Self { id, who, server: prng.below(3) as usize, tool }
    }

    fn bytes(&self) -> Vec<u8> {
        let (method, name) = self.tool.map_or(("tools/list", ""), |tool| ("tools/call", tool));
        let who = self.who.name;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{{"name":"{name}","arguments":{{"who":"{who}"}}}}}}"#,
            self.id
        );
        let shown = self
            .who
            .token
            .as_ref()
            .map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
        format!(
            "POST /s{}/mcp HTTP/1.1\r\nhost: gw.example\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-06-18\r\n{shown}content-length: {}\r\n\r\n{body}",
            self.server,
            body.len()
        )
        .into_bytes()
    }
}

/// A server that looks at whatever comes to it, and offers all tools to everybody.
async fn serve(mut visit: Visit, server: usize, notes: Rc<Notes>, prng: Rc<Prng>) {
    while let Some((id, said)) = visit.request().await {
        notes.arrived.set(notes.arrived.get() + 1);
        let body: Json = serde_json::from_slice(&said.body).unwrap();
        let who = person(body["params"]["arguments"]["who"].as_str().unwrap());
        inspect(&said, who, id, server, &body, &notes, visit.net.now());
        let tools: Vec<Json> =
            TOOLS.map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).into();
        let result =
            if body["method"] == "tools/list" { json!({"tools": tools}) } else { json!({"to": who.name}) };
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        let (media, text) = match prng.chance(500) {
            true => ("application/json", text),
            false => ("text/event-stream", format!(": hello\n\nid: 1\nevent: message\ndata: {text}\n\n")),
        };
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n", text.len());
        let all = [head, text].concat().into_bytes();
        // Cut somewhere, also within a name.
        let (first, rest) = all.split_at(prng.up_to(all.len() - 1));
        let _ = visit.mouth.say(first).await;
        visit.net.sleep(Duration::from_millis(prng.below(200))).await;
        if prng.chance(30) || !visit.mouth.say(rest).await {
            return;
        }
    }
}

fn inspect(said: &Said, who: &Person, id: u32, server: usize, body: &Json, notes: &Notes, now: Ticks) {
    let sent = notes.sent.borrow()[&id];
    let tool = (body["method"] == "tools/call").then(|| body["params"]["name"].as_str().unwrap());
    let admits = |second: &bool| notes.possible(*second, sent, now) && who.may(*second, tool);
    assert!([false, true].iter().any(admits), "{} got through with {tool:?}: {said:?}", who.name);
    let wall = WALL_AT_START + now.0 / 1_000_000_000;
    assert!(wall <= who.ends + SLACK.as_secs(), "{} got through past its end", who.name);
    let shown = said.field("authorization");
    let Some(token) = shown.and_then(|line| line.strip_prefix("Bearer ")) else {
        assert!(server == 2 && shown.is_none(), "server {server} is shown {shown:?}");
        return;
    };
    // What the played control wrote: whose it is, for which server, of which configuration, until when.
    let parts: Vec<&str> = token.split('.').collect();
    let [whose, to, generation, ends] = parts[..] else { panic!("not a token of control's: {token}") };
    let second = generation == "2";
    let exchanged = (server == 0) != second;
    assert_eq!(
        whose,
        if exchanged { who.name } else { "all" },
        "{} is shown to server {server}: {token}",
        who.name
    );
    assert_eq!(to, format!("s{server}"), "a token of another server");
    assert!(notes.possible(second, sent, now), "a token of a configuration that is gone");
    let ends: u64 = ends.parse().unwrap();
    assert!(wall <= WALL_AT_START + ends + SLACK.as_secs(), "a token past its end");
}

/// Makes these requests over one connection, in the manner of chance.
async fn converse(net: Rc<dyn Net>, conn: Conn, asks: Vec<Ask>, notes: Rc<Notes>, prng: Rc<Prng>) {
    let (mut ear, mut mouth, hangup) = ends_of(conn);
    net.sleep(Duration::from_millis(prng.below(SPAN.as_millis() as u64))).await;
    let together = if prng.chance(400) { asks.len() } else { 1 };
    for group in asks.chunks(together) {
        let bytes: Vec<u8> = group.iter().flat_map(Ask::bytes).collect();
        for ask in group {
            notes.sent.borrow_mut().insert(ask.id, net.now());
        }
        // Slowly, now and then, so that errands and the reload fall into the middle of a body.
        let cut = if prng.chance(300) { prng.up_to(bytes.len() - 1) } else { bytes.len() };
        let (first, rest) = bytes.split_at(cut);
        let _ = mouth.say(first).await;
        if !rest.is_empty() {
            net.sleep(Duration::from_millis(prng.below(4_000))).await;
            let _ = mouth.say(rest).await;
        }
        if prng.chance(80) {
            // It leaves while its request may be parked.
            net.sleep(Duration::from_millis(prng.below(1_000))).await;
            return hang_up(&hangup);
        }
        for ask in group {
            let Ok(said) =
                ear.message(true).await.inspect_err(|cut| hides(ask, &cut.begun, &notes, net.now()))
            else {
                return hang_up(&hangup);
            };
            judge(ask, &said, &notes, net.now());
            if said.field("connection") == Some("close") {
                return hang_up(&hangup);
            }
        }
        assert!(ear.heard().is_empty(), "bytes behind the last answer");
    }
    hang_up(&hangup);
}

fn judge(ask: &Ask, said: &Said, notes: &Notes, now: Ticks) {
    *notes.answers.borrow_mut().entry(said.status()).or_insert(0) += 1;
    let (who, text) = (ask.who.name, String::from_utf8_lossy(&said.body));
    let known = [200, 401, 403, 404, 408, 502, 503, 504];
    assert!(known.contains(&said.status()), "{who}: {said:?}");
    hides(ask, &said.body, notes, now);
    if said.status() == 200 {
        assert_eq!(said.id(), Some(ask.id), "another's answer: {text}");
        if text.contains("\"to\":") {
            assert!(text.contains(&format!("\"to\":\"{who}\"")), "{who} got {text}");
        }
    }
    if matches!(who, "eve" | "grace" | "nobody") {
        assert!(matches!(said.status(), 401 | 408 | 503), "{who}: {said:?}");
    }
}

/// However an answer was cut: a list shows nothing that the caller may not use.
fn hides(ask: &Ask, bytes: &[u8], notes: &Notes, now: Ticks) {
    if ask.tool.is_some() {
        return;
    }
    let sent = notes.sent.borrow()[&ask.id];
    for tool in TOOLS.iter().filter(|tool| find(bytes, tool.as_bytes()).is_some()) {
        let shows = |second: &bool| notes.possible(*second, sent, now) && ask.who.may(*second, Some(tool));
        assert!([false, true].iter().any(shows), "{} sees {tool}", ask.who.name);
    }
}

/// One run; gives how many requests came to servers, and the answers by status.
fn run(seed: u64, faults: Faults) -> (usize, BTreeMap<u16, usize>) {
    let world = World::new(seed, faults, Faults::awkward(), &cast::config(false));
    let prng = Rc::new(Prng::new(seed ^ 0x1DE4));
    let (notes, ended) = (Rc::new(Notes::default()), Rc::new(Cell::new(false)));
    let servers = [0, 1, 2].map(|number| {
        let (notes, prng) = (notes.clone(), prng.clone());
        Server::start(&world, &format!("127.0.0.1:700{number}"), move |visit| {
            serve(visit, number, notes.clone(), prng.clone())
        })
    });
    control::play(&world, &prng, &ended);
    let mut id = 0;
    let clients: Vec<Task<()>> = (0..40)
        .map(|number| {
            let asks = (0..prng.up_to(5)).map(|_| {
                id += 1;
                // Several callers share a connection, as behind a proxy, or one has it for itself.
                let who = if number % 3 == 0 { prng.below(8) as usize } else { number % 8 };
                Ask::by_chance(id, &CAST[who], &prng)
            });
            let asks = asks.collect();
            world.sim.spawn(converse(world.net(), world.connect(), asks, notes.clone(), prng.clone()))
        })
        .collect();
    world.sim.run_for(Duration::from_millis(prng.below(SPAN.as_millis() as u64)));
    world.deploy(&cast::config(true));
    notes.reloaded.set(Some(world.sim.now()));
    if !world.sim.run_until(|| clients.iter().all(Task::is_done), AGES / 12) {
        assert!(faults.reset_per_mille > 0, "clients wait for ever");
        world.send_clients_away();
        assert!(world.sim.run_until(|| clients.iter().all(Task::is_done), AGES));
    }
    clients.iter().for_each(|client| client.take().unwrap());
    let nothing_parked = || world.worker.errands.parked() == 0;
    assert!(world.sim.run_until(nothing_parked, AGES), "exchanges stay parked");
    ended.set(true);
    world.assert_nothing_left(|| servers.iter().for_each(|server| server.leave()));
    (notes.arrived.get(), notes.answers.take())
}

fn many(test: &str, count: u64, faults: Faults) {
    let (arrived, answers) = (Cell::new(0), RefCell::new(BTreeMap::<u16, usize>::new()));
    seeds::each(test, count, |seed| {
        let (some, by_status) = run(seed, faults);
        arrived.set(arrived.get() + some);
        by_status
            .into_iter()
            .for_each(|(status, some)| *answers.borrow_mut().entry(status).or_default() += some);
    });
    let answers = answers.take();
    println!("{} came to servers; answers: {answers:?}", arrived.get());
    let all = [200, 401, 403, 503].iter().all(|status| answers.contains_key(status));
    assert!((arrived.get() > 0 && all) || seeds::replaying(), "not everything came to pass: {answers:?}");
}

#[test]
fn nobody_is_served_as_another_whatever_is_late() {
    many("nobody_is_served_as_another_whatever_is_late", 60, Faults::awkward());
}

#[test]
fn nobody_is_served_as_another_when_clients_fail() {
    many("nobody_is_served_as_another_when_clients_fail", 40, Faults::hostile());
}

#[test]
fn an_identity_seed_replays() {
    seeds::each("an_identity_seed_replays", 3, |seed| {
        assert_eq!(run(seed, Faults::hostile()), run(seed, Faults::hostile()));
    });
}

#[test]
fn a_stream_ends_with_the_credential_that_opened_it() {
    seeds::each("a_stream_ends_with_the_credential_that_opened_it", 10, |seed| {
        let world = World::new(seed, Faults::none(), Faults::none(), &cast::config(false));
        let (prng, ended) = (Rc::new(Prng::new(seed)), Rc::new(Cell::new(false)));
        let server = Server::start(&world, "127.0.0.1:7002", |mut visit| async move {
            let _ = visit.request().await;
            visit.mouth.say(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n").await;
            while visit.mouth.say(b": still here\n\n").await {
                visit.net.sleep(Duration::from_secs(1)).await;
            }
        });
        control::play(&world, &prng, &ended);
        let (net, conn, token) = (world.net(), world.connect(), person("dave").token.clone().unwrap());
        let client = world.sim.spawn(async move {
            let (mut ear, mut mouth, hangup) = ends_of(conn);
            let ask = format!(
                "GET /s2/mcp HTTP/1.1\r\nhost: gw.example\r\naccept: text/event-stream\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
            );
            assert!(mouth.say(ask.as_bytes()).await);
            while ear.more().await {}
            hang_up(&hangup);
            (net.wall(), find(ear.heard(), b"still here").is_some())
        });
        assert!(world.sim.run_until(|| client.is_done(), AGES), "the stream goes on for ever");
        let (wall, served) = client.take().unwrap();
        // An errand for the keys that fails, or never comes back, is a stream that never began.
        assert!(!served || wall.abs_diff(DAVE_ENDS) <= 2, "it ended at {wall}");
        ended.set(true);
        world.assert_nothing_left(|| server.leave());
    });
}
