//! `<topic/>`: what a room is about.

use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::vocabulary;
use crate::server::Context;
use crate::wire::Limits;

/// Without content it asks; text sets the topic and tells all members; white space alone takes it away.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let (user, room) = chat.seat(request)?;
    if request.body().is_empty() {
        request.answer(cx, vocabulary::topic(room, None));
        return Ok(());
    }
    let bytes_max = Limits::bound(chat.limits().topic_bytes_max).and_then(|max| usize::try_from(max).ok());
    let text = request.text("A topic", bytes_max.unwrap_or(usize::MAX))?;
    let text = text.trim();
    let (nick, key) = (Arc::clone(&user.name), Arc::clone(&room.name.key));
    let room = chat.rooms.get_mut(&key).ok_or(Code::NoSuchRoom)?;
    room.topic = text.into();
    request.announce(cx, room.members().iter().copied(), vocabulary::topic(room, Some(&nick)));
    Ok(())
}
