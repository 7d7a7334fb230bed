//! How connections come and go: opening, closing, time limits, faults.

use std::io::{self, ErrorKind};

use super::{RETRY_AFTER_NS, SCAN_INTERVAL_NS, SETTLING_MAX, Worker};
use crate::connection::{Connection, Doing};
use crate::faults::{Fault, excerpt};
use crate::requests::id_digits;
use crate::sys::Socket;
use crate::tls::{Session, Tls};

impl Worker {
    pub(super) fn open_more(&mut self) {
        while self.settling < SETTLING_MAX && self.unopened < self.connections.len() {
            self.unopened += 1;
            self.open(self.unopened - 1);
        }
    }

    pub(super) fn open(&mut self, index: usize) {
        let connection = &mut self.connections[index];
        connection.generation = connection.generation.wrapping_add(1);
        connection.begun_ns = self.now_ns;
        let token = index as u64 | u64::from(connection.generation) << 32;
        let attempt = Socket::connect(&self.plan.target.address).and_then(|socket| {
            self.poller.add(&socket, token)?;
            Ok(socket)
        });
        self.settling += 1;
        connection.doing = Doing::Connecting;
        match attempt {
            Ok(socket) => connection.socket = Some(socket),
            Err(error) => self.connect_failed(index, &error),
        }
    }

    pub(super) fn connect_failed(&mut self, index: usize, error: &io::Error) {
        self.counters.faults.add(1);
        self.counters.connect_faults.add(1);
        self.record.faults.add(Fault::Connect, || error.to_string());
        self.close(index, RETRY_AFTER_NS);
    }

    /// Begins the TLS handshake on a connection just made.
    pub(super) fn begin_handshake(&mut self, index: usize, tls: &Tls) {
        self.connections[index].doing = Doing::Handshaking;
        match Session::new(tls) {
            Ok(session) => {
                self.connections[index].tls = Some(Box::new(session));
                self.continue_handshake(index);
            }
            Err(error) => self.handshake_failed(index, &error),
        }
    }

    /// Goes on with a handshake as far as the socket allows.
    pub(super) fn continue_handshake(&mut self, index: usize) {
        let Connection { socket: Some(socket), tls: Some(tls), .. } = &mut self.connections[index] else {
            return;
        };
        match tls.handshake(socket, &mut self.wire) {
            Ok(()) => {
                // The arithmetic of a handshake takes its time, which no request is to pay for.
                self.now_ns = self.clock.now_ns();
                self.on_made(index);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => self.handshake_failed(index, &error),
        }
    }

    fn handshake_failed(&mut self, index: usize, error: &io::Error) {
        self.counters.faults.add(1);
        self.counters.connect_faults.add(1);
        self.record.faults.add(Fault::Tls, || format!("handshake: {error}"));
        self.close(index, RETRY_AFTER_NS);
    }

    /// Looks at every connection: time limits, and those to open again.
    pub(super) fn scan(&mut self) {
        self.next_scan_ns = self.now_ns + SCAN_INTERVAL_NS;
        let limit_ns = self.plan.timeout_ns;
        for index in 0..self.unopened {
            let connection = &self.connections[index];
            match connection.doing {
                Doing::Closed { retry_ns } => {
                    let wanted = self.now_ns < self.moments.end_ns || self.has_backlog();
                    if wanted && self.now_ns >= retry_ns && self.settling < SETTLING_MAX {
                        self.open(index);
                    }
                }
                Doing::Connecting if self.now_ns.saturating_sub(connection.begun_ns) >= limit_ns => {
                    self.connect_failed(index, &ErrorKind::TimedOut.into());
                }
                Doing::Handshaking if self.now_ns.saturating_sub(connection.begun_ns) >= limit_ns => {
                    self.handshake_failed(index, &ErrorKind::TimedOut.into());
                }
                Doing::Sending | Doing::Waiting
                    if self.now_ns.saturating_sub(connection.begun_ns) >= limit_ns =>
                {
                    self.fault(index, Fault::Timeout);
                    self.close(index, 0);
                }
                _ => {}
            }
        }
    }

    /// Closes a connection, whatever it was doing, to be opened again after `rest_ns`.
    pub(super) fn close(&mut self, index: usize, rest_ns: u64) {
        let rests = self.plan.scenario.rests();
        let connection = &mut self.connections[index];
        let in_setup = self.plan.scenario.is_setup(connection.class);
        match connection.doing {
            Doing::Closed { .. } => return,
            Doing::Connecting | Doing::Handshaking => self.settling -= 1,
            Doing::Sending | Doing::Waiting => {
                self.in_flight -= 1;
                if in_setup {
                    self.settling -= 1;
                } else {
                    self.counters.ready.take_one();
                }
            }
            Doing::Ready | Doing::Holding => self.counters.ready.take_one(),
        }
        // A held connection that was lost is not opened again: the loss would be hidden.
        let lost = rests && matches!(connection.doing, Doing::Ready | Doing::Holding);
        self.counters.lost.add(u64::from(lost));
        let retry_ns = if lost { u64::MAX } else { self.now_ns + rest_ns };
        connection.close(retry_ns);
    }

    /// Closes a connection without fault and opens it again, at once if it has been of use.
    pub(super) fn reconnect(&mut self, index: usize) {
        self.counters.reconnects.add(1);
        let was_useful = self.connections[index].answers > 0;
        self.close(index, if was_useful { 0 } else { RETRY_AFTER_NS });
        if was_useful && self.now_ns < self.moments.end_ns {
            self.open(index);
        }
    }

    pub(super) fn fault(&mut self, index: usize, fault: Fault) {
        self.counters.faults.add(1);
        let connection = &self.connections[index];
        let label = &self.classes[connection.class].label;
        self.record.faults.add(fault, || {
            let id = String::from_utf8_lossy(&id_digits(connection.id)).into_owned();
            format!("{label} id {id}: {}", excerpt(&connection.body))
        });
    }
}
