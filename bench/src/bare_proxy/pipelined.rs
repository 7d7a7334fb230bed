//! `--pipelined N`: the requests of all clients on N connections to the upstream, those of one turn of the loop in one
//! send. A measure of what coalescing saves, JSON answers only: one slow answer holds up all that were sent after it.

use super::{
    BUFFER_BYTES, HEADROOM, Progress, buffer, dial, read_more, rewrite_answer, rewrite_request, write_out,
};
use monoio::buf::IoBufMut;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// One connection to the upstream, shared by many clients.
#[derive(Default)]
pub struct Line {
    /// Requests that were not sent yet.
    out: Vec<u8>,
    writer: Option<Waker>,
    /// Who waits for an answer, in the order of the requests.
    waiting: VecDeque<Rc<RefCell<Slot>>>,
}

#[derive(Default)]
struct Slot {
    answer: Vec<u8>,
    is_whole: bool,
    waker: Option<Waker>,
}

/// Opens a connection, and keeps it busy.
pub async fn open(upstream: SocketAddr) -> Option<Rc<RefCell<Line>>> {
    let (reads, writes) = dial(upstream).await?.into_split();
    let line = Rc::new(RefCell::new(Line::default()));
    monoio::spawn(write(writes, line.clone()));
    monoio::spawn(read(reads, line.clone()));
    Some(line)
}

/// Serves one client by way of the line.
pub async fn serve_client(mut client: TcpStream, line: Rc<RefCell<Line>>) -> Option<()> {
    let (mut request, mut head) = (buffer(), Vec::with_capacity(1024));
    let slot = Rc::new(RefCell::new(Slot::default()));
    loop {
        let message = loop {
            if let Some(message) = rewrite_request(&mut request, &mut head)? {
                break message;
            }
            (client, request) = read_more(client, request).await?;
        };
        {
            let mut line = line.borrow_mut();
            line.out.extend_from_slice(&request[message.clone()]);
            line.waiting.push_back(slot.clone());
            if let Some(waker) = line.writer.take() {
                waker.wake();
            }
        }
        request.drain(HEADROOM..message.end);
        let answer = poll_fn(|context| {
            let mut slot = slot.borrow_mut();
            if std::mem::take(&mut slot.is_whole) {
                return Poll::Ready(std::mem::take(&mut slot.answer));
            }
            slot.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        let end = answer.len();
        let sent;
        (client, sent) = write_out(client, answer, HEADROOM..end).await?;
        slot.borrow_mut().answer = sent;
    }
}

async fn write(mut server: OwnedWriteHalf<TcpStream>, line: Rc<RefCell<Line>>) {
    let mut spare = Vec::with_capacity(64 * 1024);
    loop {
        let batch = poll_fn(|context| {
            let mut line = line.borrow_mut();
            if line.out.is_empty() {
                line.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(std::mem::replace(&mut line.out, std::mem::take(&mut spare)))
        })
        .await;
        let (outcome, mut batch) = server.write_all(batch).await;
        if outcome.is_err() {
            return;
        }
        batch.clear();
        spare = batch;
    }
}

async fn read(mut server: OwnedReadHalf<TcpStream>, line: Rc<RefCell<Line>>) -> Option<()> {
    let (mut answers, mut head) = (buffer(), Vec::with_capacity(1024));
    loop {
        let at = answers.len();
        answers.reserve(BUFFER_BYTES);
        let (outcome, slice) = server.read(answers.slice_mut(at..)).await;
        answers = slice.into_inner();
        if outcome.ok()? == 0 {
            return None;
        }
        // Answers are handed on one by one; what is left moves to the front once.
        let mut rest = &answers[HEADROOM..];
        while let Some(taken) = hand_on(rest, &mut head, &line)? {
            rest = &rest[taken..];
        }
        let end = answers.len() - rest.len();
        answers.drain(HEADROOM..end);
    }
}

/// Gives the first answer to whom it is for, if all of it is there; how many bytes it had.
#[allow(clippy::option_option)]
fn hand_on(rest: &[u8], head: &mut Vec<u8>, line: &RefCell<Line>) -> Option<Option<usize>> {
    let Some(length) = whole_answer(rest)? else { return Some(None) };
    let slot = line.borrow_mut().waiting.pop_front()?;
    let mut slot = slot.borrow_mut();
    slot.answer.resize(HEADROOM, 0);
    slot.answer.extend_from_slice(&rest[..length]);
    let Progress::Finished(message) = rewrite_answer(&mut slot.answer, head)? else { return None };
    slot.answer.drain(HEADROOM..message.start);
    slot.is_whole = true;
    if let Some(waker) = slot.waker.take() {
        waker.wake();
    }
    Some(Some(length))
}

/// Bytes of the answer at the start of `rest`, if all of it is there.
#[allow(clippy::option_option)]
fn whole_answer(rest: &[u8]) -> Option<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = parsed.parse(rest).ok()? else { return Some(None) };
    let length = head_bytes + super::content_length(parsed.headers)??;
    Some((rest.len() >= length).then_some(length))
}
