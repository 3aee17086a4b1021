//! Defines [`Door`], through which an edge answers HTTP on a listener, and what it is given and gives back.
//!
//! A door is called on the client's own thread. It reads the request and writes the response through a [`Visitor`];
//! then the connection ends, or the door hands over a framing, in which the connection's frames travel from then on.
//!
//! Knows: deadlines, the peer's address and who may correct it. Must not know: HTTP's grammar, pages, which framing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::framing::Framed;
use super::super::link::Link;
use super::super::peer::{Peer, Transport};
use super::super::settings::ListenerSettings;
use crate::policy::PolicyFile;
use crate::wire::Limits;

/// How long a visitor may take not one byte of its response where `write_seconds_max` sets no bound.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers HTTP on a listener. One door serves many connections at a time, each on its own thread.
pub trait Door: Send + Sync {
    /// Answers one request. What it reads and writes is bounded in time by the visitor; what it keeps in memory it
    /// MUST bound itself.
    fn answer(&self, visitor: &mut Visitor<'_>) -> Answer;
}

/// What became of a request.
pub enum Answer {
    /// It was answered, or cannot be: the connection ends. What the client still sends is dropped.
    Done,
    /// The response said that from here on frames travel otherwise.
    Upgraded {
        /// How.
        framing: Framed,
        /// What that is called.
        transport: Transport,
        /// What the client sent after its request and the door has read already.
        unread: Vec<u8>,
    },
}

/// A client that sent an HTTP request, as a [`Door`] sees it: a stream to read and write, with deadlines.
pub struct Visitor<'connection> {
    link: &'connection Arc<Link>,
    settings: &'connection ListenerSettings,
    limits: &'connection Limits,
    peer: &'connection mut Peer,
    /// Whether the request came by a proxy that the listener believes, and that has not said yet for whom it speaks.
    by_proxy: bool,
    /// Bytes that were read before. Given out first.
    first: &'connection [u8],
    /// When reading ends.
    deadline: Instant,
}

impl<'connection> Visitor<'connection> {
    pub(in crate::server) fn new(
        link: &'connection Arc<Link>,
        settings: &'connection ListenerSettings,
        limits: &'connection Limits,
        peer: &'connection mut Peer,
        by_proxy: bool,
        first: &'connection [u8],
    ) -> Visitor<'connection> {
        let timeout = Limits::bound(limits.write_seconds_max).map_or(WRITE_TIMEOUT, Duration::from_secs);
        let _ = link.set_write_timeout(Some(timeout));
        Visitor { link, settings, limits, peer, by_proxy, first, deadline: Instant::now() }
    }

    /// The visitor: its address, the address it reached.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.peer
    }

    /// Sets how long reading may go on from now, but no longer than a frame may take: then it fails with `TimedOut`.
    /// Without it only what has arrived can be read.
    pub fn read_for(&mut self, timeout: Duration) {
        let frame_timeout = Limits::bound(self.limits.frame_seconds_max).map(Duration::from_secs);
        self.deadline = Instant::now() + frame_timeout.map_or(timeout, |frame_timeout| timeout.min(frame_timeout));
    }

    /// Whether the request came by a proxy that the listener believes, without a PROXY header: what the request says of
    /// the client may be taken over.
    #[must_use]
    pub fn is_by_proxy(&self) -> bool {
        self.by_proxy
    }

    /// Whether `address` is one of the proxies that the listener believes.
    #[must_use]
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.settings.is_proxy(address)
    }

    /// Notes where the visitor comes from, told by a proxy that the listener believes; it is counted there.
    ///
    /// # Errors
    /// When that address has as many connections as it may, or they come too fast: a sentence that says so. The visitor
    /// has no seat then, and can only be told.
    pub fn set_address(&mut self, address: SocketAddr) -> Result<(), &'static str> {
        self.link.count(address.ip(), self.limits).map_err(|no_seat| {
            self.link.refuse(no_seat);
            no_seat.text()
        })?;
        self.peer.address = address;
        Ok(())
    }

    /// The policy file that a policy request would get here; `None` where none is served.
    #[must_use]
    pub fn policy(&self) -> Option<PolicyFile> {
        self.settings.policy_at(self.peer.local_address)
    }
}

impl Read for Visitor<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.first.is_empty() {
            return self.first.read(out);
        }
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.link.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            match self.link.read(out) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => {
                    self.link.touch();
                    return read;
                }
            }
        }
    }
}

impl Write for Visitor<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.link.send(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::TimedOut.into()),
            sent => sent,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
