//! Defines [`Shared`]: what the threads of a server share, and how a stop begins.
//!
//! Knows: what every thread may look at. Must not know: what any of them does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use crossbeam_channel::Sender;
use socket2::SockRef;

use super::arrival::held::Arrivals;
use super::arrival::seats::Seats;
use super::budget::Budget;
use super::event::Event;
use super::observer::Observer;
use super::waiting::Outboxes;
use crate::wire::Limits;

/// What the threads of a server share.
pub(super) struct Shared {
    pub(super) inbox: Sender<Event>,
    pub(super) budget: Budget,
    pub(super) seats: Arc<Seats>,
    pub(super) outboxes: Arc<Outboxes>,
    pub(super) observer: Arc<dyn Observer>,
    /// Whether the observer is to be shown the frames that are sent.
    pub(super) wants_frames_out: bool,
    /// Who arrives at each listener.
    pub(super) arrivals: Vec<Arc<Arrivals>>,
    limits: RwLock<Arc<Limits>>,
    /// Set when the limits were set anew and the dispatcher has not told the application.
    limits_are_new: AtomicBool,
    stopping: AtomicBool,
    addresses: Vec<SocketAddr>,
    /// The sockets of the listeners, for as long as they accept.
    sockets: Vec<Weak<TcpListener>>,
}

impl Shared {
    /// What the threads of a server share that listens on `sockets`.
    pub(super) fn new(
        inbox: Sender<Event>,
        observer: Arc<dyn Observer>,
        limits: Limits,
        sockets: impl Iterator<Item = (SocketAddr, Weak<TcpListener>)>,
    ) -> Shared {
        let (addresses, sockets): (Vec<_>, Vec<_>) = sockets.unzip();
        let outboxes = Outboxes::new(&limits);
        Shared {
            inbox,
            budget: Budget::new(),
            seats: Arc::new(Seats::new(Arc::clone(&observer))),
            wants_frames_out: observer.wants_frames_out(),
            observer,
            arrivals: sockets.iter().map(|_| Arrivals::new(&outboxes)).collect(),
            outboxes,
            limits: RwLock::new(Arc::new(limits)),
            limits_are_new: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            addresses,
            sockets,
        }
    }

    /// The addresses of all listeners, in the order they were given.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The limits for a connection that begins now.
    pub(super) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the limits for connections that begin from now on.
    pub(super) fn set_limits(&self, limits: Limits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
        self.limits_are_new.store(true, Ordering::Release);
    }

    /// The limits, if they were set anew since this was last asked.
    pub(super) fn new_limits(&self) -> Option<Arc<Limits>> {
        // Asked for each batch, so without writing to what other threads read.
        let are_new = self.limits_are_new.load(Ordering::Relaxed) && self.limits_are_new.swap(false, Ordering::AcqRel);
        are_new.then(|| self.limits())
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Begins to stop; returns at once.
    pub(super) fn begin_stop(&self) {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        let _ = self.inbox.try_send(Event::Wake);
        // A thread that is blocked in accept sees the flag when somebody connects.
        for (address, socket) in self.addresses.iter().zip(&self.sockets) {
            let woken = TcpStream::connect_timeout(&reachable(*address), Duration::from_secs(1));
            // Without a descriptor, or a port, nobody can. Then the socket itself stops listening, which is not the
            // first choice because a service manager may have passed it and want to go on with it.
            if woken.is_err()
                && let Some(socket) = socket.upgrade()
            {
                let _ = SockRef::from(&*socket).shutdown(Shutdown::Both);
            }
        }
    }
}

/// The address at which a listener bound to `address` can be reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_reached_at_its_own_address_or_at_this_machines() {
        for (bound, reached) in [
            ("0.0.0.0:1024", "127.0.0.1:1024"),
            ("[::]:1024", "[::1]:1024"),
            ("192.0.2.1:1024", "192.0.2.1:1024"),
            ("[2001:db8::1]:1024", "[2001:db8::1]:1024"),
        ] {
            assert_eq!(reachable(bound.parse().unwrap()).to_string(), reached);
        }
    }
}
