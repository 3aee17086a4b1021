//! `<room-password/>`: who may come into a room.

use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::room::Role;
use crate::chat::vocabulary;
use crate::server::Context;

/// The most bytes of a password.
const PASSWORD_BYTES_MAX: usize = 256;

/// Gives the room another password, or none without content. Who is in the room stays in it.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let (user, room) = chat.seat(request)?;
    if room.role(&user.name.key) != Some(Role::Owner) {
        return Err(Code::NotOwner.into());
    }
    let password = request.text()?;
    check(&password)?;
    let key = Arc::clone(&room.name.key);
    let room = chat.rooms.get_mut(&key).ok_or(Code::NoSuchRoom)?;
    room.password = (!password.is_empty()).then(|| password.into());
    cx.send(request.from, &vocabulary::ok(request.id));
    Ok(())
}

/// Refuses a password that is too long to keep.
pub(in crate::chat) fn check(password: &str) -> Result<(), Refusal> {
    if password.len() <= PASSWORD_BYTES_MAX {
        return Ok(());
    }
    Err(Refusal::new(Code::TooLong, format!("The password of a room has at most {PASSWORD_BYTES_MAX} bytes.")))
}
