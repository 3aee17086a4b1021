//! `<login/>`: who one is. With the session of another link, the way back to it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::name::Name;
use crate::chat::user::{Session, User};
use crate::chat::variables::Variables;
use crate::chat::vocabulary::{self, Welcome};
use crate::server::{AddressKey, CloseReason, ConnectionId, Context};

/// Logs in: over an open link of the same session, out of a lost one, or as somebody new. A session that is not
/// known (any longer) is no mistake: the client learns from the answer that it has another one.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    if chat.users.get(request.from).is_some() {
        return Err(Code::AlreadyLoggedIn.into());
    }
    let session = request.attribute("session")?.and_then(Session::parse);
    let resumed = match session {
        Some(session) if chat.users.with_session(session).is_some() => take_over(chat, cx, request, session),
        Some(session) if chat.lost.get(session).is_some() => {
            come_back(chat, cx, request, session)?;
            true
        }
        _ => {
            let name = Arc::new(wanted(chat, request)?);
            let session = Session::new(&mut *chat.random);
            let number = chat.next_person(cx);
            enter(chat, cx, request.from, (name, number, session), Variables::default());
            false
        }
    };
    welcome(chat, cx, request, resumed);
    Ok(())
}

/// The nick that the request asks for.
fn wanted(chat: &Chat, request: &Request<'_>) -> Result<Name, Refusal> {
    let name = Name::nick(request.required_name("nick", Code::BadNick)?)?;
    if chat.users.resembles(&name, None) { Err(Code::NickInUse.into()) } else { Ok(name) }
}

/// Takes somebody in who is in no room yet.
fn enter(
    chat: &mut Chat,
    cx: &mut Context<'_>,
    id: ConnectionId,
    (name, number, session): (Arc<Name>, u64, Session),
    variables: Variables,
) {
    let address = address(cx, id);
    chat.users.insert(id, User { name, number, session, rooms: Vec::new(), variables, address });
    chat.guests.remove(&id);
}

/// Under which address somebody is counted.
fn address(cx: &mut Context<'_>, id: ConnectionId) -> AddressKey {
    AddressKey::of(cx.peer(id).map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.address.ip()))
}

/// Moves a person from the link that the session is on to this one; nobody else notices.
fn take_over(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>, session: Session) -> bool {
    let Some(old) = chat.users.with_session(session) else { return false };
    let Some(user) = chat.users.remove(old) else { return false };
    for room in &user.rooms {
        if let Some(room) = chat.rooms.get_mut(room) {
            room.move_to(&user.name.key, old, request.from);
        }
    }
    chat.users.insert(request.from, User { address: address(cx, request.from), ..user });
    chat.guests.remove(&request.from);
    cx.send(old, &vocabulary::bye("taken-over"));
    cx.close(old, CloseReason::application("taken-over", "another connection took its session over"));
    true
}

/// Brings a person back whose link was lost, under the nick of then, or under the one asked for if that is taken: into
/// the rooms that still are what they were. One that ended and was made again, or got another password, is another's.
fn come_back(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>, session: Session) -> Result<(), Refusal> {
    let Some(lost) = chat.lost.get(session) else { return Ok(()) };
    let name =
        if chat.users.resembles(&lost.name, None) { Arc::new(wanted(chat, request)?) } else { Arc::clone(&lost.name) };
    let Some(lost) = chat.lost.find(session) else { return Ok(()) };
    enter(chat, cx, request.from, (name, lost.number, session), lost.variables);
    for place in lost.places {
        if chat.rooms.get(&place.key).is_some_and(|room| room.admits(&place)) {
            chat.enter(cx, request.from, &place.key);
        }
    }
    let others: Vec<ConnectionId> = chat.acquaintances(request.from);
    chat.introduce(cx, request.from, || others.iter().copied().filter(|id| *id != request.from));
    Ok(())
}

fn welcome(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>, resumed: bool) {
    let Some(user) = chat.users.get(request.from) else { return };
    let welcome = Welcome {
        nick: &user.name,
        session: user.session.to_string(),
        server: &chat.settings.name,
        version: &chat.settings.version,
        time: chat.clock.write(cx.now().unix),
        resumed,
    };
    request.answer(cx, welcome.element());
}
