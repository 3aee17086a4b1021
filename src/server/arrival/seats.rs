//! Defines who may come in: the count of connections, in all and by address, the connection ids, and how many of those
//! who get no seat are told why.
//!
//! Knows: counts. Must not know: how a connection that gets no seat is told.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::super::closing::CloseReason;
use super::super::link::Link;
use super::super::observer::Observer;
use super::super::peer::ConnectionId;
use super::accounts::{Account, Accounts};
use super::no_seat::NoSeat;
use crate::wire::Limits;

/// Connections that may be told at a time why they get no seat; more are closed without a word.
const REFUSALS_MAX: usize = 16;

/// The seats of a server.
pub(in crate::server) struct Seats {
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
    accounts: Accounts,
    /// How many connections are being told why they got no seat.
    refusals: usize,
    /// The links of connections that are being told why they got no seat, for a stop.
    refused: Vec<Weak<Link>>,
    /// Set when the server stops: nobody is let in any more.
    closed: bool,
}

/// A connection's right to be there; given back when dropped. Its link holds it, so that it lasts as long as the
/// socket: bytes that wait for a client that is on its way out count like the client itself.
pub(in crate::server) struct Seat {
    seats: Arc<Seats>,
    id: ConnectionId,
    /// Where it is counted; `None` until a proxy has said where it comes from.
    account: Mutex<Option<Arc<Account>>>,
}

/// A connection's right to be told why it has no seat; given back when dropped, with its link.
pub(in crate::server) struct RefusedPlace(Arc<Seats>);

impl Seats {
    pub(in crate::server) fn new(observer: Arc<dyn Observer>) -> Seats {
        Seats { state: Mutex::default(), observer }
    }

    /// Gives the connection of `link`, which comes from `address`, a seat for as long as the link lasts. The address
    /// is `None` when it is not known yet.
    pub(in crate::server) fn take(
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
        let account = address.map(|address| state.accounts.enter(address, limits)).transpose()?;
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
        link.sit(Admission::Seat(Seat { seats: Arc::clone(self), id, account: Mutex::new(account) }));
        Ok(id)
    }

    /// Lets a connection be told why it gets no seat, or no longer has one; what it had is free at once. `false` when
    /// it is to be closed without a word, because enough are being told, or the server stops.
    pub(in crate::server) fn refuse(self: &Arc<Seats>, link: &Arc<Link>) -> bool {
        let mut state = self.lock();
        let may = !state.closed && state.refusals < REFUSALS_MAX;
        if may {
            state.refusals += 1;
            state.refused.retain(|link| link.strong_count() > 0);
            state.refused.push(Arc::downgrade(link));
        }
        // Whoever gives a seat up takes the lock.
        drop(state);
        if may {
            link.sit(Admission::Refused(RefusedPlace(Arc::clone(self))));
        }
        may
    }

    /// Gives up every connection there is, and lets nobody in any more.
    pub(in crate::server) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let links: Vec<_> = state.links.iter().flatten().chain(&state.refused).filter_map(Weak::upgrade).collect();
        // Whoever drops the last hold on a link gives its seat back, which takes the lock.
        drop(state);
        links.iter().for_each(|link| link.kill(CloseReason::Shutdown));
    }

    /// How many seats are taken.
    pub(in crate::server) fn taken(&self) -> u64 {
        self.lock().connections
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts the connection as one from `address`, and no more where it was counted before.
    fn count(&self, address: IpAddr, limits: &Limits) -> Result<(), NoSeat> {
        let mut state = self.seats.lock();
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let entered = state.accounts.enter(address, limits)?;
        if let Some(left) = account.replace(entered) {
            state.accounts.leave(&left);
        }
        Ok(())
    }

    /// Where the connection is counted.
    fn account(&self) -> Option<Arc<Account>> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.seats.lock();
        let slot = self.id.slot();
        state.connections -= 1;
        state.links[slot] = None;
        state.free.push(slot as u32);
        if let Some(account) = self.account() {
            state.accounts.leave(&account);
        }
        drop(state);
        self.seats.observer.ended(self.id);
    }
}

impl Drop for RefusedPlace {
    fn drop(&mut self) {
        self.0.lock().refusals -= 1;
    }
}

/// What a link holds for as long as it lasts.
pub(in crate::server) enum Admission {
    /// It is a connection.
    Seat(Seat),
    /// It is none, and is being told so.
    Refused(RefusedPlace),
}

impl Admission {
    /// Counts the connection as one from `address`.
    pub(in crate::server) fn count(&self, address: IpAddr, limits: &Limits) -> Result<(), NoSeat> {
        match self {
            Admission::Seat(seat) => seat.count(address, limits),
            Admission::Refused(_) => Ok(()),
        }
    }

    /// Where the connection is counted.
    pub(in crate::server) fn account(&self) -> Option<Arc<Account>> {
        match self {
            Admission::Seat(seat) => seat.account(),
            Admission::Refused(_) => None,
        }
    }

    /// The seats among which this is one.
    pub(in crate::server) fn seats(&self) -> &Arc<Seats> {
        match self {
            Admission::Seat(seat) => &seat.seats,
            Admission::Refused(refusal) => &refusal.0,
        }
    }
}

fn full(count: u64, max: u64) -> bool {
    Limits::bound(max).is_some_and(|max| count >= max)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::super::observer::Silent;
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
    }

    #[test]
    fn who_is_told_that_there_is_no_seat_has_none_and_few_are_told() {
        let limits = Limits::default();
        let seats = seats();
        let sat: Vec<_> = (0..=REFUSALS_MAX).map(|_| sit(&seats, "192.0.2.1", &limits).unwrap().1).collect();
        sat.iter().for_each(|link| link.refuse(NoSeat::AddressFull));
        assert_eq!(seats.taken(), 1, "the last keeps it until its socket is closed");
        let (last, told) = sat.split_last().unwrap();
        assert!(last.is_dead() && !last.is_refused());
        assert!(told.iter().all(|link| link.is_refused() && !link.is_dead()));
        drop(sat);
        assert_eq!((seats.taken(), seats.lock().refusals), (0, 0));
        let [(_, link), (_, other)] = [(); 2].map(|()| sit(&seats, "192.0.2.1", &limits).unwrap());
        assert!(seats.refuse(&link) && seats.refuse(&other), "those places are free again, too");
        seats.close();
        assert!(link.is_dead() && other.is_dead(), "a stop ends both");
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
