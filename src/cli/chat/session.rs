//! Defines [`Session`], what a line means and what a frame says: the chat's vocabulary from a client's side.
//!
//! Knows: commands, the elements of the chat, which rooms one is in. Must not know: sockets, the screen, time.

// What a frame says.
mod frames;

use super::speech::Speech;
use crate::cli::config::nearest;
use xmlsocket::wire::Element;

/// Old messages that a person sees on entering a room.
const HISTORY: u32 = 20;

/// Messages that a person missed, at most, who sees them on coming back to a room.
const MISSED: u32 = 200;

/// Farewells after which nobody comes back unasked: the server, or the person elsewhere, wanted this end.
const FINAL: [&str; 3] = ["taken-over", "kicked", "banned"];

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
    /// What it was entered with: a server that does not know the session any more asks for it again.
    password: Option<String>,
    /// The last message that was shown.
    shown_up_to: Option<u64>,
}

/// A room that one has asked to enter.
struct Entering {
    /// The id of the request.
    id: String,
    name: String,
    password: Option<String>,
}

/// A conversation, from login to farewell.
pub(super) struct Session {
    speech: Speech,
    /// Whether a person types: then history is shown, and one's own words are not shown again.
    for_person: bool,
    nick: String,
    /// The room to enter first.
    first_room: String,
    /// Whether the login was accepted, on this connection.
    logged_in: bool,
    /// Whether it was, on any.
    was_there: bool,
    /// What brings one back over another connection as the same person; the server gives it.
    key: Option<String>,
    /// The rooms that one is in; the last one is where words go.
    rooms: Vec<Room>,
    /// The rooms that were asked for.
    entering: Vec<Entering>,
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
            was_there: false,
            key: None,
            rooms: Vec::new(),
            entering: Vec::new(),
            waiting: Vec::new(),
            requests: 0,
            leaving: false,
            farewell: None,
        }
    }

    /// The first request of a connection, be it the first or not.
    pub(super) fn begin(&mut self) -> Vec<Step> {
        let login = Element::new("login").attribute("nick", &self.nick);
        vec![self.ask(login.attribute_if_some("session", self.key.clone()))]
    }

    /// The connection is gone. Whether the person wants another one.
    pub(super) fn lost(&mut self) -> bool {
        let is_final = self.farewell.as_deref().is_some_and(|reason| FINAL.contains(&reason));
        if self.leaving || !self.for_person || !self.was_there || is_final {
            return false;
        }
        self.logged_in = false;
        self.farewell = None;
        self.waiting.clear();
        self.entering.clear();
        true
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

    /// A request to enter a room. `history` tells what was said there before.
    fn ask_to_enter(&mut self, name: &str, password: Option<String>, after: Option<u64>) -> Step {
        let history = self.for_person.then_some(if after.is_some() { MISSED } else { HISTORY });
        let join = Element::new("join").attribute("room", name).attribute_if_some("password", password.clone());
        let step = self.ask(join.attribute_if_some("history", history).attribute_if_some("after", after));
        self.entering.push(Entering { id: self.requests.to_string(), name: name.to_owned(), password });
        step
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
        let password = (!password.is_empty()).then(|| argument(password).0.to_owned());
        self.enter(name, password)
    }

    /// Enters a room, or turns to one that one is in.
    fn enter(&mut self, name: &str, password: Option<String>) -> Vec<Step> {
        if let Some(place) = self.room_place(name) {
            let room = self.rooms.remove(place);
            let text = format!("-- you are talking in {}", self.speech.name(&room.name));
            self.rooms.push(room);
            return vec![Step::Show(text)];
        }
        vec![self.ask_to_enter(name, password, None)]
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
