//! Defines what a frame says to a [`Session`], and what it changes there.
//!
//! Knows: the elements that the chat sends. Must not know: lines that are typed, sockets, the screen.

use super::{Entering, Room, Session, Step, same};
use crate::cli::chat::speech::content;
use xmlsocket::wire::{Document, Element, Frame};

/// Nodes of a frame that is parsed: a server's list of rooms may be long.
const NODES_MAX: u32 = 1 << 20;

impl Session {
    /// What a frame says.
    pub(in super::super) fn on_frame(&mut self, frame: &Frame) -> Vec<Step> {
        let document = match Document::parse(frame.clone(), NODES_MAX) {
            Ok(document) => document,
            // Some servers send empty frames as signs of life.
            Err((frame, _)) if frame.is_empty() => return Vec::new(),
            Err((frame, _)) => return vec![Step::Show(format!("?? {}", self.speech.text(&frame.lossy())))],
        };
        let answered = document.attribute("re").is_some_and(|re| {
            let before = self.waiting.len();
            self.waiting.retain(|id| id != re);
            self.waiting.len() < before
        });
        let entered = document.attribute("re").and_then(|re| {
            let place = self.entering.iter().position(|entering| entering.id == re)?;
            Some(self.entering.remove(place))
        });
        let get = |name: &str| document.attribute(name).unwrap_or_default();
        match document.root().tag_name().name() {
            "welcome" if self.was_there => self.on_welcome_back(&document),
            "welcome" => self.on_welcome(&document),
            "room" => self.on_room(&document, entered),
            "message" => self.on_message(&document),
            "joined" => {
                self.tell(format!("-- {} entered {}", self.speech.name(get("nick")), self.speech.text(get("room"))))
            }
            "left" => self.on_left(&document),
            "renamed" => self.on_renamed(get("from"), get("nick")),
            "topic" => self.on_topic(&document),
            "users" => self.on_users(&document),
            "rooms" => self.on_rooms(&document),
            "error" => self.on_error(&document, answered, entered),
            "ping" => {
                vec![Step::Send(Element::new("pong").attribute_if_some("re", document.attribute("id")))]
            }
            "bye" => {
                self.farewell = Some(self.speech.text(get("reason")));
                Vec::new()
            }
            // Variables are for programs; the others answer what is not asked here, or say only that all is well.
            "ok" | "pong" | "set" | "history" => Vec::new(),
            _ => self.tell(format!("?? {}", self.speech.text(&document.frame().lossy()))),
        }
    }

    fn tell(&self, text: String) -> Vec<Step> {
        vec![Step::Show(text)]
    }

    fn on_login(&mut self, document: &Document) {
        self.logged_in = true;
        self.was_there = true;
        if let Some(nick) = document.attribute("nick") {
            nick.clone_into(&mut self.nick);
        }
        self.key = document.attribute("session").map(str::to_owned);
    }

    /// The login of another connection: into all rooms again.
    fn on_welcome_back(&mut self, document: &Document) -> Vec<Step> {
        self.on_login(document);
        let mut steps = self.tell(format!("-- the connection is back, {}", self.speech.name(&self.nick)));
        // A server that does not know the session counts its messages anew, for all one knows.
        let resumed = document.attribute("resumed").is_some();
        let rooms: Vec<_> =
            self.rooms.iter().map(|room| (room.name.clone(), room.password.clone(), room.shown_up_to)).collect();
        for (name, password, shown_up_to) in rooms {
            steps.push(self.ask_to_enter(&name, password, shown_up_to.filter(|_| resumed)));
        }
        if self.rooms.is_empty() {
            let room = self.first_room.clone();
            steps.extend(self.enter(&room, None));
        }
        steps
    }

    fn on_welcome(&mut self, document: &Document) -> Vec<Step> {
        self.on_login(document);
        let server = self.speech.text(document.attribute("server").unwrap_or("a server without a name"));
        let welcome = Step::Show(format!(
            "-- welcome, {}: this is {server}; /help shows the commands",
            self.speech.name(&self.nick)
        ));
        let room = self.first_room.clone();
        let mut steps = if self.for_person { vec![welcome] } else { Vec::new() };
        steps.extend(self.enter(&room, None));
        steps
    }

    fn on_room(&mut self, document: &Document, entered: Option<Entering>) -> Vec<Step> {
        let name = document.attribute("name").unwrap_or_default().to_owned();
        let topic = document.attribute("topic").unwrap_or_default().to_owned();
        let known = self.room_place(&name).map(|place| self.rooms.remove(place));
        let others = self.speech.people(people(document).filter(|(nick, _)| !same(nick, &self.nick)));
        let company = if others.is_empty() { ", alone".to_owned() } else { format!(" with {others}") };
        let mut steps = self.tell(format!("-- you are in {}{company}", self.speech.name(&name)));
        if !topic.is_empty() {
            steps.extend(self.tell(self.topic_sentence(&name, None, &topic)));
        }
        let shown_up_to = known.and_then(|known| known.shown_up_to);
        self.rooms.push(Room { name, topic, password: entered.and_then(|entered| entered.password), shown_up_to });
        steps
    }

    fn on_message(&mut self, document: &Document) -> Vec<Step> {
        let get = |name: &str| document.attribute(name);
        if let Some(place) = get("room").and_then(|room| self.room_place(room)) {
            let room = &mut self.rooms[place];
            room.shown_up_to = room.shown_up_to.max(get("id").and_then(|id| id.parse().ok()));
        }
        let text = content(document);
        let from = get("from").unwrap_or_default();
        let is_old = get("history").is_some();
        let is_own = same(from, &self.nick);
        let place = match (get("room"), get("to")) {
            // What a person has typed stands there already, in just this form.
            (Some(_), _) if is_own && self.for_person && !is_old && !text.starts_with("/me ") => return Vec::new(),
            (Some(room), _) => room.to_owned(),
            (None, Some(to)) if is_own => format!("private to {to}"),
            (None, _) => "private".to_owned(),
        };
        self.tell(self.speech.message(&place, from, get("time").filter(|_| is_old), &text))
    }

    fn on_left(&mut self, document: &Document) -> Vec<Step> {
        let get = |name: &str| document.attribute(name).unwrap_or_default();
        let (nick, room) = (get("nick"), get("room"));
        if same(nick, &self.nick)
            && let Some(place) = self.room_place(room)
        {
            self.rooms.remove(place);
        }
        let reason = document.attribute("reason").map(|reason| format!(" ({})", self.speech.text(reason)));
        let reason = reason.unwrap_or_default();
        self.tell(format!("-- {} left {}{reason}", self.speech.name(nick), self.speech.text(room)))
    }

    fn on_renamed(&mut self, from: &str, to: &str) -> Vec<Step> {
        if same(from, &self.nick) {
            to.clone_into(&mut self.nick);
        }
        self.tell(format!("-- {} is now {}", self.speech.name(from), self.speech.name(to)))
    }

    fn on_topic(&mut self, document: &Document) -> Vec<Step> {
        let name = document.attribute("room").unwrap_or_default();
        let topic = content(document);
        let text = self.topic_sentence(name, document.attribute("from"), &topic);
        if let Some(place) = self.room_place(name) {
            self.rooms[place].topic = topic;
        }
        self.tell(text)
    }

    pub(super) fn topic_sentence(&self, room: &str, from: Option<&str>, topic: &str) -> String {
        let room = self.speech.name(room);
        let by = from.map(|from| format!(", says {}", self.speech.name(from))).unwrap_or_default();
        if topic.is_empty() {
            format!("-- {room} has no topic{by}")
        } else {
            format!("-- the topic of {room}{by}: {}", self.speech.text(topic))
        }
    }

    fn on_users(&self, document: &Document) -> Vec<Step> {
        let room = self.speech.name(document.attribute("room").unwrap_or_default());
        let more = if document.attribute("more").is_some() { ", and more" } else { "" };
        self.tell(format!("-- in {room}: {}{more}", self.speech.people(people(document))))
    }

    fn on_rooms(&self, document: &Document) -> Vec<Step> {
        let rooms = document.root().children().filter(|node| node.has_tag_name("room"));
        let mut steps: Vec<Step> = rooms
            .map(|room| {
                let get = |name: &str| self.speech.text(room.attribute(name).unwrap_or_default());
                let lock = if room.attribute("locked").is_some() { ", password" } else { "" };
                let name = self.speech.name(room.attribute("name").unwrap_or_default());
                Step::Show(format!("   {name} ({}{lock}) {}", get("users"), get("topic")).trim_end().to_owned())
            })
            .collect();
        if steps.is_empty() {
            steps = self.tell("-- there is no room yet; /join NAME makes one".to_owned());
        }
        if document.attribute("more").is_some() {
            steps.extend(self.tell("   and more".to_owned()));
        }
        steps
    }

    fn on_error(&mut self, document: &Document, answered: bool, entered: Option<Entering>) -> Vec<Step> {
        // Coming back, a room was found locked or full.
        let lost = entered.and_then(|entered| self.room_place(&entered.name)).map(|place| self.rooms.remove(place));
        let text = self.speech.text(&content(document));
        let text = if text.is_empty() { self.speech.text(document.attribute("code").unwrap_or("error")) } else { text };
        // Without a name, or a script without its room, there is nothing left to do.
        if answered && (!self.logged_in || !self.for_person && self.rooms.is_empty()) {
            return vec![Step::Fail(text)];
        }
        vec![Step::Fault(match lost {
            Some(room) => format!("you are no longer in {}: {text}", self.speech.name(&room.name)),
            None => text,
        })]
    }
}

/// The people that a frame lists: names and roles.
fn people(document: &Document) -> impl Iterator<Item = (&str, Option<&str>)> {
    let users = document.root().children().filter(|node| node.has_tag_name("user"));
    users.map(|user| (user.attribute("nick").unwrap_or_default(), user.attribute("role")))
}
