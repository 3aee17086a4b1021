//! The commands, a file for each. A handler checks everything before it changes anything.
//!
//! In the order of a visit:

// <login/>: who one is, and the way back to a session.
pub(super) mod login;

// <nick/>: another name.
pub(super) mod nick;

// <join/>: into a room, with what was said there.
pub(super) mod join;

// <leave/>: out of a room.
pub(super) mod leave;

// <message/>: to a room or a person.
pub(super) mod message;

// <set/>: variables.
pub(super) mod set;

// <topic/>: what a room is about.
pub(super) mod topic;

// <rooms/>: which rooms there are.
pub(super) mod rooms;

// <users/>: who is in a room.
pub(super) mod users;

// <history/>: what was said before.
pub(super) mod history;

// <room-password/>: who may come in.
pub(super) mod password;

// <ping/> and <pong/>: signs of life.
pub(super) mod alive;

// <quit/>: out.
pub(super) mod quit;
