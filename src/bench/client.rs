//! Defines [`Client`], one connection of a fleet.
//!
//! Knows: its socket, its script, bytes that are not whole frames yet or not taken yet. Must not know: other clients.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;

use super::script::Script;

/// Bytes that may wait for a server that takes no more.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// One connection.
pub(super) struct Client {
    /// `None` before it is begun and after it is closed.
    pub(super) socket: Option<TcpStream>,
    /// Whether the connection is made.
    pub(super) connected: bool,
    /// Whether it reads.
    pub(super) reads: bool,
    /// Where it stands in its script.
    pub(super) line: usize,
    /// What it goes through before it takes part.
    pub(super) script: Script,
    /// The number that stands for `{i}`.
    pub(super) number: usize,
    /// The number that stands for `{room}`.
    pub(super) room: usize,
    /// The last frame that came while another one was awaited.
    pub(super) unexpected: Vec<u8>,
    /// What was read and is no whole frame yet.
    pub(super) begun: Vec<u8>,
    /// What the server has not taken yet.
    pub(super) waiting: Vec<u8>,
}

impl Client {
    /// A connection that is not begun yet.
    pub(super) fn new(script: &Script, number: usize, room: usize) -> Client {
        Client {
            socket: None,
            connected: false,
            reads: true,
            line: 0,
            script: script.clone(),
            number,
            room,
            unexpected: Vec::new(),
            begun: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Makes it as it was before it was begun, with another number.
    pub(super) fn again(&mut self, number: usize) {
        *self = Client::new(&self.script, number, self.room);
    }

    /// Sends what it has to say, as far as the server takes it. Gives false when too much waits.
    pub(super) fn flush(&mut self) -> bool {
        let Some(socket) = &mut self.socket else { return true };
        let mut taken = 0;
        while taken < self.waiting.len() {
            match socket.write(&self.waiting[taken..]) {
                Ok(length) => taken += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What the server said before it closed is still to be read, and says more than this error.
                Err(_) => taken = self.waiting.len(),
            }
        }
        self.waiting.drain(..taken);
        self.waiting.len() <= WAITING_BYTES_MAX
    }
}
