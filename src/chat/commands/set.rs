//! `<set/>`: variables of a room or of oneself.

use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::{variables, vocabulary};
use crate::server::Context;

/// Keeps the value, exactly as it was sent, and tells all members of the room, or all who share a room; an empty one
/// deletes the variable. Any member may set any variable of a room.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let name = request.required("name")?;
    variables::check(name, request.body())?;
    match request.attribute("room")? {
        Some(_) => of_room(chat, cx, request, name),
        None => of_person(chat, cx, request, name),
    }
}

fn of_room(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>, name: &str) -> Result<(), Refusal> {
    let most = chat.variables_most();
    let key = Arc::clone(&chat.seat(request)?.1.name.key);
    let room = chat.rooms.get_mut(&key).ok_or(Code::NoSuchRoom)?;
    let set = vocabulary::set_of_room(&room.name, name, request.body());
    room.variables.set(name, request.body(), &set, most)?;
    request.announce(cx, room.members().iter().copied(), set);
    Ok(())
}

fn of_person(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>, name: &str) -> Result<(), Refusal> {
    let most = chat.variables_most();
    let user = chat.users.get_mut(request.from).ok_or(Code::NotLoggedIn)?;
    let set = vocabulary::set_of_person(name, request.body());
    user.variables.set(name, request.body(), &set, most)?;
    let told = set.attribute("nick", &user.name.shown);
    request.announce(cx, chat.acquaintances(request.from), told);
    Ok(())
}
