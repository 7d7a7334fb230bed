//! A client that calls, and what it gets.

use std::rc::Rc;

use ringgate::io::sim::Prng;
use ringgate::io::{Conn, Net};

use super::call::Call;
use super::speech::{Cut, Mouth, Said, ends_of, hang_up};

/// What became of a call.
#[derive(Debug)]
pub enum Got {
    Answer(Said),
    /// It was sent, and the connection ended. If more was sent behind it, a reset may have taken what was
    /// under way.
    Cut(Cut, bool),
    /// The connection ended before it was sent, or was announced to end.
    Unsent,
}

/// How a client uses its connection.
#[derive(Clone, Copy, Debug)]
pub struct Habit {
    /// It sends all it has without waiting for answers.
    pub pipelines: bool,
    /// It asks for the end of the connection with its last request.
    pub closes: bool,
}

/// Makes `calls` at `path` over one connection.
pub async fn converse(
    net: Rc<dyn Net>,
    conn: Conn,
    path: &str,
    calls: Vec<Call>,
    habit: Habit,
    prng: Rc<Prng>,
) -> Vec<(Call, Got)> {
    let (mut ear, mouth, hangup) = ends_of(conn);
    let last = calls.len() - 1;
    let requests: Vec<_> = calls
        .iter()
        .enumerate()
        .map(|(at, call)| call.request_by_chance(path, habit.closes && at == last, &prng))
        .collect();
    let mut mouth = Some(mouth);
    if habit.pipelines {
        net.spawn(Box::pin(say_in_pieces(mouth.take().unwrap(), requests.concat(), prng)));
    }
    let mut results: Vec<(Call, Got)> = Vec::new();
    let mut over = false;
    for (call, request) in calls.into_iter().zip(requests) {
        if over {
            results.push((call, Got::Unsent));
            continue;
        }
        // A request that did not go out whole may have been answered all the same.
        if let Some(mouth) = &mut mouth {
            let _ = mouth.say(&request).await;
        }
        let got = match ear.message(true).await {
            Ok(said) => {
                over = said.field("connection") == Some("close");
                Got::Answer(said)
            }
            Err(cut) => {
                over = true;
                Got::Cut(cut, habit.pipelines)
            }
        };
        results.push((call, got));
    }
    assert!(
        ear.heard().is_empty(),
        "bytes behind the last answer: {:?}",
        String::from_utf8_lossy(ear.heard())
    );
    if over && habit.closes && matches!(results.last(), Some((_, Got::Answer(_)))) {
        assert!(!ear.more().await, "bytes behind the announced end");
    }
    hang_up(&hangup);
    results
}

async fn say_in_pieces(mut mouth: Mouth, all: Vec<u8>, prng: Rc<Prng>) {
    let mut rest = &all[..];
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(prng.up_to(rest.len()));
        if !mouth.say(piece).await {
            return;
        }
        rest = after;
    }
}
