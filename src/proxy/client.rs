//! The client's side of a connection: what was read and not yet served.

use std::rc::Rc;

use super::sources::Place;
use super::trust::Trust;
use super::watch::Guard;
use super::worker::Worker;
use crate::base::buffer::{CLASSES, UNCOUNTED, size_for};
use crate::base::{Buf, Ticks};
use crate::io::{Conn, Hangup, Peer, Reader, Writer};
use crate::wire::http1::HeadScan;

/// The first read of a connection, and the standing read of one that is idle, take this many bytes at
/// once. It holds a usual tool call with its head, and keeps an idle connection small.
const READ_BYTES: usize = CLASSES[0];

/// A body that was announced gets this much room at once, in bytes: what its sender need not prove.
const ROOM_BYTES: usize = CLASSES[1];

/// Beyond that, so many times the bytes that have come.
const GROWTH: usize = 4;

/// A client that sends large requests gets reads up to this size, while it is busy.
const READ_BYTES_BUSY_MAX: usize = 80 << 10;

/// What a client sends while its request is served is read ahead up to here, and at most one read beyond.
const AHEAD_BYTES_MAX: usize = CLASSES[1];

/// While a request waits for control no more is read than this.
const PARKED_BYTES_MAX: usize = 64 << 10;

/// A client is busy when its requests come closer together than this.
const BUSY: std::time::Duration = std::time::Duration::from_secs(1);

/// A client connection.
pub struct Client {
    /// What comes from the client.
    pub reader: Reader,
    /// What goes to it.
    pub writer: Writer,
    /// Its deadline.
    pub watch: Guard,
    /// Cuts it.
    pub hangup: Rc<dyn Hangup>,
    /// Who it is: the peer, or whom the PROXY header names.
    pub peer: Peer,
    /// Its place among the connections of its source.
    pub place: Option<Place>,
    /// What TLS has made sure of.
    pub trust: Trust,
    /// What errands have brought for the request in the inbox.
    pub brought: super::admit::Brought,
    /// The request being read or served, from its first byte, and what came behind it.
    pub inbox: Buf,
    /// How far the head in the inbox was searched for its end.
    pub scan: HeadScan,
    /// How far a chunked body in the inbox was unwrapped.
    pub chunked: Option<super::admit::ChunkedBody>,
    /// Whether the 100 that the client waits for was sent.
    pub continued: bool,
    /// It has brought no request yet.
    pub is_fresh: bool,
    /// The client closed or broke the connection.
    pub gone: bool,
    ahead: Option<Buf>,
    read_bytes: usize,
    last_request: Ticks,
}

impl Client {
    /// Takes over a connection. `already_read` holds bytes that came before, behind a PROXY header.
    pub fn new(worker: &Worker, conn: Conn, peer: Peer, already_read: Buf) -> Self {
        let watch = worker.watches.watch(conn.hangup.clone());
        Self {
            reader: conn.reader,
            writer: conn.writer,
            watch,
            hangup: conn.hangup,
            peer,
            place: None,
            trust: Trust::none(),
            brought: Default::default(),
            inbox: already_read,
            scan: HeadScan::new(),
            chunked: None,
            continued: false,
            is_fresh: true,
            gone: false,
            ahead: None,
            read_bytes: READ_BYTES,
            last_request: Ticks(0),
        }
    }

    /// Reads more, with room for a message of `total` bytes if that is known. `false` at the end of the
    /// stream, and then [`Client::gone`] is set.
    pub async fn read_more(&mut self, worker: &Worker, total: usize) -> bool {
        if let Some(ahead) = self.ahead.take() {
            self.merge(worker, ahead);
            return true;
        }
        if !self.reader.is_armed() {
            self.make_room(worker, total);
            self.reader.arm(std::mem::replace(&mut self.inbox, Buf::none()));
        }
        let read = self.reader.read().await;
        self.take_in(worker, read)
    }

    /// Keeps a read armed while an exchange runs, to see the client go. A client that pipelines is read ahead for
    /// that, up to [`AHEAD_BYTES_MAX`]: what it sends beyond that is read as it is served, and hides its end.
    pub fn watch_for_end(&mut self, worker: &Worker) {
        // The end that it would read is this side's own, made while the request was on its way.
        if self.watch.is_deaf() || self.gone || self.reader.is_armed() {
            return;
        }
        if self.ahead.as_ref().is_none_or(|ahead| ahead.len() < AHEAD_BYTES_MAX) {
            self.reader.arm(worker.take_idle_buf(self.read_bytes));
        }
    }

    /// Keeps a read armed while the request in the inbox waits for control, to see the client go. What it sends meanwhile
    /// (the rest of its request) is read up to a bound; a client that has sent so much and then goes is missed only when
    /// the wait is over.
    pub fn watch_while_parked(&mut self, worker: &Worker) {
        if let Some(ahead) = self.ahead.take() {
            self.merge(worker, ahead);
        }
        // Of one that is known to be gone there is nothing more to see; what it has sent before is served.
        let listens = !self.watch.is_deaf() && !self.gone && !self.reader.is_armed();
        if listens && self.inbox.len() < PARKED_BYTES_MAX {
            self.reader.arm(worker.take_buf(READ_BYTES));
        }
    }

    /// Adds to the inbox what the armed read brought. `false` at the end of the stream, and then [`Client::gone`] is set.
    pub fn take_in(&mut self, worker: &Worker, (result, buf): crate::io::conn::ReadResult) -> bool {
        let more = matches!(result, Ok(count) if count > 0);
        self.merge(worker, buf);
        self.gone |= !more;
        more
    }

    /// Takes note of what the armed read brought during an exchange, and reads on as far as it may.
    pub fn note_read(&mut self, worker: &Worker, (result, buf): crate::io::conn::ReadResult) {
        self.gone |= !matches!(result, Ok(1..));
        match self.ahead.take() {
            ahead if buf.is_empty() => {
                self.ahead = ahead;
                worker.give_buf(buf);
            }
            None => self.ahead = Some(buf),
            Some(ahead) => self.ahead = Some(joined(worker, ahead, buf)),
        }
        self.watch_for_end(worker);
    }

    /// Whether bytes are here that were not served: what a client has sent before it left is served all the same,
    /// unless it left the exchange before.
    pub fn has_unserved(&self) -> bool {
        !self.inbox.is_empty() || self.has_read_ahead()
    }

    /// Whether bytes of a next request came during the last exchange.
    pub fn has_read_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// The request of `len` bytes at the start of the inbox was served: forget it.
    pub fn finish_request(&mut self, worker: &Worker, len: usize) {
        self.inbox.consume(len.min(self.inbox.len()));
        self.scan = HeadScan::new();
        self.chunked = None;
        self.continued = false;
        self.brought = Default::default();
        self.is_fresh = false;
        if let Some(place) = &self.place {
            place.let_go();
        }
        if self.inbox.is_empty() {
            worker.give_buf(std::mem::replace(&mut self.inbox, Buf::none()));
        }
    }

    /// Chooses the size of the next standing read from the size and the haste of this request.
    pub fn note_request(&mut self, now: Ticks, len: usize) {
        let busy = now.since(self.last_request) < BUSY;
        self.last_request = now;
        self.read_bytes = if busy { len.clamp(READ_BYTES, READ_BYTES_BUSY_MAX) } else { READ_BYTES };
    }

    /// Bytes that [`Client::read_more`] would take for the body of a message of `total` bytes, as far as they count.
    pub fn growth(&self, total: usize) -> usize {
        if self.ahead.is_some() || self.reader.is_armed() {
            return 0;
        }
        let capacity = self.inbox.capacity();
        let wanted = room(self.inbox.len(), capacity, total);
        if wanted <= capacity.max(UNCOUNTED) {
            return 0;
        }
        size_for(wanted) - if capacity > UNCOUNTED { capacity } else { 0 }
    }

    /// Whether the client may hold so many bytes more: of a source, and of all bodies together.
    pub fn may_hold(&self, worker: &Worker, more: usize) -> bool {
        let share = || worker.share_of_source();
        self.place.as_ref().is_none_or(|place| place.hold(more, share())) && worker.may_hold(more)
    }

    fn make_room(&mut self, worker: &Worker, total: usize) {
        let room = room(self.inbox.len(), self.inbox.capacity(), total);
        if self.inbox.is_none() {
            self.inbox = worker.take_buf(room);
        } else if self.inbox.capacity() >= room {
            let wanted = if total == 0 { 1 } else { room - self.inbox.len() };
            if self.inbox.free() < wanted {
                self.inbox.compact();
            }
        } else {
            self.move_to(worker, room);
        }
    }

    fn move_to(&mut self, worker: &Worker, capacity: usize) {
        let mut larger = worker.take_buf(capacity);
        let fits = larger.append(self.inbox.filled());
        debug_assert!(fits);
        worker.give_buf(std::mem::replace(&mut self.inbox, larger));
    }

    fn merge(&mut self, worker: &Worker, buf: Buf) {
        if self.inbox.is_empty() {
            worker.give_buf(std::mem::replace(&mut self.inbox, buf));
            worker.count_buf(&mut self.inbox);
            return;
        }
        let total = self.inbox.len() + buf.len();
        if self.inbox.free() < buf.len() {
            if self.inbox.capacity() >= total {
                self.inbox.compact();
            } else {
                self.move_to(worker, total);
            }
        }
        let fits = self.inbox.append(buf.filled());
        debug_assert!(fits);
        worker.give_buf(buf);
    }
}

/// The capacity that the inbox needs for its next read, in bytes. It holds `len` bytes in `capacity`; the message takes
/// `total` bytes if that is known, else 0. Memory follows what has come: a length that was only announced takes
/// [`ROOM_BYTES`], and more than that at most [`GROWTH`] times what is here.
fn room(len: usize, capacity: usize, total: usize) -> usize {
    if total == 0 {
        return if capacity > len { capacity } else { (len * 2).max(READ_BYTES) };
    }
    let at_once = total.clamp(READ_BYTES, ROOM_BYTES).max(len + 1);
    // Less than half full: what comes next is seen before more is taken.
    if capacity >= at_once && (capacity >= total || len < capacity / 2) {
        return capacity;
    }
    at_once.max(total.min(len * GROWTH))
}

/// The bytes of both, in the first buffer or a larger one.
fn joined(worker: &Worker, mut first: Buf, second: Buf) -> Buf {
    if first.free() < second.len() {
        let mut larger = worker.take_buf((first.len() + second.len()).max(AHEAD_BYTES_MAX));
        let fits = larger.append(first.filled());
        debug_assert!(fits, "the buffer was asked for by more than this length");
        worker.give_buf(std::mem::replace(&mut first, larger));
    }
    let fits = first.append(second.filled());
    debug_assert!(fits, "room was made for it");
    worker.give_buf(second);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The capacities that a message of `total` bytes is read in, if each read fills what there is or brings `most` bytes.
    fn capacities(total: usize, announced: usize, most: usize) -> Vec<usize> {
        let (mut len, mut capacity, mut seen) = (0, 0, Vec::new());
        while len < total {
            let next = room(len, capacity, if len == 0 { 0 } else { announced });
            assert!(next >= capacity && next > len, "{len} of {capacity} gave {next}");
            if next != capacity {
                seen.push(next);
            }
            capacity = next;
            len += most.min(capacity - len).min(total - len);
            let held = (len * GROWTH).max(ROOM_BYTES);
            assert!(capacity <= held, "{capacity} bytes are held for {len}");
        }
        seen
    }

    #[test]
    fn room_grows_with_what_has_come_and_not_with_what_was_announced() {
        let mib = 1 << 20;
        assert_eq!(room(144, READ_BYTES, 4 * mib), ROOM_BYTES, "one byte of four million");
        assert_eq!(room(ROOM_BYTES, ROOM_BYTES, 4 * mib), GROWTH * ROOM_BYTES);
        assert_eq!(room(ROOM_BYTES / 2 - 1, ROOM_BYTES, 4 * mib), ROOM_BYTES, "half of it is free");
        assert_eq!(room(READ_BYTES, READ_BYTES, 4096), 4096, "a small message gets all at once");
        assert_eq!(room(900, READ_BYTES, 1000), READ_BYTES);
        assert_eq!(room(5 * mib, 5 * mib, 4 * mib), 5 * mib + 1, "what follows the message is read too");
        for most in [1000, ROOM_BYTES, mib] {
            for total in [1, READ_BYTES, READ_BYTES + 1, 70_000, mib, 4 * mib] {
                let seen = capacities(total, total, most);
                assert!(seen.len() <= 12, "{total} by {most}: {seen:?}");
                assert!(seen.last().is_some_and(|&last| last <= total.max(ROOM_BYTES)), "{seen:?}");
                capacities(total, 0, most);
            }
        }
    }
}
