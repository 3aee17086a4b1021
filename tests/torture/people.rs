//! Defines [`People`]: they come in, chat, and notice what is late, missing or wrong.
//!
//! Every message carries its number; whoever is in the room must get the numbers of that room, each once, those of one
//! sender in their order, and all who are in the room in the same one.
//!
//! Knows: the chat's vocabulary, as far as people use it. Must not know: who else is there.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::poll::Poll;
use crate::server::Server;
use crate::sockets;

/// People of one room.
const ROOM: usize = 12;

/// What stands before a message's number.
const MARK: &str = "number ";

/// Time between two messages, of all people together: eight a second, which every other in the room gets.
const EVERY: Duration = Duration::from_millis(125);

/// How long is waited for what was said last.
const GRACE: Duration = Duration::from_secs(10);

/// How often the server's memory is looked at.
const WATCH: Duration = Duration::from_millis(500);

/// What people noticed for a while.
#[derive(Default)]
pub(crate) struct Noticed {
    /// How long each delivery took, the shortest first.
    delays: Vec<Duration>,
    /// How late the generator itself was, each time that somebody was to speak, the shortest first.
    lateness: Vec<Duration>,
    /// How many messages were said.
    pub(crate) said: usize,
    /// Deliveries that never came.
    pub(crate) lost: usize,
    /// What was wrong: connections that were closed, messages out of order, errors.
    pub(crate) wrong: Vec<String>,
}

impl Noticed {
    /// How many deliveries there were.
    pub(crate) fn deliveries(&self) -> usize {
        self.delays.len()
    }

    /// The time within which a share of the deliveries came.
    pub(crate) fn within(&self, share: f64) -> Duration {
        percentile(&self.delays, share)
    }

    /// The time by which the generator was late at most, in a share of the cases.
    pub(crate) fn late(&self, share: f64) -> Duration {
        percentile(&self.lateness, share)
    }
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(Duration::MAX)
}

/// A hundred or so who chat.
pub(crate) struct People {
    persons: Vec<Person>,
    /// The numbers of what was said, by room.
    rooms: Vec<Vec<usize>>,
    /// When each message was said, and who said it.
    said: Vec<(Instant, usize)>,
    poll: Poll,
    /// Who speaks next: not in turn, and the same in each run.
    dice: u64,
}

struct Person {
    /// The connection, until it is closed.
    stream: Option<TcpStream>,
    incoming: Vec<u8>,
    room: usize,
    /// The numbers of the messages that came, in their order.
    heard: Vec<usize>,
}

impl People {
    /// They connect, log in and enter their rooms.
    pub(crate) fn come(chat: SocketAddr, count: usize) -> People {
        let poll = Poll::new().expect("epoll");
        let rooms = count.div_ceil(ROOM);
        let mut persons = Vec::new();
        for n in 0..count {
            let stream = sockets::connect(sockets::home(n), chat).expect("a connection");
            poll.add(&stream, n).expect("epoll");
            persons.push(Person { stream: Some(stream), incoming: Vec::new(), room: n % rooms, heard: Vec::new() });
        }
        let mut people = People { persons, rooms: vec![Vec::new(); rooms], said: Vec::new(), poll, dice: 9 };
        for n in 0..count {
            let room = people.persons[n].room;
            people.persons[n].write(&format!("<login nick=\"person {n}\"/>\0<join room=\"room {room}\"/>\0<ping/>\0"));
        }
        // The answer to the last request comes after all others.
        let mut waiting = count;
        let deadline = Instant::now() + PATIENCE;
        while waiting > 0 {
            assert!(Instant::now() < deadline, "{waiting} of {count} people could not come in");
            for (_, frame) in people.hear(WATCH, &mut Noticed::default()) {
                waiting -= usize::from(frame == "<pong/>");
            }
        }
        people
    }

    /// They chat, and wait for what was said last.
    pub(crate) fn chat(&mut self, time: Duration, server: &Server) -> Noticed {
        let mut noticed = Noticed::default();
        let begin = Instant::now();
        let (mut next, mut watch) = (begin, begin);
        while next < begin + time {
            let now = Instant::now();
            if now >= next {
                noticed.lateness.push(now - next);
                self.speak();
                noticed.said += 1;
                next += EVERY;
            }
            if now >= watch {
                watch = now + WATCH;
                if !server.watch() {
                    noticed.wrong.push("the server ran away with this machine's memory and was ended".to_owned());
                    break;
                }
            }
            self.take(next.saturating_duration_since(now), &mut noticed);
        }
        let deadline = Instant::now() + GRACE;
        while self.missing() > 0 && Instant::now() < deadline {
            self.take(Duration::from_millis(50), &mut noticed);
        }
        noticed.lost = self.missing();
        noticed.wrong.extend(self.disorder());
        noticed.delays.sort();
        noticed.lateness.sort();
        noticed
    }

    /// Deliveries that are still to come.
    fn missing(&self) -> usize {
        self.persons.iter().map(|person| self.rooms[person.room].len().saturating_sub(person.heard.len())).sum()
    }

    /// What is wrong with the order in which people of one room heard what was said.
    fn disorder(&self) -> Option<String> {
        self.persons.iter().enumerate().find_map(|(who, person)| {
            let first = &self.persons[person.room].heard;
            let differs = person.heard.iter().zip(first).position(|(one, other)| one != other);
            if let Some(place) = differs {
                return Some(format!("person {who} and person {} heard another message {place}", person.room));
            }
            let mut last = vec![None; self.persons.len()];
            let turned = person.heard.iter().find(|number| {
                let sender = self.said[**number].1;
                last[sender].replace(**number).is_some_and(|before| before >= **number)
            });
            turned.map(|number| format!("person {who} heard message {number} after a later one, or twice"))
        })
    }

    /// Somebody says something.
    fn speak(&mut self) {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let who = (self.dice >> 33) as usize % self.persons.len();
        let room = self.persons[who].room;
        let number = self.said.len();
        self.rooms[room].push(number);
        self.said.push((Instant::now(), who));
        self.persons[who].write(&format!("<message room=\"room {room}\">{MARK}{number}</message>\0"));
    }

    /// Takes what comes within `patience`, at most one round of it.
    fn take(&mut self, patience: Duration, noticed: &mut Noticed) {
        let frames = self.hear(patience, noticed);
        let now = Instant::now();
        for (who, frame) in frames {
            let Some((_, rest)) = frame.split_once(MARK) else {
                if frame.starts_with("<error") || frame.starts_with("<bye") {
                    noticed.wrong.push(format!("person {who} was told {frame}"));
                }
                continue;
            };
            let number: usize = rest.split('<').next().and_then(|number| number.parse().ok()).expect("a number");
            self.persons[who].heard.push(number);
            noticed.delays.push(now - self.said[number].0);
        }
    }

    /// The frames that come within `patience`, at most one round of them. Pings are answered here.
    fn hear(&mut self, patience: Duration, noticed: &mut Noticed) -> Vec<(usize, String)> {
        let mut frames = Vec::new();
        let ready = self.poll.wait(patience).expect("epoll");
        for who in (0..ready).map(|at| self.poll.ready(at).key).collect::<Vec<_>>() {
            let person = &mut self.persons[who];
            if let Err(reason) = person.read() {
                noticed.wrong.push(format!("person {who} was closed: {reason}"));
                person.stream = None;
            }
            while let Some(end) = person.incoming.iter().position(|byte| *byte == 0) {
                let rest = person.incoming.split_off(end + 1);
                let mut frame = std::mem::replace(&mut person.incoming, rest);
                frame.pop();
                let frame = String::from_utf8(frame).expect("text");
                if frame == "<ping/>" {
                    person.write("<pong/>\0");
                }
                frames.push((who, frame));
            }
        }
        frames
    }
}

impl Person {
    /// Reads all that is there.
    fn read(&mut self) -> Result<(), String> {
        let mut buffer = [0; 65_536];
        let Some(stream) = &mut self.stream else { return Ok(()) };
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Err("the end of the stream".to_owned()),
                Ok(count) => self.incoming.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Writes `text`, a line that the system's buffer always has room for while the server reads at all.
    fn write(&mut self, text: &str) {
        if let Some(stream) = &mut self.stream {
            let _ = stream.write_all(text.as_bytes());
        }
    }
}
