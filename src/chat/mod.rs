//! The chat: people, rooms, messages. One [`Service`], and the example of a large one.
//!
//! It is a state machine without socket, thread, clock or randomness of its own: all that comes as arguments, so that
//! whole conversations can be played in a test. The vocabulary, as clients see it, is described in docs/PROTOCOL.md.
//!
//! What is decided here, where the vocabulary leaves it open:
//!
//! - A *session* outlives its link. Named in a login while the link is still open (a phone that changed its network:
//!   the server does not know yet), the new link takes the person over and nobody else notices; the old link gets
//!   `<bye reason="taken-over"/>`. When the server knows that the link is gone, people have been told
//!   `<left reason=".."/>`; for 120 s after that the session still brings its person back into its rooms, without
//!   their passwords, and people are told `<joined/>`. `<quit/>` ends the session. The nick of somebody whose link is
//!   gone is free: who comes back to find it taken must choose another.
//! - A right is bound to the room it was given for, by an id that no other room ever has: a session comes back into the
//!   rooms that still are what they were, and past no password that was set since.
//! - A room with members has an owner. When the owner leaves, the member who is in the room longest inherits it; when
//!   the owner's link is lost, that waits until the session ends. Who enters an empty room owns it. The password stays
//!   until an owner removes it or the room ends; if there is none, a join that enters the empty room may set it.
//! - Empty rooms live an hour. When `rooms_max` is reached, those that hold nothing (no topic, password, variable,
//!   message) give way, the longest empty first; then those of the address that made most, unless the one who asks
//!   would have as many then.
//!
//! In the order of the path:

// What bounds a chat, and what it is called.
mod settings;

// The table: element name → handler.
mod command;

// The handlers, a file for each.
mod commands;

// Names of people and rooms: what they may be, when two are the same.
mod name;

// The Nickname profile of PRECIS, for names beyond ASCII.
mod profile;

// When two names look the same.
mod looks;

// Who is here.
mod user;

// Who was here a moment ago.
mod lost;

// Rooms and who is in them.
mod room;

// People entering, leaving, changing rooms: what concerns both.
mod presence;

// Small values that programs keep at rooms and people.
mod variables;

// What was said.
mod history;

// Points in time as text.
mod clock;

// What is refused: codes and sentences.
mod error;

// Every element that the chat says.
mod vocabulary;

// What one request may bring at once.
#[cfg(test)]
mod budget_tests;

// Random walks through all of it.
#[cfg(test)]
mod walk;

// What the most expensive requests cost.
#[cfg(test)]
mod costs;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::server::{CloseReason, ConnectionId, Context, Message, Service};
use crate::wire::Limits;
use clock::Clock;
use command::Request;
use lost::LostPeople;
use room::Rooms;
use user::Users;
use variables::Most;

pub use error::Code;
pub use history::{History, InMemory, Page, Query, Record};
pub use settings::{Random, Settings};

use error::Refusal;

/// The most bytes that one request brings its sender, and the most of one answer: copying them keeps everybody else
/// waiting.
const REPLAY_BYTES_MAX: usize = 512 << 10;
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Which part of what one request may bring the variables of one room, or person, may take.
const VARIABLES_SHARE: usize = 4;

/// A chat server, to be served on listeners that read XML.
pub struct Chat {
    settings: Settings,
    /// Connections that have not logged in, and since when they are open.
    guests: HashMap<ConnectionId, Instant>,
    users: Users,
    lost: LostPeople,
    rooms: Rooms,
    history: Box<dyn History>,
    /// The number of the message sent last; `None` before the first event, which tells the time to begin with.
    last_id: Option<u64>,
    /// The number of the person who logged in last.
    last_person: u64,
    clock: Clock,
    /// What sessions are made of.
    random: Random,
    /// Where messages are written, kept for its capacity.
    frame: String,
}

impl Chat {
    /// A chat that remembers in memory what was said. `random` MUST fill its argument with bytes that nobody can
    /// guess: sessions are made of them.
    #[must_use]
    pub fn new(settings: Settings, random: Random) -> Chat {
        let history = Box::new(InMemory::new(&settings.limits));
        Chat {
            settings,
            guests: HashMap::new(),
            users: Users::default(),
            lost: LostPeople::default(),
            rooms: Rooms::default(),
            history,
            last_id: None,
            last_person: 0,
            clock: Clock::new(),
            random,
            frame: String::new(),
        }
    }

    /// The same chat, before it began, remembering with `history` what was said.
    #[must_use]
    pub fn with_history(mut self, history: Box<dyn History>) -> Chat {
        self.history = history;
        self
    }

    /// The number of the message sent last; the next one's is one above. Before the first message it is the time in
    /// microseconds, which is above all numbers of earlier runs: none sends a million messages a second.
    fn last_id(&mut self, cx: &Context<'_>) -> u64 {
        let history = &self.history;
        let first = || (cx.now().unix.as_micros() as u64).max(history.last_id().map_or(1, |last| last + 1)) - 1;
        *self.last_id.get_or_insert_with(first)
    }

    /// A number for a person who logs in. It is at least the time in microseconds, and so above all of earlier runs.
    fn next_person(&mut self, cx: &Context<'_>) -> u64 {
        self.last_person = (self.last_person + 1).max(cx.now().unix.as_micros() as u64);
        self.last_person
    }

    /// The most bytes of all that one request may bring its sender at once: a client that reads must not be closed
    /// for what it asked for, and others must not wait for it.
    fn replay_bytes_max(&self) -> usize {
        let half = usize::try_from(self.settings.limits.outbox_bytes_max / 2).unwrap_or(usize::MAX);
        half.min(REPLAY_BYTES_MAX)
    }

    /// The most bytes of one answer.
    fn answer_bytes_max(&self) -> usize {
        self.replay_bytes_max().min(ANSWER_BYTES_MAX)
    }

    /// How many variables a room or a person may have: no more than fit what one request may bring.
    fn variables_most(&self) -> Most {
        Most { count: Limits::bound(self.limits().variables_max), bytes: self.replay_bytes_max() / VARIABLES_SHARE }
    }

    fn handle(&mut self, cx: &mut Context<'_>, request: &Request<'_>) -> Result<(), Refusal> {
        let name = request.name();
        let Some(command) = command::find(name) else {
            // The name is shown in part: it may be as long as a frame.
            let shown: String = name.chars().take(32).collect();
            return Err(Refusal::new(Code::UnknownRequest, format!("This server does not know <{shown}>.")));
        };
        if command.needs_login && self.users.get(request.from).is_none() {
            return Err(Code::NotLoggedIn.into());
        }
        (command.run)(self, cx, request)
    }

    fn limits(&self) -> &Limits {
        &self.settings.limits
    }
}

impl Service for Chat {
    fn on_open(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        self.last_id(cx);
        let since = cx.peer(id).map(|peer| peer.since);
        self.guests.insert(id, since.unwrap_or(cx.now().instant));
    }

    fn on_message(&mut self, cx: &mut Context<'_>, from: ConnectionId, message: Message) {
        let document = match &message {
            Message::Document(document) => document,
            // Chat listeners answer these themselves; an empty frame is but a sign of life.
            Message::Frame(frame) => {
                if !frame.is_empty() {
                    cx.send(from, &vocabulary::error(&Code::NotXml.into(), None));
                }
                return;
            }
        };
        let done = Request::new(from, document)
            .map_err(|refusal| (refusal, None))
            .and_then(|request| self.handle(cx, &request).map_err(|refusal| (refusal, request.id)));
        if let Err((refusal, id)) = done {
            cx.send(from, &vocabulary::error(&refusal, id));
        }
    }

    fn on_idle(&mut self, cx: &mut Context<'_>, id: ConnectionId) {
        cx.send(id, &vocabulary::ping());
    }

    fn on_close(&mut self, cx: &mut Context<'_>, id: ConnectionId, reason: &CloseReason) {
        self.guests.remove(&id);
        self.depart(cx, id, reason);
        if *reason == CloseReason::Panicked {
            // A handler ended half way: whatever it left behind must not outlive the connection.
            self.users.sweep(id);
            self.rooms.sweep(id, cx.now().instant, |session| self.lost.get(session).is_some());
        }
    }

    fn on_tick(&mut self, cx: &mut Context<'_>) {
        let now = cx.now().instant;
        if let Some(seconds) = Limits::bound(self.limits().login_seconds_max) {
            let over = |since: Instant| now.saturating_duration_since(since) >= Duration::from_secs(seconds);
            for (id, _) in self.guests.extract_if(|_, since| over(*since)) {
                cx.send(id, &vocabulary::error(&Code::LoginTimeout.into(), None));
                cx.close(
                    id,
                    CloseReason::application(Code::LoginTimeout.as_str(), "no login within login_seconds_max"),
                );
            }
        }
        for lost in self.lost.expire(now) {
            self.give_up(&lost);
        }
        for room in self.rooms.expire(now) {
            self.history.forget(&room);
        }
    }

    fn on_limits(&mut self, _cx: &mut Context<'_>, limits: &Limits) {
        self.history.set_limits(limits);
        self.settings.limits = limits.clone();
    }

    fn on_shutdown(&mut self, cx: &mut Context<'_>) {
        let everybody: Vec<ConnectionId> = self.guests.keys().copied().chain(self.users.connections()).collect();
        cx.send_all(everybody, &vocabulary::bye("shutdown"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Stage;

    #[test]
    fn numbers_go_on_above_those_that_were_kept_and_above_the_clock() {
        struct Kept(u64);
        impl History for Kept {
            fn last_id(&self) -> Option<u64> {
                Some(self.0)
            }
            fn begin(&mut self, _room: &str, _last_id: u64) {}
            fn append(&mut self, _room: &str, _record: Record) {}
            fn page(&self, _room: &str, _query: &Query) -> Page {
                Page::default()
            }
            fn forget(&mut self, _room: &str) {}
        }
        // The stage's clock is at 1 767 225 600 seconds.
        for (kept, next) in [
            (0, 1_767_225_600_000_000_u64),
            (1_767_225_599_999_999, 1_767_225_600_000_000),
            (5_000_000_000_000_000, 5_000_000_000_000_001),
        ] {
            let chat =
                Chat::new(Settings::default(), Box::new(|bytes| bytes.fill(7))).with_history(Box::new(Kept(kept)));
            let mut stage = Stage::new(chat);
            let ann = stage.open();
            for request in ["<login nick='ann'/>", "<join room='a'/>", "<message room='a'>x</message>"] {
                stage.say(ann, request);
            }
            let heard = stage.hear(ann);
            let message = heard.last().expect("a message");
            assert!(message.starts_with(&format!("<message id=\"{next}\"")), "{kept}: {message}");
        }
    }

    #[test]
    fn new_limits_count_from_then_on() {
        let mut stage = Stage::new(Chat::new(Settings::default(), Box::new(|bytes| bytes.fill(7))));
        let ann = stage.open();
        stage.say(ann, r#"<login nick="ann"/>"#);
        stage.say(ann, r#"<join room="a"/>"#);
        stage.hear(ann);
        stage.set_limits(&Limits { rooms_per_user_max: 1, ..Limits::default() });
        stage.say(ann, r#"<join room="b" id="1"/>"#);
        let heard = stage.hear(ann);
        assert!(heard.len() == 1 && heard[0].starts_with("<error "), "{heard:?}");
    }
}
