//! Defines who was here a moment ago: people whose link was lost, and who may come back.
//!
//! Their sessions are worth something (rooms, and whose they are), and a login costs nothing. So what is kept is
//! shared out by addresses: when an address has too much, its own oldest goes; when all together have, the oldest of
//! whoever has most.
//!
//! Knows: sessions, addresses, how much each takes. Must not know: what a place in a room is worth.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::name::Name;
use super::room::Place;
use super::user::{Session, User};
use super::variables::Variables;
use crate::server::AddressKey;

/// How long a lost person's session is kept.
const KEPT: Duration = Duration::from_secs(120);

/// The most bytes that are kept for all of them, and for those of one address: a server is left by 20 000 people at a
/// time, or an address by a dozen who have all the variables that they may have.
const BYTES_MAX: usize = 16 << 20;
const ADDRESS_BYTES_MAX: usize = 1 << 20;

/// What a person counts beside variables and places: the name and the entries in four tables.
const PERSON_BYTES: usize = 768;

/// The most that is let go at a time of those who have been lost for too long: a person counts as some variables.
const EXPIRING_MAX: usize = 2_000;
const PERSON_EXPIRING: usize = 5;

/// A person whose link was lost.
pub(super) struct Lost {
    pub(super) name: Arc<Name>,
    /// The number by which others can mean this person.
    pub(super) number: u64,
    pub(super) session: Session,
    /// The rooms that the person was in.
    pub(super) places: Vec<Place>,
    pub(super) variables: Variables,
    address: AddressKey,
    /// When the link was lost.
    since: Instant,
    /// The place in the order of being lost.
    serial: u64,
}

impl Lost {
    /// About the bytes that it takes.
    fn bytes(&self) -> usize {
        PERSON_BYTES + self.places.len() * size_of::<Place>() + self.variables.bytes()
    }
}

/// Everybody whose link was lost.
#[derive(Default)]
pub(super) struct LostPeople {
    by_session: HashMap<Session, Lost>,
    /// Their sessions, longest lost first.
    order: BTreeMap<u64, Session>,
    shares: HashMap<AddressKey, Share>,
    /// What addresses take, least first.
    by_bytes: BTreeSet<(usize, AddressKey)>,
    bytes: usize,
    /// The serial that was given out last.
    serial: u64,
}

/// What one address takes.
#[derive(Default)]
struct Share {
    /// Who came from there, longest lost first.
    serials: BTreeSet<u64>,
    bytes: usize,
}

impl LostPeople {
    /// A lost person, without letting go.
    pub(super) fn get(&self, session: Session) -> Option<&Lost> {
        self.by_session.get(&session)
    }

    /// Keeps a person whose link was lost, as of `now`, and at most `sessions_max` of one address. Gives those who
    /// cannot be kept any longer for it.
    pub(super) fn keep(
        &mut self,
        user: User,
        places: Vec<Place>,
        sessions_max: Option<u64>,
        now: Instant,
    ) -> Vec<Lost> {
        let User { name, number, session, variables, address, .. } = user;
        self.serial += 1;
        let lost = Lost { name, number, session, places, variables, address, since: now, serial: self.serial };
        self.order.insert(lost.serial, session);
        self.change_share(address, |share| {
            share.serials.insert(lost.serial);
            share.bytes += lost.bytes();
        });
        self.bytes += lost.bytes();
        self.by_session.insert(session, lost);
        let mut gone = Vec::new();
        while let Some(address) = self.who_has_too_much(address, sessions_max)
            && let Some(serial) = self.shares.get(&address).and_then(|share| share.serials.first())
            && let Some(session) = self.order.get(serial)
        {
            gone.extend(self.find(*session));
        }
        gone
    }

    /// The address whose oldest must go: `newest`, where somebody was just lost, if that has too much for one; else, if
    /// all have, the one that has most, and of those `newest`.
    fn who_has_too_much(&self, newest: AddressKey, sessions_max: Option<u64>) -> Option<AddressKey> {
        let bytes = self.shares.get(&newest).map_or(0, |share| share.bytes);
        let sessions = self.shares.get(&newest).map_or(0, |share| share.serials.len() as u64);
        if bytes > ADDRESS_BYTES_MAX || sessions_max.is_some_and(|max| sessions > max) {
            return Some(newest);
        }
        let (most, address) = self.by_bytes.last()?;
        (self.bytes > BYTES_MAX).then_some(if bytes == *most { newest } else { *address })
    }

    /// A lost person who comes back, or is forgotten.
    pub(super) fn find(&mut self, session: Session) -> Option<Lost> {
        let lost = self.by_session.remove(&session)?;
        self.order.remove(&lost.serial);
        self.bytes -= lost.bytes();
        self.change_share(lost.address, |share| {
            share.serials.remove(&lost.serial);
            share.bytes -= lost.bytes();
        });
        Some(lost)
    }

    /// Some of those who have been lost for too long, as of `now`.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Lost> {
        let is_over = |lost: &&Lost| now.saturating_duration_since(lost.since) >= KEPT;
        let oldest = self.order.values().filter_map(|session| self.by_session.get(session));
        let mut expiring = 0;
        let is_little = |lost: &&Lost| {
            let before = expiring;
            expiring += PERSON_EXPIRING + lost.variables.len();
            before < EXPIRING_MAX
        };
        let over = oldest.take_while(is_over).take_while(is_little);
        let over: Vec<Session> = over.map(|lost| lost.session).collect();
        over.into_iter().filter_map(|session| self.find(session)).collect()
    }

    /// Whether what is kept is counted right, and no address has more than `max`.
    #[cfg(test)]
    pub(super) fn adds_up(&self, max: usize) -> bool {
        let all = self.by_session.values();
        let right = |(address, share): (&AddressKey, &Share)| {
            let of_address = self.by_session.values().filter(|lost| lost.address == *address);
            share.bytes == of_address.clone().map(Lost::bytes).sum::<usize>()
                && share.serials.iter().copied().collect::<Vec<_>>()
                    == self.order.keys().copied().filter(|serial| share.serials.contains(serial)).collect::<Vec<_>>()
                && (1..=max).contains(&of_address.count())
                && self.by_bytes.contains(&(share.bytes, *address))
        };
        self.bytes == all.map(Lost::bytes).sum::<usize>()
            && self.order.len() == self.by_session.len()
            && self.by_bytes.len() == self.shares.len()
            && self.shares.iter().all(right)
    }

    /// Changes what an address takes; who takes nothing is not remembered.
    fn change_share(&mut self, address: AddressKey, change: impl FnOnce(&mut Share)) {
        let share = self.shares.entry(address).or_default();
        self.by_bytes.remove(&(share.bytes, address));
        change(share);
        if share.serials.is_empty() {
            self.shares.remove(&address);
        } else {
            self.by_bytes.insert((share.bytes, address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::name::Typed;
    use crate::chat::room::Rooms;
    use crate::chat::variables::Most;
    use crate::chat::vocabulary::{self, Body};
    use crate::wire::{Document, Frame};

    /// The bytes of a person without a place, and with a variable that is as short as one can be, but for its value.
    const LEAST: usize = PERSON_BYTES + "<set name=\"v\"></set>".len();

    /// Somebody at 10.0.0.0 and `address` more, who takes so many bytes.
    fn user(session: u128, address: u32, bytes: usize) -> User {
        let value = format!("<set>{}</set>", "v".repeat(bytes - LEAST));
        let document = Document::parse(Frame::try_from(&*value).expect("a frame"), 9).expect("a document");
        let mut variables = Variables::default();
        let value = Body::new(&document);
        variables.set("v", value, &vocabulary::set_of_person("v", value), MOST).expect("the first variable");
        let name = Arc::new(Name::nick(Typed::new("ann").expect("short")).expect("a nick"));
        let address = AddressKey::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + address).into());
        User { name, number: 0, session: Session(session), rooms: Vec::new(), variables, address }
    }

    const MOST: Most = Most { count: None, bytes: usize::MAX };

    /// Keeps somebody and gives the sessions that were forgotten for it.
    fn keep(lost: &mut LostPeople, user: User, sessions_max: Option<u64>) -> Vec<u128> {
        lost.keep(user, Vec::new(), sessions_max, Instant::now()).into_iter().map(|lost| lost.session.0).collect()
    }

    fn is_empty(lost: &LostPeople) -> bool {
        lost.by_session.is_empty()
            && lost.order.is_empty()
            && lost.shares.is_empty()
            && lost.by_bytes.is_empty()
            && lost.bytes == 0
    }

    #[test]
    fn of_an_address_that_has_too_many_the_oldest_goes() {
        let mut lost = LostPeople::default();
        for (session, gone) in [(1, vec![]), (2, vec![]), (3, vec![1]), (4, vec![2])] {
            assert_eq!(keep(&mut lost, user(session, 1, 1_000), Some(2)), gone);
        }
        assert_eq!(keep(&mut lost, user(5, 2, 1_000), Some(2)), []);
        assert!([3, 4, 5].into_iter().all(|session| lost.get(Session(session)).is_some()));
    }

    #[test]
    fn of_an_address_that_takes_too_much_the_oldest_goes() {
        let mut lost = LostPeople::default();
        for (session, address) in [(1, 1), (2, 1), (3, 2)] {
            assert_eq!(keep(&mut lost, user(session, address, ADDRESS_BYTES_MAX / 2), None), [], "equal is allowed");
        }
        assert!(lost.find(Session(2)).is_some(), "who comes back is not counted any longer");
        assert_eq!(keep(&mut lost, user(4, 1, ADDRESS_BYTES_MAX / 2), None), []);
        assert_eq!(keep(&mut lost, user(5, 1, 1_000), None), [1]);
        assert!(lost.get(Session(3)).is_some());
    }

    #[test]
    fn of_all_who_has_most_gives_way_and_nobody_for_who_has_as_much() {
        let mut lost = LostPeople::default();
        for address in 0..16 {
            assert_eq!(keep(&mut lost, user(address.into(), address, ADDRESS_BYTES_MAX), None), [], "equal is allowed");
        }
        assert_eq!(keep(&mut lost, user(100, 100, ADDRESS_BYTES_MAX), None), [100]);
        assert_eq!(keep(&mut lost, user(101, 101, ADDRESS_BYTES_MAX - 1), None), [15], "one of those that have most");
        assert_eq!(keep(&mut lost, user(102, 102, 1_000), None), [14]);
        assert!((0..14).chain([101]).all(|session| lost.get(Session(session)).is_some()));
        (0..103).for_each(|session| drop(lost.find(Session(session))));
        assert!(is_empty(&lost));
    }

    #[test]
    fn of_an_address_that_takes_too_much_places_count() {
        let mut lost = LostPeople::default();
        assert_eq!(keep(&mut lost, user(1, 1, ADDRESS_BYTES_MAX + 1), None), [1], "more than an address may have");
        let mut rooms = Rooms::default();
        let room = Typed::new("room").and_then(|room| Name::room(room).ok()).expect("a name");
        rooms.make(room, AddressKey::of(std::net::Ipv4Addr::LOCALHOST.into()), Instant::now());
        let place = |_| rooms.get("room").expect("just made").place();
        let places = || (0..(ADDRESS_BYTES_MAX - 1_000) / size_of::<Place>()).map(place).collect();
        assert!(lost.keep(user(1, 1, 1_000), places(), None, Instant::now()).is_empty());
        let gone = lost.keep(user(2, 1, 1_000), places(), None, Instant::now());
        assert_eq!(gone.into_iter().map(|lost| lost.session.0).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn who_was_lost_again_waits_from_then_on() {
        let (mut lost, start) = (LostPeople::default(), Instant::now());
        lost.keep(user(1, 1, 1_000), Vec::new(), None, start);
        assert!(lost.find(Session(1)).is_some());
        lost.keep(user(1, 1, 1_000), Vec::new(), None, start + KEPT / 2);
        assert!(lost.expire(start + KEPT).is_empty());
        assert_eq!(lost.expire(start + KEPT / 2 + KEPT).len(), 1);
        assert!(is_empty(&lost));
    }

    #[test]
    fn of_many_who_are_lost_for_too_long_some_are_forgotten_at_a_time() {
        let (mut lost, start) = (LostPeople::default(), Instant::now());
        // Each has a variable.
        let at_a_time = EXPIRING_MAX.div_ceil(PERSON_EXPIRING + 1);
        for session in 0..=at_a_time as u32 {
            lost.keep(user(session.into(), session, 1_000), Vec::new(), None, start);
        }
        assert_eq!(lost.expire(start + KEPT).len(), at_a_time);
        assert_eq!(lost.expire(start + KEPT).len(), 1);
        assert!(is_empty(&lost));
    }
}
