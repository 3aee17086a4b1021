//! `<history/>`: what was said in a room before.

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::Refusal;
use crate::chat::history::Query;
use crate::chat::vocabulary::{self, Replayed, Written};
use crate::server::Context;

/// Messages of one answer, unless it is asked for more.
const LIMIT: u64 = 50;

/// Tells the newest messages, or the newest before the number `before`, oldest first, as many as fit one answer.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let (_, room) = chat.seat(request)?;
    let before = request.number("before")?;
    let limit = request.number("limit")?.unwrap_or(LIMIT);
    let query = Query {
        after: None,
        before,
        count_max: usize::try_from(limit).unwrap_or(usize::MAX),
        bytes_max: chat.answer_bytes_max().saturating_sub(request.answer_bytes_more()),
        bytes_more: Replayed::GROWS,
    };
    let mut page = chat.history.page(&room.name.key, &query);
    if page.records.is_empty() && page.left_out && limit > 0 {
        // One message alone is too long for a small outbox: without it the pages before it could not be reached.
        page = chat.history.page(&room.name.key, &Query { count_max: 1, bytes_max: usize::MAX, ..query });
    }
    let frame = vocabulary::history(&room.name, &page.records, page.left_out, request.id);
    cx.send(request.from, &Written(frame));
    Ok(())
}
