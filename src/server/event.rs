//! Defines [`Event`], all that the dispatcher can be told.
//!
//! Knows: who sends which event. Must not know: what the dispatcher does with it.

use std::any::Any;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::arrival::held::Arrival;
use super::budget::Cost;
use super::closing::CloseReason;
use super::outbox::Outbox;
use super::peer::{ConnectionId, Peer};
use super::service::Message;
use super::settings::ListenerSettings;
use crate::wire::Frame;

/// Events that may wait for the dispatcher; beyond it clients' threads wait.
pub(super) const EVENTS_MAX: usize = 1_024;

/// What happened, for the dispatcher.
pub(super) enum Event {
    /// A client's thread: the application is to know of this connection.
    Opened(Box<Opened>),
    /// A client's thread: a frame, parsed where the listener parses.
    Message {
        /// From whom.
        id: ConnectionId,
        /// What.
        message: Message,
        /// What it counts in the [`Budget`](super::budget::Budget).
        cost: Cost,
    },
    /// A client's thread: an answer that needs no application (a refused frame, a late policy request).
    Reply {
        /// To whom.
        id: ConnectionId,
        /// The answer.
        frame: Frame,
        /// Whether the connection ends with it.
        then_close: Option<CloseReason>,
    },
    /// A client's thread: the connection that was made known for its silence turned out to speak HTTP. The
    /// application forgets it; with the answer the thread may write to it again, and it arrives once more. `None` when it
    /// was sent something already: then it is closed.
    Withdraw(ConnectionId, Sender<Option<Arrival>>),
    /// A client's thread: what it sent by itself did not fit into the socket; a catch-up writer must be started.
    FellBehind(ConnectionId, Arc<Outbox>),
    /// A client's thread: it hands on nothing more.
    Closed {
        /// Of whom.
        id: ConnectionId,
        /// Why.
        reason: Box<CloseReason>,
        /// Whether the thread has ended, too, so that nobody drops what the peer may still send. If it has not, it
        /// says so later, with the same event.
        ended: bool,
    },
    /// Any thread, through a handle.
    External(Box<dyn Any + Send>),
    /// Any thread: the dispatcher is to look whether the server stops, or has other limits.
    Wake,
}

/// A connection that the application is to know of.
pub(super) struct Opened {
    pub(super) id: ConnectionId,
    pub(super) peer: Peer,
    pub(super) outbox: Arc<Outbox>,
    pub(super) settings: Arc<ListenerSettings>,
    /// What was held for it until now.
    pub(super) arrival: Arrival,
}
