//! `<quit/>`: ends the connection and the session.

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::Refusal;
use crate::chat::vocabulary;
use crate::server::{CloseReason, Context};

/// Says farewell, tells the rooms and closes. The nick is free from here on, however soon somebody asks for it.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let reason = CloseReason::application("quit", "it quit");
    request.answer(cx, vocabulary::bye("quit"));
    chat.depart(cx, request.from, &reason);
    cx.close(request.from, reason);
    Ok(())
}
