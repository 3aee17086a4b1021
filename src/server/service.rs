//! Defines what an application is: a [`Service`], and all that it ever sees of the server.
//!
//! Knows: connections by id, messages, reasons. Must not know: sockets, threads, who writes bytes and when.

use std::any::Any;

use super::closing::CloseReason;
use super::context::Context;
use super::peer::ConnectionId;
use crate::wire::{Document, Frame, Limits};

/// An application: a state machine that the dispatcher thread feeds, one event at a time. It owns its state without
/// locks. No method may block: everybody waits for it.
///
/// A panic in a method that concerns one connection closes that connection; state that the method left half
/// changed is the application's to mend in [`on_close`](Service::on_close).
#[expect(unused_variables, reason = "names are for whoever implements it")]
pub trait Service: Send {
    /// A connection is there: its first frame is about to follow, or it has been silent for `announce_seconds`.
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {}

    /// A connection sent a message.
    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message);

    /// A connection has shown no sign of life for half of `idle_seconds_max`: the time to ask for one.
    fn on_idle(&mut self, cx: &mut Context<'_>, id: ConnectionId) {}

    /// A connection is gone, whoever closed it. What is sent to it from here on is dropped.
    /// Called exactly once for each [`on_open`](Service::on_open).
    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, reason: &CloseReason) {}

    /// A second has passed.
    fn on_tick(&mut self, cx: &mut Context<'_>) {}

    /// Another thread posted `event` through a [`Handle`](super::Handle).
    fn on_external(&mut self, cx: &mut Context<'_>, event: Box<dyn Any + Send>) {}

    /// The operator set other limits while the server runs. They count from here on.
    fn on_limits(&mut self, cx: &mut Context<'_>, limits: &Limits) {}

    /// The server stops: the time to say farewell. Every connection is closed afterwards, without `on_close`.
    fn on_shutdown(&mut self, cx: &mut Context<'_>) {}
}

/// What a connection sent: a frame, and on listeners that read XML its document.
#[derive(Debug)]
pub enum Message {
    /// A frame of a listener whose frames are not parsed.
    Frame(Frame),
    /// A frame that is a well-formed document. Those that are not never reach a service.
    Document(Document),
}

impl Message {
    /// The frame, byte for byte as it came.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        match self {
            Message::Frame(frame) => frame,
            Message::Document(document) => document.frame(),
        }
    }

    /// The parsed document; `None` on listeners that do not parse.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        match self {
            Message::Frame(_) => None,
            Message::Document(document) => Some(document),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_frame_and_perhaps_its_document() {
        let frame = || Frame::try_from("<a/>").unwrap();
        let parsed = Message::Document(Document::parse(frame(), 9).map_err(|(_, error)| error).unwrap());
        let plain = Message::Frame(frame());
        assert_eq!((parsed.frame(), plain.frame()), (&frame(), &frame()));
        assert_eq!(parsed.document().map(|document| document.root().tag_name().name()), Some("a"));
        assert!(plain.document().is_none());
    }
}
