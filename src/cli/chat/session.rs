//! Defines [`Session`], what a line means and what a frame says: the chat's vocabulary from a client's side.
//!
//! Knows: commands, the elements of the chat, which rooms one is in. Must not know: sockets, the screen, time.

use super::speech::{Speech, content};
use crate::cli::config::nearest;
use xmlsocket::wire::{Document, Element, Frame};

/// Nodes of a frame that is parsed: a server's list of rooms may be long.
const NODES_MAX: u32 = 1 << 20;

/// Old messages that a person sees on entering a room.
const HISTORY: u32 = 20;

/// What `/help` shows.
const HELP: &[(&str, &str)] = &[
    ("/join ROOM [PASSWORD]", "enter a room, or turn to one that you are in"),
    ("/leave [ROOM]", "leave a room"),
    ("/msg NICK TEXT", "say something to one person"),
    ("/me TEXT", "say what you do"),
    ("/topic [TEXT]", "show the room's topic, or set it"),
    ("/who [ROOM]", "who is in the room"),
    ("/rooms", "which rooms there are"),
    ("/nick NICK", "take another name"),
    ("/help", "this list"),
    ("/quit", "leave; so does ^D"),
    ("//TEXT", "say something that begins with a slash"),
];

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Send this.
    Send(Element),
    /// Show this.
    Show(String),
    /// Show this: something was wrong.
    Fault(String),
    /// Say this and end: there is no use in going on.
    Fail(String),
}

/// A room that one is in.
struct Room {
    name: String,
    topic: String,
}

/// A conversation, from login to farewell.
pub(super) struct Session {
    speech: Speech,
    /// Whether a person types: then history is shown, and one's own words are not shown again.
    for_person: bool,
    nick: String,
    /// The room to enter first.
    first_room: String,
    /// Whether the login was accepted.
    logged_in: bool,
    /// The rooms that one is in; the last one is where words go.
    rooms: Vec<Room>,
    /// The ids of requests that wait for their answers.
    waiting: Vec<String>,
    requests: u64,
    leaving: bool,
    /// Why the server said goodbye.
    farewell: Option<String>,
}

impl Session {
    pub(super) fn new(nick: &str, first_room: &str, speech: Speech, for_person: bool) -> Session {
        Session {
            speech,
            for_person,
            nick: nick.to_owned(),
            first_room: first_room.to_owned(),
            logged_in: false,
            rooms: Vec::new(),
            waiting: Vec::new(),
            requests: 0,
            leaving: false,
            farewell: None,
        }
    }

    /// The first request.
    pub(super) fn begin(&mut self) -> Vec<Step> {
        let nick = self.nick.clone();
        vec![self.ask(Element::new("login").attribute("nick", nick))]
    }

    /// The last one.
    pub(super) fn leave(&mut self) -> Vec<Step> {
        self.leaving = true;
        vec![Step::Send(Element::new("quit"))]
    }

    /// Whether every request has its answer.
    pub(super) fn is_idle(&self) -> bool {
        self.logged_in && self.waiting.is_empty()
    }

    /// Whether the login was accepted.
    pub(super) fn is_there(&self) -> bool {
        self.logged_in
    }

    /// Whether the farewell was said.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Why the server said goodbye, if it did.
    pub(super) fn farewell(&self) -> Option<&str> {
        self.farewell.as_deref()
    }

    /// Waits for no answer any more.
    pub(super) fn forget_requests(&mut self) {
        self.waiting.clear();
    }

    /// What stands before the line that is typed: as a message of one's own will look to others.
    pub(super) fn prompt(&self) -> String {
        match self.rooms.last() {
            Some(room) => self.speech.message(&room.name, &self.nick, None, ""),
            None => format!("{}: ", self.speech.name(&self.nick)),
        }
    }

    /// A request that is to be answered.
    fn ask(&mut self, request: Element) -> Step {
        self.requests += 1;
        self.waiting.push(self.requests.to_string());
        Step::Send(request.attribute("id", self.requests))
    }
}

/// Lines.
impl Session {
    /// What a line wants.
    pub(super) fn on_line(&mut self, line: &str) -> Vec<Step> {
        let line = line.trim();
        if line.is_empty() {
            return Vec::new();
        }
        let Some(command) = line.strip_prefix('/').filter(|rest| !rest.starts_with('/')) else {
            return self.say_here(line.strip_prefix('/').unwrap_or(line));
        };
        let (command, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match command {
            "join" => self.join(rest),
            "leave" => self.leave_room(rest),
            "msg" => self.say_to(rest),
            "me" if rest.is_empty() => wrong("/me"),
            "me" => self.say_here(&format!("/me {rest}")),
            "topic" => self.topic(rest),
            "who" => self.who(rest),
            "rooms" => vec![self.ask(Element::new("rooms"))],
            "nick" if rest.is_empty() => wrong("/nick"),
            "nick" => vec![self.ask(Element::new("nick").attribute("name", argument(rest).0))],
            "help" => HELP.iter().map(|(usage, text)| Step::Show(format!("   {usage:<24} {text}"))).collect(),
            "quit" => self.leave(),
            _ => {
                let known =
                    HELP.iter().filter_map(|(usage, _)| usage.split(' ').next()).filter(|usage| *usage != "//TEXT");
                let command = format!("/{command}");
                let nearest = nearest(&command, known);
                vec![Step::Fault(format!(
                    "there is no command {command}; the nearest one is {nearest}, and /help lists all"
                ))]
            }
        }
    }

    fn say_here(&mut self, text: &str) -> Vec<Step> {
        let Some(room) = self.rooms.last().map(|room| room.name.clone()) else { return nowhere() };
        vec![self.ask(Element::new("message").attribute("room", room).text(text))]
    }

    fn say_to(&mut self, rest: &str) -> Vec<Step> {
        match argument(rest) {
            ("", _) | (_, "") => wrong("/msg"),
            (nick, text) => vec![self.ask(Element::new("message").attribute("to", nick).text(text))],
        }
    }

    fn join(&mut self, rest: &str) -> Vec<Step> {
        let (name, password) = argument(rest);
        if name.is_empty() {
            return wrong("/join");
        }
        let password = (!password.is_empty()).then_some(argument(password).0);
        self.enter(name, password)
    }

    /// Enters a room, or turns to one that one is in.
    fn enter(&mut self, name: &str, password: Option<&str>) -> Vec<Step> {
        if let Some(place) = self.room_place(name) {
            let room = self.rooms.remove(place);
            let text = format!("-- you are talking in {}", self.speech.name(&room.name));
            self.rooms.push(room);
            return vec![Step::Show(text)];
        }
        let history = self.for_person.then_some(HISTORY);
        let join = Element::new("join").attribute("room", name);
        vec![self.ask(join.attribute_if_some("password", password).attribute_if_some("history", history))]
    }

    fn leave_room(&mut self, rest: &str) -> Vec<Step> {
        match self.named_or_current(rest) {
            Some(room) => vec![self.ask(Element::new("leave").attribute("room", room))],
            None => nowhere(),
        }
    }

    fn topic(&mut self, text: &str) -> Vec<Step> {
        let Some(room) = self.rooms.last() else { return nowhere() };
        if text.is_empty() {
            return vec![Step::Show(self.topic_sentence(&room.name, None, &room.topic))];
        }
        let topic = Element::new("topic").attribute("room", &room.name);
        // A pair of quotes with nothing between is how to say "none".
        vec![self.ask(topic.text(if text == "\"\"" { "" } else { text }))]
    }

    fn who(&mut self, rest: &str) -> Vec<Step> {
        match self.named_or_current(rest) {
            Some(room) => vec![self.ask(Element::new("users").attribute("room", room))],
            None => nowhere(),
        }
    }

    fn named_or_current(&self, rest: &str) -> Option<String> {
        let named = argument(rest).0;
        if named.is_empty() { self.rooms.last().map(|room| room.name.clone()) } else { Some(named.to_owned()) }
    }

    fn room_place(&self, name: &str) -> Option<usize> {
        self.rooms.iter().position(|room| same(&room.name, name))
    }
}

/// Frames.
impl Session {
    /// What a frame says.
    pub(super) fn on_frame(&mut self, frame: &Frame) -> Vec<Step> {
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
        let get = |name: &str| document.attribute(name).unwrap_or_default();
        match document.root().tag_name().name() {
            "welcome" => self.on_welcome(&document),
            "room" => self.on_room(&document),
            "message" => self.on_message(&document),
            "joined" => {
                self.tell(format!("-- {} entered {}", self.speech.name(get("nick")), self.speech.text(get("room"))))
            }
            "left" => self.on_left(&document),
            "renamed" => self.on_renamed(get("from"), get("nick")),
            "topic" => self.on_topic(&document),
            "users" => self.on_users(&document),
            "rooms" => self.on_rooms(&document),
            "error" => self.on_error(&document, answered),
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

    fn on_welcome(&mut self, document: &Document) -> Vec<Step> {
        self.logged_in = true;
        if let Some(nick) = document.attribute("nick") {
            nick.clone_into(&mut self.nick);
        }
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

    fn on_room(&mut self, document: &Document) -> Vec<Step> {
        let name = document.attribute("name").unwrap_or_default().to_owned();
        let topic = document.attribute("topic").unwrap_or_default().to_owned();
        if let Some(place) = self.room_place(&name) {
            self.rooms.remove(place);
        }
        let others = self.speech.people(people(document).filter(|(nick, _)| !same(nick, &self.nick)));
        let company = if others.is_empty() { ", alone".to_owned() } else { format!(" with {others}") };
        let mut steps = self.tell(format!("-- you are in {}{company}", self.speech.name(&name)));
        if !topic.is_empty() {
            steps.extend(self.tell(self.topic_sentence(&name, None, &topic)));
        }
        self.rooms.push(Room { name, topic });
        steps
    }

    fn on_message(&self, document: &Document) -> Vec<Step> {
        let get = |name: &str| document.attribute(name);
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

    fn topic_sentence(&self, room: &str, from: Option<&str>, topic: &str) -> String {
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

    fn on_error(&self, document: &Document, answered: bool) -> Vec<Step> {
        let text = self.speech.text(&content(document));
        let text = if text.is_empty() { self.speech.text(document.attribute("code").unwrap_or("error")) } else { text };
        // Without a name, or a script without its room, there is nothing left to do.
        if answered && (!self.logged_in || !self.for_person && self.rooms.is_empty()) {
            return vec![Step::Fail(text)];
        }
        vec![Step::Fault(text)]
    }
}

/// The people that a frame lists: names and roles.
fn people(document: &Document) -> impl Iterator<Item = (&str, Option<&str>)> {
    let users = document.root().children().filter(|node| node.has_tag_name("user"));
    users.map(|user| (user.attribute("nick").unwrap_or_default(), user.attribute("role")))
}

/// The first argument, which may stand in quotes, and what follows it.
fn argument(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        Some((argument, rest)) => (argument, rest.trim_start()),
        None => {
            text.split_once(char::is_whitespace).map_or((text, ""), |(argument, rest)| (argument, rest.trim_start()))
        }
    }
}

/// Whether two names are one. The server decides; this is enough to recognise what it has said.
fn same(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

fn nowhere() -> Vec<Step> {
    vec![Step::Fault("you are in no room; /join ROOM enters one".to_owned())]
}

/// A command without what it needs.
fn wrong(command: &str) -> Vec<Step> {
    let usage = HELP.iter().map(|(usage, _)| *usage).find(|usage| usage.split(' ').next() == Some(command));
    vec![Step::Fault(format!("something is missing: {}", usage.unwrap_or(command)))]
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
