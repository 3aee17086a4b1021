//! `<topic/>`: what a room is about.

use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::vocabulary;
use crate::server::Context;

/// Without content it asks; text sets the topic and tells all members; white space alone takes it away.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let (user, room) = chat.seat(request)?;
    if request.document.content().is_empty() {
        request.answer(cx, vocabulary::topic(room, None));
        return Ok(());
    }
    let text = request.text()?;
    let text = text.trim();
    let bytes_max = chat.limits().topic_bytes_max;
    if bytes_max != 0 && text.len() as u64 > bytes_max {
        return Err(Refusal::new(Code::TooLong, format!("A topic has at most {bytes_max} bytes.")));
    }
    let (nick, key) = (Arc::clone(&user.name), Arc::clone(&room.name.key));
    let room = chat.rooms.get_mut(&key).ok_or(Code::NoSuchRoom)?;
    room.topic = text.into();
    request.announce(cx, room.members().iter().copied(), vocabulary::topic(room, Some(&nick)));
    Ok(())
}
