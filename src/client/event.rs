//! Defines [`Event`], what happens to a client socket, and [`EventListener`], one way to be told.
//!
//! Knows: the events of the class and their order. Must not know: how they are queued, where they come from.

use std::time::Duration;

use super::error::player;
use super::sender::Sender;
use crate::wire::Frame;

/// What happened to a client socket, in the order in which it happened.
///
/// A connection is `Connect`, then `Data` any number of times, then exactly one of `Close` and `IoError`. An attempt
/// that fails is a single `IoError` or `SecurityError`. After the caller's own `close` there is no event at all.
/// `P` is what `Data` carries: a [`Frame`], or what [`XmlStreams`](super::XmlStreams) makes of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<P = Frame> {
    /// The connection is established, and can be written to.
    Connect,
    /// One frame arrived, whole. It may be empty, and it need not be XML.
    Data(P),
    /// The server closed the connection. A frame that had begun is dropped. Never the answer to one's own `close`.
    Close,
    /// The connection could not be made, or failed.
    IoError {
        /// The player's error id: 2031.
        id: u32,
        /// The player's text.
        text: String,
        /// What happened, for the programmer.
        reason: String,
    },
    /// The origin may not connect there, so no connection was made.
    SecurityError {
        /// The player's error id: 2048.
        id: u32,
        /// The player's text.
        text: String,
        /// Who refused, and why, for the programmer.
        reason: String,
    },
    /// The connection has ended, or could not be made (the event before says how), and will be tried again. Only
    /// with a [`Reconnect`](super::Reconnect) policy; no player has this event.
    Reconnecting {
        /// Which try the next one is, counted from 1 since the last connection that held.
        attempt: u32,
        /// How long the socket waits before it tries.
        delay: Duration,
    },
}

impl<P> Event<P> {
    /// An `IoError` with the player's id and text.
    pub(super) fn io_error(reason: impl Into<String>) -> Event<P> {
        Event::IoError { id: player::SOCKET_ERROR, text: player::socket_error(), reason: reason.into() }
    }

    /// Whether the event ends a connection, or the attempt at one.
    #[must_use]
    pub fn is_end(&self) -> bool {
        matches!(self, Event::Close | Event::IoError { .. } | Event::SecurityError { .. })
    }
}

/// Takes the events of a socket, each on the socket's own thread, in their order. Every method has a default that
/// does nothing; `socket` sends, closes, and says whether the socket is connected.
///
/// While a method runs nothing is read from the server, so a method that waits makes the server wait.
#[expect(unused_variables, reason = "a default does nothing with them")]
pub trait EventListener<P = Frame>: Send {
    /// The connection is established; `socket.connected()` is true from now on.
    fn on_connect(&mut self, socket: &Sender<P>) {}

    /// One frame arrived.
    fn on_data(&mut self, socket: &Sender<P>, data: P) {}

    /// The server closed the connection; `socket.connected()` is false already.
    fn on_close(&mut self, socket: &Sender<P>) {}

    /// The connection could not be made, or failed.
    fn on_io_error(&mut self, socket: &Sender<P>, id: u32, text: &str, reason: &str) {}

    /// The origin may not connect there.
    fn on_security_error(&mut self, socket: &Sender<P>, id: u32, text: &str, reason: &str) {}

    /// The socket will connect again, after `delay`.
    fn on_reconnecting(&mut self, socket: &Sender<P>, attempt: u32, delay: Duration) {}
}

/// Calls the method of `listener` that belongs to `event`.
pub(super) fn dispatch<P>(listener: &mut dyn EventListener<P>, socket: &Sender<P>, event: Event<P>) {
    match event {
        Event::Connect => listener.on_connect(socket),
        Event::Data(data) => listener.on_data(socket, data),
        Event::Close => listener.on_close(socket),
        Event::IoError { id, text, reason } => listener.on_io_error(socket, id, &text, &reason),
        Event::SecurityError { id, text, reason } => listener.on_security_error(socket, id, &text, &reason),
        Event::Reconnecting { attempt, delay } => listener.on_reconnecting(socket, attempt, delay),
    }
}
