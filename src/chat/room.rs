//! Defines a room: who is in it, in which order and as what, its topic, password and variables.
//!
//! Knows: members, whose the room is. Must not know: what is said in it (that is history), what people see of it
//! (vocabulary).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::name::{Key, Name};
use super::user::Session;
use super::variables::Variables;
use crate::server::{AddressKey, ConnectionId};

/// How long a room without members is kept.
pub(super) const EMPTY_KEPT: Duration = Duration::from_secs(3_600);

/// The most rooms that end at a time: each may have a long history to let go.
const ENDING_MAX: usize = 4;

/// What somebody is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Made the room, or inherited it.
    Owner,
    /// Everybody else.
    Member,
}

impl Role {
    /// The role as it stands in an attribute.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Member => "member",
        }
    }
}

/// Whose a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nobody's: the next one's who enters.
    Nobody,
    /// That of a member.
    Here(ConnectionId),
    /// That of a person whose link was lost, for as long as the session is kept, or somebody enters the empty room.
    Awaited(Session),
}

/// A room among all that ever were: never that of another one, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RoomId(u64);

/// What somebody who was in a room keeps of it: the right to come back, if it is still the room that it was.
pub(super) struct Place {
    pub(super) key: Key,
    room: RoomId,
    /// The room's lock at that time.
    lock: u64,
}

/// Somebody in a room.
pub(super) struct Member {
    pub(super) id: ConnectionId,
    pub(super) name: Arc<Name>,
}

/// A room.
pub(super) struct Room {
    pub(super) name: Name,
    id: RoomId,
    pub(super) topic: Box<str>,
    password: Option<Box<str>>,
    /// How often the password was changed.
    lock: u64,
    pub(super) variables: Variables,
    /// Those in it, in the order of joining: what a message is sent to.
    members: Vec<ConnectionId>,
    /// The same people by nick: what is listed.
    roster: BTreeMap<Key, Member>,
    owner: Owner,
    /// Since when nobody is in it.
    empty_since: Option<Instant>,
    /// The address that it is counted for.
    maker: AddressKey,
}

impl Room {
    /// Those in it, in the order of joining.
    pub(super) fn members(&self) -> &[ConnectionId] {
        &self.members
    }

    /// Those in it but `id`.
    pub(super) fn others(&self, id: ConnectionId) -> impl Iterator<Item = ConnectionId> {
        self.members.iter().copied().filter(move |member| *member != id)
    }

    /// Those in it in the order of their nicks, those after the nick that is compared by `after`.
    pub(super) fn roster(&self, after: Option<&str>) -> impl Iterator<Item = &Member> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.roster.range::<str, _>((start, Bound::Unbounded)).map(|(_, member)| member)
    }

    /// What a member is in it.
    pub(super) fn role(&self, id: ConnectionId) -> Role {
        if self.owner == Owner::Here(id) { Role::Owner } else { Role::Member }
    }

    /// Whose it is.
    #[cfg(test)]
    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Which it is, and how often its password was changed.
    #[cfg(test)]
    pub(super) fn identity(&self) -> (RoomId, u64) {
        (self.id, self.lock)
    }

    /// What must be known to enter it.
    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Gives it another password, or none. Who was in it before and is not now must know it, too.
    pub(super) fn set_password(&mut self, password: Option<&str>) {
        self.password = password.map(Box::from);
        self.lock += 1;
    }

    /// What somebody who is in it keeps when the link is lost.
    pub(super) fn place(&self) -> Place {
        Place { key: Arc::clone(&self.name.key), room: self.id, lock: self.lock }
    }

    /// Whether it is the room of `place`.
    pub(super) fn is_of(&self, place: &Place) -> bool {
        self.id == place.room
    }

    /// Whether who has `place` may enter it without its password.
    pub(super) fn admits(&self, place: &Place) -> bool {
        self.is_of(place) && (self.password.is_none() || self.lock == place.lock)
    }

    /// Takes somebody in who is not in it. It becomes that person's if it is empty, or was that person's.
    pub(super) fn enter(&mut self, id: ConnectionId, name: &Arc<Name>, session: Session) {
        if self.members.is_empty() || self.owner == Owner::Awaited(session) {
            self.owner = Owner::Here(id);
        }
        self.members.push(id);
        self.roster.insert(Arc::clone(&name.key), Member { id, name: Arc::clone(name) });
        self.empty_since = None;
    }

    /// Lets somebody go, for whose session the room waits if there is one. Otherwise it is inherited.
    pub(super) fn leave(&mut self, id: ConnectionId, nick: &str, awaited: Option<Session>, now: Instant) {
        self.roster.remove(nick);
        self.members.retain(|member| *member != id);
        if self.members.is_empty() {
            self.empty_since = Some(now);
        }
        if self.owner == Owner::Here(id) {
            self.owner = awaited.map_or_else(|| self.heir(), Owner::Awaited);
        }
    }

    /// Waits no longer for the session, if it does.
    pub(super) fn give_up(&mut self, session: Session) {
        if self.owner == Owner::Awaited(session) {
            self.owner = self.heir();
        }
    }

    /// Whose it is when it is nobody's: that of the member who is in it longest.
    fn heir(&self) -> Owner {
        self.members.first().map_or(Owner::Nobody, |first| Owner::Here(*first))
    }

    /// Somebody in it has another name now.
    pub(super) fn rename(&mut self, nick: &str, name: &Arc<Name>) {
        if let Some(member) = self.roster.remove(nick) {
            let member = Member { name: Arc::clone(name), ..member };
            self.roster.insert(Arc::clone(&name.key), member);
        }
    }

    /// Somebody in it is on another link now.
    pub(super) fn move_to(&mut self, nick: &str, from: ConnectionId, to: ConnectionId) {
        self.members.iter_mut().filter(|member| **member == from).for_each(|member| *member = to);
        if let Some(member) = self.roster.get_mut(nick) {
            member.id = to;
        }
        if self.owner == Owner::Here(from) {
            self.owner = Owner::Here(to);
        }
    }

    /// Whether nobody is in it and nobody would miss it.
    fn holds_nothing(&self) -> bool {
        self.empty_since.is_some() && self.topic.is_empty() && self.password.is_none() && self.variables.is_empty()
    }

    /// Drops whatever still points to a connection, after a handler panicked half way; `is_kept` knows which sessions
    /// can be waited for.
    fn sweep(&mut self, id: ConnectionId, now: Instant, is_kept: impl Fn(Session) -> bool) {
        self.members.retain(|member| *member != id);
        self.roster.retain(|_, member| member.id != id);
        if self.members.is_empty() {
            self.empty_since.get_or_insert(now);
        }
        let is_there = match self.owner {
            Owner::Nobody => false,
            Owner::Here(owner) => owner != id,
            Owner::Awaited(session) => is_kept(session),
        };
        if !is_there {
            self.owner = self.heir();
        }
    }
}

/// All rooms.
#[derive(Default)]
pub(super) struct Rooms {
    by_key: HashMap<Key, Room>,
    /// The keys of `by_key`: messages look rooms up, lists go through them in order.
    order: BTreeSet<Key>,
    /// How many of them each address made.
    made: HashMap<AddressKey, usize>,
    /// How many there ever were.
    serial: u64,
}

impl Rooms {
    pub(super) fn get(&self, key: &str) -> Option<&Room> {
        self.by_key.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Room> {
        self.by_key.get_mut(key)
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// How many rooms an address made.
    pub(super) fn made_by(&self, maker: AddressKey) -> usize {
        self.made.get(&maker).copied().unwrap_or(0)
    }

    /// Whether rooms are counted right by address, and none has more than `max`.
    #[cfg(test)]
    pub(super) fn adds_up(&self, max: usize) -> bool {
        let made = |maker: &AddressKey| self.by_key.values().filter(|room| room.maker == *maker).count();
        let right = self.made.iter().all(|(maker, count)| (1..=max).contains(count) && *count == made(maker));
        right && self.made.values().sum::<usize>() == self.len()
    }

    /// Makes a room with nobody in it yet. There MUST be none of that name.
    pub(super) fn make(&mut self, name: Name, maker: AddressKey, now: Instant) {
        self.serial += 1;
        *self.made.entry(maker).or_default() += 1;
        self.order.insert(Arc::clone(&name.key));
        let room = Room {
            id: RoomId(self.serial),
            topic: "".into(),
            password: None,
            lock: 0,
            variables: Variables::default(),
            members: Vec::new(),
            roster: BTreeMap::new(),
            owner: Owner::Nobody,
            empty_since: Some(now),
            maker,
            name,
        };
        self.by_key.insert(Arc::clone(&room.name.key), room);
    }

    /// All rooms in the order of their names, those after the one that is compared by `after`.
    pub(super) fn sorted(&self, after: Option<&str>) -> impl Iterator<Item = &Room> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.order.range::<str, _>((start, Bound::Unbounded)).filter_map(|key| self.by_key.get(key))
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.order.remove(key);
        let Some(room) = self.by_key.remove(key) else { return };
        if let Some(made) = self.made.get_mut(&room.maker) {
            *made -= 1;
            if *made == 0 {
                self.made.remove(&room.maker);
            }
        }
    }

    /// The room that has been empty longest of those that hold nothing, and of those that `maker` made if it is given;
    /// `silent` knows whose history is empty.
    pub(super) fn spare(&self, maker: Option<AddressKey>, silent: impl Fn(&str) -> bool) -> Option<Key> {
        let of_maker = |room: &&Room| maker.is_none_or(|maker| room.maker == maker);
        let spare = self.by_key.values().filter(|room| room.holds_nothing()).filter(of_maker);
        let spare = spare.filter(|room| silent(&room.name.key));
        spare.min_by_key(|room| (room.empty_since, room.id.0)).map(|room| Arc::clone(&room.name.key))
    }

    /// Of the empty rooms, whatever they hold, one of the address that made most: that which has been empty longest.
    /// None if that address would have fewer afterwards than `maker` with one more.
    pub(super) fn spare_of_most(&self, maker: AddressKey) -> Option<Key> {
        let empty = self.by_key.values().filter_map(|room| Some((room, room.empty_since?)));
        let most = empty.max_by_key(|(room, since)| (self.made_by(room.maker), Reverse((*since, room.id.0))))?.0;
        let spares = self.made_by(most.maker) > self.made_by(maker) + 1;
        spares.then(|| Arc::clone(&most.name.key))
    }

    /// Takes out rooms that have been empty for too long, and gives their names.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Key> {
        let over = |since: Instant| now.saturating_duration_since(since) >= EMPTY_KEPT;
        let is_over = |room: &&Room| room.empty_since.is_some_and(over);
        let gone = self.by_key.values().filter(is_over).take(ENDING_MAX);
        let gone: Vec<Key> = gone.map(|room| Arc::clone(&room.name.key)).collect();
        gone.iter().for_each(|key| self.remove(key));
        gone
    }

    /// Drops whatever still points to a connection, after a handler panicked half way; `is_kept` knows which sessions
    /// can be waited for.
    pub(super) fn sweep(&mut self, id: ConnectionId, now: Instant, is_kept: impl Fn(Session) -> bool) {
        self.by_key.values_mut().for_each(|room| room.sweep(id, now, &is_kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::name::Typed;

    #[test]
    fn of_who_made_most_an_empty_room_gives_way_but_not_to_become_fewer_than_the_others() {
        let (mut rooms, start) = (Rooms::default(), Instant::now());
        let [most, other, new] = [1, 2, 3].map(|n| AddressKey::of(std::net::Ipv4Addr::from_bits(n).into()));
        for (name, maker, seconds) in [("a", most, 2), ("b", most, 1), ("c", most, 3), ("d", other, 0), ("e", other, 0)]
        {
            let name = Typed::new(name).and_then(|name| Name::room(name).ok()).expect("a name");
            rooms.make(name, maker, start + Duration::from_secs(seconds));
        }
        assert_eq!(rooms.spare_of_most(new).as_deref(), Some("b"), "the one that has been empty longest");
        assert_eq!(rooms.spare_of_most(other), None, "3 and 2 would become 2 and 3");
        assert_eq!(rooms.spare_of_most(most), None);
        rooms.remove("e");
        assert_eq!(rooms.spare_of_most(other).as_deref(), Some("b"), "3 and 1 become 2 and 2");
        rooms.remove("b");
        assert_eq!(rooms.spare_of_most(other), None);
        rooms.remove("a");
        assert_eq!(rooms.spare_of_most(new), None, "1 and 0 would become 0 and 1");
    }
}
