//! `<ping/>` and `<pong/>`: signs of life, before and after the login.

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::Refusal;
use crate::chat::vocabulary;
use crate::server::Context;

/// Answers.
pub(in crate::chat) fn ping(_: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    request.answer(cx, vocabulary::pong());
    Ok(())
}

/// Is an answer itself: that a frame came is all there is to it.
pub(in crate::chat) fn pong(_: &mut Chat, _: &mut Context<'_>, _: &Request<'_>) -> Result<(), Refusal> {
    Ok(())
}
