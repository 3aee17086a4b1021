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

use super::client::Client;
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
    fn delivered(&mut self, client: usize, mark: Mark) {
        let _ = (client, mark);
    }

    /// A connection got the answer to a line of its script; `after` is the number of lines done.
    fn answered(&mut self, client: usize, after: usize) {
        let _ = (client, after);
    }

    /// A connection has gone through its script.
    fn ready(&mut self, client: usize) {
        let _ = client;
    }

    /// The server closed a connection. Gives whether that is as it should be.
    fn closed(&mut self, client: usize) -> bool {
        let _ = client;
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
    clients: Vec<Client>,
    /// What has arrived at each client.
    hearings: Vec<Hearing>,
    /// How many messages have arrived at each client, once more: closed loops look at them all the time.
    heard: Vec<u64>,
    tape: Tape,
    /// How many messages each sender has sent; senders are the first clients.
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
            clients: Vec::new(),
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
        let client = self.clients.len();
        let hears_itself = self.vocabulary.echo && !self.vocabulary.senders_apart;
        let hears_all = self.one_room && (client >= self.sent.len() || hears_itself);
        self.hearings.push(self.tape.hearing(hears_all));
        self.heard.push(0);
        self.clients.push(Client::new(script, number, room));
        if client < self.sent.len() {
            let mut envelope = self.vocabulary.message.around(number, room, self.shape.payload().len());
            envelope.1.extend_from_slice(&self.vocabulary.delimiter);
            self.envelopes.push(envelope);
        }
        self.connect(client)?;
        Ok(client)
    }

    /// Begins a connection again in the place of one that has ended, with another number.
    pub(super) fn begin_again(&mut self, client: usize, number: usize) -> Result<(), Failure> {
        self.clients[client].again(number);
        self.connect(client)
    }

    /// A timer that ends a [`turn`](Fleet::turn) whenever it expires.
    pub(super) fn timer(&self, interval: Duration) -> Result<Timer, Failure> {
        let timer = Timer::new(interval).and_then(|timer| {
            self.poll.add(&timer, usize::MAX)?;
            Ok(timer)
        });
        timer.map_err(|error| Failure::run_time(format!("no timer is to be had: {error}")))
    }

    fn connect(&mut self, client: usize) -> Result<(), Failure> {
        let begun = sockets::connect(self.address, client).and_then(|socket| {
            self.poll.add(&socket, client)?;
            Ok(socket)
        });
        self.clients[client].socket = Some(begun.map_err(|error| self.cannot_connect(client, &error))?);
        Ok(())
    }

    fn cannot_connect(&self, client: usize, error: &io::Error) -> Failure {
        Failure::run_time(format!("connection {} to {} cannot be made: {error}", client + 1, self.address))
    }

    /// How many clients there are, those that have ended included.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether a client has gone through its script.
    pub(super) fn is_ready(&self, client: usize) -> bool {
        let client = &self.clients[client];
        client.connected && client.line == client.script.len()
    }

    /// Whether a client is neither closed nor yet to be begun.
    pub(super) fn is_open(&self, client: usize) -> bool {
        self.clients[client].socket.is_some()
    }

    /// Closes a client.
    pub(super) fn close(&mut self, client: usize) {
        self.clients[client].socket = None;
    }

    /// Stops reading from a client, or begins again.
    pub(super) fn set_reads(&mut self, client: usize, reads: bool) {
        self.clients[client].reads = reads;
        // It must not hold the tape while it is behind.
        self.tape.leave(&mut self.hearings[client]);
    }

    /// Whether a client sends messages.
    pub(super) fn is_sender(&self, client: usize) -> bool {
        client < self.sent.len()
    }

    /// Messages that were sent by all senders.
    pub(super) fn sent(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// Messages that have arrived at `clients` together.
    pub(super) fn heard(&self, clients: Range<usize>) -> u64 {
        self.heard[clients].iter().sum()
    }

    /// Messages that have not yet arrived everywhere among `clients`.
    pub(super) fn in_flight(&self, clients: Range<usize>) -> u64 {
        let sent = self.sent();
        let mut in_flight = 0;
        let mut all = clients;
        if !self.vocabulary.echo && all.start < self.sent.len() {
            for sender in all.start..self.sent.len().min(all.end) {
                in_flight = in_flight.max(sent - self.sent[sender] - self.heard[sender]);
            }
            all.start = self.sent.len().min(all.end);
        }
        let least = self.heard[all].iter().min();
        least.map_or(in_flight, |least| in_flight.max(sent - least))
    }

    /// The client among `clients` that has heard least, and what it has heard.
    pub(super) fn last(&self, clients: Range<usize>) -> Option<(usize, u64)> {
        clients.map(|client| (client, self.heard[client])).min_by_key(|(_, heard)| *heard)
    }

    /// Has a sender say its next message, at the next [`flush`](Fleet::flush).
    pub(super) fn say(&mut self, sender: usize) -> Mark {
        let mark = Mark { sender, number: self.sent[sender] };
        self.sent[sender] += 1;
        self.shape.payload().write(mark, &mut self.payload);
        let (before, after) = &self.envelopes[sender];
        let waiting = &mut self.clients[sender].waiting;
        waiting.extend_from_slice(before);
        waiting.extend_from_slice(&self.payload);
        waiting.extend_from_slice(after);
        mark
    }

    /// Sends what a client has to say, as far as the server takes it.
    pub(super) fn flush(&mut self, client: usize) -> Result<(), Failure> {
        if self.clients[client].flush() {
            return Ok(());
        }
        Err(Failure::run_time(format!("the server takes nothing more from connection {}", client + 1)))
    }

    /// Waits until something happens, at most for `patience`, and handles it. Gives whether something did.
    pub(super) fn turn(&mut self, patience: Duration, watch: &mut impl Watch) -> Result<bool, Failure> {
        let ready = self.poll.wait(patience).map_err(|error| Failure::run_time(format!("waiting failed: {error}")))?;
        for index in 0..ready {
            let event = self.poll.ready(index);
            if event.key >= self.clients.len() {
                continue;
            }
            if event.write {
                if !self.clients[event.key].connected {
                    self.connected(event.key, watch)?;
                }
                if !self.clients[event.key].waiting.is_empty() {
                    self.flush(event.key)?;
                }
            }
            if event.read && self.clients[event.key].reads {
                self.read(event.key, event.ended, watch)?;
            }
        }
        self.tape.trim(&mut self.hearings);
        Ok(ready > 0)
    }

    /// Whatever woke the connection: is it made?
    fn connected(&mut self, client: usize, watch: &mut impl Watch) -> Result<(), Failure> {
        let Some(socket) = &self.clients[client].socket else { return Ok(()) };
        match socket.take_error() {
            Ok(None) => {
                self.clients[client].connected = true;
                self.speak(client, watch)
            }
            Ok(Some(error)) | Err(error) => Err(self.cannot_connect(client, &error)),
        }
    }

    /// Says the next lines of the script, up to one that is answered.
    fn speak(&mut self, client: usize, watch: &mut impl Watch) -> Result<(), Failure> {
        let place = &mut self.clients[client];
        watch.answered(client, place.line);
        while let Some(line) = place.script.line(place.line) {
            line.say.fill(place.number, place.room, b"", &mut place.waiting);
            place.waiting.extend_from_slice(&self.vocabulary.delimiter);
            if !line.answer.is_empty() || line.closes {
                break;
            }
            place.line += 1;
            watch.answered(client, place.line);
        }
        if place.line == place.script.len() {
            watch.ready(client);
        }
        self.flush(client)
    }

    /// Reads all that is there: until the buffer is not filled, or `to_the_end`.
    pub(super) fn read(&mut self, client: usize, to_the_end: bool, watch: &mut impl Watch) -> Result<(), Failure> {
        loop {
            let place = &mut self.clients[client];
            let Some(socket) = &mut place.socket else { return Ok(()) };
            let begun = place.begun.len();
            if self.buffer.len() < begun + READ_BYTES {
                self.buffer.resize(begun + READ_BYTES, 0);
            }
            self.buffer[..begun].copy_from_slice(&place.begun);
            match socket.read(&mut self.buffer[begun..]) {
                Ok(0) => return self.gone(client, watch),
                Ok(length) => {
                    if self.vocabulary.quick_ack {
                        // A system that cannot acknowledges a little later.
                        let _ = set_tcp_quickack(&*socket, true);
                    }
                    self.reads += 1;
                    self.bytes += length as u64;
                    self.take(client, begun + length, watch)?;
                    if length < self.buffer.len() - begun && !to_the_end {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.gone(client, watch),
            }
        }
    }

    /// The server closed a client.
    fn gone(&mut self, client: usize, watch: &mut impl Watch) -> Result<(), Failure> {
        let place = &mut self.clients[client];
        place.socket = None;
        let done = place.script.line(place.line).is_some_and(|line| line.closes);
        if done {
            place.line += 1;
            watch.answered(client, place.line);
            watch.ready(client);
            return Ok(());
        }
        if watch.closed(client) {
            return Ok(());
        }
        let closed = format!("the server closed connection {}", client + 1);
        if !self.is_ready(client) {
            return Err(Failure::run_time(format!("{closed}: {}", self.awaits(client))));
        }
        Err(Failure::run_time(format!("{closed} after {} messages", self.heard[client])))
    }

    /// Takes what was read: `length` bytes of the buffer.
    fn take(&mut self, client: usize, length: usize, watch: &mut impl Watch) -> Result<(), Failure> {
        let mut done = 0;
        while done < length && !self.is_ready(client) {
            let Some(frame) = self.shape.frame(&self.buffer[done..length]) else { break };
            let (from, to) = (done, done + frame.len());
            done = to + self.shape.delimiter().len();
            self.scripted(client, from..to, watch)?;
        }
        if self.is_ready(client) {
            let mut ear = ClientEar { client, vocabulary: self.vocabulary, answers: Vec::new(), refusal: None, watch };
            let hearing = &mut self.hearings[client];
            let result = self.tape.hear(&self.shape, hearing, &self.buffer[done..length], &mut ear);
            let ClientEar { answers, refusal, .. } = ear;
            if let Some(refusal) = refusal {
                return Err(refused(client, &refusal));
            }
            done += result.map_err(|fault| Failure::run_time(format!("connection {}: {fault}", client + 1)))?;
            self.heard[client] = hearing.heard();
            if !answers.is_empty() {
                self.clients[client].waiting.extend_from_slice(&answers);
                self.flush(client)?;
            }
        }
        let begun = &mut self.clients[client].begun;
        begun.clear();
        begun.extend_from_slice(&self.buffer[done..length]);
        Ok(())
    }

    /// A frame arrived before the client has gone through its script.
    fn scripted(&mut self, client: usize, frame: Range<usize>, watch: &mut impl Watch) -> Result<(), Failure> {
        let frame = &self.buffer[frame];
        let place = &mut self.clients[client];
        let Some(line) = place.script.line(place.line) else { return Ok(()) };
        if !line.answer.is_empty() && memmem::find(frame, &line.answer).is_some() {
            place.line += 1;
            return self.speak(client, watch);
        }
        if line.closes {
            return Ok(());
        }
        if self.vocabulary.is_refusal(frame) {
            return Err(refused(client, &String::from_utf8_lossy(frame)));
        }
        if self.vocabulary.answer_ping(frame, &mut place.waiting) {
            return self.flush(client);
        }
        place.unexpected = frame[..frame.len().min(QUOTED_BYTES_MAX)].to_vec();
        Ok(())
    }

    /// What the first of the clients from `first` on that are not ready waits for, in a sentence.
    pub(super) fn awaits(&self, first: usize) -> String {
        let Some(client) = (first..self.clients.len()).find(|&client| !self.is_ready(client)) else {
            return String::new();
        };
        let place = &self.clients[client];
        let quoted = |bytes: &[u8]| printable(&String::from_utf8_lossy(bytes)).into_owned();
        let said = match &place.unexpected[..] {
            [] => "nothing came".to_owned(),
            frame => format!("the last that came was `{}`", quoted(frame)),
        };
        match place.script.line(place.line) {
            Some(line) if place.connected && line.closes => format!("connection {} waits for its end", client + 1),
            Some(line) if place.connected => {
                format!("connection {} waits for a frame that holds `{}`; {said}", client + 1, quoted(&line.answer))
            }
            _ => format!("connection {} is not made", client + 1),
        }
    }
}

fn refused(client: usize, frame: &str) -> Failure {
    let hint = if frame.contains("\"too-fast\"") {
        " (--rate keeps below a server's limit; `serve --set limits.frames_per_second_max=0` lifts it)"
    } else {
        ""
    };
    Failure::run_time(format!("the server answered connection {}: {}{hint}", client + 1, printable(frame)))
}

/// Hears for one client, and hands on.
struct ClientEar<'a, W> {
    client: usize,
    vocabulary: &'a Vocabulary,
    /// What is to be said in return.
    answers: Vec<u8>,
    /// What the server complained of.
    refusal: Option<String>,
    watch: &'a mut W,
}

impl<W: Watch> Ear for ClientEar<'_, W> {
    fn delivered(&mut self, mark: Mark) {
        self.watch.delivered(self.client, mark);
    }

    fn other(&mut self, frame: &[u8]) {
        if self.vocabulary.is_refusal(frame) {
            self.refusal = Some(String::from_utf8_lossy(frame).into_owned());
        } else {
            self.vocabulary.answer_ping(frame, &mut self.answers);
        }
    }
}
