//! Defines [`NoSeat`]: why a connection is not let in.
//!
//! Knows: codes and sentences. Must not know: who counts, and who tells.

use super::super::closing::CloseReason;

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum NoSeat {
    /// `connections_max`, or no thread is left.
    ServerFull,
    /// `connections_per_address_max`.
    AddressFull,
    /// `frames_per_second_per_address_max`.
    TooFast,
    /// The server stops.
    Stopping,
}

impl NoSeat {
    /// The reason as a code.
    pub(in crate::server) fn code(self) -> &'static str {
        match self {
            NoSeat::ServerFull => "server-full",
            NoSeat::AddressFull => "address-full",
            NoSeat::TooFast => "too-fast",
            NoSeat::Stopping => "shutdown",
        }
    }

    /// The reason as a sentence for the one who was refused.
    pub(in crate::server) fn text(self) -> &'static str {
        match self {
            NoSeat::ServerFull => "The server has as many connections as it may. Try again later.",
            NoSeat::AddressFull => "Your address has as many connections as it may. Close one first.",
            NoSeat::TooFast => "Connections and frames come too fast from your address. Try again in a minute.",
            NoSeat::Stopping => "The server stops.",
        }
    }

    /// The reason for which a connection that had begun ends.
    pub(in crate::server) fn reason(self) -> CloseReason {
        match self {
            NoSeat::ServerFull | NoSeat::AddressFull => CloseReason::AddressFull,
            NoSeat::TooFast => CloseReason::TooFast,
            NoSeat::Stopping => CloseReason::Shutdown,
        }
    }
}
