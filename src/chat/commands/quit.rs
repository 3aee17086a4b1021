//! `<quit/>`: ends the connection and the session.

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::Refusal;
use crate::chat::vocabulary;
use crate::server::{CloseReason, Context};

/// Says farewell and closes; people are told when the connection is gone.
pub(in crate::chat) fn run(_: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    request.answer(cx, vocabulary::bye("quit"));
    cx.close(request.from, CloseReason::application("quit", "it quit"));
    Ok(())
}
