//! `<rooms/>`: which rooms there are. Allowed before the login, so that a login page can show them.

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::name;
use crate::chat::vocabulary::{self, Written};
use crate::server::Context;

/// The most rooms of one page, and the most bytes: whoever asks need not have logged in.
const PAGE_MAX: usize = 200;
const PAGE_BYTES_MAX: usize = 64 << 10;

/// Lists the rooms after `after`, in the order of their names, a page at a time.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let after = match request.attribute_name("after", Code::BadRoom)? {
        Some(room) => Some(name::key(room).ok_or(Code::BadRoom)?),
        None => None,
    };
    let inside = chat.users.get(request.from).map_or(&[][..], |user| &user.rooms);
    let bytes_max = chat.answer_bytes_max().min(PAGE_BYTES_MAX).saturating_sub(request.answer_bytes_more());
    let (mut entries, mut more) = (String::new(), false);
    for (n, room) in chat.rooms.sorted(after.as_deref()).enumerate() {
        let before = entries.len();
        if n == PAGE_MAX {
            more = true;
            break;
        }
        vocabulary::push_room(&mut entries, room, inside.contains(&room.name.key));
        if before > 0 && entries.len() > bytes_max {
            entries.truncate(before);
            more = true;
            break;
        }
    }
    cx.send(request.from, &Written(&vocabulary::rooms(&entries, more, request.id)));
    Ok(())
}
