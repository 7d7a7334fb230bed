//! Who calls, and who answers: both do what the seed and the number of the call say.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ringgate::io::sim::Prng;
use ringgate::io::{LocalFuture, Net};

use crate::server::Visit;
use crate::speech::{Said, chunked, ends_of, find, hang_up};
use crate::world::{TICK, World};

/// `timeouts.abandoned`.
pub const ABANDONED: Duration = Duration::from_secs(5);

/// What the server does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Will {
    Answer,
    Stream,
    /// As `Answer`, after longer than an abandoned call may take.
    Late,
    Error,
    ToolError,
    AsksForInput,
    /// No head.
    Never,
    /// A head, and then comments without end.
    Comments,
    BreaksOff,
    BreaksOffLate,
    Page,
}

impl Will {
    pub const ALL: [Self; 11] = [
        Self::Answer,
        Self::Stream,
        Self::Late,
        Self::Error,
        Self::ToolError,
        Self::AsksForInput,
        Self::Never,
        Self::Comments,
        Self::BreaksOff,
        Self::BreaksOffLate,
        Self::Page,
    ];
}

/// What the client does after so long, unless it has its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    Waits,
    /// Closes, which is a cancel in a modern call.
    Leaves(Duration),
    /// Sends `notifications/cancelled` and stays.
    Cancels(Duration),
    /// Closes, and comes back for the rest.
    Resumes(Duration),
}

/// The number of the last call.
const LAST: u32 = 900_000;

/// A call.
#[derive(Clone, Debug)]
pub struct Plan {
    pub id: u32,
    pub modern: bool,
    pub will: Will,
    pub stay: Stay,
    pub delay: Duration,
    pub server: &'static str,
    /// The cancel is one of a batch, or spells the id in its own way.
    pub odd: bool,
    words: usize,
}

/// What became of it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Status of the answer, if it came whole.
    pub status: Option<u16>,
    /// The client left or cancelled before the answer had come.
    pub left: bool,
    /// Other requests that the client made: at least, and at most.
    pub besides: (i64, i64),
}

impl Plan {
    pub fn of(seed: u64, id: u32) -> Self {
        let prng = Prng::new(seed.wrapping_mul(0x9E37).wrapping_add(u64::from(id)) ^ 0xACC0);
        let modern = prng.chance(400);
        let soon = Duration::from_millis(prng.below(if prng.chance(500) { 400 } else { 4_000 }));
        let will = Will::ALL[prng.below(Will::ALL.len() as u64) as usize];
        let will = if will == Will::AsksForInput && !modern { Will::Answer } else { will };
        let stay = match prng.below(8) {
            0..=2 => Stay::Waits,
            3 | 4 => Stay::Leaves(soon),
            _ if modern => Stay::Waits,
            5 | 6 => Stay::Cancels(soon),
            _ => Stay::Resumes(soon),
        };
        let delay = match will {
            Will::Late => Duration::from_secs(8),
            _ => Duration::from_millis(prng.below(700)),
        };
        let server = if prng.chance(600) { "a" } else { "b" };
        Self { id, modern, will, stay, delay, server, odd: prng.chance(500), words: prng.up_to(40) }
    }

    /// The call that is made last, to see what is left.
    pub fn last() -> Self {
        Self { will: Will::Answer, delay: Duration::ZERO, ..Self::of(0, LAST) }
    }

    pub fn arguments(&self) -> String {
        format!(r#"{{"text":"ask-{}.{}"}}"#, self.id, " some words".repeat(self.words))
    }

    pub fn body(&self) -> String {
        const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"#;
        let meta = if self.modern { META } else { "" };
        let params = format!(r#"{{{meta}"name":"tool","arguments":{}}}"#, self.arguments());
        format!(r#"{{"jsonrpc":"2.0","id":"c-{}","method":"tools/call","params":{params}}}"#, self.id)
    }

    /// The tokens that the server states.
    pub fn tokens(&self) -> i64 {
        i64::from(self.id % 97) * 10
    }

    pub fn answer(&self) -> String {
        let tool = |more: &str| format!(r#""result":{{"content":[{{"type":"text","text":"said"}}]{more}}}"#);
        let says = match self.will {
            Will::Error => r#""error":{"code":-1,"message":"no"}"#.to_owned(),
            Will::ToolError => tool(r#","isError":true"#),
            Will::AsksForInput => tool(r#","resultType":"input_required""#),
            _ => tool(&format!(r#","structuredContent":{{"n":{}}}"#, self.tokens())),
        };
        format!(r#"{{"jsonrpc":"2.0","id":"c-{}",{says}}}"#, self.id)
    }
}

/// A POST to a server, with further header lines.
fn post(server: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /{server}/mcp HTTP/1.1\r\nHost: 127.0.0.1:8080\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn session(id: u32) -> String {
    format!("mcp-protocol-version: 2025-03-26\r\nmcp-session-id: s-{}\r\n", id % 5)
}

/// The request of a call.
pub fn call(plan: &Plan, server: &str) -> Vec<u8> {
    let modern = "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: tool\r\n";
    let headers = if plan.modern { modern.to_owned() } else { session(plan.id) };
    post(server, &headers, &plan.body())
}

fn cancel(plan: &Plan) -> Vec<u8> {
    let id = if plan.odd { format!(r"c\u002d{}", plan.id) } else { format!("c-{}", plan.id) };
    let one = |id: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":"{id}"}}}}"#)
    };
    let body = match plan.odd && plan.id.is_multiple_of(2) {
        true => format!("[{},{}]", one("nobody"), one(&id)),
        false => one(&id),
    };
    post(plan.server, &session(plan.id), &body)
}

/// Makes calls one after the other, each over a connection of its own. `prompt`: requests come as they are sent.
pub async fn client(world: Rc<World>, plans: Vec<Plan>, rest: Duration, prompt: bool) -> Vec<(Plan, Told)> {
    let net = world.net();
    net.sleep(rest).await;
    let mut all = Vec::new();
    for plan in plans {
        let told = make(&world, &*net, &plan, prompt).await;
        all.push((plan, told));
    }
    all
}

async fn make(world: &Rc<World>, net: &dyn Net, plan: &Plan, prompt: bool) -> Told {
    let mut told = Told::default();
    let (mut ear, mut mouth, hangup) = ends_of(world.connect());
    let request = call(plan, plan.server);
    let _ = mouth.say(&request).await;
    let patience = match plan.stay {
        Stay::Waits => Duration::from_secs(3_600),
        Stay::Leaves(after) | Stay::Cancels(after) | Stay::Resumes(after) => after,
    };
    let answer = before(net.sleep(patience), ear.message(true)).await;
    told.left = answer.is_none() && plan.stay != Stay::Waits;
    told.status = answer.and_then(|said| said.ok()).map(|said| said.status());
    match plan.stay {
        Stay::Cancels(_) if told.left => {
            ask(world, cancel(plan), &mut told).await;
            let begun = net.now();
            // It ends, in whatever way, and not later than it may.
            let end = ear.message(true).await;
            told.status = end.ok().map(|said| said.status());
            let took = net.now().since(begun);
            let in_time = took <= ABANDONED + TICK * 8;
            assert!(in_time || !prompt, "{plan:?} ended {took:?} after its cancel");
            // Where the network is slow, the cancel may have come before its call, and is one of nothing.
            told.left = in_time;
        }
        Stay::Resumes(_) if told.left => {
            hang_up(&hangup);
            let head = |method: &str, more: &str| {
                let path = plan.server;
                let lines = session(plan.id);
                format!("{method} /{path}/mcp HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n{lines}{more}\r\n")
                    .into_bytes()
            };
            let stream = head("GET", "accept: text/event-stream\r\nlast-event-id: 1\r\n");
            ask(world, stream, &mut told).await;
            ask(world, head("DELETE", ""), &mut told).await;
        }
        _ => {}
    }
    hang_up(&hangup);
    told
}

/// Makes another request, over a connection of its own.
async fn ask(world: &Rc<World>, request: Vec<u8>, told: &mut Told) {
    let (mut ear, mut mouth, hangup) = ends_of(world.connect());
    let said = mouth.say(&request).await;
    let answer = ear.message(true).await;
    hang_up(&hangup);
    let passed = i64::from(said && answer.is_ok_and(|answer: Said| answer.status() < 300));
    told.besides.0 += passed;
    told.besides.1 += 1;
}

/// What comes of `work`, if it comes before the end of `patience`.
async fn before<T>(mut patience: LocalFuture<'static, ()>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        patience.as_mut().poll(cx).map(|()| None)
    })
    .await
}

const EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn json(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Serves one connection from the gateway.
pub async fn serve(mut visit: Visit, seed: u64) {
    while let Ok(said) = visit.ear.message(false).await {
        let goes_on = match number(&said) {
            Some(id) => {
                *visit.server.seen.borrow_mut().entry(id).or_insert(0) += 1;
                let plan = if id == LAST { Plan::last() } else { Plan::of(seed, id) };
                answer(&mut visit, &plan).await
            }
            None if said.line.starts_with("GET") => {
                let event = chunked(b"id: 2\ndata: {}\n\n", |left| left);
                visit.mouth.say(&[EVENTS.as_bytes(), &event].concat()).await
            }
            None if said.line.starts_with("DELETE") => {
                visit.mouth.say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await
            }
            None => visit.mouth.say(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await,
        };
        if !goes_on {
            return;
        }
    }
}

/// The number of the call that a request makes.
fn number(said: &Said) -> Option<u32> {
    let at = find(&said.body, b"ask-")? + 4;
    let digits = said.body[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&said.body[at..at + digits]).unwrap().parse().ok()
}

/// Does with a call what it will. `false` if the connection ends.
async fn answer(visit: &mut Visit, plan: &Plan) -> bool {
    visit.net.sleep(plan.delay).await;
    let body = plan.answer();
    let note = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    match plan.will {
        Will::Answer | Will::Late | Will::Error | Will::ToolError | Will::AsksForInput => {
            visit.mouth.say(&json("200 OK", &body)).await
        }
        Will::Stream => {
            let events = chunked(format!("{note}: hi\n\ndata: {body}\n\n").as_bytes(), |left| left.min(60));
            visit.mouth.say(&[EVENTS.as_bytes(), &events].concat()).await
        }
        Will::Page => {
            let page = "HTTP/1.1 500 Oh\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\noops";
            visit.mouth.say(page.as_bytes()).await
        }
        Will::Never => {
            visit.see_the_end().await;
            false
        }
        Will::Comments => {
            visit.mouth.say(EVENTS.as_bytes()).await;
            while visit.mouth.say(b"5\r\n: a\n\n\r\n").await {
                visit.net.sleep(Duration::from_secs(1)).await;
            }
            false
        }
        Will::BreaksOff => false,
        Will::BreaksOffLate => {
            let part = format!("{EVENTS}{:x}\r\n{note}\r\n", note.len());
            visit.mouth.say(part.as_bytes()).await;
            false
        }
    }
}
