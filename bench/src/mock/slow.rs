//! A server that can take only so much: `--capacity` calls at once, each for `--takes-ms`, and slower for a while.
//!
//! One thread a connection, since it is to be slow. Calls beyond the capacity wait in the order the system wakes them.

use super::answer::{After, Answers, Outbox, Style};
use super::envelope;
use super::http::{self, Method, Parsed};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the server can take.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Calls it works on at once.
    pub places: usize,
    /// How long each takes.
    pub takes: Duration,
    /// From when on, since its start, calls take longer.
    pub slow_at: Duration,
    /// For how long.
    pub slow_for: Duration,
    /// How many times as long.
    pub slow_factor: f64,
}

/// The places of a server, and when it began.
struct Server {
    capacity: Capacity,
    since: Instant,
    busy: Mutex<usize>,
    freed: Condvar,
}

/// Serves until the listener fails. `since` is when the server counts as started.
pub fn serve(listener: &TcpListener, capacity: Capacity, style: Style, since: Instant) -> io::Result<()> {
    let server = Arc::new(Server { capacity, since, busy: Mutex::new(0), freed: Condvar::new() });
    loop {
        let (stream, _) = listener.accept()?;
        let server = server.clone();
        // A connection that ends, ends its thread; nothing is to be told to anybody.
        std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || drop(server.serve_connection(stream, style)))?;
    }
}

impl Capacity {
    /// How long a call takes that begins so long after the start.
    pub fn takes_at(&self, after_start: Duration) -> Duration {
        let is_slow = (self.slow_at..self.slow_at + self.slow_for).contains(&after_start);
        if is_slow { self.takes.mul_f64(self.slow_factor) } else { self.takes }
    }
}

impl Server {
    fn serve_connection(&self, mut stream: TcpStream, style: Style) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut answers = Answers::new(style, 0);
        let (mut input, mut filled) = (vec![0; READ_BYTES], 0);
        loop {
            match http::parse(&input[..filled]) {
                Parsed::Complete(request, used) => {
                    let message = envelope::scan(&request.body);
                    let is_call = request.method == Method::Post
                        && message.is_some_and(|message| message.method == Some(b"tools/call"));
                    if is_call {
                        self.work();
                    }
                    let mut outbox = Outbox::default();
                    let after = answers.answer(&request, &mut outbox);
                    stream.write_all(&outbox.bytes)?;
                    if after == After::Stream || !request.keep_alive {
                        return Ok(());
                    }
                    input.copy_within(used..filled, 0);
                    filled -= used;
                }
                Parsed::Partial(needed) => {
                    input.resize(input.len().max(needed), 0);
                    match stream.read(&mut input[filled..])? {
                        0 => return Ok(()),
                        length => filled += length,
                    }
                }
                Parsed::Invalid => return Ok(()),
            }
        }
    }

    /// Waits for a place, and takes it for as long as a call takes.
    fn work(&self) {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |busy: &mut usize| *busy >= self.capacity.places;
        let mut busy = self.freed.wait_while(busy, is_full).unwrap_or_else(PoisonError::into_inner);
        *busy += 1;
        drop(busy);
        std::thread::sleep(self.capacity.takes_at(self.since.elapsed()));
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.freed.notify_one();
    }
}

const STACK_BYTES: usize = 128 << 10;
const READ_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::Capacity;
    use std::time::Duration;

    #[test]
    fn it_is_slow_for_a_while_only() {
        let second = Duration::from_secs(1);
        let takes = Duration::from_millis(20);
        let capacity = Capacity { places: 1, takes, slow_at: second * 2, slow_for: second, slow_factor: 5.0 };
        let at = |millis| capacity.takes_at(Duration::from_millis(millis)).as_millis();
        assert_eq!([at(0), at(1_999), at(2_000), at(2_999), at(3_000)], [20, 20, 100, 100, 20]);
    }
}
