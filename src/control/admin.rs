//! The operator's listener: health, readiness, metrics. Plain HTTP/1.1, one request a connection.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::life::Control;
use super::{explain, keys, limits, report};
use crate::base::{Buf, Restraint};
use crate::config::snapshot::HostPolicy;
use crate::io::{Accepted, Conn, Listen, Peer, uring};
use crate::shared::Stage;
use crate::telemetry::Counted;
use crate::telemetry::prometheus::{self, Facts};
use crate::wire::http1::write::{push_content_length, push_end, push_guarded_line, push_header};
use crate::wire::http1::{HeadLimits, HeadScan, Method, Parsed, date, parse_request_head};

/// Stands for the path of a request that is not for this machine. No path looks like it.
const FOREIGN: &str = "foreign host";
/// Stands for the path of what is no request, or one with too long a head.
const MALFORMED: &str = "malformed";
/// A preflight or a probe.
const OPTIONS: &str = "(options)";
/// Another method.
const OTHER: &str = "(other)";
/// Bytes of a request head.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Connections of the admin listener at one time. A scrape takes some milliseconds of one.
const CONNECTIONS_MAX: usize = 64;
/// A request must be whole within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves the operator's listener for as long as the process lives.
pub async fn serve(control: Rc<Control>, listen: Rc<dyn Listen>) {
    let (open, refused) = (Rc::new(Cell::new(0)), Restraint::new());
    loop {
        match listen.accept().await {
            // Each takes a descriptor, and those belong to the data plane.
            Ok(accepted) if open.get() >= CONNECTIONS_MAX => {
                drop(accepted);
                if let Some(kept_back) = refused.may_speak(control.net.now()) {
                    tracing::warn!(
                        open = CONNECTIONS_MAX,
                        kept_back,
                        "admin: too many connections; one was closed"
                    );
                }
            }
            Ok(accepted) => {
                let (this, open) = (control.clone(), open.clone());
                open.set(open.get() + 1);
                control.net.spawn(Box::pin(async move {
                    serve_one(&this, accepted).await;
                    open.set(open.get() - 1);
                }));
            }
            Err(error) => {
                tracing::warn!(%error, "admin: accept failed");
                control.net.sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_one(control: &Rc<Control>, accepted: Accepted) {
    let Ok(mut conn) = uring::adopt(accepted) else { return };
    let mut limit = control.net.sleep(PATIENCE);
    let mut served = pin!(answer_one(control, &mut conn));
    // A peer that says or takes nothing is dropped; one that was served, right after its answer.
    poll_fn(|cx| match served.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => limit.as_mut().poll(cx),
    })
    .await;
}

async fn answer_one(control: &Rc<Control>, conn: &mut Conn) {
    let Some(asked) = read_asked(conn).await else { return };
    let answer = answer(control, &asked).await;
    let mut head = Vec::with_capacity(128);
    push_guarded_line(&mut head, answer.status);
    head.extend_from_slice(&date::line(control.net.wall()));
    push_header(&mut head, b"content-type", answer.content_type.as_bytes());
    push_content_length(&mut head, answer.body.len() as u64);
    if matches!(answer.status, 204 | 405) {
        push_header(&mut head, b"allow", b"GET, HEAD, OPTIONS");
    }
    head.extend_from_slice(b"connection: close\r\n");
    push_end(&mut head);
    // The length is that of a GET, and no body follows (RFC 9110 section 9.3.2).
    let body = if asked.head_only { "" } else { &answer.body };
    let mut buf = Buf::with_capacity(head.len() + body.len());
    if buf.append(&head) && buf.append(body.as_bytes()) {
        let _ = conn.writer.send(buf).await;
    }
}

/// What is asked for: the path, and the query. Nothing of it is ever logged: a query may hold arguments.
#[derive(Default)]
struct Asked {
    path: String,
    query: String,
    /// Only the head of the answer is wanted.
    head_only: bool,
}

impl Asked {
    fn path(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }
}

/// What a request asks for: a path, or one of the words for what is no GET or HEAD.
async fn read_asked(conn: &mut Conn) -> Option<Asked> {
    let limits =
        HeadLimits { head_bytes: HEAD_BYTES_MAX, target_bytes: HEAD_BYTES_MAX, ..HeadLimits::default() };
    let mut scan = HeadScan::new();
    let mut buf = Buf::with_capacity(HEAD_BYTES_MAX);
    loop {
        match parse_request_head(buf.filled(), &limits, &mut scan) {
            Ok(Parsed::Complete(head)) if !is_for_us(conn.peer, head.host) => {
                return Some(Asked::path(FOREIGN));
            }
            Ok(Parsed::Complete(head)) if matches!(head.method, Method::Get | Method::Head) => {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                let query = text(head.query.unwrap_or_default());
                return Some(Asked { path: text(head.path), query, head_only: head.method == Method::Head });
            }
            Ok(Parsed::Complete(head)) if head.method == Method::Options => {
                return Some(Asked::path(OPTIONS));
            }
            Ok(Parsed::Complete(_)) => return Some(Asked::path(OTHER)),
            Err(_) => return Some(Asked::path(MALFORMED)),
            Ok(Parsed::Partial) => {}
        }
        conn.reader.arm(buf);
        let (result, read) = conn.reader.read().await;
        buf = read;
        if !matches!(result, Ok(count) if count > 0) {
            return None;
        }
    }
}

/// Whether a request to the loopback interface names this machine. One that does not comes from a web page whose
/// name was made to resolve to it (DNS rebinding).
fn is_for_us(peer: Peer, host: Option<&[u8]>) -> bool {
    let local = matches!(peer, Peer::Tcp(address) if address.ip().is_loopback());
    let policy = HostPolicy { any: !local, loopback: true, listed: Box::default() };
    host.is_none_or(|host| policy.allows(host))
}

struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{body}\n") }
    }

    fn json(status: u16, body: String) -> Self {
        Self { status, content_type: "application/json", body }
    }
}

async fn answer(control: &Rc<Control>, asked: &Asked) -> Answer {
    match &*asked.path {
        FOREIGN => Answer::text(403, "ask for localhost, 127.0.0.1 or [::1]"),
        MALFORMED => Answer::text(400, "that is no request, or its head is longer than 8 KiB"),
        OPTIONS => Answer { status: 204, content_type: "text/plain", body: String::new() },
        OTHER => Answer::text(405, "these pages are read: GET, HEAD or OPTIONS"),
        "/healthz" => Answer::text(200, "ok"),
        "/readyz" => match control.shared.stage.now() {
            Stage::Running => match keys::awaited(control) {
                None => Answer::text(200, "ready"),
                Some(issuer) => Answer::text(503, &format!("waiting for the keys of {issuer}")),
            },
            Stage::Starting => Answer::text(503, "starting"),
            Stage::Announcing | Stage::Closing | Stage::Draining | Stage::Stopping => {
                Answer::text(503, "draining")
            }
        },
        "/metrics" => metrics(control).await,
        "/limits" => Answer::json(200, limits::page(control, &*asked.query == "all=1").await),
        "/explain" => match explain::page(control, &asked.query) {
            Ok(page) => Answer::json(200, page),
            Err(refusal) => Answer::json(400, refusal),
        },
        "/.well-known/jwks.json" => jwks(control),
        _ => {
            Answer::text(404, "GET /healthz, /readyz, /metrics, /limits, /explain or /.well-known/jwks.json")
        }
    }
}

/// The public keys that servers verify assertions with.
fn jwks(control: &Rc<Control>) -> Answer {
    match &control.shared.deployment.load().snapshot.signer {
        Some(signer) => Answer { status: 200, content_type: "application/jwk-set+json", body: signer.jwks() },
        None => Answer::text(404, "there is no `identity` in the configuration"),
    }
}

async fn metrics(control: &Rc<Control>) -> Answer {
    let (stats, answered) = report::collect(control).await;
    let deployment = control.shared.deployment.load();
    let names: Vec<&str> = deployment.snapshot.servers.iter().map(|server| &*server.name).collect();
    let connections: Vec<usize> =
        control.shared.workers.iter().map(|worker| worker.connections.count()).collect();
    let body = prometheus::render(&Facts {
        stats: &stats,
        servers: &names,
        bodies: (control.shared.bodies.taken(), deployment.snapshot.limits.bodies_bytes_max),
        worker_connections: &connections,
        workers_answered: answered,
        generation: deployment.snapshot.generation,
        reloads: control.reloads.get(),
        reloads_failed: control.reloads_failed.get(),
        waiting: &control.waiting.borrow().counts(&deployment.snapshot),
        draining: control.shared.stage.now() >= Stage::Announcing,
        uptime: control.net.now().since(control.started),
        fetches: &control.fetches.all(),
        issuers: &keys::now(control),
        turned_away: control.shared.book.turned_away() as u64,
        tokenizer: tokenizer(control),
    });
    Answer { status: 200, content_type: prometheus::CONTENT_TYPE, body }
}

fn tokenizer(control: &Control) -> prometheus::Tokenizer {
    let counting = &control.shared.counting;
    let counted = Counted { exchanges: counting.exchanges.sum(), tokens: counting.tokens.sum() };
    let (ready, waiting_bytes) = (counting.is_ready(), counting.waiting_bytes() as u64);
    prometheus::Tokenizer { ready, counted, waiting_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn a_page_whose_name_was_rebound_to_loopback_is_told_nothing() {
        let from = |ip: [u8; 4]| Peer::Tcp(SocketAddr::from((ip, 40_000)));
        for (ip, host, allowed) in [
            ([127, 0, 0, 1], "localhost:8079", true),
            ([127, 0, 0, 1], "127.0.0.1", true),
            ([127, 0, 0, 1], "evil.example:8079", false),
            ([10, 0, 0, 7], "gateway.internal:8079", true),
        ] {
            assert_eq!(is_for_us(from(ip), Some(host.as_bytes())), allowed, "{host}");
        }
    }

    #[test]
    fn the_keys_of_the_gateway_are_published_and_nothing_of_the_private_half() {
        use crate::control::scene::{Scene, snapshot};
        use crate::policy::authn::Authn;
        use crate::policy::propagate::{Credentials, Signer};
        let plain = || snapshot(Authn::default(), Credentials::None);
        let rng = ring::rand::SystemRandom::new();
        let pkcs8 = ring::signature::Ed25519KeyPair::generate_pkcs8(&rng);
        let signer = pkcs8.ok().and_then(|key| Signer::new("i".into(), key.as_ref()).ok());
        assert!(signer.is_some());
        let signing = crate::config::Snapshot { signer, ..plain() };
        Scene::play(plain(), vec![signing], async |scene| {
            let get = async || answer(&scene.control, &Asked::path("/.well-known/jwks.json")).await;
            assert_eq!(get().await.status, 404);
            scene.control.reload(crate::control::life::Reload::All).await;
            let page = get().await;
            assert_eq!((page.status, page.content_type), (200, "application/jwk-set+json"));
            assert!(
                page.body.contains("\"crv\":\"Ed25519\"") && !page.body.contains("\"d\""),
                "{}",
                page.body
            );
        });
    }
}
