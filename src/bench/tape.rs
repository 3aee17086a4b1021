//! Defines [`Tape`], against which receivers are checked at the speed of comparing bytes.
//!
//! A server sends every receiver the same messages, nearly always in the same order. So the receiver that is furthest
//! has each message cut out, checked and recorded on the tape; what the others get is compared with the record. One whose
//! order differs (servers with several threads do that) leaves the tape, has every message cut out and checked by
//! itself, and comes back when it is level. Either way every byte of every frame is looked at.
//!
//! Knows: bytes and numbers. Must not know: sockets, time.

use super::payload::Mark;
use super::shape::{Cut, Shape};
use crate::printable::printable;

/// Bytes of tape that are kept without a look whether anybody still needs them.
const KEPT_BYTES: usize = 256 << 10;

/// Bytes by which a receiver may be behind before it is taken off the tape, so that the tape stays bounded.
const BEHIND_BYTES_MAX: u64 = 16 << 20;

/// Who is told what a receiver hears.
pub(super) trait Ear {
    /// The next message arrived.
    fn delivered(&mut self, mark: Mark);

    /// A frame of another kind arrived.
    fn other(&mut self, frame: &[u8]);
}

/// The messages that at least one receiver got, in their order.
#[derive(Debug)]
pub(super) struct Tape {
    /// The frames, from the first that somebody still has to hear.
    bytes: Vec<u8>,
    /// Where `bytes` begins, counted from the first byte ever.
    start: u64,
    /// Where each of these frames ends.
    ends: Vec<u64>,
    /// Which messages they are.
    marks: Vec<Mark>,
    /// How many frames went before them.
    before: u64,
    /// The number that comes next, of each sender.
    next: Vec<u64>,
    /// How many bytes are looked through the next time.
    trim_at: usize,
}

/// How far a receiver is.
#[derive(Clone, Debug)]
pub(super) struct Hearing {
    /// Where its next frame begins on the tape; `None` off the tape.
    place: Option<u64>,
    /// Messages it has heard.
    heard: u64,
    /// Off the tape: the number that comes next, of each sender.
    next: Vec<u64>,
    /// Whether it can be on the tape: not when it does not get all messages.
    level: bool,
}

/// What is wrong with a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Messages are missing.
    Gap { sender: usize, expected: u64, got: u64 },
    /// A message came again.
    Repeated { sender: usize, expected: u64, got: u64 },
    /// Bytes are missing, doubled, mixed or altered; here is where it begins.
    Torn { expected: u64, near: String },
    /// Somebody else got other bytes as the same message.
    Altered { mark: Mark, near: String },
    /// A message of a sender that is none of ours.
    Foreign { sender: usize },
}

impl Tape {
    /// An empty tape for messages of so many senders.
    pub(super) fn new(senders: usize) -> Tape {
        Tape {
            bytes: Vec::new(),
            start: 0,
            ends: Vec::new(),
            marks: Vec::new(),
            before: 0,
            next: vec![0; senders],
            trim_at: KEPT_BYTES,
        }
    }

    /// A receiver that has heard nothing yet; `all` says whether it will get the messages of all senders.
    pub(super) fn hearing(&self, all: bool) -> Hearing {
        let place = all.then_some(0);
        Hearing { place, heard: 0, next: vec![0; if all { 0 } else { self.next.len() }], level: all }
    }

    /// Checks what a receiver got next, and gives the number of bytes that are done with: the rest is no whole frame.
    pub(super) fn hear(
        &mut self,
        shape: &Shape,
        hearing: &mut Hearing,
        stream: &[u8],
        ear: &mut impl Ear,
    ) -> Result<usize, Flaw> {
        let mut done = 0;
        while done < stream.len() {
            let rest = &stream[done..];
            let known = self.follow(hearing, rest, ear);
            if known > 0 {
                done += known;
                continue;
            }
            match shape.cut(rest) {
                Cut::More => break,
                Cut::Other(length) => {
                    ear.other(&rest[..length]);
                    done += length + shape.delimiter().len();
                }
                Cut::Delivered(mark, length) => {
                    self.take(hearing, mark, &rest[..length])?;
                    ear.delivered(mark);
                    done += length;
                }
                Cut::Torn => return Err(Flaw::Torn { expected: hearing.heard, near: beginning(rest) }),
            }
        }
        Ok(done)
    }

    /// The bytes of whole frames at the beginning of `stream` that are as the tape has them.
    fn follow(&self, hearing: &mut Hearing, stream: &[u8], ear: &mut impl Ear) -> usize {
        let Some(place) = hearing.place else { return 0 };
        let known = &self.bytes[(place - self.start) as usize..];
        let length = known.len().min(stream.len());
        let same = if known[..length] == stream[..length] {
            length
        } else {
            known.iter().zip(stream).take_while(|(one, other)| one == other).count()
        };
        let first = (hearing.heard - self.before) as usize;
        let ends = &self.ends[first..];
        let frames = ends.partition_point(|&end| end <= place + same as u64);
        let Some(end) = frames.checked_sub(1).map(|last| ends[last]) else { return 0 };
        for mark in &self.marks[first..first + frames] {
            ear.delivered(*mark);
        }
        hearing.place = Some(end);
        hearing.heard += frames as u64;
        (end - place) as usize
    }

    /// Takes a message that was cut out of a receiver's stream: it is the tape's next one, or the order differs. It is
    /// not what the tape has at this place, or [`follow`](Tape::follow) would have taken it.
    fn take(&mut self, hearing: &mut Hearing, mark: Mark, frame: &[u8]) -> Result<(), Flaw> {
        if hearing.place == Some(self.end()) {
            expect(&mut self.next, mark)?;
            self.bytes.extend_from_slice(frame);
            self.ends.push(self.end());
            self.marks.push(mark);
            hearing.place = Some(self.end());
            hearing.heard += 1;
            return Ok(());
        }
        if hearing.place.is_some() && self.marks[(hearing.heard - self.before) as usize] == mark {
            return Err(Flaw::Altered { mark, near: beginning(frame) });
        }
        self.leave(hearing);
        expect(&mut hearing.next, mark)?;
        hearing.heard += 1;
        if hearing.level && hearing.heard == self.before + self.ends.len() as u64 && hearing.next == self.next {
            hearing.place = Some(self.end());
            hearing.next.clear();
        }
        Ok(())
    }

    /// Takes a receiver off the tape.
    pub(super) fn leave(&self, hearing: &mut Hearing) {
        if hearing.place.take().is_some() {
            hearing.next.clone_from(&self.next);
            for mark in &self.marks[(hearing.heard - self.before) as usize..] {
                let next = &mut hearing.next[mark.sender];
                *next = mark.number.min(*next);
            }
        }
    }

    /// Forgets what all of `hearings` have heard, from time to time.
    pub(super) fn trim(&mut self, hearings: &mut [Hearing]) {
        if self.bytes.len() < self.trim_at {
            return;
        }
        let oldest = self.end().saturating_sub(BEHIND_BYTES_MAX);
        let mut needed = self.end();
        for hearing in hearings {
            match hearing.place {
                Some(place) if place < oldest => self.leave(hearing),
                Some(place) => needed = needed.min(place),
                None => {}
            }
        }
        let frames = self.ends.partition_point(|&end| end <= needed);
        self.ends.drain(..frames);
        self.marks.drain(..frames);
        self.before += frames as u64;
        self.bytes.drain(..(needed - self.start) as usize);
        self.start = needed;
        self.trim_at = (2 * self.bytes.len()).max(KEPT_BYTES);
    }

    /// Where the tape ends.
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl Hearing {
    /// Messages that it has heard.
    pub(super) fn heard(&self) -> u64 {
        self.heard
    }
}

/// Whether the message is the next one of its sender.
fn expect(next: &mut [u64], Mark { sender, number }: Mark) -> Result<(), Flaw> {
    let Some(expected) = next.get_mut(sender) else { return Err(Flaw::Foreign { sender }) };
    if number > *expected {
        return Err(Flaw::Gap { sender, expected: *expected, got: number });
    }
    if number < *expected {
        return Err(Flaw::Repeated { sender, expected: *expected, got: number });
    }
    *expected += 1;
    Ok(())
}

/// The first bytes of what is wrong.
fn beginning(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(&bytes[..bytes.len().min(300)])).into_owned()
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Flaw::Gap { sender, expected, got } => {
                write!(f, "message {expected} of sender {sender} is missing: number {got} came instead (a gap)")
            }
            Flaw::Repeated { sender, expected, got } => {
                write!(f, "message {got} of sender {sender} came again where number {expected} was due (a repeat)")
            }
            Flaw::Torn { expected, near } => {
                let hint = if *expected == 0 { " (if all arrive like this, --deliver tells how)" } else { "" };
                write!(f, "after {expected} messages came a torn frame{hint}, which begins: {near}")
            }
            Flaw::Altered { mark: Mark { sender, number }, near } => {
                write!(f, "message {number} of sender {sender} is not what another receiver got as such: {near}")
            }
            Flaw::Foreign { sender } => {
                write!(f, "a message of sender {sender} came, which is none of this run: does another one go on?")
            }
        }
    }
}

#[cfg(test)]
#[path = "tape_tests.rs"]
mod tests;
