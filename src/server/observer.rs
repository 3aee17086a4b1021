//! Defines [`Observer`], to whom the server tells what it does: for metrics, traces and tests.
//!
//! Knows: nothing. Must not know: anything that could slow the server down.

use std::net::SocketAddr;

use super::closing::CloseReason;
use super::peer::{ConnectionId, Peer};

/// Is told what the server does, on the thread that does it. Methods MUST NOT block.
#[expect(unused_variables, reason = "names are for whoever implements it")]
pub trait Observer: Send + Sync {
    /// A connection was accepted; it has no user yet.
    fn accepted(&self, id: ConnectionId, address: SocketAddr) {}

    /// A connection was refused: the server, or this address, has too many.
    fn refused(&self, address: SocketAddr, code: &str) {}

    /// The application is told of a connection.
    fn opened(&self, id: ConnectionId, peer: &Peer) {}

    /// A frame was read.
    fn frame_in(&self, id: ConnectionId, frame: &[u8]) {}

    /// A frame is about to be sent. Only called where [`wants_frames_out`](Observer::wants_frames_out) says so.
    fn frame_out(&self, id: ConnectionId, frame: &[u8]) {}

    /// Whether `frame_out` is to be called: it costs time for each receiver. Asked once, when the server starts.
    fn wants_frames_out(&self) -> bool {
        false
    }

    /// A client fell behind; a catch-up writer is started for it.
    fn fell_behind(&self, id: ConnectionId) {}

    /// The catch-up writer of a client has ended: the client is level again, or gone.
    fn caught_up(&self, id: ConnectionId) {}

    /// The application is told that a connection is gone.
    fn closed(&self, id: ConnectionId, reason: &CloseReason) {}

    /// Nothing is left of an accepted connection: its thread has ended, its socket is closed, its seat is free.
    fn ended(&self, id: ConnectionId) {}
}

/// The observer that wants to know nothing.
pub(super) struct Silent;

impl Observer for Silent {}
