//! Defines [`Crowd`], which drives the connections of an attack, on one thread.
//!
//! Knows: when a connection writes, reads, ends and comes back. Must not know: what is said, why.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::attacks::{Attack, Pace, Port, Script};
use crate::poll::Poll;
use crate::server::Server;
use crate::sockets;

/// Bytes that a connection writes, or reads, before it is another one's turn.
const TURN_BYTES: usize = 64 << 10;

/// Connections that are begun before it is the others' turn.
const DIALS: usize = 64;

/// How long a connection that could not be made waits before it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest that the thread waits before it looks whether it must end.
const LOOK: Duration = Duration::from_millis(20);

/// What an attack came to: that there was one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deeds {
    /// Connections that were made.
    pub(crate) made: u64,
    /// Connections that the server closed.
    pub(crate) closed: u64,
    /// The most that there were at a time.
    pub(crate) most: u64,
    /// Bytes that were written.
    pub(crate) written: u64,
    /// Bytes that were read.
    pub(crate) read: u64,
}

/// The attackers.
pub(crate) struct Crowd {
    dismissed: Arc<AtomicBool>,
    thread: JoinHandle<Deeds>,
}

impl Crowd {
    /// They begin.
    pub(crate) fn gather(attack: &Attack, server: &Server, count: usize) -> Crowd {
        let dismissed = Arc::new(AtomicBool::new(false));
        let to = match attack.port {
            Port::Chat => server.chat(),
            Port::Streams => server.streams(),
        };
        let (attack, told) = (*attack, Arc::clone(&dismissed));
        let spawn = thread::Builder::new().name("crowd".to_owned());
        let thread = spawn.spawn(move || {
            // On Linux this is the thread's own: people come first on the processor that they share with it.
            let nice = rustix::process::getpriority_process(None).unwrap_or(0);
            let _ = rustix::process::setpriority_process(None, nice.saturating_add(15).min(19));
            let mut driver = Driver::new(attack, to, count, told);
            driver.drive();
            driver.deeds
        });
        Crowd { dismissed, thread: thread.expect("a thread") }
    }

    /// They end.
    pub(crate) fn dismiss(self) -> Deeds {
        self.dismissed.store(true, Ordering::Relaxed);
        self.thread.join().expect("the crowd's thread")
    }
}

struct Driver {
    attack: Attack,
    to: SocketAddr,
    dismissed: Arc<AtomicBool>,
    poll: Poll,
    members: Vec<Member>,
    /// Who has something to do, and can.
    ready: VecDeque<usize>,
    /// Who is to do something later.
    later: BinaryHeap<Reverse<(Instant, usize)>>,
    buffer: Vec<u8>,
    deeds: Deeds,
    now_there: u64,
}

struct Member {
    stream: Option<TcpStream>,
    script: Script,
    /// How often it has come.
    visit: usize,
    /// How many bytes of the opening, or of the round, are written.
    written: usize,
    /// `None` in the opening, then the number of the round.
    round: Option<usize>,
    is_made: bool,
    can_read: bool,
    can_write: bool,
    is_ready: bool,
    /// Whether it waits for the time of its next round.
    rests: bool,
}

impl Driver {
    fn new(attack: Attack, to: SocketAddr, count: usize, dismissed: Arc<AtomicBool>) -> Driver {
        let member = |n| Member {
            stream: None,
            script: (attack.script)(n, 0),
            visit: 0,
            written: 0,
            round: None,
            is_made: false,
            can_read: false,
            can_write: false,
            is_ready: false,
            rests: true,
        };
        let now = Instant::now();
        Driver {
            attack,
            to,
            dismissed,
            poll: Poll::new().expect("epoll"),
            members: (0..count).map(member).collect(),
            ready: VecDeque::new(),
            later: (0..count).map(|n| Reverse((now, n))).collect(),
            buffer: vec![0; TURN_BYTES],
            deeds: Deeds::default(),
            now_there: 0,
        }
    }

    fn drive(&mut self) {
        while !self.dismissed.load(Ordering::Relaxed) {
            let mut dials = 0;
            let now = Instant::now();
            while dials < DIALS
                && let Some(Reverse((_, n))) = self.later.peek().filter(|Reverse((due, _))| *due <= now)
            {
                let n = *n;
                self.later.pop();
                dials += usize::from(self.members[n].stream.is_none());
                self.wake(n, now);
            }
            let next = self.later.peek().map_or(LOOK, |Reverse((due, _))| due.saturating_duration_since(now));
            let patience = if self.ready.is_empty() { next.min(LOOK) } else { Duration::ZERO };
            let events = self.poll.wait(patience).expect("epoll");
            for at in 0..events {
                let event = self.poll.ready(at);
                let member = &mut self.members[event.key];
                member.can_read |= event.read;
                member.can_write |= event.write;
                if event.ended && !self.attack.reads {
                    self.leave(event.key, true);
                } else {
                    self.line_up(event.key);
                }
            }
            // Those that line up meanwhile have their turn after the next look at the sockets.
            for _ in 0..self.ready.len() {
                if let Some(n) = self.ready.pop_front() {
                    self.members[n].is_ready = false;
                    self.turn(n);
                }
            }
        }
    }

    /// It is time for a member to come, or to write its next round.
    fn wake(&mut self, n: usize, now: Instant) {
        let member = &mut self.members[n];
        if member.stream.is_some() {
            member.rests = false;
            return self.line_up(n);
        }
        member.script = (self.attack.script)(n, member.visit);
        member.visit += 1;
        let dialed = sockets::dial(sockets::lair(n), self.to, !self.attack.reads).and_then(|stream| {
            self.poll.add(&stream, n)?;
            Ok(stream)
        });
        match dialed {
            Ok(stream) => {
                member.stream = Some(stream);
                (member.written, member.round) = (0, None);
                (member.is_made, member.can_read, member.can_write, member.rests) = (false, false, false, false);
            }
            Err(_) => self.later.push(Reverse((now + PAUSE, n))),
        }
    }

    fn line_up(&mut self, n: usize) {
        let member = &mut self.members[n];
        if !member.is_ready && member.stream.is_some() {
            member.is_ready = true;
            self.ready.push_back(n);
        }
    }

    fn turn(&mut self, n: usize) {
        let member = &mut self.members[n];
        if member.can_write && !member.is_made {
            match member.stream.as_ref().map(TcpStream::take_error) {
                Some(Ok(None)) => {
                    member.is_made = true;
                    self.deeds.made += 1;
                    self.now_there += 1;
                    self.deeds.most = self.deeds.most.max(self.now_there);
                }
                _ => return self.leave(n, true),
            }
        }
        if self.attack.reads && self.members[n].can_read && !self.read(n) {
            return self.leave(n, true);
        }
        if self.members[n].is_made && self.members[n].can_write && !self.members[n].rests && !self.write(n) {
            return self.leave(n, true);
        }
        let member = &self.members[n];
        if self.attack.reads && member.can_read || member.is_made && member.can_write && !member.rests {
            self.line_up(n);
        }
    }

    /// Reads for one turn. `false` when the connection has ended.
    fn read(&mut self, n: usize) -> bool {
        let member = &mut self.members[n];
        let Some(stream) = &mut member.stream else { return true };
        match stream.read(&mut self.buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.deeds.read += count as u64;
                member.can_read = count == self.buffer.len();
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                member.can_read = false;
                true
            }
            Err(_) => false,
        }
    }

    /// Writes for one turn. `false` when the connection has ended.
    fn write(&mut self, n: usize) -> bool {
        let mut left = TURN_BYTES;
        while left > 0 && !self.members[n].rests {
            let member = &mut self.members[n];
            let Some(stream) = &mut member.stream else { return true };
            let bytes = match member.round {
                None => &member.script.opening[..],
                Some(round) => &member.script.rounds[round % member.script.rounds.len()][..],
            };
            match stream.write(&bytes[member.written..]) {
                Ok(count) => {
                    self.deeds.written += count as u64;
                    left = left.saturating_sub(count.max(1));
                    member.written += count;
                    if member.written == bytes.len() {
                        member.written = 0;
                        self.next_round(n);
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    member.can_write = false;
                    return true;
                }
                Err(_) => return false,
            }
        }
        true
    }

    /// The opening, or a round, is written.
    fn next_round(&mut self, n: usize) {
        let member = &mut self.members[n];
        member.round = Some(member.round.map_or(0, |round| round + 1));
        if member.script.leaves {
            return self.leave(n, false);
        }
        match self.attack.pace {
            _ if member.script.rounds.is_empty() => member.rests = true,
            Pace::Pours => {}
            Pace::Every(time) => {
                member.rests = true;
                self.later.push(Reverse((Instant::now() + time, n)));
            }
        }
    }

    /// A connection has ended; its member comes again.
    fn leave(&mut self, n: usize, by_server: bool) {
        let member = &mut self.members[n];
        let Some(_) = member.stream.take() else { return };
        let now = Instant::now();
        // One that could not be made, or whose time has not come, is not tried without a pause.
        let due = if member.is_made { now } else { now + PAUSE };
        self.now_there -= u64::from(member.is_made);
        self.deeds.closed += u64::from(member.is_made && by_server);
        member.is_made = false;
        if !(member.rests && matches!(self.attack.pace, Pace::Every(_)) && !member.script.rounds.is_empty()) {
            self.later.push(Reverse((due, n)));
        }
        member.rests = true;
    }
}
