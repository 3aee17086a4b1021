//! Requests of several people, in whatever order, against a chat on a stage. What each of them hears is held against what
//! they were told before: nobody hears a room that they are not in, nobody is in a room whose password they never knew,
//! a room has one owner, no request takes long or brings more than may wait for its sender, and when all are gone nothing
//! is left of them.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rustix::time::{ClockId, clock_gettime};
use xmlsocket::chat::{Chat, Settings};
use xmlsocket::server::{CloseReason, ConnectionId, Stage};
use xmlsocket::wire::{Document, Frame, Limits, escape};
use xmlsocket_fuzz::number;

const PEOPLE_MAX: usize = 6;
const ROOMS_MAX: u64 = 4;
const OUTBOX_BYTES_MAX: u64 = 6_000;

/// How long an empty room lives.
const EMPTY_KEPT: Duration = Duration::from_secs(3_600);

/// The time that one request may take. A dispatcher has a millisecond for it; a fuzzer's build is some twenty times slower.
const COST_MAX: Duration = Duration::from_millis(20);

const NICKS: [&str; 6] = ["ann", "Ann", "bob", "Зоя", "зоя", "eve"];
const ROOMS: [&str; 6] = ["lobby", "Lobby", "зал", "r&\"d", "attic", "・・ア"];
const TEXTS: [&str; 5] = ["", "a", "b", "<x/>", "a &lt; b"];

/// Somebody, as far as that connection was told.
#[derive(Default)]
struct Person {
    session: Option<String>,
    nick: String,
    /// The rooms that the person is in, by the names they are shown with.
    rooms: BTreeSet<String>,
    /// The rooms that the person was in when the link was lost, and may be in again.
    perhaps: BTreeSet<String>,
}

/// A room, as far as anybody was told.
#[derive(Default)]
struct Room {
    /// The password, when it is known that there is one.
    password: Option<String>,
    /// How often a password was given to it that it did not have before.
    locked: u64,
    /// When it was seen to have nobody in it.
    empty_since: Option<Duration>,
}

struct Play {
    stage: Stage<Chat>,
    people: BTreeMap<ConnectionId, Person>,
    rooms: BTreeMap<String, Room>,
    /// For each session whose link was lost, its rooms and how often each had been locked by then.
    lost: BTreeMap<String, BTreeMap<String, u64>>,
    sessions: Vec<String>,
    now: Duration,
}

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let mut play = Play::new();
    while !input.is_empty() {
        play.act(&mut input);
    }
    play.end();
});

impl Play {
    fn new() -> Play {
        let mut settings = Settings::default();
        settings.limits = limits();
        let mut sessions = 0_u64;
        let random = move |bytes: &mut [u8]| {
            sessions += 1;
            bytes[..8].copy_from_slice(&sessions.to_le_bytes());
        };
        Play {
            stage: Stage::new(Chat::new(settings, Box::new(random))),
            people: BTreeMap::new(),
            rooms: BTreeMap::new(),
            lost: BTreeMap::new(),
            sessions: Vec::new(),
            now: Duration::ZERO,
        }
    }

    /// Does what the next bytes of the input say.
    fn act(&mut self, input: &mut &[u8]) {
        let what = number(input, 32);
        if self.people.is_empty() || what == 0 && self.people.len() < PEOPLE_MAX {
            let id = self.stage.open();
            self.people.insert(id, Person::default());
            return;
        }
        let at = number(input, self.people.len());
        let id = *self.people.keys().nth(at).expect("somebody");
        match what {
            1 => {
                let reason = if number(input, 2) == 0 { CloseReason::ByPeer } else { CloseReason::IdleTimeout };
                self.stage.leave(id, reason);
            }
            2 => {
                let time = Duration::from_secs([1, 60, 119, 120, 1_800, 3_599, 3_600][number(input, 7)]);
                self.now += time;
                self.stage.wait(time);
            }
            3 => self.stage.idle(id),
            4 => {
                let length = number(input, 256).min(input.len());
                let (text, rest) = input.split_at(length);
                *input = rest;
                let text = String::from_utf8_lossy(text).replace('\0', " ");
                return self.say(id, &text);
            }
            _ => {
                let request = self.request(what, input);
                return self.say(id, &request);
            }
        }
        self.hear_all(None);
    }

    fn request(&self, what: usize, input: &mut &[u8]) -> String {
        let one = |of: &[&'static str], input: &mut &[u8]| of[number(input, of.len())];
        let (nick, room) = (name(&NICKS, input), name(&ROOMS, input));
        let (text, id) = (one(&TEXTS, input), one(&["", " id=\"7\""], input));
        let password = one(&["", " password=\"a\"", " password=\"b\""], input);
        match what {
            5 | 6 => format!("<login nick=\"{nick}\"{id}/>"),
            7 | 8 => {
                let session = self.sessions.get(number(input, self.sessions.len() + 1)).map_or("none", |text| text);
                format!("<login nick=\"{nick}\" session=\"{session}\"/>")
            }
            9 => format!("<nick name=\"{nick}\"{id}/>"),
            10..=13 => format!("<join room=\"{room}\"{password}{id}/>"),
            14 => format!("<join room=\"{room}\" history=\"{}\"{password}/>", number(input, 9)),
            15 => format!("<join room=\"{room}\" after=\"1{}\"{password}/>", "0".repeat(number(input, 20))),
            16 | 17 => format!("<leave room=\"{room}\"{id}/>"),
            18..=20 => format!("<message room=\"{room}\"{id}>{text}{}</message>", "m".repeat(number(input, 256))),
            21 => format!("<message to=\"{nick}\"{id}>{text}</message>"),
            22 => format!("<set room=\"{room}\" name=\"k{}\">{text}</set>", number(input, 4)),
            23 => format!("<set name=\"k{}\"{id}>{text}{}</set>", number(input, 4), "v".repeat(number(input, 256))),
            24 => format!("<topic room=\"{room}\"{id}>{text}</topic>"),
            25 | 26 => format!("<room-password room=\"{room}\"{id}>{}</room-password>", one(&["", "a", "b"], input)),
            27 => format!("<rooms after=\"{room}\"/>"),
            28 => format!("<users room=\"{room}\" after=\"{nick}\" variables=\"true\"{id}/>"),
            29 => format!("<history room=\"{room}\" limit=\"{}\"{id}/>", number(input, 9)),
            30 => "<quit/>".to_owned(),
            _ => "<rooms/>".to_owned(),
        }
    }

    /// Somebody says something; what everybody hears then must be right.
    fn say(&mut self, id: ConnectionId, request: &str) {
        let begun = clock_gettime(ClockId::ThreadCPUTime);
        self.stage.say(id, request);
        let took = clock_gettime(ClockId::ThreadCPUTime) - begun;
        let took = Duration::new(took.tv_sec as u64, took.tv_nsec as u32);
        assert!(took < COST_MAX, "{took:?} for {request}");
        let parsed = Document::parse(Frame::try_from(request).expect("no zero byte"), limits().nodes_max as u32);
        self.hear_all(parsed.ok().map(|document| (id, document)));
    }

    /// Everybody takes what came. `asked`: whose request it is that it came from.
    fn hear_all(&mut self, asked: Option<(ConnectionId, Document)>) {
        for id in self.people.keys().copied().collect::<Vec<_>>() {
            let request = asked.as_ref().filter(|(from, _)| *from == id).map(|(_, request)| request);
            let frames = self.stage.hear(id);
            let bytes: usize = frames.iter().map(|frame| frame.len() + 1).sum();
            assert!(bytes as u64 <= OUTBOX_BYTES_MAX, "{bytes} bytes at once: {frames:?}");
            for frame in &frames {
                let document = Document::parse(Frame::try_from(&**frame).expect("no zero byte"), 9_999)
                    .unwrap_or_else(|(_, error)| panic!("{frame}: {error}"));
                self.hear(id, &document, request, frame);
            }
            if self.stage.closed(id).is_some() {
                self.part(id);
            }
        }
        let occupied = |name: &String| self.people.values().any(|person| person.rooms.contains(name));
        let (now, mut forgotten) = (self.now, Vec::new());
        for (name, room) in &mut self.rooms {
            if occupied(name) {
                room.empty_since = None;
            } else if now - *room.empty_since.get_or_insert(now) >= EMPTY_KEPT {
                forgotten.push(name.clone());
            }
        }
        for name in forgotten {
            // Another room of the name is not the one that anybody was in.
            let room = self.rooms.get_mut(&name).expect("listed");
            (room.password, room.empty_since) = (None, None);
        }
    }

    /// Takes one frame, and checks that the person may hear it.
    fn hear(&mut self, id: ConnectionId, document: &Document, request: Option<&Document>, frame: &str) {
        let attribute = |name: &str| document.attribute(name).map(str::to_owned);
        let person = self.people.get_mut(&id).expect("listed");
        let own = |nick: Option<String>| nick.is_some_and(|nick| nick == person.nick);
        let kind = document.root().tag_name().name().to_owned();
        match &*kind {
            "welcome" => {
                let session = attribute("session").expect("a session");
                person.nick = attribute("nick").expect("a nick");
                if attribute("resumed").is_some() {
                    self.resume(id, &session);
                } else {
                    assert!(!self.sessions.contains(&session), "a session is given once");
                    self.sessions.push(session.clone());
                }
                self.people.get_mut(&id).expect("listed").session = Some(session);
            }
            "room" => self.entered(id, document, request),
            "left" if own(attribute("nick")) => {
                let room = attribute("room").expect("a room");
                assert!(person.rooms.remove(&room) | person.perhaps.remove(&room), "{frame}");
            }
            "renamed" if own(attribute("from")) => person.nick = attribute("nick").expect("a nick"),
            "message" if attribute("to").is_some() => {
                assert!(own(attribute("to")) || own(attribute("from")), "{} hears {frame}", person.nick);
            }
            "ok" => self.done(request.expect("an answer")),
            "rooms" => {
                let count = document.root().children().filter(|child| child.is_element()).count();
                assert!(count as u64 <= ROOMS_MAX, "{frame}");
            }
            "renamed" | "error" | "bye" | "ping" | "pong" => {}
            "set" if attribute("room").is_none() => {}
            "message" | "joined" | "left" | "topic" | "set" | "users" | "history" => {
                let room = attribute("room").expect("a room");
                if person.perhaps.remove(&room) {
                    person.rooms.insert(room.clone());
                }
                assert!(person.rooms.contains(&room), "{} is not in the room and hears {frame}", person.nick);
                one_owner(document);
            }
            _ => panic!("what is {frame}?"),
        }
    }

    /// Somebody came back. To a room that was locked since then the session gives no right.
    fn resume(&mut self, id: ConnectionId, session: &str) {
        let holder =
            self.people.iter().find(|(other, person)| **other != id && person.session.as_deref() == Some(session));
        let (rooms, perhaps) = match holder {
            Some((_, other)) => (other.rooms.clone(), other.perhaps.clone()),
            None => {
                let lost = self.lost.remove(session).expect("a session that was lost");
                let open =
                    |(name, locked): &(String, u64)| self.rooms.get(name).is_none_or(|room| room.locked == *locked);
                (BTreeSet::new(), lost.into_iter().filter(open).map(|(name, _)| name).collect())
            }
        };
        let person = self.people.get_mut(&id).expect("listed");
        (person.rooms, person.perhaps) = (rooms, perhaps);
    }

    /// Somebody is told a room: they are in it, and knew its password or were in it before.
    fn entered(&mut self, id: ConnectionId, document: &Document, request: Option<&Document>) {
        let name = document.attribute("name").expect("a name").to_owned();
        let request = request.expect("a room is told to who joins it");
        let given = request.attribute("password").filter(|password| !password.is_empty());
        let was_in = {
            let person = self.people.get_mut(&id).expect("listed");
            // Whoever may be in it already, and is let in without its password, was.
            person.perhaps.remove(&name) | !person.rooms.insert(name.clone())
        };
        let others = self.people.iter().filter(|(other, _)| **other != id);
        let is_empty =
            others.into_iter().all(|(_, person)| !person.rooms.contains(&name) && !person.perhaps.contains(&name));
        let room = self.rooms.entry(name.clone()).or_default();
        if let (false, Some(password)) = (was_in, &room.password) {
            assert_eq!(given, Some(&**password), "{} is locked", name);
        }
        if !was_in
            && is_empty
            && room.password.is_none()
            && let Some(given) = given
        {
            room.password = Some(given.to_owned());
            room.locked += 1;
        }
        one_owner(document);
        let users: usize = document.attribute("users").and_then(|users| users.parse().ok()).expect("a number");
        let sure = self.people.values().filter(|person| person.rooms.contains(&name)).count();
        let perhaps = self.people.values().filter(|person| person.perhaps.contains(&name)).count();
        assert!((sure..=sure + perhaps).contains(&users), "{users} in {name}, not {sure} to {}", sure + perhaps);
    }

    /// A request was carried out that has no other answer.
    fn done(&mut self, request: &Document) {
        if request.root().tag_name().name() != "room-password" {
            return;
        }
        let text: String = request.root().descendants().filter_map(|node| node.text()).collect();
        let named = request.attribute("room").expect("a room");
        let Some(name) = self.rooms.keys().find(|name| alike(name, named)).cloned() else { return };
        let room = self.rooms.get_mut(&name).expect("listed");
        room.password = (!text.is_empty()).then_some(text);
        room.locked += u64::from(room.password.is_some());
    }

    /// A connection is gone; its session may come back.
    fn part(&mut self, id: ConnectionId) {
        let person = self.people.remove(&id).expect("listed");
        let Some(session) = person.session else { return };
        if self.people.values().any(|other| other.session.as_deref() == Some(&*session)) {
            return;
        }
        let rooms = person.rooms.into_iter().chain(person.perhaps);
        let locked = |name: &String| self.rooms.get(name).map_or(0, |room| room.locked);
        self.lost.insert(session, rooms.map(|name| (name.clone(), locked(&name))).collect());
    }

    /// All go, and when their time is over nothing is left.
    fn end(mut self) {
        for id in self.people.keys().copied().collect::<Vec<_>>() {
            self.stage.leave(id, CloseReason::ByPeer);
        }
        self.stage.wait(Duration::from_secs(120));
        self.stage.wait(EMPTY_KEPT);
        let id = self.stage.open();
        self.stage.say(id, "<login nick=\"last\"/>");
        self.stage.hear(id);
        self.stage.say(id, "<rooms/>");
        assert_eq!(self.stage.hear(id), ["<rooms/>"]);
        for room in 0..limits().rooms_per_user_max {
            self.stage.say(id, &format!("<join room=\"new {room}\" history=\"9\"/>"));
            let frames = self.stage.hear(id);
            assert!(frames.len() == 1 && frames[0].starts_with("<room "), "{frames:?}");
        }
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.rooms_max = ROOMS_MAX;
    limits.rooms_per_user_max = 3;
    limits.variables_max = 2;
    limits.history_messages_max = 6;
    limits.history_bytes_max = 900;
    limits.history_total_bytes_max = 2_000;
    limits.outbox_bytes_max = OUTBOX_BYTES_MAX;
    limits.login_seconds_max = 600;
    limits
}

/// One of `known`, or one from the input, escaped.
fn name(known: &[&str], input: &mut &[u8]) -> String {
    match number(input, 16) {
        15 => {
            let (text, rest) = input.split_at((1 + number(input, 40)).min(input.len()));
            *input = rest;
            escape(&String::from_utf8_lossy(text))
        }
        n => escape(known[n % known.len()]),
    }
}

/// Whether two names of the list above are of one room.
fn alike(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// A list of people has one owner at most.
fn one_owner(list: &Document) {
    let owners = list.root().children().filter(|child| child.attribute("role") == Some("owner")).count();
    assert!(owners <= 1, "{owners} owners");
}
