//! Defines who may come in: the count of connections, in all and by address, and the connection ids.
//!
//! Knows: counts. Must not know: what is done with a connection that gets no seat.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::address::AddressKey;
use super::link::Link;
use super::observer::Observer;
use super::service::{CloseReason, ConnectionId};
use crate::wire::Limits;

/// The seats of a server.
pub(super) struct Seats {
    state: Mutex<State>,
    /// Who is told when a seat is free again.
    observer: Arc<dyn Observer>,
}

#[derive(Default)]
struct State {
    /// The last running number that was given out.
    serial: u64,
    /// The links of the seats that are taken, for a stop; `None` where a seat is free.
    links: Vec<Option<Weak<Link>>>,
    /// The seats that were given back.
    free: Vec<u32>,
    connections: u64,
    by_address: HashMap<AddressKey, u64>,
    /// The links of connections that are being told why they got no seat, for a stop.
    refused: Vec<Weak<Link>>,
    /// Set when the server stops: nobody is let in any more.
    closed: bool,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSeat {
    /// `connections_max`, or no thread is left.
    ServerFull,
    /// `connections_per_address_max`.
    AddressFull,
    /// The server stops.
    Stopping,
}

impl NoSeat {
    /// The reason as a code.
    pub(super) fn code(self) -> &'static str {
        match self {
            NoSeat::ServerFull => "server-full",
            NoSeat::AddressFull => "address-full",
            NoSeat::Stopping => "shutdown",
        }
    }

    /// The reason as a sentence for the one who was refused.
    pub(super) fn text(self) -> &'static str {
        match self {
            NoSeat::ServerFull => "The server has as many connections as it may. Try again later.",
            NoSeat::AddressFull => "Your address has as many connections as it may. Close one first.",
            NoSeat::Stopping => "The server stops.",
        }
    }
}

/// A connection's right to be there; given back when dropped. Its link holds it, so that it lasts as long as the
/// socket: bytes that wait for a client that is on its way out count like the client itself.
pub(super) struct Seat {
    seats: Arc<Seats>,
    id: ConnectionId,
    /// Where it is counted; `None` for loopback, and until a proxy has said where it comes from.
    address: Mutex<Option<AddressKey>>,
}

impl Seats {
    pub(super) fn new(observer: Arc<dyn Observer>) -> Seats {
        Seats { state: Mutex::default(), observer }
    }

    /// Gives the connection of `link`, which comes from `address`, a seat for as long as the link lasts. The address
    /// is `None` when it is not known yet.
    pub(super) fn take(
        self: &Arc<Seats>,
        address: Option<IpAddr>,
        link: &Arc<Link>,
        limits: &Limits,
    ) -> Result<ConnectionId, NoSeat> {
        let mut state = self.lock();
        if state.closed {
            return Err(NoSeat::Stopping);
        }
        if full(state.connections, limits.connections_max) || state.connections >= ConnectionId::SLOTS_MAX as u64 {
            return Err(NoSeat::ServerFull);
        }
        let counted = address.and_then(counted);
        state.enter(counted, limits)?;
        state.connections += 1;
        state.serial += 1;
        let slot = match state.free.pop() {
            Some(slot) => slot as usize,
            None => {
                state.links.push(None);
                state.links.len() - 1
            }
        };
        state.links[slot] = Some(Arc::downgrade(link));
        let id = ConnectionId::new(state.serial, slot);
        drop(state);
        link.sit(Seat { seats: Arc::clone(self), id, address: Mutex::new(counted) });
        Ok(id)
    }

    /// Notes the link of a connection that is to be told why it got no seat. `false` when the server stops.
    pub(super) fn refuse(&self, link: &Arc<Link>) -> bool {
        let mut state = self.lock();
        state.refused.retain(|link| link.strong_count() > 0);
        state.refused.push(Arc::downgrade(link));
        !state.closed
    }

    /// Gives up every connection there is, and lets nobody in any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let links: Vec<_> = state.links.iter().flatten().chain(&state.refused).filter_map(Weak::upgrade).collect();
        // Whoever drops the last hold on a link gives its seat back, which takes the lock.
        drop(state);
        links.iter().for_each(|link| link.kill(CloseReason::Shutdown));
    }

    /// How many seats are taken.
    pub(super) fn taken(&self) -> u64 {
        self.lock().connections
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts the connection as one from `address`, and no more where it was counted before.
    pub(super) fn count(&self, address: IpAddr, limits: &Limits) -> Result<(), NoSeat> {
        let counted = counted(address);
        let mut state = self.seats.lock();
        let mut before = self.address();
        if counted != *before {
            state.enter(counted, limits)?;
            state.leave(std::mem::replace(&mut before, counted));
        }
        Ok(())
    }

    fn address(&self) -> MutexGuard<'_, Option<AddressKey>> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.lock();
        let slot = self.id.slot();
        state.connections -= 1;
        state.links[slot] = None;
        state.free.push(slot as u32);
        state.leave(*self.address());
        drop(state);
        self.seats.observer.ended(self.id);
    }
}

impl State {
    /// Counts a connection from `address`, if there is room for one more.
    fn enter(&mut self, address: Option<AddressKey>, limits: &Limits) -> Result<(), NoSeat> {
        let Some(address) = address else { return Ok(()) };
        let count = self.by_address.get(&address).copied().unwrap_or(0);
        if full(count, limits.connections_per_address_max) {
            return Err(NoSeat::AddressFull);
        }
        self.by_address.insert(address, count + 1);
        Ok(())
    }

    /// Counts a connection from `address` no more.
    fn leave(&mut self, address: Option<AddressKey>) {
        let Some(address) = address else { return };
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

fn full(count: u64, max: u64) -> bool {
    Limits::bound(max).is_some_and(|max| count >= max)
}

/// The address under which a connection is counted: loopback is exempt.
fn counted(address: IpAddr) -> Option<AddressKey> {
    Some(AddressKey::of(address)).filter(|address| !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::observer::Silent;
    use super::*;

    /// Takes a seat; the link that comes back keeps it.
    fn sit(seats: &Arc<Seats>, address: &str, limits: &Limits) -> Result<(ConnectionId, Arc<Link>), NoSeat> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Arc::new(Link::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap()));
        let id = seats.take(Some(address.parse().unwrap()), &link, limits)?;
        Ok((id, link))
    }

    fn seats() -> Arc<Seats> {
        Arc::new(Seats::new(Arc::new(Silent)))
    }

    #[test]
    fn connections_are_counted_by_address_and_loopback_is_not() {
        let limits = Limits { connections_per_address_max: 2, connections_max: 100, ..Limits::default() };
        for (one, same, other) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"),
        ] {
            let seats = seats();
            let first = sit(&seats, one, &limits).unwrap();
            let _second = sit(&seats, same, &limits).unwrap();
            assert_eq!(sit(&seats, one, &limits).err(), Some(NoSeat::AddressFull));
            assert_eq!(sit(&seats, same, &limits).err(), Some(NoSeat::AddressFull));
            let _other = sit(&seats, other, &limits).unwrap();
            drop(first);
            let _third = sit(&seats, same, &limits).unwrap();
            assert_eq!(sit(&seats, one, &limits).err(), Some(NoSeat::AddressFull));
            assert_eq!(seats.taken(), 3);
        }
        for loopback in ["127.0.0.1", "127.255.1.2", "::1", "::ffff:127.0.0.1"] {
            let seats = seats();
            let _many: Vec<_> = (0..5).map(|_| sit(&seats, loopback, &limits).unwrap()).collect();
        }
    }

    #[test]
    fn a_seat_is_free_again_and_an_id_never() {
        let limits = Limits { connections_max: 2, ..Limits::default() };
        let seats = seats();
        let _stays = sit(&seats, "127.0.0.1", &limits).unwrap();
        let mut ids = Vec::new();
        for _ in 0..10 {
            let (id, _link) = sit(&seats, "127.0.0.1", &limits).unwrap();
            assert_eq!(sit(&seats, "127.0.0.1", &limits).err(), Some(NoSeat::ServerFull));
            assert_eq!(id.slot(), 1, "slots are used again");
            ids.push(id);
        }
        ids.dedup();
        assert_eq!(ids.len(), 10);
        assert_eq!(seats.taken(), 1);
    }

    #[test]
    fn zero_is_no_limit() {
        let limits = Limits { connections_max: 0, connections_per_address_max: 0, ..Limits::default() };
        let seats = seats();
        let many: Vec<_> = (0..70).map(|_| sit(&seats, "192.0.2.1", &limits).unwrap()).collect();
        assert_eq!(seats.taken(), 70);
        drop(many);
        assert_eq!(seats.taken(), 0);
        assert!(seats.lock().by_address.is_empty(), "nothing is remembered of who is gone");
    }

    #[test]
    fn nobody_sits_down_after_the_end() {
        let seats = seats();
        let limits = Limits::default();
        let (_, link) = sit(&seats, "127.0.0.1", &limits).unwrap();
        seats.close();
        assert!(link.is_dead());
        assert_eq!(sit(&seats, "127.0.0.1", &limits).err(), Some(NoSeat::Stopping));
        assert!(!seats.refuse(&link));
    }
}
