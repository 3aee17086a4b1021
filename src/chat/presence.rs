//! Defines what concerns people and rooms at once: entering, leaving, being lost, who meets whom.
//!
//! Knows: users, rooms, who has to hear of it. Must not know: requests.

use std::sync::Arc;

use super::Chat;
use super::command::Request;
use super::error::{Code, Refusal};
use super::lost::Lost;
use super::name::{self, Key, Typed};
use super::room::{Room, Rooms};
use super::user::{User, Users};
use super::vocabulary::{self, OfPerson};
use crate::server::{CloseReason, ConnectionId, Context};
use crate::wire::Limits;

/// The most bytes of a person's variables that are told to a whole room when the person enters it: a small request
/// must not make a large broadcast.
const INTRODUCTION_BYTES_MAX: usize = 4 << 10;

/// Who sent a request, and the room called `room`, if that person is in it.
pub(super) fn seat<'a>(
    users: &'a Users,
    rooms: &'a Rooms,
    id: ConnectionId,
    room: &str,
) -> Result<(&'a User, &'a Room), Refusal> {
    let user = users.get(id).ok_or(Code::NotLoggedIn)?;
    // Comparing names beyond ASCII is slow, and rarely is a room named otherwise than it is shown.
    let mut inside = user.rooms.iter().filter_map(|key| rooms.get(key));
    if let Some(room) = inside.find(|inside| *inside.name.shown == *room) {
        return Ok((user, room));
    }
    let room = Typed::new(room).and_then(name::key).and_then(|key| rooms.get(&key)).ok_or(Code::NoSuchRoom)?;
    if user.rooms.contains(&room.name.key) { Ok((user, room)) } else { Err(Code::NotInRoom.into()) }
}

impl Chat {
    /// Who sent a request, and the room that it names, if that person is in it.
    pub(super) fn seat(&self, request: &Request<'_>) -> Result<(&User, &Room), Refusal> {
        seat(&self.users, &self.rooms, request.from, request.required("room")?)
    }

    /// Puts a person into a room that is there, and tells those in it.
    pub(super) fn enter(&mut self, cx: &mut Context<'_>, id: ConnectionId, key: &Key) {
        let (Some(user), Some(room)) = (self.users.get_mut(id), self.rooms.get_mut(key)) else { return };
        // Most people are in one room.
        user.rooms.reserve_exact(1);
        user.rooms.push(Arc::clone(key));
        room.enter(id, &user.name, user.session);
        let untold = user.variables.bytes() > INTRODUCTION_BYTES_MAX;
        let joined = vocabulary::joined(&room.name, user);
        cx.send_all(room.others(id), &joined.attribute_if_some("variables", untold.then_some("true")));
    }

    /// Tells the variables of a person who entered to `others`, unless there are too many to tell unasked.
    pub(super) fn introduce<To: IntoIterator<Item = ConnectionId>>(
        &self,
        cx: &mut Context<'_>,
        id: ConnectionId,
        others: impl Fn() -> To,
    ) {
        let Some(user) = self.users.get(id) else { return };
        if user.variables.bytes() > INTRODUCTION_BYTES_MAX {
            return;
        }
        for variable in user.variables.iter() {
            if cx.send_all(others(), &OfPerson(variable, &user.name)) == 0 {
                return;
            }
        }
    }

    /// Everybody who shares a room with this person, the person included, each once.
    pub(super) fn acquaintances(&self, id: ConnectionId) -> Vec<ConnectionId> {
        let rooms = self.users.get(id).map_or(&[][..], |user| &user.rooms);
        let members = rooms.iter().filter_map(|key| self.rooms.get(key)).map(Room::members);
        if let [_] = rooms {
            return members.flatten().copied().collect();
        }
        // By slots: in fifty rooms of thousands, who was seen already must be found out at once.
        let mut seen = Vec::new();
        let everybody = [id].into_iter().chain(members.flatten().copied());
        everybody
            .filter(|id| {
                let slot = id.slot();
                seen.resize(seen.len().max(slot + 1), false);
                !std::mem::replace(&mut seen[slot], true)
            })
            .collect()
    }

    /// A connection is gone: so is its person, who may come back unless the link was closed on purpose.
    pub(super) fn depart(&mut self, cx: &mut Context<'_>, id: ConnectionId, reason: &CloseReason) {
        let Some(mut user) = self.users.remove(id) else { return };
        let may_return = !matches!(reason, CloseReason::Application { .. });
        let awaited = may_return.then_some(user.session);
        let now = cx.now().instant;
        let mut places = Vec::new();
        for key in std::mem::take(&mut user.rooms) {
            let Some(room) = self.rooms.get_mut(&key) else { continue };
            room.leave(id, &user.name.key, awaited, now);
            let left = vocabulary::left(&room.name, &user.name, Some(reason.code()));
            cx.send_all(room.members().iter().copied(), &left);
            places.push(room.place());
        }
        if may_return {
            let sessions_max = Limits::bound(self.limits().sessions_per_address_max);
            for gone in self.lost.keep(user, places, sessions_max, now) {
                self.give_up(&gone);
            }
        }
    }

    /// Somebody lost does not come back: the rooms that waited for their owner wait no longer.
    pub(super) fn give_up(&mut self, lost: &Lost) {
        for place in &lost.places {
            if let Some(room) = self.rooms.get_mut(&place.key) {
                room.give_up(lost.session);
            }
        }
    }
}
