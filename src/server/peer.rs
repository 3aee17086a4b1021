//! Defines what is known of a connection: its name for as long as the server runs, where it comes from, and when.
//!
//! Knows: addresses, times. Must not know: sockets, what is said.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// The name of a connection for as long as the server runs; never given to another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(NonZeroU64);

impl ConnectionId {
    /// Bits that hold the place in the dispatcher's table; the rest is a running number.
    const SLOT_BITS: u32 = 24;

    /// The most connections that can be told apart at a time.
    pub(crate) const SLOTS_MAX: usize = 1 << ConnectionId::SLOT_BITS;

    pub(crate) fn new(serial: u64, slot: usize) -> ConnectionId {
        debug_assert!(serial > 0 && slot < ConnectionId::SLOTS_MAX);
        let bits = NonZeroU64::new(serial << ConnectionId::SLOT_BITS | slot as u64);
        ConnectionId(bits.unwrap_or(NonZeroU64::MAX))
    }

    pub(crate) fn slot(self) -> usize {
        (self.0.get() & (ConnectionId::SLOTS_MAX as u64 - 1)) as usize
    }

    /// The running number: the first connection is 1.
    #[must_use]
    pub fn serial(self) -> u64 {
        self.0.get() >> ConnectionId::SLOT_BITS
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.serial())
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known about the other end of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// The address that it reached.
    pub local_address: SocketAddr,
    /// Which of the server's listeners it reached, counted from 0 in the order they were given.
    pub listener: usize,
    /// What its frames travel in.
    pub transport: Transport,
    /// Since when it is connected.
    pub since: Instant,
}

impl Peer {
    /// A connection over plain TCP, beginning at `since`.
    #[must_use]
    pub fn new(address: SocketAddr, local_address: SocketAddr, listener: usize, since: Instant) -> Peer {
        Peer { address, local_address, listener, transport: Transport::TCP, since }
    }
}

/// What frames travel in, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport(&'static str);

impl Transport {
    /// A TCP connection, and nothing between it and the frames.
    pub const TCP: Transport = Transport("tcp");

    /// Another one, as the edge that brings it calls it.
    #[must_use]
    pub const fn named(name: &'static str) -> Transport {
        Transport(name)
    }

    /// Its name, such as `tcp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// The time at which an event is handled, given to the application so that it needs no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For measuring durations.
    pub instant: Instant,
    /// For showing: time since 1970-01-01T00:00:00Z.
    pub unix: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_named_by_their_running_number() {
        let id = ConnectionId::new(7, ConnectionId::SLOTS_MAX - 1);
        assert_eq!((id.serial(), id.slot(), format!("{id} {id:?}")), (7, ConnectionId::SLOTS_MAX - 1, "#7 #7".into()));
    }
}
