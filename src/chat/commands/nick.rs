//! `<nick/>`: another name.

use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::name::Name;
use crate::chat::vocabulary;
use crate::server::Context;

/// Renames the person and tells everybody who shares a room, each once. Changing only the case of one's own nick is
/// allowed; so is asking for the nick one has, which concerns nobody else.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let name = Name::nick(request.required_name("name", Code::BadNick)?)?;
    if chat.users.resembles(&name, Some(request.from)) {
        return Err(Code::NickInUse.into());
    }
    let user = chat.users.get(request.from).ok_or(Code::NotLoggedIn)?;
    let old = Arc::clone(&user.name);
    let renamed = vocabulary::renamed(&old, &name);
    if name.shown == old.shown {
        request.answer(cx, renamed);
        return Ok(());
    }
    let name = Arc::new(name);
    for room in &user.rooms {
        if let Some(room) = chat.rooms.get_mut(room) {
            room.rename(&old.key, &name);
        }
    }
    chat.users.rename(request.from, name);
    request.announce(cx, chat.acquaintances(request.from), renamed);
    Ok(())
}
