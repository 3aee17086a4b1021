//! `<users/>`: who is in a room, a page at a time.

use crate::chat::Chat;
use crate::chat::command::Request;
use crate::chat::error::{Code, Refusal};
use crate::chat::name;
use crate::chat::room::Room;
use crate::chat::user::Users;
use crate::chat::vocabulary::{self, OfPerson, People, Written};
use crate::server::Context;

/// The most people of one page.
const PAGE_MAX: usize = 200;

/// Which part of what one request may bring at once is for people's variables.
pub(in crate::chat) const VARIABLES_SHARE: usize = 2;

/// What a variable counts beside its bytes: to send a frame takes time, however short it is.
pub(in crate::chat) const FRAME_BYTES: usize = 96;

/// Lists those after the nick `after`, in the order of nicks. With `variables="true"` it tells their variables, too,
/// and lists only as many people as that leaves room for.
pub(in crate::chat) fn run(chat: &mut Chat, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
    let (_, room) = chat.seat(request)?;
    let after = match request.attribute_name("after", Code::BadNick)? {
        Some(nick) => Some(name::key(nick).ok_or(Code::BadNick)?),
        None => None,
    };
    let wanted = request.attribute("variables")? == Some("true");
    let variables_bytes_max = wanted.then(|| chat.replay_bytes_max() / VARIABLES_SHARE);
    let listing = list(&chat.users, room, after.as_deref(), variables_bytes_max);
    cx.send(request.from, &Written(&vocabulary::users(room, &listing.people, listing.more, request.id)));
    listing.variables.iter().for_each(|variable| cx.send(request.from, variable));
    Ok(())
}

/// A page of people, and their variables if they are wanted.
pub(in crate::chat) struct Listing<'a> {
    pub(in crate::chat) people: People,
    /// Frames that tell the variables of all who are listed.
    pub(in crate::chat) variables: Vec<OfPerson<'a>>,
    /// The bytes of `variables`.
    pub(in crate::chat) variables_bytes: usize,
    /// Whether there are others behind them.
    more: bool,
}

/// The people of `room` after the nick that is compared by `after`. Their variables are wanted if there is a bound
/// for them; then those are not listed whose variables do not fit, but always one, so that a client that turns pages
/// comes to an end.
pub(in crate::chat) fn list<'a>(
    users: &'a Users,
    room: &'a Room,
    after: Option<&str>,
    variables_bytes_max: Option<usize>,
) -> Listing<'a> {
    let mut listing = Listing { people: People::new(), variables: Vec::new(), variables_bytes: 0, more: false };
    for member in room.roster(after) {
        let user = users.get(member.id);
        let told = user.filter(|_| variables_bytes_max.is_some());
        // Each frame also says whose variable it is, and ends.
        let each = member.name.escaped.len() + " nick=\"\"\0".len() + FRAME_BYTES;
        let bytes = told.map_or(0, |user| user.variables.bytes() + user.variables.len() * each);
        let fits = variables_bytes_max.is_none_or(|max| listing.variables_bytes + bytes <= max);
        if listing.people.listed == PAGE_MAX || listing.people.listed > 0 && !fits {
            listing.more = true;
            break;
        }
        listing.people.push(member, room.role(member.id), user.map(|user| user.number));
        listing.variables_bytes += bytes;
        let variables = told.into_iter().flat_map(|user| user.variables.iter());
        listing.variables.extend(variables.map(|variable| OfPerson(variable, &member.name)));
    }
    listing
}
