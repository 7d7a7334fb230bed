//! What comes before a request is sent, and may take long: a place at the server, where places are counted, and a connection.
//! Until then nothing has happened, so a call that is given up meanwhile is not sent at all, and costs nothing.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::{Exchange, Failure};
use crate::io::conn::ReadResult;
use crate::policy::adaptive::Class;
use crate::proxy::cancel::{self, Calls};
use crate::proxy::client::Client;
use crate::proxy::throttle::Entry;
use crate::proxy::upstream::{DialError, Pool, UpstreamConn};
use crate::shared::Stage;
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
        Entry::Wait(ticket) => {
            let end = Box::pin(async {
                // Of whatever revision the call is: nobody would see the answer.
                unless_given_up(exchange, client, pin!(ticket.wait()), |client| client.gone).await
            });
            end.await?.map_err(Failure::Shed)?
        }
    };
    exchange.pass = Some(pass);
    Ok(())
}

/// Opens a connection.
pub async fn dial(
    exchange: &Exchange<'_>,
    client: &mut Client,
    pool: &Pool,
) -> Result<Result<UpstreamConn, DialError>, Failure> {
    let dial = pool.dial(exchange.worker, exchange.timeouts(), exchange.limits());
    unless_given_up(exchange, client, pin!(dial), |client| exchange.is_cancelled_by(client)).await
}

/// What ends a wait.
enum Event<T> {
    Over(T),
    Client(ReadResult),
    GivenUp(Failure),
}

/// What comes of `work`, unless the client leaves first, as `is_left` sees it, or cancels, or the process stops.
async fn unless_given_up<T>(
    exchange: &Exchange<'_>,
    client: &mut Client,
    mut work: Pin<&mut impl Future<Output = T>>,
    is_left: impl Fn(&Client) -> bool,
) -> Result<T, Failure> {
    client.watch.set_unsent(cancel::calls_of(exchange, client));
    client.watch_for_end(exchange.worker);
    let end = loop {
        let event = poll_fn(|cx| {
            if let Poll::Ready(end) = work.as_mut().poll(cx) {
                return Poll::Ready(Event::Over(end));
            }
            if client.reader.is_armed()
                && let Poll::Ready(read) = client.reader.poll_read(cx)
            {
                return Poll::Ready(Event::Client(read));
            }
            poll_given_up(exchange, client, cx).map(Event::GivenUp)
        });
        match event.await {
            Event::Over(end) => break Ok(end),
            Event::GivenUp(failure) => break Err(failure),
            Event::Client(read) => client.note_read(exchange.worker, read),
        }
        if is_left(client) {
            break Err(Failure::ClientGone);
        }
    };
    client.watch.set_calls(Calls::default());
    end
}

fn poll_given_up(exchange: &Exchange<'_>, client: &Client, cx: &Context<'_>) -> Poll<Failure> {
    if exchange.worker.stage() == Stage::Stopping {
        return Poll::Ready(Failure::Stopped);
    }
    client.watch.poll_cancelled(cx).map(|()| Failure::Cancelled)
}
