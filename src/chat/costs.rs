//! What the most expensive requests cost the dispatcher, for which everybody else waits: in a full house every command
//! of the table is asked for with its worst arguments, and must not take longer than a bound.
//!
//! The bound is that of a release build (`make costs`); without optimisation everything is some ten times slower, so
//! there the house is smaller and the bound wide. What grows with the number of receivers by nature is measured with
//! those of the house, and stated for each delivery.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command::COMMANDS;
use super::history::Record;
use super::name::{Name, Typed};
use super::variables::Most;
use super::vocabulary::{Body, set_of_person, set_of_room};
use super::*;
use crate::server::{AddressKey, Stage};
use crate::wire::{Document, Frame};

const IS_RELEASE: bool = !cfg!(debug_assertions);

/// The most that a request may take, wherever it is not for many receivers.
const COST_MAX: Duration = Duration::from_micros(if IS_RELEASE { 1_000 } else { 50_000 });

/// The most that a frame to one receiver may take beside it: one person who quits tells 50 rooms of 200 people.
const DELIVERY_MAX: Duration = Duration::from_nanos(if IS_RELEASE { 100 } else { 4_000 });

/// People in the house, and rooms that all of them are in.
const PEOPLE: usize = if IS_RELEASE { 200 } else { 40 };
const BUSY_ROOMS: usize = if IS_RELEASE { 50 } else { 10 };

/// Rooms in all, and messages of each.
const ROOMS: usize = if IS_RELEASE { 1_000 } else { 100 };
const MESSAGES: u64 = if IS_RELEASE { 1_000 } else { 100 };

/// Runs of which the best counts: on a busy machine any one of them may be interrupted.
const RUNS: usize = 5;

/// A chat that has all that the default limits allow.
struct House {
    stage: Stage<Chat>,
    /// In each of the busy rooms.
    people: Vec<ConnectionId>,
    /// How many there ever were.
    count: usize,
}

/// A name of 32 characters, which is as slow to compare as one can be: each has to be looked up, and what one of them
/// needs is elsewhere in the name.
fn name(n: usize) -> String {
    format!("{}ア{n:05}", "・".repeat(26))
}

/// A name that is as long as it may be when it is compared.
fn long_name(n: usize) -> String {
    format!("{}{n:05}", "ﷺ".repeat(3))
}

fn document(text: &str) -> Document {
    Document::parse(Frame::try_from(text).expect("no zero byte"), 4_096).map_err(|(_, error)| error).expect(text)
}

impl House {
    fn new() -> House {
        let mut sessions = 0_u64;
        let random = move |bytes: &mut [u8]| {
            sessions += 1;
            bytes[..8].copy_from_slice(&sessions.to_be_bytes());
        };
        let mut settings = Settings::default();
        settings.limits.rooms_max = ROOMS as u64;
        let stage = Stage::new(Chat::new(settings, Box::new(random)));
        let mut house = House { stage, people: Vec::new(), count: 0 };
        for _ in 0..PEOPLE {
            let id = house.person();
            (0..BUSY_ROOMS).for_each(|room| house.stage.say(id, &format!("<join room='{}'/>", name(room))));
            house.people.push(id);
            house.calm();
        }
        house.furnish();
        house
    }

    /// Somebody who is logged in, from an address of which there are some.
    fn person(&mut self) -> ConnectionId {
        let address = [192, 0, 2, (self.count % 50) as u8];
        let id = self.stage.open_from((address, 50_000).into());
        self.stage.say(id, &format!("<login nick='{}'/>", long_name(self.count)));
        self.count += 1;
        id
    }

    /// Puts in as much as may be of everything: rooms, topics, variables, messages.
    fn furnish(&mut self) {
        let chat = &mut self.stage.service;
        let now = Instant::now();
        for room in BUSY_ROOMS..ROOMS {
            let name = Name::room(Typed::new(&name(room)).expect("short")).expect("a name");
            chat.history.begin(&name.key, 0);
            chat.rooms.make(name, AddressKey::of([10, 0, 0, (room / 100) as u8].into()), now);
        }
        let keys: Vec<_> = chat.rooms.sorted(None).map(|room| Arc::clone(&room.name.key)).collect();
        let most = Most { count: None, bytes: usize::MAX };
        let value = document(&format!("<set>{}</set>", "v".repeat(1_024)));
        for key in &keys {
            let room = chat.rooms.get_mut(key).expect("listed");
            room.topic = "\"".repeat(512).into();
            for n in 0..64 {
                let set = set_of_room(&room.name, &n.to_string(), Body::new(&value));
                room.variables.set(&n.to_string(), Body::new(&value), &set, most).expect("it fits");
            }
            for id in 1..=MESSAGES {
                chat.history.append(key, Record { id, frame: [b'm'; 90].into(), attributes_end: 9 });
            }
        }
        for id in &self.people {
            let user = chat.users.get_mut(*id).expect("here");
            for n in 0..64 {
                let set = set_of_person(&n.to_string(), Body::new(&value));
                user.variables.set(&n.to_string(), Body::new(&value), &set, most).expect("it fits");
            }
        }
    }

    /// Nobody has anything left to hear.
    fn calm(&mut self) -> usize {
        self.people.iter().map(|id| self.stage.hear(*id).len()).sum()
    }

    /// Another person, in the busy rooms, with as many variables as are told to everybody.
    fn guest(&mut self) -> ConnectionId {
        let id = self.person();
        (0..BUSY_ROOMS).for_each(|room| self.stage.say(id, &format!("<join room='{}'/>", name(room))));
        (0..64).for_each(|n| self.stage.say(id, &format!("<set name='{n}'>v</set>")));
        self.stage.hear(id);
        self.calm();
        id
    }

    /// The session of somebody who is here.
    fn session(&self, id: ConnectionId) -> String {
        self.stage.service.users.get(id).expect("here").session.to_string()
    }
}

/// Something expensive: who does it, after what preparation, and which frame.
struct Case {
    /// The command that it is a case of.
    command: &'static str,
    what: &'static str,
    prepare: fn(&mut House) -> (ConnectionId, String),
}

/// The longest attribute that is sent back: each character is escaped.
fn id() -> String {
    format!(" id='{}'", "&quot;".repeat(256))
}

/// A room that all are in, as an attribute.
fn busy() -> String {
    format!(" room='{}'{}", name(0), id())
}

const fn case(command: &'static str, what: &'static str, prepare: fn(&mut House) -> (ConnectionId, String)) -> Case {
    Case { command, what, prepare }
}

const CASES: &[Case] = &[
    case("message", "as long as may be", |house| {
        (house.people[0], format!("<message{}>{}</message>", busy(), "&lt;".repeat(15_000)))
    }),
    case("message", "with all namespaces", |house| {
        let declared: String = (0..64).map(|n| format!(" xmlns:p{n}='{}'", "u".repeat(256))).collect();
        (house.people[0], format!("<message{}{declared}>{}</message>", busy(), "x".repeat(40_000)))
    }),
    case("message", "to a person", |house| {
        let (to, text) = (long_name(1), "x".repeat(60_000));
        (house.people[0], format!("<message to='{to}'{}>{text}</message>", id()))
    }),
    case("message", "to nobody", |house| (house.people[0], format!("<message to='{}'/>", "ﷺ".repeat(32)))),
    case("set", "of a room", |house| (house.people[0], format!("<set{} name='1'>{}</set>", busy(), "v".repeat(1_024)))),
    case("set", "of a person in many rooms", |house| {
        (house.people[0], format!("<set name='1'{}>{}</set>", id(), "v".repeat(1_024)))
    }),
    case("ping", "with an id", |house| (house.people[0], format!("<ping{}/>", id()))),
    case("pong", "with much in it", |house| (house.people[0], format!("<pong>{}</pong>", "<a/>".repeat(4_000)))),
    case("login", "as somebody new", |house| {
        house.count += 1;
        (house.stage.open(), format!("<login nick='{}'{}/>", long_name(house.count - 1), id()))
    }),
    case("login", "with a nick that is not one", |house| {
        (house.stage.open(), format!("<login nick='{}ア'/>", "・".repeat(31)))
    }),
    case("login", "over an open link", |house| {
        let guest = house.guest();
        let session = house.session(guest);
        (house.stage.open(), format!("<login session='{session}'{}/>", id()))
    }),
    case("login", "out of a lost link", |house| {
        let guest = house.guest();
        let session = house.session(guest);
        house.stage.leave(guest, CloseReason::ByPeer);
        house.calm();
        (house.stage.open(), format!("<login session='{session}'{}/>", id()))
    }),
    case("join", "with everything", |house| {
        let guest = house.guest();
        house.stage.say(guest, &format!("<leave{}/>", busy()));
        house.calm();
        (guest, format!("<join history='1000000' after='0'{}/>", busy()))
    }),
    case("join", "that makes a room", |house| {
        let guest = house.person();
        house.count += 1;
        (guest, format!("<join room='{}'{}/>", name(10_000 + house.count), id()))
    }),
    case("leave", "a busy room", |house| (house.guest(), format!("<leave{}/>", busy()))),
    case("quit", "many rooms", |house| (house.guest(), format!("<quit{}/>", id()))),
    case("nick", "in many rooms", |house| {
        house.count += 1;
        (house.people[0], format!("<nick name='{}'{}/>", long_name(house.count - 1), id()))
    }),
    case("rooms", "before the login", |house| (house.stage.open(), format!("<rooms{}/>", id()))),
    case("rooms", "after a name", |house| (house.people[0], format!("<rooms after='{}'/>", "ﷺ".repeat(32)))),
    case("users", "with variables", |house| (house.people[0], format!("<users variables='true'{}/>", busy()))),
    case("users", "after a name", |house| (house.people[0], format!("<users after='{}'{}/>", "ﷺ".repeat(32), busy()))),
    case("topic", "as long as may be", |house| {
        (house.people[0], format!("<topic{}>{}</topic>", busy(), "&#34;".repeat(512)))
    }),
    case("topic", "that is too long", |house| {
        (house.people[0], format!("<topic{}>{}</topic>", busy(), "<!---->x".repeat(2_000)))
    }),
    case("history", "all of it", |house| (house.people[0], format!("<history limit='1000000'{}/>", busy()))),
    case("room-password", "of a busy room", |house| {
        (house.people[0], format!("<room-password{}>{}</room-password>", busy(), "p".repeat(256)))
    }),
    case("", "a name that is none", |house| (house.people[0], format!("<{}/>", "a".repeat(65_000)))),
    case("", "many attributes", |house| {
        let attributes: String = (0..127).map(|n| format!(" a{n}='{}'", "v".repeat(500))).collect();
        (house.people[0], format!("<ping{attributes}/>"))
    }),
];

/// Does something some times and checks what it cost at best, from when it is prepared until all has been decided.
fn check(house: &mut House, what: &str, mut prepare: impl FnMut(&mut House) -> Box<dyn FnOnce(&mut House)>) {
    let (mut best, mut deliveries) = (Duration::MAX, 0);
    for _ in 0..RUNS {
        let act = prepare(house);
        house.calm();
        let start = Instant::now();
        act(house);
        best = best.min(start.elapsed());
        deliveries = house.calm();
    }
    let max = COST_MAX + DELIVERY_MAX * deliveries as u32;
    println!("{best:>10.1?} of {max:>10.1?}, {deliveries:>6} deliveries: {what}");
    assert!(best <= max, "{what}: {best:?}, which is more than {max:?}, with {deliveries} deliveries");
}

#[test]
fn every_command_has_a_worst_case() {
    for command in COMMANDS {
        assert!(CASES.iter().any(|case| case.command == command.name), "none for <{}>", command.name);
    }
}

#[test]
fn no_request_takes_long() {
    let mut house = House::new();
    for case in CASES {
        check(&mut house, &format!("<{}> {}", case.command, case.what), |house| {
            let (id, request) = (case.prepare)(house);
            assert!(request.len() as u64 <= Limits::default().frame_bytes_max, "{}: not admitted", case.what);
            let message = Message::Document(document(&request));
            Box::new(move |house| house.stage.deliver(id, message))
        });
    }
}

#[test]
fn nothing_else_takes_long() {
    let mut house = House::new();
    check(&mut house, "a link is lost", |house| {
        let guest = house.guest();
        Box::new(move |house| house.stage.leave(guest, CloseReason::ByPeer))
    });
    // All these rooms were made at the same time, and end together.
    house.stage.wait(room::EMPTY_KEPT + Duration::from_secs(60));
    let before = house.stage.service.rooms.len();
    check(&mut house, "rooms end", |_| Box::new(|house| house.stage.wait(Duration::from_secs(1))));
    let after = house.stage.service.rooms.len();
    assert!(after > BUSY_ROOMS && before - after >= RUNS, "{before} rooms, and {after} at the end");
}

#[test]
fn no_end_of_sessions_takes_long() {
    let mut house = House::new();
    for _ in 0..if IS_RELEASE { 500 } else { 150 } {
        let guest = house.person();
        (0..64).for_each(|n| house.stage.say(guest, &format!("<set name='{n}'>v</set>")));
        house.stage.leave(guest, CloseReason::ByPeer);
    }
    house.stage.wait(Duration::from_secs(119));
    check(&mut house, "sessions end", |_| Box::new(|house| house.stage.wait(Duration::from_secs(1))));
    assert!(
        house.stage.service.lost.expire(Instant::now() + Duration::from_secs(600)).len() > 1,
        "it had enough to do"
    );
}

#[test]
fn no_message_takes_long_when_all_histories_are_full() {
    let mut limits = Limits::default();
    limits.history_total_bytes_max /= if IS_RELEASE { 1 } else { 16 };
    let mut history = InMemory::new(&limits);
    let mut records = (0..).map(|id| Record { id, frame: [b'm'; 90].into(), attributes_end: 9 });
    let rooms: Vec<String> = (0..ROOMS).map(|n| format!("room {n}")).collect();
    rooms.iter().for_each(|room| history.begin(room, 0));
    let mut append = |history: &mut InMemory, room: &String| {
        let record = records.next().expect("they never end");
        let start = Instant::now();
        history.append(room, record);
        start.elapsed()
    };
    let mut rooms = rooms.iter().cycle();
    while history.bytes() + 90 <= limits.history_total_bytes_max as usize {
        append(&mut history, rooms.next().expect("they never end"));
    }
    // In each run the oldest messages go several times.
    let worst = (0..RUNS).filter_map(|_| rooms.by_ref().take(3_000).map(|room| append(&mut history, room)).max());
    let best = worst.min().expect("some runs");
    println!("{best:>10.1?} of {COST_MAX:>10.1?}: a message, when all histories are full");
    assert!(best <= COST_MAX, "{best:?}, which is more than {COST_MAX:?}");
}
