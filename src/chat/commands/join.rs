//! `<join/>`: into a room, which it makes if there is none, with what was said there.

use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::commands::users::{VARIABLES_SHARE, list};
use crate::chat::error::{Code, Refusal};
use crate::chat::history::{Page, Query};
use crate::chat::name::{Key, Name};
use crate::chat::room::Room;
use crate::chat::vocabulary::{self, Replayed, Written};
use crate::server::{AddressKey, Context};
use crate::wire::Limits;

/// Enters the room, then tells it: who is there, its variables and those of the people listed, what was said. In a
/// room one is in already it only tells.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let name = Name::room(request.required_name("room", Code::BadRoom)?)?;
    let key = Arc::clone(&name.key);
    let (count, after) = (request.number("history")?, request.number("after")?);
    let user = chat.users.get(request.from).ok_or(Code::NotLoggedIn)?;
    let address = user.address;
    if !user.rooms.contains(&key) {
        let password = check(chat, request, &key)?;
        if chat.rooms.get(&key).is_none() {
            make(chat, cx, name, address)?;
        }
        // Whoever makes a room with a password must not find it open because one of that name was left over.
        let is_open = |room: &&mut Room| room.members().is_empty() && room.password().is_none();
        if let (Some(password), Some(room)) = (password, chat.rooms.get_mut(&key).filter(is_open)) {
            room.set_password(Some(password));
        }
        chat.enter(cx, request.from, &key);
        if let Some(room) = chat.rooms.get(&key) {
            chat.introduce(cx, request.from, || room.others(request.from));
        }
    }
    tell(chat, cx, request, &key, count, after)
}

/// Whether the person may enter the room, if it is there. Gives the password that the request names.
fn check<'a>(chat: &Chat, request: &Request<'a>, key: &Key) -> Result<Option<&'a str>, Refusal> {
    let given = request.attribute("password")?.filter(|password| !password.is_empty());
    let password = chat.rooms.get(key).and_then(Room::password);
    if password.is_some() && given != password {
        return Err(Code::WrongPassword.into());
    }
    let rooms = chat.users.get(request.from).map_or(0, |user| user.rooms.len());
    match Limits::bound(chat.limits().rooms_per_user_max) {
        Some(max) if rooms as u64 >= max => Err(Code::TooManyRooms.into()),
        _ => Ok(given),
    }
}

/// Makes the room, for a person from `address`. Where there may be no more, an empty one gives way: one that holds
/// nothing, or else one of the address that made most.
fn make(chat: &mut Chat, cx: &Context<'_>, name: Name, address: AddressKey) -> Result<(), Refusal> {
    let full = |count: usize, max: u64| Limits::bound(max).is_some_and(|max| count as u64 >= max);
    let one = Query { after: None, before: None, count_max: 1, bytes_max: usize::MAX, bytes_more: 0 };
    let silent = |room: &str| chat.history.page(room, &one).records.is_empty();
    let given_up = if full(chat.rooms.made_by(address), chat.limits().rooms_per_address_max) {
        let text = "Your address has made as many rooms as it may have. Join one that is there.";
        Some(chat.rooms.spare(Some(address), silent).ok_or_else(|| Refusal::new(Code::RoomsFull, text))?)
    } else if full(chat.rooms.len(), chat.limits().rooms_max) {
        let spare = chat.rooms.spare(None, silent).or_else(|| chat.rooms.spare_of_most(address));
        Some(spare.ok_or(Code::RoomsFull)?)
    } else {
        None
    };
    if let Some(room) = given_up {
        chat.rooms.remove(&room);
        chat.history.forget(&room);
    }
    let last_id = chat.last_id(cx);
    chat.history.begin(&name.key, last_id);
    chat.rooms.make(name, address, cx.now().instant);
    Ok(())
}

/// Tells the room to who joined it, all within what the outbox takes.
fn tell(
    chat: &mut Chat,
    cx: &mut Context<'_>,
    request: &Request<'_>,
    key: &Key,
    count: Option<u64>,
    after: Option<u64>,
) -> Result<(), Refusal> {
    let last_id = chat.last_id(cx);
    let room = chat.rooms.get(key).ok_or(Code::NoSuchRoom)?;
    let budget = chat.replay_bytes_max();
    let listing = list(&chat.users, room, None, Some(budget / VARIABLES_SHARE));
    let around = request.answer_bytes_more() + vocabulary::written_bytes_max(&room.topic);
    let told = around + listing.people.bytes() + listing.variables_bytes + room.variables.bytes();
    let page = match (count, after) {
        (None, None) => Page::default(),
        (count, after) => {
            // A number that was not given yet is one of an earlier run, whose clock was ahead: nothing is known of it.
            let after = after.map(|after| if after > last_id { 0 } else { after });
            let count_max = count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(usize::MAX));
            let bytes_max = budget.saturating_sub(told);
            chat.history.page(key, &Query { after, before: None, count_max, bytes_max, bytes_more: Replayed::GROWS })
        }
    };
    let truncated = after.is_some() && (page.lost || page.left_out);
    cx.send(request.from, &Written(&vocabulary::room(room, &listing.people, truncated, request.id)));
    room.variables.iter().for_each(|variable| cx.send(request.from, variable));
    listing.variables.iter().for_each(|variable| cx.send(request.from, variable));
    page.records.iter().for_each(|record| cx.send(request.from, &Replayed(record)));
    Ok(())
}
