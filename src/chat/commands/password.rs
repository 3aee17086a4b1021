//! `<room-password/>`: who may come into a room.

use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::room::Role;
use crate::chat::vocabulary;
use crate::server::Context;

/// The most bytes of a password: as many as an attribute may have, where a join names it.
const PASSWORD_BYTES_MAX: usize = 256;

/// Gives the room another password, or none without content. Who is in the room stays in it.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let (_, room) = chat.seat(request)?;
    if room.role(request.from) != Role::Owner {
        return Err(Code::NotOwner.into());
    }
    let password = request.text("The password of a room", PASSWORD_BYTES_MAX)?;
    let key = Arc::clone(&room.name.key);
    let room = chat.rooms.get_mut(&key).ok_or(Code::NoSuchRoom)?;
    room.set_password(Some(&*password).filter(|password| !password.is_empty()));
    cx.send(request.from, &vocabulary::ok(request.id));
    Ok(())
}
