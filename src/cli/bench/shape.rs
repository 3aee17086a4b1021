//! Defines [`Shape`], what a delivered message looks like on the wire, and cuts a stream into such messages and others.
//!
//! Knows: bytes before, around and after a payload. Must not know: who receives it, what came before.

use memchr::{memchr, memmem};

use super::payload::{MARK, Mark, Payload};
use super::template::{Piece, Place, Template};

/// Bytes without a delimiter beyond which a stream is not what we think it is.
const FRAME_BYTES_MAX: usize = 4 << 20;

/// What a delivered message looks like: `head`, then perhaps anything but a delimiter, `middle`, the payload, `tail`.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// What tells a delivered message from other frames: its first bytes.
    head: Vec<u8>,
    /// Whether there is anything variable between `head` and `middle`.
    varies: bool,
    /// The bytes between the last variable part and the payload.
    middle: Vec<u8>,
    /// The bytes after the payload, with the delimiter.
    tail: Vec<u8>,
    /// What ends every frame.
    delimiter: Vec<u8>,
    /// The payload between them.
    payload: Payload,
}

/// What stands at the beginning of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Not enough bytes to say.
    More,
    /// A sound delivered message of so many bytes.
    Delivered(Mark, usize),
    /// A frame of another kind: so many bytes, the delimiter not counted, then the delimiter.
    Other(usize),
    /// Neither: bytes are missing, doubled, or mixed.
    Torn,
}

impl Shape {
    /// The shape that `pattern` describes.
    ///
    /// # Errors
    /// A sentence, when the pattern leaves open what a delivered message is.
    pub(super) fn new(pattern: &Template, delimiter: &[u8], payload: Payload) -> Result<Shape, String> {
        let mut shape = Shape {
            head: Vec::new(),
            varies: false,
            middle: Vec::new(),
            tail: Vec::new(),
            delimiter: delimiter.to_vec(),
            payload,
        };
        let mut after = false;
        for piece in pattern.pieces() {
            match piece {
                Piece::Place(Place::Payload) if after => return Err("the payload can stand only once".to_owned()),
                Piece::Place(Place::Payload) => after = true,
                Piece::Place(Place::Bytes) => {
                    let digits = shape.payload.len().to_string();
                    shape.literal(after).extend_from_slice(digits.as_bytes());
                }
                Piece::Literal(bytes) => shape.literal(after).extend_from_slice(bytes),
                Piece::Place(_) if after => return Err("nothing variable can stand after the payload".to_owned()),
                Piece::Place(_) => {
                    shape.varies = true;
                    shape.middle.clear();
                }
            }
        }
        if !after {
            return Err("the payload is missing".to_owned());
        }
        if shape.varies && shape.head.is_empty() {
            return Err("the first bytes must not vary: they tell a message from other frames".to_owned());
        }
        shape.tail.extend_from_slice(delimiter);
        Ok(shape)
    }

    /// Where literal bytes of the pattern go.
    fn literal(&mut self, after: bool) -> &mut Vec<u8> {
        match (after, self.varies) {
            (true, _) => &mut self.tail,
            (false, true) => &mut self.middle,
            (false, false) => &mut self.head,
        }
    }

    /// What stands at the beginning of `stream`. `varying` is what this stream's messages had between head and middle,
    /// in bytes; `None` before the first one. A number in it may gain a digit, nothing may become shorter.
    pub(super) fn step(&self, stream: &[u8], varying: &mut Option<usize>) -> Step {
        let common = stream.len().min(self.head.len());
        if stream[..common] != self.head[..common] {
            return self.other(stream);
        }
        if common < self.head.len() {
            return Step::More;
        }
        let rest = &stream[self.head.len()..];
        if self.head.is_empty() && !rest.starts_with(&MARK[..MARK.len().min(rest.len())]) {
            return self.other(stream);
        }
        if !self.varies {
            return self.delivered(rest, 0);
        }
        let step = match *varying {
            Some(known) => match self.delivered(rest, known) {
                Step::Torn => self.noting(known + 1, rest, varying),
                step => step,
            },
            None => match memmem::find(rest, MARK) {
                Some(at) => self.noting(at.saturating_sub(self.middle.len()), rest, varying),
                // Lines inside a message are not ends of frames.
                None if self.delimited(&self.middle) => Step::More,
                None => Step::Torn,
            },
        };
        // Another frame can begin like a message, but it holds no mark.
        if step == Step::Torn { self.other(stream) } else { step }
    }

    /// As [`delivered`](Shape::delivered), and notes the length of the varying part when it is right.
    fn noting(&self, length: usize, rest: &[u8], varying: &mut Option<usize>) -> Step {
        let step = self.delivered(rest, length);
        if let Step::Delivered(..) = step {
            *varying = Some(length);
        }
        step
    }

    /// The message whose bytes after the head are at the beginning of `rest`, `varying` of them before the middle.
    fn delivered(&self, rest: &[u8], varying: usize) -> Step {
        let length = varying + self.middle.len() + self.payload.len() + self.tail.len();
        let Some(frame) = rest.get(..length) else { return Step::More };
        let (variable, frame) = frame.split_at(varying);
        let (middle, frame) = frame.split_at(self.middle.len());
        let (payload, tail) = frame.split_at(self.payload.len());
        let whole = middle == self.middle && tail == self.tail && !self.delimited(variable);
        match self.payload.read(payload) {
            Some(mark) if whole => Step::Delivered(mark, self.head.len() + length),
            _ => Step::Torn,
        }
    }

    /// Whether a delimiter's last byte is in `bytes`.
    fn delimited(&self, bytes: &[u8]) -> bool {
        self.delimiter.last().is_some_and(|&last| memchr(last, bytes).is_some())
    }

    /// A frame that is no delivered message.
    fn other(&self, stream: &[u8]) -> Step {
        match memmem::find(stream, &self.delimiter) {
            Some(length) if memmem::find(&stream[..length], MARK).is_some() => Step::Torn,
            Some(length) => Step::Other(length),
            None if stream.len() > FRAME_BYTES_MAX => Step::Torn,
            None => Step::More,
        }
    }

    /// The frame without its delimiter at the beginning of `stream`, where no messages are expected yet.
    pub(super) fn frame<'a>(&self, stream: &'a [u8]) -> Option<&'a [u8]> {
        memmem::find(stream, &self.delimiter).map(|length| &stream[..length])
    }

    /// What ends every frame.
    pub(super) fn delimiter(&self) -> &[u8] {
        &self.delimiter
    }

    /// The payload of messages.
    pub(super) fn payload(&self) -> &Payload {
        &self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload::PAYLOAD_BYTES_MIN;
    use super::super::vocabulary::{Preset, Vocabulary};
    use super::*;

    const BYTES: usize = PAYLOAD_BYTES_MIN + 13;

    fn shape(preset: Preset) -> Shape {
        let vocabulary = Vocabulary::of(preset);
        Shape::new(&vocabulary.deliver, &vocabulary.delimiter, Payload::new(BYTES)).unwrap()
    }

    fn chat(id: u64, number: u64) -> Vec<u8> {
        let mut payload = Vec::new();
        Payload::new(BYTES).write(Mark { sender: 1, number }, &mut payload);
        let head = format!("<message id=\"{id}\" room=\"r\" from=\"b\" time=\"t\">");
        [head.as_bytes(), &payload, b"</message>\0"].concat()
    }

    #[test]
    fn a_message_is_told_from_other_frames() {
        let (shape, mut varying) = (shape(Preset::Chat), None);
        let message = chat(99, 5);
        for cut in 0..message.len() {
            assert_eq!(shape.step(&message[..cut], &mut varying), Step::More, "cut at {cut}");
        }
        assert_eq!(shape.step(&message, &mut varying), Step::Delivered(Mark { sender: 1, number: 5 }, message.len()));
        assert_eq!(shape.step(b"<joined room=\"r\"/>\0<m", &mut varying), Step::Other(18));
        let longer = chat(100, 6);
        assert_eq!(shape.step(&longer, &mut varying), Step::Delivered(Mark { sender: 1, number: 6 }, longer.len()));
        assert_eq!(shape.step(&[message, longer].concat(), &mut varying), Step::Torn, "it became shorter again");
    }

    #[test]
    fn a_message_that_lost_or_gained_a_byte_is_torn() {
        let shape = shape(Preset::Chat);
        let (message, next) = (chat(10, 5), chat(11, 6));
        let from = memmem::find(&message, MARK).unwrap();
        for at in 0..message.len() {
            let mut varying = Some(message.len() - BYTES - b"<message id=\"\"></message>\0".len());
            let (mut lost, mut gained) = (message.clone(), message.clone());
            lost.remove(at);
            gained.insert(at, b'#');
            let lost = shape.step(&[lost, next.clone()].concat(), &mut varying.clone());
            // Without its mark it is taken for another frame, and what follows is found to be a gap.
            let marked = !(from..from + MARK.len()).contains(&at);
            assert_eq!(matches!(lost, Step::Torn), marked, "lost byte {at}: {lost:?}");
            // A byte more in the part that varies looks like a digit more there.
            let gained = shape.step(&[gained, next.clone()].concat(), &mut varying);
            let varies = (13..message.len() - BYTES - b"\"></message>\0".len() + 1).contains(&at);
            let marked = at != from + 1;
            assert_eq!(matches!(gained, Step::Torn), !varies && marked, "gained byte {at}: {gained:?}");
        }
    }

    #[test]
    fn other_delimiters_and_lines_inside_a_message_do() {
        let mut payload = Vec::new();
        Payload::new(BYTES).write(Mark { sender: 0, number: 1 }, &mut payload);
        for (preset, head) in [
            (Preset::Redis, format!("*3\r\n$7\r\nmessage\r\n$10\r\nbench00000\r\n${BYTES}\r\n")),
            (Preset::Nats, format!("MSG bench00000 1 {BYTES}\r\n")),
            (Preset::Irc, ":b000001!~b@127.0.0.1 PRIVMSG #bench00000 :".to_owned()),
        ] {
            let message = [head.as_bytes(), &payload, b"\r\n"].concat();
            let step = shape(preset).step(&message, &mut None);
            assert_eq!(step, Step::Delivered(Mark { sender: 0, number: 1 }, message.len()), "{preset:?}");
            assert_eq!(shape(preset).step(b"PING x\r\n", &mut None), Step::Other(6), "{preset:?}");
        }
    }

    #[test]
    fn a_frame_that_begins_like_a_message_is_another_one_when_it_holds_no_mark() {
        let (shape, mut varying) = (shape(Preset::Irc), None);
        let mut payload = Vec::new();
        Payload::new(BYTES).write(Mark { sender: 0, number: 0 }, &mut payload);
        let join = b":b000002!~b@127.0.0.1 JOIN #bench00000\r\n";
        let message = [b":b000000!~b@127.0.0.1 PRIVMSG #bench00000 :", &payload[..], b"\r\n"].concat();
        let stream = [&join[..], &message, join, &message].concat();
        for at in [0, join.len() + message.len()] {
            assert_eq!(shape.step(&stream[at..], &mut varying), Step::Other(join.len() - 2));
            let step = shape.step(&stream[at + join.len()..], &mut varying);
            assert_eq!(step, Step::Delivered(Mark { sender: 0, number: 0 }, message.len()));
        }
    }

    #[test]
    fn a_pattern_must_say_what_a_message_is() {
        for (pattern, complaint) in [
            ("<m></m>", "missing"),
            ("{payload}{payload}", "once"),
            ("<m>{payload}{*}</m>", "after the payload"),
            ("{*}{payload}", "first bytes"),
        ] {
            let error = Shape::new(&Template::new(pattern), &[0], Payload::new(BYTES)).unwrap_err();
            assert!(error.contains(complaint), "{pattern}: {error}");
        }
        assert!(Shape::new(&Template::new("{payload}"), &[0], Payload::new(BYTES)).is_ok());
    }
}
