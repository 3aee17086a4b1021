//! Defines who is here: people by connection, nick and session, and those whose link was lost a moment ago.
//!
//! Knows: names, sessions. Must not know: rooms beyond their names, what is said.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::looks::looks;
use super::name::{Key, Name};
use super::room::Role;
use super::variables::Variables;
use crate::server::ConnectionId;

/// How long a lost person's session is kept.
const LOST_KEPT: Duration = Duration::from_secs(120);

/// The most lost people that are kept, and the most bytes of their variables; the longest lost go first.
const LOST_MAX: usize = 10_000;
const LOST_BYTES_MAX: usize = 16 << 20;

/// The secret with which a person comes back over another link.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Session(u128);

impl Session {
    /// A session that nobody can guess, if `random` fills with what nobody can guess.
    pub(super) fn new(random: &mut dyn FnMut(&mut [u8])) -> Session {
        let mut bytes = [0; 16];
        random(&mut bytes);
        Session(u128::from_be_bytes(bytes))
    }

    /// The session that a client names; `None` when it never was one.
    pub(super) fn parse(text: &str) -> Option<Session> {
        let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex { u128::from_str_radix(text, 16).ok().map(Session) } else { None }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A person who is logged in.
pub(super) struct User {
    pub(super) name: Arc<Name>,
    pub(super) session: Session,
    /// The rooms that the person is in, in the order of joining. Each has the person among its members.
    pub(super) rooms: Vec<Key>,
    pub(super) variables: Variables,
}

/// A person whose link was lost.
pub(super) struct Lost {
    pub(super) name: Arc<Name>,
    /// The rooms that the person was in, and as what.
    pub(super) rooms: Vec<(Key, Role)>,
    pub(super) variables: Variables,
    /// When the link was lost.
    since: Instant,
}

/// Everybody.
#[derive(Default)]
pub(super) struct Users {
    by_connection: HashMap<ConnectionId, User>,
    /// By what nicks look like: each person is here once or twice.
    by_looks: HashMap<Arc<str>, ConnectionId>,
    by_session: HashMap<Session, ConnectionId>,
    lost: HashMap<Session, Lost>,
    /// The sessions of `lost`, longest lost first. A session that came back and was lost again is there twice.
    lost_order: VecDeque<(Instant, Session)>,
    /// The bytes of the variables in `lost`.
    lost_bytes: usize,
}

impl Users {
    pub(super) fn get(&self, id: ConnectionId) -> Option<&User> {
        self.by_connection.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut User> {
        self.by_connection.get_mut(&id)
    }

    /// The links of everybody who is here.
    pub(super) fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.by_connection.keys().copied()
    }

    /// Who has the nick that is compared by `key`.
    pub(super) fn with_nick(&self, key: &str) -> Option<ConnectionId> {
        // Names that are the same look the same, as they are compared.
        let id = self.by_looks.get(&*looks(key)).copied()?;
        self.get(id).filter(|user| *user.name.key == *key).map(|_| id)
    }

    /// Whether somebody but `except` has a nick that is compared equal, or that people would take for this one.
    pub(super) fn resembles(&self, name: &Name, except: Option<ConnectionId>) -> bool {
        name.looks.iter().filter_map(|looks| self.by_looks.get(looks)).any(|id| Some(*id) != except)
    }

    /// The link that the session is on.
    pub(super) fn with_session(&self, session: Session) -> Option<ConnectionId> {
        self.by_session.get(&session).copied()
    }

    /// Takes a person in. Nobody MUST have a nick that resembles this one, or the session; nor the connection anybody.
    pub(super) fn insert(&mut self, id: ConnectionId, user: User) {
        self.take_looks(&user.name, id);
        self.by_session.insert(user.session, id);
        self.by_connection.insert(id, user);
    }

    /// Lets a person go.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<User> {
        let user = self.by_connection.remove(&id)?;
        self.give_looks_back(&user.name);
        self.by_session.remove(&user.session);
        Some(user)
    }

    /// Gives a person another name. Nobody else's MUST resemble it.
    pub(super) fn rename(&mut self, id: ConnectionId, name: Arc<Name>) {
        let Some(user) = self.by_connection.get_mut(&id) else { return };
        let old = std::mem::replace(&mut user.name, Arc::clone(&name));
        self.give_looks_back(&old);
        self.take_looks(&name, id);
    }

    fn take_looks(&mut self, name: &Name, id: ConnectionId) {
        for looks in &name.looks {
            self.by_looks.insert(Arc::clone(looks), id);
        }
    }

    fn give_looks_back(&mut self, name: &Name) {
        for looks in &name.looks {
            self.by_looks.remove(looks);
        }
    }

    /// Drops whatever still points to a connection, after a handler panicked half way.
    pub(super) fn sweep(&mut self, id: ConnectionId) {
        self.by_connection.remove(&id);
        self.by_looks.retain(|_, holder| *holder != id);
        self.by_session.retain(|_, holder| *holder != id);
    }

    /// Keeps a person whose link was lost, as of `now`. Gives those who cannot be kept any longer for it.
    pub(super) fn lose(&mut self, user: User, rooms: Vec<(Key, Role)>, now: Instant) -> Vec<Lost> {
        let session = user.session;
        self.lost_bytes += user.variables.bytes();
        self.lost_order.push_back((now, session));
        self.lost.insert(session, Lost { name: user.name, rooms, variables: user.variables, since: now });
        let mut gone = Vec::new();
        while self.lost.len() > LOST_MAX || self.lost_bytes > LOST_BYTES_MAX || self.lost_order.len() > 2 * LOST_MAX {
            let Some(front) = self.lost_order.pop_front() else { break };
            gone.extend(self.forget(front));
        }
        gone
    }

    /// A lost person, without letting go.
    pub(super) fn lost(&self, session: Session) -> Option<&Lost> {
        self.lost.get(&session)
    }

    /// A lost person who comes back.
    pub(super) fn find(&mut self, session: Session) -> Option<Lost> {
        let lost = self.lost.remove(&session)?;
        self.lost_bytes -= lost.variables.bytes();
        Some(lost)
    }

    /// Those who have been lost for too long, as of `now`.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Lost> {
        let mut gone = Vec::new();
        while let Some(&front) = self.lost_order.front()
            && now.saturating_duration_since(front.0) >= LOST_KEPT
        {
            self.lost_order.pop_front();
            gone.extend(self.forget(front));
        }
        gone
    }

    /// The rooms that somebody who is lost owned.
    #[cfg(test)]
    pub(super) fn rooms_of_lost_owners(&self) -> impl Iterator<Item = &Key> {
        let rooms = self.lost.values().flat_map(|lost| &lost.rooms);
        rooms.filter(|(_, role)| *role == Role::Owner).map(|(key, _)| key)
    }

    fn forget(&mut self, (since, session): (Instant, Session)) -> Option<Lost> {
        if self.lost.get(&session)?.since == since { self.find(session) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::name::Typed;
    use crate::chat::vocabulary;
    use crate::wire::{Document, Frame};

    fn user(session: u128, value_bytes: usize) -> User {
        let value = format!("<set>{}</set>", "v".repeat(value_bytes));
        let document = Document::parse(Frame::try_from(&*value).expect("a frame"), 9).expect("a document");
        let mut variables = Variables::default();
        let value = vocabulary::Body::new(&document);
        variables.set("v", value, vocabulary::set_of_person("v", value), None).expect("the first variable");
        let name = Arc::new(Name::nick(Typed::new("ann").expect("short")).expect("a nick"));
        User { name, session: Session(session), rooms: Vec::new(), variables }
    }

    #[test]
    fn the_longest_lost_give_way_when_there_are_too_many() {
        let (mut users, now) = (Users::default(), Instant::now());
        for session in 0..LOST_MAX as u128 {
            assert!(users.lose(user(session, 1), Vec::new(), now).is_empty());
        }
        assert_eq!(users.lose(user(1 << 64, 1), Vec::new(), now).len(), 1);
        assert!(users.lost(Session(0)).is_none() && users.lost(Session(1)).is_some());
    }

    #[test]
    fn the_longest_lost_give_way_when_they_hold_too_much() {
        let (mut users, now) = (Users::default(), Instant::now());
        let value = LOST_BYTES_MAX / 2 - 100;
        assert!(users.lose(user(1, value), Vec::new(), now).is_empty());
        assert!(users.lose(user(2, value), Vec::new(), now).is_empty());
        assert!(users.find(Session(2)).is_some(), "what comes back is not counted any longer");
        assert!(users.lose(user(3, value), Vec::new(), now).is_empty());
        assert_eq!(users.lose(user(4, 200), Vec::new(), now).len(), 1);
        assert!(users.lost(Session(1)).is_none() && users.lost(Session(3)).is_some());
    }

    #[test]
    fn who_was_lost_again_waits_from_then_on() {
        let (mut users, start) = (Users::default(), Instant::now());
        users.lose(user(1, 1), Vec::new(), start);
        assert!(users.find(Session(1)).is_some());
        users.lose(user(1, 1), Vec::new(), start + LOST_KEPT / 2);
        assert!(users.expire(start + LOST_KEPT).is_empty());
        assert_eq!(users.expire(start + LOST_KEPT / 2 + LOST_KEPT).len(), 1);
        assert_eq!((users.lost_order.len(), users.lost_bytes), (0, 0));
    }

    #[test]
    fn sessions_are_32_hexadecimal_digits_and_nothing_else() {
        let session = Session::new(&mut |bytes| bytes.copy_from_slice(b"\0\x01234567890abcd\xff"));
        assert_eq!(session.to_string(), "000132333435363738393061626364ff");
        assert!(Session::parse(&session.to_string()) == Some(session));
        for text in ["", "+00132333435363738393061626364ff", "000132333435363738393061626364f", "g".repeat(32).as_str()]
        {
            assert!(Session::parse(text).is_none(), "{text}");
        }
    }
}
