//! Defines [`Context`], the application's hand on its connections.
//!
//! Knows: the engine. Must not know: how what is sent leaves.

use super::closing::CloseReason;
use super::engine::Engine;
use super::peer::{ConnectionId, Now, Peer};
use crate::wire::Encode;

/// What an application does to its connections, and what it may know of them. Lives for one event.
pub struct Context<'engine> {
    engine: &'engine mut Engine,
}

impl<'engine> Context<'engine> {
    pub(super) fn new(engine: &'engine mut Engine) -> Context<'engine> {
        Context { engine }
    }

    /// Sends a frame to a connection. It leaves when the events that are waiting have been handled, together with
    /// whatever else goes to that connection; never blocks. To a connection that is gone: nothing happens.
    pub fn send(&mut self, to: ConnectionId, frame: &(impl Encode + ?Sized)) {
        self.engine.send(to, frame);
    }

    /// Sends a frame to each of `to`, encoded once. Gives the number of those that are still there. A connection
    /// that is named twice gets it twice.
    pub fn send_all(&mut self, to: impl IntoIterator<Item = ConnectionId>, frame: &(impl Encode + ?Sized)) -> usize {
        self.engine.send_all(to, frame)
    }

    /// Sends a frame to every connection of a listener ([`Peer::listener`]) except `but`, encoded once. Gives the number of
    /// those that are there.
    ///
    /// Whoever is connected but not known to the application yet, because it has said nothing so far, gets it after its
    /// [`on_open`](super::Service::on_open), in order, so that it has missed nothing since it was accepted; it is closed
    /// as too slow instead when that is more than `outbox_bytes_max`. Who turns out to be no client gets nothing.
    pub fn broadcast(&mut self, listener: usize, but: Option<ConnectionId>, frame: &(impl Encode + ?Sized)) -> usize {
        self.engine.broadcast(listener, but, frame)
    }

    /// Closes a connection after it got what was sent to it so far. [`Service::on_close`](super::Service::on_close)
    /// is called with `reason` after the running method has returned; nothing that comes from the connection
    /// reaches the application any more.
    pub fn close(&mut self, id: ConnectionId, reason: CloseReason) {
        self.engine.close(id, reason);
    }

    /// The time of this event.
    #[must_use]
    pub fn now(&self) -> Now {
        self.engine.now
    }

    /// What is known of a connection; `None` once it is gone.
    #[must_use]
    pub fn peer(&mut self, id: ConnectionId) -> Option<&Peer> {
        self.engine.slot(id).map(|slot| &slot.peer)
    }

    /// How many connections the application has, on all listeners.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.engine.connections()
    }
}
