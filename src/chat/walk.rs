//! Tests the chat with long random walks: whatever people ask for, in whatever order, after each step the tables agree
//! with each other and everybody got what they should, once. Each failure names the seed that repeats it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::history::{History, InMemory, Page, Query, Record};
use super::room::{Owner, RoomId};
use super::user::{Session, User};
use super::*;
use crate::server::Stage;
use crate::wire::{Document, Frame, escape};

const NICKS: [&str; 9] = ["ann", "Ann", "bob", "BOB", "Зоя", "зоя", "eve", "d&<\"'>", "  "];
const ROOMS: [&str; 6] = ["lobby", "Lobby", "зал", "r&\"d", "attic", ""];
const PASSWORDS: [&str; 4] = ["", "", " password=\"a\"", " password=\"b\""];

#[test]
fn random_walks_keep_everything_in_order() {
    for seed in 1..=15 {
        Walk::new(seed, false).go(400);
    }
}

#[test]
fn what_a_panic_left_in_the_tables_goes_with_its_connection() {
    let mut walk = Walk::new(1, true);
    let (ann, bob) = (walk.stage.open(), walk.stage.open());
    walk.open = vec![ann, bob];
    for (id, nick) in [(ann, "ann"), (bob, "bob")] {
        walk.say(id, &format!("<login nick=\"{nick}\"/>"));
        walk.say(id, "<join room=\"lobby\"/>");
    }
    // As if a handler had ended between the table of rooms and that of people.
    let chat = &mut walk.stage.service;
    let user = chat.users.remove(ann).expect("ann is here");
    chat.users.insert(ann, User { rooms: Vec::new(), ..user });
    assert!(chat.rooms.get("lobby").is_some_and(|room| room.members().contains(&ann)));
    walk.stage.leave(ann, CloseReason::Panicked);
    walk.check("ann's handler panicked");
    walk.say(bob, "<message room=\"lobby\">still here</message>");
    walk.check("bob says <message>");
    // As if one had ended between finding a lost person and bringing that person back.
    walk.stage.leave(bob, CloseReason::ByPeer);
    let eve = walk.stage.open();
    walk.open = vec![eve];
    walk.say(eve, "<login nick=\"eve\"/>");
    walk.say(eve, "<join room=\"lobby\"/>");
    walk.say(eve, "<join room=\"attic\"/>");
    let cat = walk.stage.open();
    walk.open.push(cat);
    walk.say(cat, "<login nick=\"cat\"/>");
    walk.say(cat, "<join room=\"lobby\"/>");
    let session = walk.stage.service.users.get(eve).expect("eve is here").session;
    walk.stage.leave(eve, CloseReason::ByPeer);
    walk.check("the lobby waits for eve");
    assert!(walk.stage.service.lost.find(session).is_some());
    let again = walk.stage.open();
    walk.stage.leave(again, CloseReason::Panicked);
    walk.check("eve's handler panicked");
}

#[test]
fn a_panic_half_way_leaves_nothing_behind() {
    for seed in 1..=15 {
        Walk::new(seed, true).go(400);
    }
}

/// A history that the test can look into, and that panics when told to.
#[derive(Clone)]
struct Shared {
    history: Arc<Mutex<InMemory>>,
    panics: Arc<AtomicBool>,
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut InMemory) -> T) -> T {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "a panic as ordered");
        act(&mut self.history.lock().expect("nobody panics while holding it"))
    }
}

impl History for Shared {
    fn begin(&mut self, room: &str, last_id: u64) {
        self.with(|history| history.begin(room, last_id));
    }

    fn append(&mut self, room: &str, record: Record) {
        self.with(|history| history.append(room, record));
    }

    fn page(&self, room: &str, query: &Query) -> Page {
        self.with(|history| history.page(room, query))
    }

    fn forget(&mut self, room: &str) {
        self.with(|history| history.forget(room));
    }
}

struct Walk {
    seed: u64,
    random: u64,
    stage: Stage<Chat>,
    history: Shared,
    /// Whether handlers panic now and then.
    with_panics: bool,
    open: Vec<ConnectionId>,
    /// Sessions that the server gave, lost or not.
    sessions: Vec<String>,
    last_message: u64,
    step: usize,
    /// What each room was after the step before.
    rooms: HashMap<RoomId, Before>,
    /// For each session and room: how often the password had been changed when the person was last seen in it.
    inside: HashMap<(Session, RoomId), u64>,
}

/// A room after the step before.
struct Before {
    owner: Owner,
    members: Vec<ConnectionId>,
}

impl Walk {
    fn new(seed: u64, with_panics: bool) -> Walk {
        let mut settings = Settings::default();
        settings.limits.rooms_max = 4;
        settings.limits.rooms_per_user_max = 3;
        settings.limits.rooms_per_address_max = 3;
        settings.limits.sessions_per_address_max = 2;
        settings.limits.variables_max = 2;
        settings.limits.history_messages_max = 6;
        settings.limits.history_bytes_max = 900;
        settings.limits.history_total_bytes_max = 2_000;
        settings.limits.outbox_bytes_max = 3_000;
        settings.limits.login_seconds_max = 600;
        let history = Shared {
            history: Arc::new(Mutex::new(InMemory::new(&settings.limits))),
            panics: Arc::new(AtomicBool::new(false)),
        };
        let (mut sessions, panics) = (0_u64, Arc::clone(&history.panics));
        let random = move |bytes: &mut [u8]| {
            assert!(!panics.swap(false, Ordering::Relaxed), "a panic as ordered");
            sessions += 1;
            bytes[..8].copy_from_slice(&sessions.to_le_bytes());
        };
        let chat = Chat::new(settings, Box::new(random)).with_history(Box::new(history.clone()));
        Walk {
            seed,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            stage: Stage::new(chat),
            history,
            with_panics,
            open: Vec::new(),
            sessions: Vec::new(),
            last_message: 0,
            step: 0,
            rooms: HashMap::new(),
            inside: HashMap::new(),
        }
    }

    fn go(mut self, steps: usize) {
        for step in 0..steps {
            self.step = step;
            let what = self.act();
            self.check(&what);
        }
    }

    /// A random number below `below`.
    fn below(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % below
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// Does something, and says what.
    fn act(&mut self) -> String {
        if self.open.is_empty() || self.open.len() < 8 && self.below(12) == 0 {
            let address = [[127, 0, 0, 1], [192, 0, 2, 1], [192, 0, 2, 2]][self.below(3)];
            let id = self.stage.open_from((address, 50_000).into());
            self.open.push(id);
            return format!("{id} opens");
        }
        let at = self.below(self.open.len());
        let id = self.open[at];
        match self.below(40) {
            0 => {
                self.open.swap_remove(at);
                self.stage.leave(id, CloseReason::ByPeer);
                self.stage.hear(id);
                format!("{id} hangs up")
            }
            1 => {
                let seconds = [1, 60, 119, 120, 1_800, 3_599, 3_600][self.below(7)];
                self.stage.wait(Duration::from_secs(seconds));
                format!("{seconds} seconds pass")
            }
            _ => {
                let request = self.request();
                self.say(id, &request);
                format!("{id} says {request}")
            }
        }
    }

    fn say(&mut self, id: ConnectionId, request: &str) {
        let panics = self.with_panics && self.below(6) == 0;
        self.history.panics.store(panics, Ordering::Relaxed);
        let stage = &mut self.stage;
        if catch_unwind(AssertUnwindSafe(|| stage.say(id, request))).is_err() {
            assert!(panics, "seed {}, step {}: {request} panicked", self.seed, self.step);
            self.stage.leave(id, CloseReason::Panicked);
        }
        self.history.panics.store(false, Ordering::Relaxed);
    }

    fn request(&mut self) -> String {
        let (nick, room) = (escape(self.one(&NICKS)), escape(self.one(&ROOMS)));
        let (password, number) = (self.one(&PASSWORDS), self.below(1 << 40));
        let id = self.one(&["", " id=\"7\""]);
        match self.below(20) {
            0 | 1 => format!("<login nick=\"{nick}\"{id}/>"),
            2 => {
                let known = self.below(self.sessions.len() + 1);
                let session = self.sessions.get(known).cloned().unwrap_or_else(|| "none".to_owned());
                format!("<login nick=\"{nick}\" session=\"{session}\"/>")
            }
            3 => format!("<nick name=\"{nick}\"{id}/>"),
            4..=7 => format!("<join room=\"{room}\"{password}{id}/>"),
            8 => format!("<join room=\"{room}\" history=\"3\" after=\"{}\"{password}/>", self.last_message / 2 + 1),
            9 => format!("<leave room=\"{room}\"{id}/>"),
            10..=13 => format!("<message room=\"{room}\"{id}>{number}{}</message>", "x".repeat(number % 300)),
            14 => format!("<message to=\"{nick}\"{id}>{number}</message>"),
            15 => format!("<set room=\"{room}\" name=\"k{}\">{}</set>", number % 3, self.one(&["", "1", "<a/>"])),
            16 => format!("<set name=\"k{}\"{id}>{}</set>", number % 3, self.one(&["", "1", "<a/>"])),
            17 => format!("<topic room=\"{room}\"{id}>{}</topic>", self.one(&["", " ", "a &lt; b"])),
            18 => {
                let text = self.one(&["", "a"]);
                format!("<room-password room=\"{room}\">{text}</room-password>")
            }
            _ => match self.below(5) {
                0 => "<quit/>".to_owned(),
                1 => "<rooms/>".to_owned(),
                2 => format!("<users room=\"{room}\" variables=\"true\"{id}/>"),
                3 => format!("<history room=\"{room}\"{id}/>"),
                _ => "<nonsense/>".to_owned(),
            },
        }
    }

    /// Everything that must be true between any two events.
    fn check(&mut self, what: &str) {
        let context = format!("seed {}, step {}: {what}", self.seed, self.step);
        self.check_tables(&context);
        self.check_rights(what, &context);
        self.check_history(&context);
        self.check_frames(what, &context);
    }

    fn check_tables(&self, context: &str) {
        let chat = &self.stage.service;
        let open: BTreeSet<ConnectionId> =
            self.open.iter().copied().filter(|id| self.stage.closed(*id).is_none()).collect();
        let mut nicks = BTreeSet::new();
        for id in chat.users.connections() {
            let user = chat.users.get(id).expect("listed");
            assert!(open.contains(&id), "{context}: {id} is a user without a connection");
            assert!(!chat.guests.contains_key(&id), "{context}: {id} is a guest and a user");
            assert!(nicks.insert(&user.name.key), "{context}: two people are {:?}", user.name);
            assert_eq!(chat.users.with_nick(&user.name.key), Some(id), "{context}");
            assert_eq!(chat.users.with_session(user.session), Some(id), "{context}");
            assert!(user.rooms.len() <= 3, "{context}: {:?} is in {} rooms", user.name, user.rooms.len());
            assert!(user.variables.len() <= 2, "{context}");
            let rooms: BTreeSet<_> = user.rooms.iter().collect();
            assert_eq!(rooms.len(), user.rooms.len(), "{context}: {:?} is in a room twice", user.name);
            for key in rooms {
                let room = chat.rooms.get(key).unwrap_or_else(|| panic!("{context}: no room {key}"));
                assert!(room.members().contains(&id), "{context}: {key} does not know {:?}", user.name);
            }
        }
        for key in NICKS.iter().filter_map(|nick| name::Typed::new(nick).and_then(name::key)) {
            let held = nicks.iter().any(|nick| ***nick == *key);
            assert_eq!(chat.users.with_nick(&key).is_some(), held, "{context}: who is {key}?");
        }
        assert!(chat.guests.keys().all(|id| open.contains(id)), "{context}: a guest without a connection");
        let rooms: Vec<_> = chat.rooms.sorted(None).collect();
        assert_eq!(rooms.len(), chat.rooms.len(), "{context}");
        assert!(chat.lost.adds_up(2), "{context}: those who were lost are counted wrong");
        assert!(chat.rooms.adds_up(3), "{context}: rooms are counted wrong");
        assert!(rooms.len() <= 4, "{context}: {} rooms", rooms.len());
        for room in rooms {
            let members: BTreeSet<_> = room.members().iter().copied().collect();
            let listed: BTreeSet<_> = room.roster(None).map(|member| member.id).collect();
            assert_eq!(members, listed, "{context}: the lists of {:?} differ", room.name);
            assert_eq!(members.len(), room.members().len(), "{context}: somebody is in {:?} twice", room.name);
            match room.owner() {
                Owner::Nobody => assert!(members.is_empty(), "{context}: {:?} has no owner", room.name),
                Owner::Here(id) => assert!(members.contains(&id), "{context}: the owner of {:?} is gone", room.name),
                Owner::Awaited(session) => {
                    let lost = chat.lost.get(session).unwrap_or_else(|| panic!("{context}: nobody is awaited"));
                    assert!(lost.places.iter().any(|place| room.is_of(place)), "{context}: {:?} waits", room.name);
                }
            }
            for member in room.roster(None) {
                let user = chat.users.get(member.id).unwrap_or_else(|| panic!("{context}: no user {:?}", member.name));
                assert!(Arc::ptr_eq(&user.name, &member.name), "{context}: {:?} is {:?}", user.name, member.name);
                assert!(user.rooms.contains(&room.name.key), "{context}: {:?} is not in the room", user.name);
            }
        }
    }

    /// Nobody came into a room past its password, or got a room that was another's.
    fn check_rights(&mut self, what: &str, context: &str) {
        let chat = &self.stage.service;
        let (mut rooms, mut inside) = (HashMap::new(), Vec::new());
        for room in chat.rooms.sorted(None) {
            let (id, lock) = room.identity();
            let before = self.rooms.get(&id);
            let was_in = |id: ConnectionId| before.is_some_and(|before| before.members.contains(&id));
            for member in room.members() {
                let session = chat.users.get(*member).expect("checked above").session;
                let locked = room.password().filter(|_| !was_in(*member));
                let was_inside = self.inside.get(&(session, id)) == Some(&lock);
                let named = locked.is_none_or(|word| what.contains(&format!(" password=\"{word}\"")));
                assert!(named || was_inside, "{context}: {member} came past the password of {:?}", room.name);
                inside.push(((session, id), lock));
            }
            if let (Owner::Here(owner), Some(before)) = (room.owner(), before) {
                let session = chat.users.get(owner).expect("checked above").session;
                let inherited = was_in(owner)
                    && matches!(before.owner, Owner::Here(old) if !room.members().contains(&old))
                    || was_in(owner) && matches!(before.owner, Owner::Awaited(old) if chat.lost.get(old).is_none());
                let its_own = [Owner::Here(owner), Owner::Awaited(session)].contains(&before.owner);
                let taken_over =
                    before.members.iter().any(|old| before.owner == Owner::Here(*old)) && what.contains(" session=");
                let entered = before.members.is_empty();
                assert!(inherited || its_own || taken_over || entered, "{context}: {owner} got {:?}", room.name);
            }
            rooms.insert(id, Before { owner: room.owner(), members: room.members().to_vec() });
        }
        self.rooms = rooms;
        self.inside.extend(inside);
    }

    fn check_history(&self, context: &str) {
        let history = self.history.history.lock().expect("nobody panics while holding it");
        let all = Query { after: None, before: None, count_max: usize::MAX, bytes_max: usize::MAX, bytes_more: 0 };
        let mut total = 0;
        for room in self.stage.service.rooms.sorted(None) {
            let page = history.page(&room.name.key, &all);
            let bytes: usize = page.records.iter().map(|record| record.frame.len()).sum();
            assert!(page.records.len() <= 6, "{context}: {} messages kept", page.records.len());
            assert!(bytes <= 900, "{context}: {bytes} bytes kept");
            assert!(page.records.is_sorted_by(|a, b| a.id < b.id), "{context}: messages out of order");
            total += bytes;
        }
        assert!(total <= 2_000, "{context}: {total} bytes kept in all rooms");
        assert_eq!(total, history.bytes(), "{context}: bytes are counted wrong");
    }

    /// Every frame is well-formed, and a message to a room went to each member once.
    fn check_frames(&mut self, what: &str, context: &str) {
        let mut heard = Vec::new();
        let mut said: Option<(String, u64)> = None;
        for id in self.open.clone() {
            let frames = self.stage.hear(id);
            let bytes: usize = frames.iter().map(|frame| frame.len() + 1).sum();
            assert!(bytes <= 1_500 || !what.contains("<join"), "{context}: {id} gets {bytes} bytes");
            let mut messages = 0;
            for frame in frames {
                let document = Document::parse(Frame::try_from(&*frame).expect("no zero byte"), 4_096)
                    .unwrap_or_else(|(_, error)| panic!("{context}: {id} gets {frame}: {error}"));
                if let Some(session) = document.attribute("session") {
                    self.sessions.push(session.to_owned());
                }
                let is_message = document.root().has_tag_name("message");
                if is_message && document.attribute("history").is_none() && document.attribute("room").is_some() {
                    let number = document.attribute("id").and_then(|id| id.parse().ok()).expect("a number");
                    let message = (frame.clone(), number);
                    assert_eq!(*said.get_or_insert(message.clone()), message, "{context}: the bytes differ");
                    messages += 1;
                }
            }
            heard.push((id, messages));
        }
        self.open.retain(|id| self.stage.closed(*id).is_none());
        let Some((frame, number)) = said else { return };
        assert!(number > self.last_message, "{context}: {number} is not above {}", self.last_message);
        self.last_message = number;
        let document = Document::parse(Frame::try_from(&*frame).expect("no zero byte"), 64).expect("checked above");
        let room = document.attribute("room").expect("checked above");
        let room = name::Typed::new(room).and_then(name::key).expect("a name");
        let members = self.stage.service.rooms.get(&room).expect("the room").members();
        for (id, messages) in heard.into_iter().filter(|(id, _)| self.open.contains(id)) {
            assert_eq!(messages, usize::from(members.contains(&id)), "{context}: {id} gets {frame}");
        }
    }
}
