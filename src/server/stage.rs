//! Defines [`Stage`], on which a [`Service`] plays without sockets, threads or clock.
//!
//! Knows: the engine, a clock of its own. Must not know: the dispatcher's channel, sockets.

use std::any::Any;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::closing::CloseReason;
use super::context::Context;
use super::engine::{Engine, Outlet};
use super::peer::{ConnectionId, Now, Peer};
use super::service::{Message, Service};
use super::waiting::Outboxes;
use crate::wire::{Document, Frame, Limits, split_frames};

/// A server without a network, for testing an application: connections are opened by the test, frames are handed
/// over as text, time moves only when told to.
///
/// ```
/// use xmlsocket::server::{ConnectionId, Context, Message, Service, Stage};
/// struct Echo;
/// impl Service for Echo {
///     fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
///         cx.send(from, message.frame());
///     }
/// }
/// let mut stage = Stage::new(Echo);
/// let ann = stage.open();
/// stage.say(ann, "<hello/>");
/// assert_eq!(stage.hear(ann), ["<hello/>"]);
/// ```
pub struct Stage<S> {
    /// The application on the stage.
    pub service: S,
    engine: Engine,
    serial: u64,
    /// What closed connections had not yet heard, and why they were closed.
    closed: Vec<(ConnectionId, CloseReason, Vec<u8>)>,
    nodes_max: u32,
}

impl<S: Service> Stage<S> {
    /// A stage with nobody on it, at 2026-01-01T00:00:00Z.
    pub fn new(service: S) -> Stage<S> {
        let now = Now { instant: Instant::now(), unix: Duration::from_secs(1_767_225_600) };
        Stage {
            service,
            engine: Engine::new(now, Outboxes::new(&Limits::default()), None, &[]),
            serial: 0,
            closed: Vec::new(),
            nodes_max: 4_096,
        }
    }

    /// A connection appears, from 127.0.0.1.
    pub fn open(&mut self) -> ConnectionId {
        self.open_on(0)
    }

    /// A connection appears at the listener of that number, from 127.0.0.1.
    pub fn open_on(&mut self, listener: usize) -> ConnectionId {
        self.open_at(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)))
    }

    /// A connection appears, from `address`.
    pub fn open_from(&mut self, address: SocketAddr) -> ConnectionId {
        self.open_at(0, address)
    }

    fn open_at(&mut self, listener: usize, address: SocketAddr) -> ConnectionId {
        let slot = self.serial as usize;
        self.serial += 1;
        let id = ConnectionId::new(self.serial, slot);
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 1024));
        let peer = Peer::new(address, local, listener, self.engine.now.instant);
        let arrival = self.engine.arrive(listener);
        self.engine.insert(id, peer, None, Outlet::Buffer(Vec::new()));
        self.service.on_open(&mut Context::new(&mut self.engine), id);
        self.engine.join(id, &arrival);
        drop(arrival);
        self.close_all();
        id
    }

    /// A connection sends `text`: as a document if it is one, otherwise as a bare frame.
    ///
    /// # Panics
    /// When `text` holds a zero byte.
    pub fn say(&mut self, from: ConnectionId, text: &str) {
        #[expect(clippy::expect_used, reason = "the caller is a test, and this is its mistake")]
        let frame = Frame::try_from(text).expect("one frame at a time");
        let message = match Document::parse(frame, self.nodes_max) {
            Ok(document) => Message::Document(document),
            Err((frame, _)) => Message::Frame(frame),
        };
        self.deliver(from, message);
    }

    /// A connection sends what is parsed already: this takes the time that it would take the dispatcher.
    pub fn deliver(&mut self, from: ConnectionId, message: Message) {
        if self.engine.slot(from).is_some() {
            self.play(|service, cx| service.on_message(cx, from, message));
        }
    }

    /// The frames that a connection got since it was last asked.
    pub fn hear(&mut self, id: ConnectionId) -> Vec<String> {
        self.engine.flush();
        let bytes = match self.engine.slot(id) {
            Some(slot) => match &mut slot.outlet {
                Outlet::Buffer(buffer) => std::mem::take(buffer),
                Outlet::Outbox(_) => Vec::new(),
            },
            None => match self.closed.iter_mut().find(|(closed, ..)| *closed == id) {
                Some((_, _, unheard)) => std::mem::take(unheard),
                None => Vec::new(),
            },
        };
        split_frames(&bytes).map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
    }

    /// Why the server closed a connection; `None` while it is open.
    #[must_use]
    pub fn closed(&self, id: ConnectionId) -> Option<&CloseReason> {
        self.closed.iter().find(|(closed, ..)| *closed == id).map(|(_, reason, _)| reason)
    }

    /// A connection's other end goes away.
    pub fn leave(&mut self, id: ConnectionId, reason: CloseReason) {
        self.engine.close(id, reason);
        self.close_all();
    }

    /// A connection has been silent for half of `idle_seconds_max`.
    pub fn idle(&mut self, id: ConnectionId) {
        self.play(|service, cx| service.on_idle(cx, id));
    }

    /// Time passes; the application gets its tick.
    pub fn wait(&mut self, duration: Duration) {
        self.engine.now.instant += duration;
        self.engine.now.unix += duration;
        self.play(|service, cx| service.on_tick(cx));
    }

    /// Another thread posts `event`.
    pub fn post(&mut self, event: impl Any + Send) {
        self.play(|service, cx| service.on_external(cx, Box::new(event)));
    }

    /// The operator sets other limits.
    pub fn set_limits(&mut self, limits: &Limits) {
        self.play(|service, cx| service.on_limits(cx, limits));
    }

    /// The server begins to stop.
    pub fn shut_down(&mut self) {
        self.play(|service, cx| service.on_shutdown(cx));
    }

    fn play(&mut self, act: impl FnOnce(&mut S, &mut Context<'_>)) {
        act(&mut self.service, &mut Context::new(&mut self.engine));
        self.close_all();
    }

    fn close_all(&mut self) {
        loop {
            let closings = self.engine.take_closings();
            if closings.is_empty() {
                return;
            }
            self.engine.flush();
            for (id, reason) in closings {
                let unheard = match self.engine.remove(id).map(|slot| slot.outlet) {
                    Some(Outlet::Buffer(buffer)) => buffer,
                    _ => Vec::new(),
                };
                self.service.on_close(&mut Context::new(&mut self.engine), id, &reason);
                self.closed.push((id, reason, unheard));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what it is told beside messages.
    #[derive(Default)]
    struct Notes(Vec<String>);

    impl Service for Notes {
        fn on_message(&mut self, cx: &mut Context<'_>, _from: ConnectionId, _message: Message) {
            self.0.push(format!("one of {}", cx.connections()));
        }

        fn on_external(&mut self, _cx: &mut Context<'_>, event: Box<dyn Any + Send>) {
            self.0.push(format!("external {:?}", event.downcast_ref::<u8>()));
        }

        fn on_limits(&mut self, _cx: &mut Context<'_>, limits: &Limits) {
            self.0.push(format!("rooms {}", limits.rooms_max));
        }
    }

    #[test]
    fn the_application_gets_what_threads_post_and_operators_set() {
        let mut stage = Stage::new(Notes::default());
        let [ann, bob, eve] = [(); 3].map(|()| stage.open());
        stage.say(ann, "<a/>");
        stage.leave(bob, CloseReason::ByPeer);
        stage.say(eve, "<a/>");
        stage.post(7_u8);
        stage.set_limits(&Limits { rooms_max: 3, ..Limits::default() });
        assert_eq!(stage.service.0, ["one of 3", "one of 2", "external Some(7)", "rooms 3"]);
    }
}
