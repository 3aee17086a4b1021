//! Defines [`Fleet`]: all the connections of a run, driven by one thread that waits for whichever is ready.
//!
//! Knows: connecting, the script that a connection goes through, sending messages, checking what arrives.
//! Must not know: what is measured.

use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use memchr::memmem;
use rustix::net::sockopt::set_tcp_quickack;

use super::link::Link;
use super::payload::Mark;
use super::poll::{Poll, Timer};
use super::script::Script;
use super::shape::Shape;
use super::sockets;
use super::tape::{Ear, Hearing, Tape};
use super::vocabulary::Vocabulary;
use crate::exit_code::Failure;
use crate::printable::printable;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;

/// Bytes of a frame that are kept to quote them.
const QUOTED_BYTES_MAX: usize = 300;

/// What happens to connections, told to whoever measures. What is not asked for costs nothing.
pub(super) trait Watch {
    /// A message arrived.
    fn delivered(&mut self, link: usize, mark: Mark) {
        let _ = (link, mark);
    }

    /// A connection got the answer to a line of its script; `after` is the number of lines done.
    fn answered(&mut self, link: usize, after: usize) {
        let _ = (link, after);
    }

    /// A connection has gone through its script.
    fn ready(&mut self, link: usize) {
        let _ = link;
    }

    /// The server closed a connection. Gives whether that is as it should be.
    fn closed(&mut self, link: usize) -> bool {
        let _ = link;
        false
    }
}

/// Watches nothing.
pub(super) struct Nothing;

impl Watch for Nothing {}

/// The connections of a run.
pub(super) struct Fleet<'a> {
    /// Where they go.
    address: SocketAddr,
    /// What is said.
    vocabulary: &'a Vocabulary,
    /// What messages look like when they arrive.
    shape: Shape,
    poll: Poll,
    links: Vec<Link>,
    /// What has arrived at each link.
    hearings: Vec<Hearing>,
    /// How many messages have arrived at each link, once more: closed loops look at them all the time.
    heard: Vec<u64>,
    tape: Tape,
    /// How many messages each sender has sent; senders are the first links.
    sent: Vec<u64>,
    /// What stands before and after the payload in each sender's messages.
    envelopes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether all receivers get all messages.
    one_room: bool,
    /// Where bytes are read to.
    buffer: Vec<u8>,
    /// A payload that is being made.
    payload: Vec<u8>,
    /// How often something was read: deliveries divided by this is what arrives together.
    pub(super) reads: u64,
    /// Bytes that were read.
    pub(super) bytes: u64,
}

impl<'a> Fleet<'a> {
    /// A fleet without connections, with so many senders; `one_room` says whether all receivers get all messages.
    pub(super) fn new(
        address: SocketAddr,
        vocabulary: &'a Vocabulary,
        shape: Shape,
        senders: usize,
        one_room: bool,
    ) -> Result<Fleet<'a>, Failure> {
        Ok(Fleet {
            address,
            vocabulary,
            shape,
            poll: Poll::new().map_err(|error| Failure::run_time(format!("epoll is not to be had: {error}")))?,
            links: Vec::new(),
            hearings: Vec::new(),
            heard: Vec::new(),
            tape: Tape::new(senders),
            sent: vec![0; senders],
            envelopes: Vec::new(),
            one_room,
            buffer: vec![0; READ_BYTES],
            payload: Vec::new(),
            reads: 0,
            bytes: 0,
        })
    }

    /// Begins one more connection, which will go through `script`, and gives its place.
    pub(super) fn begin(&mut self, script: &Script, number: usize, room: usize) -> Result<usize, Failure> {
        let link = self.links.len();
        let hears_itself = self.vocabulary.echo && !self.vocabulary.senders_apart;
        let hears_all = self.one_room && (link >= self.sent.len() || hears_itself);
        self.hearings.push(self.tape.hearing(hears_all));
        self.heard.push(0);
        self.links.push(Link::new(script, number, room));
        if link < self.sent.len() {
            let mut envelope = self.vocabulary.message.around(number, room, self.shape.payload().len());
            envelope.1.extend_from_slice(&self.vocabulary.delimiter);
            self.envelopes.push(envelope);
        }
        self.connect(link)?;
        Ok(link)
    }

    /// Begins a connection again in the place of one that has ended, with another number.
    pub(super) fn begin_again(&mut self, link: usize, number: usize) -> Result<(), Failure> {
        self.links[link].again(number);
        self.connect(link)
    }

    /// A timer that ends a [`turn`](Fleet::turn) whenever it expires.
    pub(super) fn timer(&self, interval: Duration) -> Result<Timer, Failure> {
        let timer = Timer::new(interval).and_then(|timer| {
            self.poll.add(&timer, usize::MAX)?;
            Ok(timer)
        });
        timer.map_err(|error| Failure::run_time(format!("no timer is to be had: {error}")))
    }

    fn connect(&mut self, link: usize) -> Result<(), Failure> {
        let begun = sockets::connect(self.address, link).and_then(|socket| {
            self.poll.add(&socket, link)?;
            Ok(socket)
        });
        self.links[link].socket = Some(begun.map_err(|error| self.cannot_connect(link, &error))?);
        Ok(())
    }

    fn cannot_connect(&self, link: usize, error: &io::Error) -> Failure {
        Failure::run_time(format!("connection {} to {} cannot be made: {error}", link + 1, self.address))
    }

    /// How many links there are, those that have ended included.
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether a link has gone through its script.
    pub(super) fn is_ready(&self, link: usize) -> bool {
        let link = &self.links[link];
        link.connected && link.line == link.script.len()
    }

    /// Whether a link is neither closed nor yet to be begun.
    pub(super) fn is_open(&self, link: usize) -> bool {
        self.links[link].socket.is_some()
    }

    /// Closes a link.
    pub(super) fn close(&mut self, link: usize) {
        self.links[link].socket = None;
    }

    /// Stops reading from a link, or begins again.
    pub(super) fn set_reads(&mut self, link: usize, reads: bool) {
        self.links[link].reads = reads;
        // It must not hold the tape while it is behind.
        self.tape.leave(&mut self.hearings[link]);
    }

    /// Whether a link sends messages.
    pub(super) fn is_sender(&self, link: usize) -> bool {
        link < self.sent.len()
    }

    /// Messages that were sent by all senders.
    pub(super) fn sent(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// Messages that have arrived at `links` together.
    pub(super) fn heard(&self, links: Range<usize>) -> u64 {
        self.heard[links].iter().sum()
    }

    /// Messages that have not yet arrived everywhere among `links`.
    pub(super) fn in_flight(&self, links: Range<usize>) -> u64 {
        let sent = self.sent();
        let mut in_flight = 0;
        let mut all = links;
        if !self.vocabulary.echo && all.start < self.sent.len() {
            for sender in all.start..self.sent.len().min(all.end) {
                in_flight = in_flight.max(sent - self.sent[sender] - self.heard[sender]);
            }
            all.start = self.sent.len().min(all.end);
        }
        let least = self.heard[all].iter().min();
        least.map_or(in_flight, |least| in_flight.max(sent - least))
    }

    /// The link among `links` that has heard least, and what it has heard.
    pub(super) fn last(&self, links: Range<usize>) -> Option<(usize, u64)> {
        links.map(|link| (link, self.heard[link])).min_by_key(|(_, heard)| *heard)
    }

    /// Has a sender say its next message, at the next [`flush`](Fleet::flush).
    pub(super) fn say(&mut self, sender: usize) -> Mark {
        let mark = Mark { sender, number: self.sent[sender] };
        self.sent[sender] += 1;
        self.shape.payload().write(mark, &mut self.payload);
        let (before, after) = &self.envelopes[sender];
        let waiting = &mut self.links[sender].waiting;
        waiting.extend_from_slice(before);
        waiting.extend_from_slice(&self.payload);
        waiting.extend_from_slice(after);
        mark
    }

    /// Sends what a link has to say, as far as the server takes it.
    pub(super) fn flush(&mut self, link: usize) -> Result<(), Failure> {
        if self.links[link].flush() {
            return Ok(());
        }
        Err(Failure::run_time(format!("the server takes nothing more from connection {}", link + 1)))
    }

    /// Waits until something happens, at most for `patience`, and handles it. Gives whether something did.
    pub(super) fn turn(&mut self, patience: Duration, watch: &mut impl Watch) -> Result<bool, Failure> {
        let ready = self.poll.wait(patience).map_err(|error| Failure::run_time(format!("waiting failed: {error}")))?;
        for index in 0..ready {
            let event = self.poll.ready(index);
            if event.key >= self.links.len() {
                continue;
            }
            if event.write {
                if !self.links[event.key].connected {
                    self.connected(event.key, watch)?;
                }
                if !self.links[event.key].waiting.is_empty() {
                    self.flush(event.key)?;
                }
            }
            if event.read && self.links[event.key].reads {
                self.read(event.key, event.ended, watch)?;
            }
        }
        self.tape.trim(&mut self.hearings);
        Ok(ready > 0)
    }

    /// Whatever woke the connection: is it made?
    fn connected(&mut self, link: usize, watch: &mut impl Watch) -> Result<(), Failure> {
        let Some(socket) = &self.links[link].socket else { return Ok(()) };
        match socket.take_error() {
            Ok(None) => {
                self.links[link].connected = true;
                self.speak(link, watch)
            }
            Ok(Some(error)) | Err(error) => Err(self.cannot_connect(link, &error)),
        }
    }

    /// Says the next lines of the script, up to one that is answered.
    fn speak(&mut self, link: usize, watch: &mut impl Watch) -> Result<(), Failure> {
        let place = &mut self.links[link];
        watch.answered(link, place.line);
        while let Some(line) = place.script.line(place.line) {
            line.say.fill(place.number, place.room, b"", &mut place.waiting);
            place.waiting.extend_from_slice(&self.vocabulary.delimiter);
            if !line.answer.is_empty() || line.closes {
                break;
            }
            place.line += 1;
            watch.answered(link, place.line);
        }
        if place.line == place.script.len() {
            watch.ready(link);
        }
        self.flush(link)
    }

    /// Reads all that is there: until the buffer is not filled, or `to_the_end`.
    pub(super) fn read(&mut self, link: usize, to_the_end: bool, watch: &mut impl Watch) -> Result<(), Failure> {
        loop {
            let place = &mut self.links[link];
            let Some(socket) = &mut place.socket else { return Ok(()) };
            let begun = place.begun.len();
            if self.buffer.len() < begun + READ_BYTES {
                self.buffer.resize(begun + READ_BYTES, 0);
            }
            self.buffer[..begun].copy_from_slice(&place.begun);
            match socket.read(&mut self.buffer[begun..]) {
                Ok(0) => return self.gone(link, watch),
                Ok(length) => {
                    if self.vocabulary.quick_ack {
                        // A system that cannot acknowledges a little later.
                        let _ = set_tcp_quickack(&*socket, true);
                    }
                    self.reads += 1;
                    self.bytes += length as u64;
                    self.take(link, begun + length, watch)?;
                    if length < self.buffer.len() - begun && !to_the_end {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.gone(link, watch),
            }
        }
    }

    /// The server closed a link.
    fn gone(&mut self, link: usize, watch: &mut impl Watch) -> Result<(), Failure> {
        let place = &mut self.links[link];
        place.socket = None;
        let done = place.script.line(place.line).is_some_and(|line| line.closes);
        if done {
            place.line += 1;
            watch.answered(link, place.line);
            watch.ready(link);
            return Ok(());
        }
        if watch.closed(link) {
            return Ok(());
        }
        let closed = format!("the server closed connection {}", link + 1);
        if !self.is_ready(link) {
            return Err(Failure::run_time(format!("{closed}: {}", self.awaits(link))));
        }
        Err(Failure::run_time(format!("{closed} after {} messages", self.heard[link])))
    }

    /// Takes what was read: `length` bytes of the buffer.
    fn take(&mut self, link: usize, length: usize, watch: &mut impl Watch) -> Result<(), Failure> {
        let mut done = 0;
        while done < length && !self.is_ready(link) {
            let Some(frame) = self.shape.frame(&self.buffer[done..length]) else { break };
            let (from, to) = (done, done + frame.len());
            done = to + self.shape.delimiter().len();
            self.scripted(link, from..to, watch)?;
        }
        if self.is_ready(link) {
            let mut ear = LinkEar { link, vocabulary: self.vocabulary, answers: Vec::new(), refusal: None, watch };
            let hearing = &mut self.hearings[link];
            let result = self.tape.hear(&self.shape, hearing, &self.buffer[done..length], &mut ear);
            let LinkEar { answers, refusal, .. } = ear;
            if let Some(refusal) = refusal {
                return Err(refused(link, &refusal));
            }
            done += result.map_err(|fault| Failure::run_time(format!("connection {}: {fault}", link + 1)))?;
            self.heard[link] = hearing.heard();
            if !answers.is_empty() {
                self.links[link].waiting.extend_from_slice(&answers);
                self.flush(link)?;
            }
        }
        let begun = &mut self.links[link].begun;
        begun.clear();
        begun.extend_from_slice(&self.buffer[done..length]);
        Ok(())
    }

    /// A frame arrived before the link has gone through its script.
    fn scripted(&mut self, link: usize, frame: Range<usize>, watch: &mut impl Watch) -> Result<(), Failure> {
        let frame = &self.buffer[frame];
        let place = &mut self.links[link];
        let Some(line) = place.script.line(place.line) else { return Ok(()) };
        if !line.answer.is_empty() && memmem::find(frame, &line.answer).is_some() {
            place.line += 1;
            return self.speak(link, watch);
        }
        if line.closes {
            return Ok(());
        }
        if self.vocabulary.is_refusal(frame) {
            return Err(refused(link, &String::from_utf8_lossy(frame)));
        }
        if self.vocabulary.answer_ping(frame, &mut place.waiting) {
            return self.flush(link);
        }
        place.unexpected = frame[..frame.len().min(QUOTED_BYTES_MAX)].to_vec();
        Ok(())
    }

    /// What the first of the links from `first` on that are not ready waits for, in a sentence.
    pub(super) fn awaits(&self, first: usize) -> String {
        let Some(link) = (first..self.links.len()).find(|&link| !self.is_ready(link)) else { return String::new() };
        let place = &self.links[link];
        let quoted = |bytes: &[u8]| printable(&String::from_utf8_lossy(bytes)).into_owned();
        let said = match &place.unexpected[..] {
            [] => "nothing came".to_owned(),
            frame => format!("the last that came was `{}`", quoted(frame)),
        };
        match place.script.line(place.line) {
            Some(line) if place.connected && line.closes => format!("connection {} waits for its end", link + 1),
            Some(line) if place.connected => {
                format!("connection {} waits for a frame that holds `{}`; {said}", link + 1, quoted(&line.answer))
            }
            _ => format!("connection {} is not made", link + 1),
        }
    }
}

fn refused(link: usize, frame: &str) -> Failure {
    let hint = if frame.contains("\"too-fast\"") {
        " (--rate keeps below a server's limit; `serve --set limits.frames_per_second_max=0` lifts it)"
    } else {
        ""
    };
    Failure::run_time(format!("the server answered connection {}: {}{hint}", link + 1, printable(frame)))
}

/// Hears for one link, and hands on.
struct LinkEar<'a, W> {
    link: usize,
    vocabulary: &'a Vocabulary,
    /// What is to be said in return.
    answers: Vec<u8>,
    /// What the server complained of.
    refusal: Option<String>,
    watch: &'a mut W,
}

impl<W: Watch> Ear for LinkEar<'_, W> {
    fn delivered(&mut self, mark: Mark) {
        self.watch.delivered(self.link, mark);
    }

    fn other(&mut self, frame: &[u8]) {
        if self.vocabulary.is_refusal(frame) {
            self.refusal = Some(String::from_utf8_lossy(frame).into_owned());
        } else {
            self.vocabulary.answer_ping(frame, &mut self.answers);
        }
    }
}
