//! Defines every element that the chat says, built in one place.
//!
//! Frequent frames and long lists are written straight into text, from names that were escaped once; all others are
//! built with [`Element`]. The answer to a request gets the request's `id` as `re`, always its last attribute but for
//! `<ok>` (see [`answered`]).
//!
//! Knows: names and attributes of elements. Must not know: when what is said, and to whom.

use std::fmt::Write;

use super::error::Refusal;
use super::history::Record;
use super::name::Name;
use super::room::{Member, Role, Room};
use super::user::User;
use crate::wire::{Document, Element, Encode, escape};

/// The attribute that marks a message that is told again.
const REPLAYED: &str = " history=\"true\"";

/// A frame that is written already.
pub(super) struct Written<Text>(pub(super) Text);

impl<Text: AsRef<[u8]>> Encode for Written<Text> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_ref());
    }
}

/// The content of a request, to be told exactly as it was sent, with the namespaces that it needs.
#[derive(Clone, Copy)]
pub(super) struct Body<'a>(&'a Document);

impl<'a> Body<'a> {
    /// The content of `document`'s root.
    pub(super) fn new(document: &'a Document) -> Body<'a> {
        Body(document)
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0.content().is_empty()
    }

    /// The bytes that it takes wherever it is told.
    pub(super) fn bytes(self) -> usize {
        let declared = self.0.declarations().map(|(name, value)| " =".len() + name.len() + value.len());
        self.0.content().len() + declared.sum::<usize>()
    }
}

/// A message that is told again: the frame as it was, marked.
pub(super) struct Replayed<'record>(pub(super) &'record Record);

impl Encode for Replayed<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let (tag, rest) = self.0.frame.split_at(self.0.attributes_end.min(self.0.frame.len()));
        out.extend_from_slice(tag);
        out.extend_from_slice(REPLAYED.as_bytes());
        out.extend_from_slice(rest);
    }
}

impl Replayed<'_> {
    /// Bytes that a message grows by when it is told again, its zero byte counted.
    pub(super) const GROWS: usize = REPLAYED.len() + 1;
}

/// `element` as the answer to a request with this id.
pub(super) fn answered(element: Element, id: Option<&str>) -> Element {
    element.attribute_if_some("re", id)
}

/// A request was refused.
pub(super) fn error(refusal: &Refusal, id: Option<&str>) -> Element {
    answered(Element::new("error").attribute("code", refusal.code.as_str()), id).text(&refusal.text)
}

/// A request was carried out, and there is nothing else to say.
pub(super) fn ok(id: Option<&str>) -> Element {
    answered(Element::new("ok"), id)
}

/// Writes into `frame`, which is overwritten, that the message was sent under this number, and to which person.
pub(super) fn ok_message(frame: &mut String, id: &str, message: u64, person: Option<u64>) {
    frame.clear();
    frame.push_str("<ok");
    push_re(frame, Some(id));
    let _ = write!(frame, " message=\"{message}\"");
    push_person(frame, person);
    frame.push_str("/>");
}

/// The server would like a sign of life.
pub(super) fn ping() -> Element {
    Element::new("ping")
}

/// A sign of life.
pub(super) fn pong() -> Element {
    Element::new("pong")
}

/// The last frame of a connection.
pub(super) fn bye(reason: &str) -> Element {
    Element::new("bye").attribute("reason", reason)
}

/// What is said to who logged in.
pub(super) struct Welcome<'a> {
    pub(super) nick: &'a Name,
    pub(super) session: String,
    pub(super) server: &'a str,
    pub(super) version: &'a str,
    pub(super) time: &'a str,
    /// Whether the session was one that was there.
    pub(super) resumed: bool,
}

impl Welcome<'_> {
    pub(super) fn element(&self) -> Element {
        Element::new("welcome")
            .attribute("nick", &self.nick.shown)
            .attribute("session", &self.session)
            .attribute("server", self.server)
            .attribute("version", self.version)
            .attribute("time", self.time)
            .attribute("guest", "true")
            .attribute_if_some("resumed", self.resumed.then_some("true"))
    }
}

/// Somebody has another nick.
pub(super) fn renamed(from: &Name, to: &Name) -> Element {
    Element::new("renamed").attribute("from", &from.shown).attribute("nick", &to.shown)
}

/// Somebody entered a room.
pub(super) fn joined(room: &Name, user: &User) -> Element {
    let joined = Element::new("joined").attribute("room", &room.shown).attribute("nick", &user.name.shown);
    joined.attribute("person", user.number)
}

/// Somebody left a room.
pub(super) fn left(room: &Name, nick: &Name, reason: Option<&str>) -> Element {
    Element::new("left")
        .attribute("room", &room.shown)
        .attribute("nick", &nick.shown)
        .attribute_if_some("reason", reason)
}

/// A room's topic; `from` when it was just set.
pub(super) fn topic(room: &Room, from: Option<&Name>) -> Element {
    Element::new("topic")
        .attribute("room", &room.name.shown)
        .attribute_if_some("from", from.map(|name| &name.shown))
        .text(&room.topic)
}

/// A room's variable.
pub(super) fn set_of_room(room: &Name, name: &str, value: Body<'_>) -> Element {
    Element::new("set").attribute("room", &room.shown).attribute("name", name).content_of(value.0)
}

/// A person's variable, without saying whose: that may change. See [`OfPerson`].
pub(super) fn set_of_person(name: &str, value: Body<'_>) -> Element {
    Element::new("set").attribute("name", name).content_of(value.0)
}

/// A variable as it is kept: the frame that told it when it was set, so that telling it again costs copying alone.
pub(super) struct Variable {
    written: Box<str>,
    /// The position after the last attribute.
    attributes_end: usize,
}

impl Variable {
    /// What `set` says, whose content is that of `value` and is not empty.
    pub(super) fn new(set: &Element, value: Body<'_>) -> Variable {
        let written = set.to_string().into_boxed_str();
        let attributes_end = written.len().saturating_sub("></set>".len() + value.0.content().len());
        Variable { written, attributes_end }
    }

    /// The bytes of the frame.
    pub(super) fn bytes(&self) -> usize {
        self.written.len()
    }
}

impl Encode for Variable {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.written.as_bytes());
    }
}

/// A person's variable, saying whose it is.
pub(super) struct OfPerson<'a>(pub(super) &'a Variable, pub(super) &'a Name);

impl Encode for OfPerson<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let OfPerson(variable, nick) = self;
        let (tag, rest) = variable.written.as_bytes().split_at(variable.attributes_end);
        for piece in [tag, b" nick=\"", nick.escaped.as_bytes(), b"\"", rest] {
            out.extend_from_slice(piece);
        }
    }
}

/// Where a message goes.
pub(super) enum Addressee<'a> {
    Room(&'a Name),
    Person(&'a Name),
}

/// Writes a message into `frame`, which is overwritten. It is from a name, and says from which person if that is given.
/// Gives the position after its last attribute.
pub(super) fn message(
    frame: &mut String,
    id: u64,
    place: &Addressee<'_>,
    (from, person): (&Name, Option<u64>),
    time: &str,
    body: Body<'_>,
) -> usize {
    let (attribute, name) = match place {
        Addressee::Room(name) => ("room", name),
        Addressee::Person(name) => ("to", name),
    };
    frame.clear();
    let _ = write!(frame, "<message id=\"{id}\"");
    push_attribute(frame, attribute, &name.escaped);
    push_attribute(frame, "from", &from.escaped);
    push_person(frame, person);
    push_attribute(frame, "time", time);
    for (name, value) in body.0.declarations() {
        let _ = write!(frame, " {name}={value}");
    }
    let attributes_end = frame.len();
    close_element(frame, "message", body.0.content());
    attributes_end
}

/// The people of a room, or a page of them.
pub(super) struct People {
    entries: String,
    pub(super) listed: usize,
}

impl People {
    pub(super) fn new() -> People {
        People { entries: String::new(), listed: 0 }
    }

    pub(super) fn push(&mut self, member: &Member, role: Role, person: Option<u64>) {
        self.listed += 1;
        self.entries.push_str("<user");
        push_attribute(&mut self.entries, "nick", &member.name.escaped);
        push_attribute(&mut self.entries, "role", role.as_str());
        push_person(&mut self.entries, person);
        self.entries.push_str("/>");
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.len()
    }
}

/// A room, for who joined it. `truncated`: the history does not reach back to where it was asked from.
pub(super) fn room(room: &Room, people: &People, truncated: bool, id: Option<&str>) -> String {
    let mut frame = String::with_capacity(people.entries.len() + 256);
    frame.push_str("<room");
    push_attribute(&mut frame, "name", &room.name.escaped);
    push_attribute(&mut frame, "topic", &escape(&room.topic));
    let _ = write!(frame, " users=\"{}\"", room.members().len());
    push_flag(&mut frame, "truncated", truncated);
    push_re(&mut frame, id);
    close_element(&mut frame, "room", &people.entries);
    frame
}

/// People of a room, for who asked. `more`: there are others behind them.
pub(super) fn users(room: &Room, people: &People, more: bool, id: Option<&str>) -> String {
    let mut frame = String::with_capacity(people.entries.len() + 256);
    frame.push_str("<users");
    push_attribute(&mut frame, "room", &room.name.escaped);
    let _ = write!(frame, " users=\"{}\"", room.members().len());
    push_flag(&mut frame, "more", more);
    push_re(&mut frame, id);
    close_element(&mut frame, "users", &people.entries);
    frame
}

/// Appends one room to the entries of the list of rooms. What a room with a password is about is not told to who is
/// outside.
pub(super) fn push_room(entries: &mut String, room: &Room, inside: bool) {
    let locked = room.password().is_some();
    entries.push_str("<room");
    push_attribute(entries, "name", &room.name.escaped);
    let _ = write!(entries, " users=\"{}\"", room.members().len());
    let topic = if room.topic.is_empty() || locked && !inside { String::new() } else { escape(&room.topic) };
    push_attribute(entries, "topic", &topic);
    push_flag(entries, "locked", locked);
    entries.push_str("/>");
}

/// The list of rooms, from their entries.
pub(super) fn rooms(entries: &str, more: bool, id: Option<&str>) -> String {
    let mut frame = String::with_capacity(entries.len() + 64);
    frame.push_str("<rooms");
    push_flag(&mut frame, "more", more);
    push_re(&mut frame, id);
    close_element(&mut frame, "rooms", entries);
    frame
}

/// Messages of a room, each as it was sent. `more`: there are older ones.
pub(super) fn history(room: &Name, records: &[Record], more: bool, id: Option<&str>) -> Vec<u8> {
    let mut frame = String::from("<history");
    push_attribute(&mut frame, "room", &room.escaped);
    push_flag(&mut frame, "more", more);
    push_re(&mut frame, id);
    if records.is_empty() {
        close_element(&mut frame, "history", "");
        return frame.into_bytes();
    }
    frame.push('>');
    let mut bytes = frame.into_bytes();
    records.iter().for_each(|record| Replayed(record).encode(&mut bytes));
    bytes.extend_from_slice(b"</history>");
    bytes
}

/// The most bytes that `text` has once it is escaped.
pub(super) fn written_bytes_max(text: &str) -> usize {
    6 * text.len()
}

fn push_person(frame: &mut String, person: Option<u64>) {
    if let Some(person) = person {
        let _ = write!(frame, " person=\"{person}\"");
    }
}

fn push_re(frame: &mut String, id: Option<&str>) {
    if let Some(id) = id {
        push_attribute(frame, "re", &escape(id));
    }
}

fn push_flag(frame: &mut String, name: &str, set: bool) {
    if set {
        push_attribute(frame, name, "true");
    }
}

/// Appends an attribute whose value is escaped already.
fn push_attribute(frame: &mut String, name: &str, written: &str) {
    frame.push(' ');
    frame.push_str(name);
    push_attribute_value(frame, written);
}

fn push_attribute_value(frame: &mut String, written: &str) {
    frame.push_str("=\"");
    frame.push_str(written);
    frame.push('"');
}

/// Ends a start tag, and the element after its content.
fn close_element(frame: &mut String, name: &str, content: &str) {
    if content.is_empty() {
        frame.push_str("/>");
        return;
    }
    frame.push('>');
    frame.push_str(content);
    frame.push_str("</");
    frame.push_str(name);
    frame.push('>');
}
