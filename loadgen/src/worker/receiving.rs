//! From an event of the kernel to a judged answer.

use std::io::ErrorKind;

use super::{RETRY_AFTER_NS, Worker};
use crate::connection::{Doing, Expectation, Judged, Taken};
use crate::faults::Fault;
use crate::requests::{Act, PLAIN_TAIL};
use crate::sys::Readiness;
use crate::tls::Received;

/// What is received with an error.
const NOTHING: Received = Received { filled: 0, drained: true, closing: false };

impl Worker {
    pub(super) fn on_event(&mut self, readiness: Readiness) {
        let index = readiness.token as u32 as usize;
        let connection = &self.connections[index];
        if connection.generation != (readiness.token >> 32) as u32 || connection.socket.is_none() {
            return; // meant for a socket closed since
        }
        if connection.doing == Doing::Connecting {
            if readiness.writable || readiness.closed {
                self.on_connected(index);
            }
            return;
        }
        if connection.doing == Doing::Handshaking {
            let generation = connection.generation;
            self.continue_handshake(index);
            // What ended together with the handshake makes no event of its own any more.
            let made = self.connections[index].generation == generation
                && self.connections[index].doing != Doing::Handshaking;
            if made && readiness.closed {
                self.receive(index, true);
            }
            return;
        }
        if readiness.writable && connection.doing == Doing::Sending {
            self.flush(index);
        }
        if readiness.readable {
            self.receive(index, readiness.closed);
        }
    }

    pub(super) fn on_connected(&mut self, index: usize) {
        let Some(socket) = &self.connections[index].socket else { return };
        if let Err(error) = socket.connect_error() {
            self.connect_failed(index, &error);
            return;
        }
        let plan = self.plan.clone();
        match &plan.tls {
            Some(tls) => self.begin_handshake(index, tls),
            None => self.on_made(index),
        }
    }

    /// A connection is made, with TLS if there is to be any.
    pub(super) fn on_made(&mut self, index: usize) {
        let draw = self.next_draw();
        let class = self.plan.scenario.first(draw);
        self.connections[index].class = class;
        self.connections[index].doing = Doing::Ready;
        if self.plan.scenario.is_setup(class) {
            self.begin(index, self.now_ns);
        } else {
            self.settling -= 1;
            self.counters.ready.add(1);
            self.on_ready(index);
        }
    }

    pub(super) fn receive(&mut self, index: usize, closed: bool) {
        loop {
            let connection = &mut self.connections[index];
            let Some(socket) = &connection.socket else { return };
            let generation = connection.generation;
            let act = self.classes[connection.class].act;
            let expectation =
                Expectation { act, text: self.plan.expect_text.as_deref(), refusals: self.plan.refusals };
            let received = match &mut connection.tls {
                None => {
                    let room = self.buffer.len();
                    socket.receive(&mut self.buffer).map(|filled| Received::plain(filled, room))
                }
                Some(tls) => tls.receive(socket, &mut self.wire, &mut self.buffer),
            };
            let Received { drained, closing, .. } = *received.as_ref().unwrap_or(&NOTHING);
            let (taken, filled) = match received {
                Ok(Received { filled: 0, .. }) => (connection.on_end(expectation), 0),
                Ok(Received { filled, .. }) => {
                    let events = &self.counters.events;
                    self.record.bytes_received += filled as u64;
                    (connection.take_in(&self.buffer[..filled], expectation, || events.add(1)), filled)
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    (connection.on_truncated_end(expectation), 0)
                }
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    (connection.on_tls_failure(&error.to_string()), 0)
                }
                Err(_) => (Taken::Broken(Fault::Reset), 0),
            };
            let (ended, closed) = (filled == 0, closed || closing);
            let taken = match taken {
                // The peer has already closed behind its answer: send nothing more this way.
                Taken::Complete { outcome, .. } if closed => Taken::Complete { keep_alive: false, outcome },
                other => other,
            };
            self.on_taken(index, taken, ended);
            // A short read has emptied the socket (epoll(7)); only a close needs a look beyond it.
            let same = self.connections[index].generation == generation;
            if !same || ended || (drained && !closed) {
                return;
            }
        }
    }

    pub(super) fn on_taken(&mut self, index: usize, taken: Taken, ended: bool) {
        match taken {
            Taken::More => {}
            Taken::Complete { keep_alive, outcome } => self.on_complete(index, keep_alive, outcome),
            Taken::Opened => self.on_opened(index),
            // Between two requests a peer may close as it likes; a held connection it may not.
            Taken::Broken(Fault::EarlyClose | Fault::Reset)
                if self.connections[index].doing == Doing::Ready && !self.plan.scenario.rests() =>
            {
                self.reconnect(index);
            }
            Taken::Broken(fault) => {
                self.fault(index, fault);
                let rest_ns = if ended && self.connections[index].answers > 0 { 0 } else { RETRY_AFTER_NS };
                self.close(index, rest_ns);
                if rest_ns == 0 && self.now_ns < self.moments.end_ns && !self.plan.scenario.rests() {
                    self.open(index);
                }
            }
        }
    }

    pub(super) fn on_opened(&mut self, index: usize) {
        self.now_ns = self.clock.now_ns();
        self.measure(index);
        self.in_flight -= 1;
        self.settling -= 1;
        self.counters.ready.add(1);
        self.connections[index].doing = Doing::Holding;
    }

    pub(super) fn on_complete(&mut self, index: usize, keep_alive: bool, outcome: Result<Judged, Fault>) {
        self.now_ns = self.clock.now_ns();
        self.record.last_answer_ns = self.now_ns;
        self.connections[index].answers += 1;
        let class = self.connections[index].class;
        let in_setup = self.plan.scenario.is_setup(class);
        if outcome == Ok(Judged::Refused) {
            self.counters.refused.add(1);
        } else if let Err(fault) = outcome {
            self.fault(index, fault);
            // A lost session, a failed set-up or a mixed-up connection must begin anew.
            let session_lost = fault == Fault::Status(404) && self.connections[index].head_tail != PLAIN_TAIL;
            if in_setup || session_lost || matches!(fault, Fault::WrongId | Fault::Unsolicited) {
                self.close(index, if in_setup { RETRY_AFTER_NS } else { 0 });
                if !in_setup && self.now_ns < self.moments.end_ns {
                    self.open(index);
                }
                return;
            }
        } else {
            self.measure(index);
        }
        self.in_flight -= 1;
        let connection = &mut self.connections[index];
        connection.doing = Doing::Ready;
        if self.classes[class].act == Act::Delete {
            connection.forget_session();
        }
        let draw = self.next_draw();
        let next = self.plan.scenario.after(class, draw);
        self.connections[index].class = next.unwrap_or(class);
        if next.is_some_and(|next| self.plan.scenario.is_setup(next)) {
            self.begin(index, self.now_ns);
            return;
        }
        if in_setup {
            self.settling -= 1;
            self.counters.ready.add(1);
        }
        if !keep_alive && self.plan.scenario.rests() {
            self.fault(index, Fault::EarlyClose);
            self.close(index, 0);
        } else if !keep_alive {
            self.reconnect(index);
        } else if next.is_some() {
            self.on_ready(index);
        }
    }

    /// Counts a right answer and records its latency when it belongs to the measured window.
    pub(super) fn measure(&mut self, index: usize) {
        let connection = &self.connections[index];
        let scenario = &self.plan.scenario;
        let always = scenario.is_setup(connection.class);
        if !always || scenario.rests() {
            self.counters.answered.add(1);
        }
        let in_window = (self.moments.measure_ns..self.moments.end_ns).contains(&connection.due_ns);
        if always || in_window {
            let latency_ns = self.now_ns.saturating_sub(connection.due_ns);
            self.record.latencies[connection.class].saturating_record(latency_ns);
        }
    }
}
