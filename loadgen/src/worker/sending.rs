//! When and how requests leave.

use std::io::ErrorKind;

use super::Worker;
use crate::connection::Doing;
use crate::requests::{id_digits, id_of};
use crate::schedule::Schedule;

impl Worker {
    /// A connection may carry its next request now.
    pub(super) fn on_ready(&mut self, index: usize) {
        let closed_loop = self.running && self.schedule.is_none();
        if closed_loop && self.now_ns < self.moments.end_ns && self.quota_left() > 0 {
            self.begin(index, self.now_ns);
            return;
        }
        let connection = &mut self.connections[index];
        if !connection.queued {
            connection.queued = true;
            self.ready.push_back(index as u32);
        }
        self.send_due();
    }

    /// Takes a ready connection from the queue.
    pub(super) fn take_ready(&mut self) -> Option<usize> {
        while let Some(index) = self.ready.pop_front() {
            let connection = &mut self.connections[index as usize];
            connection.queued = false;
            if connection.doing == Doing::Ready {
                return Some(index as usize);
            }
        }
        None
    }

    /// Closed loop: begins on the next ready connection.
    pub(super) fn send_next(&mut self) {
        if self.quota_left() == 0 {
            return;
        }
        if let Some(index) = self.take_ready() {
            self.begin(index, self.now_ns);
        }
    }

    /// Open loop: begins every request that is due, as far as connections are free.
    pub(super) fn send_due(&mut self) {
        while let Some(due_ns) = self.schedule.as_ref().and_then(Schedule::next_due_ns) {
            if due_ns > self.now_ns || self.quota_left() == 0 {
                return;
            }
            let Some(index) = self.take_ready() else { return };
            if let Some(schedule) = &mut self.schedule {
                schedule.advance();
            }
            if due_ns >= self.moments.measure_ns {
                self.record.lateness.saturating_record(self.now_ns - due_ns);
            }
            self.begin(index, due_ns);
        }
    }

    /// Begins the request that is next on this connection.
    pub(super) fn begin(&mut self, index: usize, due_ns: u64) {
        self.begun += 1;
        let connection = &mut self.connections[index];
        if !self.plan.scenario.is_setup(connection.class) && due_ns >= self.moments.measure_ns {
            self.begun_measured += 1;
        }
        connection.id = id_of(self.index, self.begun);
        connection.due_ns = due_ns;
        connection.begun_ns = self.now_ns;
        connection.sent = 0;
        connection.doing = Doing::Sending;
        connection.expect_answer();
        self.in_flight += 1;
        self.flush(index);
    }

    /// Sends on until the request is out or the send buffer is full.
    pub(super) fn flush(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        let class = &mut self.classes[connection.class];
        let Some(socket) = &connection.socket else { return };
        class.set_id(&id_digits(connection.id));
        let total = class.wire_bytes(&connection.head_tail);
        while connection.sent < total {
            let attempt = match &mut connection.tls {
                None => class.send(socket, &connection.head_tail, connection.sent),
                Some(tls) => tls.send(socket, &class.pieces(&connection.head_tail, connection.sent)),
            };
            match attempt {
                Ok(sent) => {
                    connection.sent += sent;
                    self.record.bytes_sent += sent as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    // The answer that explains it (413, say) may be waiting in the receive buffer.
                    self.receive(index, true);
                    return;
                }
            }
        }
        if let Some(tls) = &mut connection.tls
            && let Err(error) = tls.flush(socket)
        {
            if error.kind() != ErrorKind::WouldBlock {
                self.receive(index, true);
            }
            return;
        }
        connection.doing = Doing::Waiting;
    }
}
