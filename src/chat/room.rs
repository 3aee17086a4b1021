//! Defines a room: who is in it, in which order and as what, its topic, password and variables.
//!
//! Knows: members. Must not know: what is said in it (that is history), what people see of it (vocabulary).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::name::{Key, Name};
use super::variables::Variables;
use crate::server::ConnectionId;

/// How long a room without members is kept.
pub(super) const EMPTY_KEPT: Duration = Duration::from_secs(3_600);

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

/// Somebody in a room.
pub(super) struct Member {
    pub(super) id: ConnectionId,
    pub(super) name: Arc<Name>,
    pub(super) role: Role,
}

/// A room.
pub(super) struct Room {
    pub(super) name: Name,
    pub(super) topic: Box<str>,
    pub(super) password: Option<Box<str>>,
    pub(super) variables: Variables,
    /// Those in it, in the order of joining: what a message is sent to.
    members: Vec<ConnectionId>,
    /// The same people by nick: what is listed.
    roster: BTreeMap<Key, Member>,
    /// Since when nobody is in it.
    empty_since: Option<Instant>,
}

impl Room {
    /// A room with nobody in it yet.
    pub(super) fn new(name: Name, now: Instant) -> Room {
        Room {
            name,
            topic: "".into(),
            password: None,
            variables: Variables::default(),
            members: Vec::new(),
            roster: BTreeMap::new(),
            empty_since: Some(now),
        }
    }

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

    /// What the person with this nick is in it.
    pub(super) fn role(&self, nick: &str) -> Option<Role> {
        self.roster.get(nick).map(|member| member.role)
    }

    /// Whether anybody in it is owner.
    pub(super) fn has_owner(&self) -> bool {
        self.roster.values().any(|member| member.role == Role::Owner)
    }

    /// Takes somebody in who is not in it.
    pub(super) fn enter(&mut self, id: ConnectionId, name: &Arc<Name>, role: Role) {
        self.members.push(id);
        self.roster.insert(Arc::clone(&name.key), Member { id, name: Arc::clone(name), role });
        self.empty_since = None;
    }

    /// Lets somebody go.
    pub(super) fn leave(&mut self, id: ConnectionId, nick: &str, now: Instant) -> Option<Role> {
        let member = self.roster.remove(nick)?;
        self.members.retain(|member| *member != id);
        if self.members.is_empty() {
            self.empty_since = Some(now);
        }
        Some(member.role)
    }

    /// Makes the member who is in it longest its owner.
    pub(super) fn inherit(&mut self) {
        if let Some(first) = self.members.first()
            && let Some(heir) = self.roster.values_mut().find(|member| member.id == *first)
        {
            heir.role = Role::Owner;
        }
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
    }

    /// Whether nobody is in it and nobody would miss it.
    fn holds_nothing(&self) -> bool {
        self.empty_since.is_some() && self.topic.is_empty() && self.password.is_none() && self.variables.is_empty()
    }

    /// Drops whatever still points to a connection, after a handler panicked half way.
    fn sweep(&mut self, id: ConnectionId, now: Instant) {
        let owned = self.has_owner();
        self.members.retain(|member| *member != id);
        self.roster.retain(|_, member| member.id != id);
        if self.members.is_empty() {
            self.empty_since.get_or_insert(now);
        } else if owned && !self.has_owner() {
            self.inherit();
        }
    }
}

/// All rooms.
#[derive(Default)]
pub(super) struct Rooms {
    by_key: HashMap<Key, Room>,
    /// The keys of `by_key`: messages look rooms up, lists go through them in order.
    order: BTreeSet<Key>,
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

    pub(super) fn insert(&mut self, room: Room) {
        self.order.insert(Arc::clone(&room.name.key));
        self.by_key.insert(Arc::clone(&room.name.key), room);
    }

    /// All rooms in the order of their names, those after the one that is compared by `after`.
    pub(super) fn sorted(&self, after: Option<&str>) -> impl Iterator<Item = &Room> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.order.range::<str, _>((start, Bound::Unbounded)).filter_map(|key| self.by_key.get(key))
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.order.remove(key);
        self.by_key.remove(key);
    }

    /// The room that has been empty longest of those that hold nothing; `silent` knows whose history is empty.
    pub(super) fn spare(&self, silent: impl Fn(&str) -> bool) -> Option<Key> {
        let spare = self.by_key.values().filter(|room| room.holds_nothing() && silent(&room.name.key));
        spare.min_by_key(|room| room.empty_since).map(|room| Arc::clone(&room.name.key))
    }

    /// Takes out the rooms that have been empty for too long, and gives their names.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Key> {
        let over = |since: Instant| now.saturating_duration_since(since) >= EMPTY_KEPT;
        let is_over = |room: &Room| room.empty_since.is_some_and(over);
        let gone: Vec<Key> = self.by_key.extract_if(|_, room| is_over(room)).map(|(key, _)| key).collect();
        for key in &gone {
            self.order.remove(key);
        }
        gone
    }

    /// Drops whatever still points to a connection, after a handler panicked half way.
    pub(super) fn sweep(&mut self, id: ConnectionId, now: Instant) {
        self.by_key.values_mut().for_each(|room| room.sweep(id, now));
    }
}
