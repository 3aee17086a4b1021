//! Defines the table of commands: element name → handler, and what a handler works with.
//!
//! Knows: which elements are requests, which of them need a login. Must not know: what a command does.

use super::Chat;
use super::commands::{alive, history, join, leave, login, message, nick, password, quit, rooms, set, topic, users};
use super::error::{Code, Refusal};
use super::vocabulary;
use crate::server::{ConnectionId, Context};
use crate::wire::{Document, Element};

/// The most bytes of a request's `id`: it is sent back with the answer.
const ID_BYTES_MAX: usize = 256;

/// The most bytes of an answer's tags, attributes and zero byte, with the name of a room but without topic and `re`.
const ANSWER_BYTES_MORE: usize = 320;

/// What carries a request out. A refusal MUST leave everything as it was.
pub(super) type Handler = fn(&mut Chat, &mut Context<'_>, &Request<'_>) -> Result<(), Refusal>;

/// An element that is a request.
pub(super) struct Command {
    /// The element's name.
    pub(super) name: &'static str,
    /// Whether it is refused before the login.
    pub(super) needs_login: bool,
    pub(super) run: Handler,
}

/// Every request, the most frequent first: the table is searched from its beginning.
pub(super) const COMMANDS: &[Command] = &[
    needs_login("message", message::run),
    needs_login("set", set::run),
    anyone("ping", alive::ping),
    anyone("pong", alive::pong),
    anyone("login", login::run),
    needs_login("join", join::run),
    needs_login("leave", leave::run),
    anyone("quit", quit::run),
    needs_login("nick", nick::run),
    anyone("rooms", rooms::run),
    needs_login("users", users::run),
    needs_login("topic", topic::run),
    needs_login("history", history::run),
    needs_login("room-password", password::run),
];

const fn needs_login(name: &'static str, run: Handler) -> Command {
    Command { name, needs_login: true, run }
}

const fn anyone(name: &'static str, run: Handler) -> Command {
    Command { name, needs_login: false, run }
}

/// The command that an element's name asks for.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// A request, as its handler sees it.
pub(super) struct Request<'a> {
    /// Who sent it.
    pub(super) from: ConnectionId,
    pub(super) document: &'a Document,
    /// What the answer is to carry as `re`.
    pub(super) id: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// The request in a document.
    pub(super) fn new(from: ConnectionId, document: &'a Document) -> Result<Request<'a>, Refusal> {
        let id = document.attribute("id");
        if id.is_some_and(|id| id.len() > ID_BYTES_MAX) {
            return Err(Refusal::new(Code::TooLong, format!("The id of a request has at most {ID_BYTES_MAX} bytes.")));
        }
        Ok(Request { from, document, id })
    }

    /// The name of the root as it was typed: a prefixed name is none of ours.
    pub(super) fn name(&self) -> &'a str {
        let root = self.document.root();
        let text = &root.document().input_text()[root.range()];
        let name = text.strip_prefix('<').unwrap_or_default();
        name.split([' ', '\t', '\r', '\n', '/', '>']).next().unwrap_or_default()
    }

    /// An attribute that may be missing.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.document.attribute(name)
    }

    /// An attribute that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, Refusal> {
        self.attribute(name).ok_or_else(|| {
            let text = format!("<{}> needs the attribute {name}=\"..\".", self.name());
            Refusal::new(Code::BadRequest, text)
        })
    }

    /// An attribute that is a whole number, if it is there.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self.attribute(name) {
            None => Ok(None),
            // More digits than fit mean a number above all others.
            Some(text) if digits(text) => Ok(Some(text.parse().unwrap_or(u64::MAX))),
            Some(_) => Err(Refusal::new(Code::BadRequest, format!("The attribute {name} is not a whole number."))),
        }
    }

    /// The content, where only text makes sense.
    pub(super) fn text(&self) -> Result<String, Refusal> {
        let root = self.document.root();
        if root.children().any(|child| child.is_element()) {
            let text = format!("The content of <{}> is text, without elements.", self.name());
            return Err(Refusal::new(Code::BadRequest, text));
        }
        Ok(root.children().filter(|child| child.is_text()).filter_map(|child| child.text()).collect())
    }

    /// The most bytes that an answer has around what is answered, if it names a room.
    pub(super) fn answer_bytes_more(&self) -> usize {
        ANSWER_BYTES_MORE + self.id.map_or(0, vocabulary::written_bytes_max)
    }

    /// Answers with `element`.
    pub(super) fn answer(&self, cx: &mut Context<'_>, element: Element) {
        cx.send(self.from, &vocabulary::answered(element, self.id));
    }

    /// Sends `element` to each of `to` as news; to who sent the request, who is among them, as the answer.
    pub(super) fn announce(&self, cx: &mut Context<'_>, to: impl IntoIterator<Item = ConnectionId>, element: Element) {
        if self.id.is_none() {
            cx.send_all(to, &element);
            return;
        }
        cx.send_all(to.into_iter().filter(|id| *id != self.from), &element);
        self.answer(cx, element);
    }
}
