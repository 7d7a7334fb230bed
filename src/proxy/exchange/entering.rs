//! A place at the server, where places are counted.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::{Exchange, Failure};
use crate::io::conn::ReadResult;
use crate::policy::adaptive::{Class, Shed};
use crate::proxy::cancel::{self, Calls};
use crate::proxy::client::Client;
use crate::proxy::throttle::{Entry, Pass, Ticket};
use crate::telemetry::Kind;

/// Takes a place at the server. Streams without an end of their own need none.
pub async fn enter(exchange: &mut Exchange<'_>, client: &mut Client) -> Result<(), Failure> {
    let forward = &exchange.forward;
    if forward.kind != Kind::Request || forward.endless {
        return Ok(());
    }
    let Some(throttle) = forward.live.throttle(usize::from(forward.server.0)) else { return Ok(()) };
    let class = forward.caller.as_ref().map_or(Class::Normal, |caller| caller.class);
    if forward.beside
        && let Some(pass) = throttle.enter_beside(class)
    {
        exchange.pass = Some(pass);
        return Ok(());
    }
    let pass = match throttle.try_enter(class, forward.tool, forward.started) {
        Entry::Go(pass) => pass,
        Entry::Shed(shed) => return Err(Failure::Shed(shed)),
        Entry::Wait(ticket) => Box::pin(wait(exchange, client, ticket)).await?,
    };
    exchange.pass = Some(pass);
    Ok(())
}

/// What ends a wait.
enum Event {
    Over(Result<Pass, Shed>),
    Client(ReadResult),
    Cancelled,
}

/// Waits for a place. Nothing was sent yet, so a call whose client leaves, or cancels it, is not sent at all, of whatever
/// revision it is: nobody would see the answer.
async fn wait(exchange: &Exchange<'_>, client: &mut Client, ticket: Ticket) -> Result<Pass, Failure> {
    client.watch.set_unsent(cancel::calls_of(exchange, client));
    client.watch_for_end(exchange.worker);
    let mut waiting = pin!(ticket.wait());
    let end = loop {
        let event = poll_fn(|cx| {
            if let Poll::Ready(end) = waiting.as_mut().poll(cx) {
                return Poll::Ready(Event::Over(end));
            }
            if client.reader.is_armed()
                && let Poll::Ready(read) = client.reader.poll_read(cx)
            {
                return Poll::Ready(Event::Client(read));
            }
            client.watch.poll_cancelled(cx).map(|()| Event::Cancelled)
        });
        match event.await {
            Event::Over(end) => break end.map_err(Failure::Shed),
            Event::Cancelled => break Err(Failure::Cancelled),
            Event::Client(read) => client.note_read(exchange.worker, read),
        }
        if client.gone {
            break Err(Failure::ClientGone);
        }
    };
    client.watch.set_calls(Calls::default());
    end
}
