//! `<message/>`: to a room or a person, the content exactly as it was sent.

use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::history::Record;
use crate::chat::name::{self, Typed};
use crate::chat::presence::seat;
use crate::chat::vocabulary::{self, Addressee, Written};
use crate::server::Context;
use crate::wire::SENT_FRAME_BYTES_MAX;

/// The most bytes of a message's frame: what is left is for what surrounds it when it is told again.
const MESSAGE_BYTES_MAX: usize = SENT_FRAME_BYTES_MAX - (4 << 10);

/// The capacity that is kept for writing messages.
const CAPACITY_KEPT: usize = 64 << 10;

/// Numbers and stamps the message, and sends it. This is the path that everything else in the chat is built around:
/// the frame is written once, whoever gets it, and shared with the history.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let id = chat.last_id(cx) + 1;
    let person = match (request.attribute("room")?, request.attribute("to")?) {
        (Some(room), None) => to_room(chat, cx, request, id, room).map(|()| None)?,
        (None, Some(nick)) => Some(to_person(chat, cx, request, id, nick)?),
        _ => {
            let text = "A message goes to one place: <message room=\"..\"> or <message to=\"..\">.";
            return Err(Refusal::new(Code::BadRequest, text));
        }
    };
    if let Some(request_id) = request.id {
        vocabulary::ok_message(&mut chat.frame, request_id, id, person);
        cx.send(request.from, &Written(&chat.frame));
    }
    chat.frame.shrink_to(CAPACITY_KEPT);
    Ok(())
}

fn to_room(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>, id: u64, room: &str) -> Result<(), Refusal> {
    let (user, room) = seat(&chat.users, &chat.rooms, request.from, room)?;
    let time = chat.clock.write(cx.now().unix);
    let place = Addressee::Room(&room.name);
    let attributes_end = vocabulary::message(&mut chat.frame, id, &place, (&user.name, None), time, request.body());
    check_length(&chat.frame)?;
    // Before anybody sees it: a number is never given twice, whatever happens from here on.
    chat.last_id = Some(id);
    cx.send_all(room.members().iter().copied(), &Written(&chat.frame));
    chat.history.append(&room.name.key, Record { id, frame: Arc::from(chat.frame.as_bytes()), attributes_end });
    Ok(())
}

/// Sends it to who has the nick, if that is the person whom the request means. Gives that person's number.
fn to_person(
    chat: &mut Chat,
    cx: &mut Context<'_>,
    request: &Request<'_>,
    id: u64,
    nick: &str,
) -> Result<u64, Refusal> {
    let meant = request.number("person")?;
    let receiver =
        Typed::new(nick).and_then(name::key).and_then(|key| chat.users.with_nick(&key)).ok_or(Code::NoSuchUser)?;
    let (Some(user), Some(to)) = (chat.users.get(request.from), chat.users.get(receiver)) else {
        return Err(Code::NoSuchUser.into());
    };
    // Whoever took the nick since is somebody else.
    if meant.is_some_and(|meant| meant != to.number) {
        return Err(Refusal::new(Code::NoSuchUser, "Who has this nick now is not the person that you mean."));
    }
    let number = to.number;
    let time = chat.clock.write(cx.now().unix);
    let place = Addressee::Person(&to.name);
    vocabulary::message(&mut chat.frame, id, &place, (&user.name, Some(user.number)), time, request.body());
    check_length(&chat.frame)?;
    chat.last_id = Some(id);
    let both = [receiver, request.from];
    let receivers = if receiver == request.from { &both[..1] } else { &both[..] };
    cx.send_all(receivers.iter().copied(), &Written(&chat.frame));
    Ok(number)
}

fn check_length(frame: &str) -> Result<(), Refusal> {
    if frame.len() <= MESSAGE_BYTES_MAX {
        return Ok(());
    }
    let text = format!("A message has at most {MESSAGE_BYTES_MAX} bytes with the attributes that the server adds.");
    Err(Refusal::new(Code::TooLong, text))
}
