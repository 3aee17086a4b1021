//! Defines who is here: people by connection, nick and session.
//!
//! Knows: names, sessions. Must not know: rooms beyond their names, what is said.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::looks::looks;
use super::name::{Key, Name};
use super::variables::Variables;
use crate::server::{AddressKey, ConnectionId};

/// The secret with which a person comes back over another link.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Session(pub(super) u128);

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

impl fmt::Debug for Session {
    /// Not the session itself: whoever reads it could take the person over.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
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
    /// The number by which others can mean this person, whoever has the nick. It is never given again.
    pub(super) number: u64,
    pub(super) session: Session,
    /// The rooms that the person is in, in the order of joining. Each has the person among its members.
    pub(super) rooms: Vec<Key>,
    pub(super) variables: Variables,
    /// The address that the person's session and rooms are counted for.
    pub(super) address: AddressKey,
}

/// Everybody.
#[derive(Default)]
pub(super) struct Users {
    by_connection: HashMap<ConnectionId, User>,
    /// By what nicks look like: each person is here once or twice.
    by_looks: HashMap<Arc<str>, ConnectionId>,
    by_session: HashMap<Session, ConnectionId>,
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
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn sessions_are_32_hexadecimal_digits_and_nothing_else() {
        let session = Session::new(&mut |bytes| bytes.copy_from_slice(b"\0\x01234567890abcd\xff"));
        assert_eq!(session.to_string(), "000132333435363738393061626364ff");
        assert!(Session::parse(&session.to_string()) == Some(session));
        assert_eq!(format!("{session:?}"), "Session(..)", "whoever has it could take the person over");
        for text in ["", "+00132333435363738393061626364ff", "000132333435363738393061626364f", "g".repeat(32).as_str()]
        {
            assert!(Session::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn of_somebody_whose_entry_is_gone_nothing_is_left_after_a_sweep() {
        use crate::chat::name::Typed;
        let mut users = Users::default();
        let [ann, bob] = [1, 2].map(|n| ConnectionId::new(n, 0));
        let name = |nick| Arc::new(Typed::new(nick).map(Name::nick).expect("short").map_err(|_| nick).expect("a nick"));
        for (id, nick) in [(ann, "Ann"), (bob, "bob")] {
            let session = Session(if id == ann { 1 } else { 2 });
            let address = AddressKey::of(std::net::Ipv4Addr::LOCALHOST.into());
            let variables = Variables::default();
            users.insert(id, User { name: name(nick), number: 1, session, rooms: Vec::new(), variables, address });
        }
        users.by_connection.remove(&ann);
        assert!(users.resembles(&name("ann"), None) && users.with_session(Session(1)).is_some());
        users.sweep(ann);
        assert!(!users.resembles(&name("ann"), None) && users.with_session(Session(1)).is_none());
        assert_eq!((users.with_nick("bob"), users.with_session(Session(2))), (Some(bob), Some(bob)));
        users.sweep(bob);
        assert!(users.get(bob).is_none());
    }
}
