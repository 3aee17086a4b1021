//! `<leave/>`: out of a room.

use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::vocabulary;
use crate::server::Context;

/// Takes the person out of the room, which is inherited if it was the owner who left, and tells those in it.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let (_, room) = chat.seat(request)?;
    let everybody = room.members().to_vec();
    let key = Arc::clone(&room.name.key);
    let (Some(user), Some(room)) = (chat.users.get_mut(request.from), chat.rooms.get_mut(&key)) else {
        return Err(Code::NotInRoom.into());
    };
    user.rooms.retain(|room| *room != key);
    room.leave(request.from, &user.name.key, None, cx.now().instant);
    request.announce(cx, everybody, vocabulary::left(&room.name, &user.name, None));
    Ok(())
}
