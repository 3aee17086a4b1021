//! Defines the table of commands: element name → handler, and what a handler works with.
//!
//! Knows: which elements are requests, which of them need a login. Must not know: what a command does.

use super::Chat;
use super::commands::{alive, history, join, leave, login, message, nick, password, quit, rooms, set, topic, users};
use super::error::{Code, Refusal};
use super::name::Typed;
use super::vocabulary::{self, Body};
use crate::server::{ConnectionId, Context};
use crate::wire::{Document, Element};

/// The most characters of a request's name that are looked at: more than any that is known has.
const NAME_CHARACTERS_MAX: usize = 64;

/// The most bytes of any attribute that the chat looks at.
const ATTRIBUTE_BYTES_MAX: usize = 256;

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

/// A request, as its handler sees it: each string that comes from the peer has met its bound before a handler gets it,
/// because there is no other way to it than these methods.
pub(super) struct Request<'a> {
    /// Who sent it.
    pub(super) from: ConnectionId,
    document: &'a Document,
    /// What the answer is to carry as `re`.
    pub(super) id: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// The request in a document.
    pub(super) fn new(from: ConnectionId, document: &'a Document) -> Result<Request<'a>, Refusal> {
        let request = Request { from, document, id: None };
        let id = request.attribute("id")?;
        Ok(Request { id, ..request })
    }

    /// The name of the root as it was typed, or the beginning of a long one: a prefixed name is none of ours.
    pub(super) fn name(&self) -> &'a str {
        let root = self.document.root();
        let text = &root.document().input_text()[root.range()];
        let name = text.strip_prefix('<').unwrap_or_default();
        let name = name.char_indices().nth(NAME_CHARACTERS_MAX).map_or(name, |(end, _)| &name[..end]);
        name.split([' ', '\t', '\r', '\n', '/', '>']).next().unwrap_or_default()
    }

    /// An attribute that may be missing.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let value = self.document.attribute(name);
        if value.is_some_and(|value| value.len() > ATTRIBUTE_BYTES_MAX) {
            let text = format!("The attribute {name} has at most {ATTRIBUTE_BYTES_MAX} bytes.");
            return Err(Refusal::new(Code::TooLong, text));
        }
        Ok(value)
    }

    /// An attribute that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, Refusal> {
        self.attribute(name)?.ok_or_else(|| {
            let text = format!("<{}> needs the attribute {name}=\"..\".", self.name());
            Refusal::new(Code::BadRequest, text)
        })
    }

    /// An attribute that must be there and hold a name; `otherwise` says what is wrong with one that is too long.
    pub(super) fn required_name(&self, name: &str, otherwise: Code) -> Result<Typed<'a>, Refusal> {
        Typed::new(self.required(name)?).ok_or(otherwise.into())
    }

    /// An attribute that holds a name, if it is there; `otherwise` says what is wrong with one that is too long.
    pub(super) fn attribute_name(&self, name: &str, otherwise: Code) -> Result<Option<Typed<'a>>, Refusal> {
        let typed = |text| Typed::new(text).ok_or(otherwise.into());
        self.attribute(name)?.map(typed).transpose()
    }

    /// An attribute that is a whole number, if it is there.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self.attribute(name)? {
            None => Ok(None),
            // More digits than fit mean a number above all others.
            Some(text) if digits(text) => Ok(Some(text.parse().unwrap_or(u64::MAX))),
            Some(_) => Err(Refusal::new(Code::BadRequest, format!("The attribute {name} is not a whole number."))),
        }
    }

    /// The content as it was sent, of at most the bytes of a frame: it is told on, or weighed, and not looked into.
    pub(super) fn body(&self) -> Body<'a> {
        Body::new(self.document)
    }

    /// The content, where only text makes sense, of at most `bytes_max` bytes; `what` it is.
    pub(super) fn text(&self, what: &str, bytes_max: usize) -> Result<String, Refusal> {
        let root = self.document.root();
        let mut all = String::new();
        for child in root.children() {
            if child.is_element() {
                let text = format!("The content of <{}> is text, without elements.", self.name());
                return Err(Refusal::new(Code::BadRequest, text));
            }
            let text = child.text().filter(|_| child.is_text()).unwrap_or_default();
            if all.len() + text.len() > bytes_max {
                return Err(Refusal::new(Code::TooLong, format!("{what} has at most {bytes_max} bytes.")));
            }
            all.push_str(text);
        }
        Ok(all)
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
