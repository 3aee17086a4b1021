//! Defines [`Shape`], what a delivered message looks like on the wire, and cuts a stream into such messages and others.
//!
//! A frame that holds a [`MARK`] must be a delivered message from its first byte to its last; any other frame is none.
//!
//! Knows: bytes before, around and after a payload. Must not know: who receives it, what came before.

use memchr::memmem::Finder;

use super::payload::{MARK, Mark, Payload};
use super::template::{Blank, Part, Template};

/// Bytes without a delimiter beyond which a stream is not what we think it is.
const FRAME_BYTES_MAX: usize = 4 << 20;

/// What a delivered message looks like: `head`, then perhaps something that varies, `middle`, the payload, `tail`.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The bytes up to the first variable part.
    head: Vec<u8>,
    /// Whether there is anything variable between `head` and `middle`.
    varies: bool,
    /// The bytes between the last variable part and the payload.
    middle: Vec<u8>,
    /// The bytes after the payload, without the delimiter.
    tail: Vec<u8>,
    /// Finds what ends every frame.
    delimiter: Finder<'static>,
    /// How many delimiters stand inside a message: some protocols have several lines to one.
    inner: usize,
    /// Finds what every payload begins with.
    mark: Finder<'static>,
    /// The payload between them.
    payload: Payload,
}

/// What stands at the beginning of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Not enough bytes to say.
    More,
    /// A sound delivered message of so many bytes.
    Delivered(Mark, usize),
    /// A frame of another kind: so many bytes, the delimiter not counted, then the delimiter.
    Other(usize),
    /// Neither: bytes are missing, doubled, mixed or altered.
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
            delimiter: Finder::new(delimiter).into_owned(),
            inner: 0,
            mark: Finder::new(MARK).into_owned(),
            payload,
        };
        let mut after = false;
        for part in pattern.parts() {
            match part {
                Part::Blank(Blank::Payload) if after => return Err("the payload can stand only once".to_owned()),
                Part::Blank(Blank::Payload) => after = true,
                Part::Blank(Blank::Bytes) => {
                    let digits = shape.payload.len().to_string();
                    shape.literal(after).extend_from_slice(digits.as_bytes());
                }
                Part::Literal(bytes) => shape.literal(after).extend_from_slice(bytes),
                Part::Blank(_) if after => return Err("nothing variable can stand after the payload".to_owned()),
                Part::Blank(_) => {
                    shape.varies = true;
                    shape.middle.clear();
                }
            }
        }
        if !after {
            return Err("the payload is missing".to_owned());
        }
        let count = |bytes: &[u8]| shape.delimiter.find_iter(bytes).count();
        shape.inner = count(&shape.head) + count(&shape.middle) + count(&shape.tail);
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

    /// What stands at the beginning of `stream`.
    pub(super) fn cut(&self, stream: &[u8]) -> Cut {
        // What begins like a message has as many delimiters inside as one.
        let common = stream.len().min(self.head.len());
        let inner = if stream[..common] == self.head[..common] { self.inner } else { 0 };
        let Some(length) = self.delimiter.find_iter(stream).nth(inner) else {
            return if stream.len() > FRAME_BYTES_MAX { Cut::Torn } else { Cut::More };
        };
        let frame = &stream[..length];
        match self.mark.find(frame) {
            None => Cut::Other(length),
            Some(at) => {
                self.message(frame, at).map_or(Cut::Torn, |mark| Cut::Delivered(mark, length + self.delimiter().len()))
            }
        }
    }

    /// The message that `frame` is, when it is one from its first byte to its last; its payload begins at `at`.
    fn message(&self, frame: &[u8], at: usize) -> Option<Mark> {
        let (before, rest) = frame.split_at(at);
        let (payload, tail) = rest.split_at_checked(self.payload.len())?;
        let varying = before.strip_prefix(self.head.as_slice())?.strip_suffix(self.middle.as_slice())?;
        let sound = tail == self.tail && (self.varies || varying.is_empty());
        self.payload.read(payload).filter(|_| sound)
    }

    /// The frame without its delimiter at the beginning of `stream`, where no messages are expected yet.
    pub(super) fn frame<'a>(&self, stream: &'a [u8]) -> Option<&'a [u8]> {
        self.delimiter.find(stream).map(|length| &stream[..length])
    }

    /// What ends every frame.
    pub(super) fn delimiter(&self) -> &[u8] {
        self.delimiter.needle()
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

    /// The chat's.
    fn shape() -> Shape {
        let vocabulary = Vocabulary::of(Preset::Chat);
        Shape::new(&vocabulary.deliver, &vocabulary.delimiter, Payload::new(BYTES)).unwrap()
    }

    /// One of lines, one or several to a message.
    fn lines(pattern: &str) -> Shape {
        Shape::new(&Template::new(pattern), b"\r\n", Payload::new(BYTES)).unwrap()
    }

    /// What IRC servers deliver.
    const IRC: &str = ":b{i}!{*} PRIVMSG #bench{room} :{payload}";

    fn payload(sender: usize, number: u64) -> Vec<u8> {
        let mut payload = Vec::new();
        Payload::new(BYTES).write(Mark { sender, number }, &mut payload);
        payload
    }

    fn chat(id: u64, number: u64) -> Vec<u8> {
        let head = format!("<message id=\"{id}\" room=\"r\" from=\"b\" time=\"t\">");
        [head.as_bytes(), &payload(1, number), b"</message>\0"].concat()
    }

    #[test]
    fn a_message_is_told_from_other_frames() {
        let shape = shape();
        let message = chat(99, 5);
        for cut in 0..message.len() {
            assert_eq!(shape.cut(&message[..cut]), Cut::More, "cut at {cut}");
        }
        assert_eq!(shape.cut(&message), Cut::Delivered(Mark { sender: 1, number: 5 }, message.len()));
        assert_eq!(shape.cut(b"<joined room=\"r\"/>\0<m"), Cut::Other(18));
        assert_eq!(shape.cut(b"<message id=\"1\">by somebody else</message>\0"), Cut::Other(42));
    }

    /// What varies is compared by the tape, with what others got.
    #[test]
    fn a_message_that_lost_gained_or_altered_a_byte_is_torn() {
        let shape = shape();
        let (message, next) = (chat(10, 5), chat(11, 6));
        let mark = message.windows(MARK.len()).position(|bytes| bytes == MARK).unwrap();
        let (head, middle) = (b"<message id=\"".len(), b"\">".len());
        for at in 0..message.len() {
            let (mut lost, mut gained, mut altered) = (message.clone(), message.clone(), message.clone());
            lost.remove(at);
            gained.insert(at, b'#');
            altered[at] ^= 1;
            for (bytes, what) in [(lost, "lost"), (gained, "gained"), (altered, "altered")] {
                let step = shape.cut(&[bytes, next.clone()].concat());
                let varies = (head..mark - middle).contains(&at) || what == "gained" && at == mark - middle;
                // A message without its mark is taken for another frame: the next one shows the gap.
                let marked = match what {
                    "gained" => at != mark + 1,
                    _ => !(mark..mark + MARK.len()).contains(&at),
                };
                match step {
                    Cut::Torn => assert!(marked && !varies, "{what} at {at}"),
                    Cut::Delivered(..) => assert!(varies, "{what} at {at}"),
                    Cut::Other(_) => assert!(!marked, "{what} at {at}"),
                    Cut::More => panic!("{what} at {at}: {step:?}"),
                }
            }
        }
    }

    #[test]
    fn two_messages_without_a_delimiter_between_them_are_torn() {
        let shape = shape();
        let (one, other) = (chat(10, 5), chat(11, 6));
        assert_eq!(shape.cut(&[&one[..one.len() - 1], &other].concat()), Cut::Torn);
    }

    #[test]
    fn other_delimiters_and_lines_inside_a_message_do() {
        for (pattern, head) in [
            ("*3\\r\\nbench{room}\\r\\n${bytes}\\r\\n{payload}", format!("*3\r\nbench00000\r\n${BYTES}\r\n")),
            ("MSG bench{room} 1 {bytes}\\r\\n{payload}", format!("MSG bench00000 1 {BYTES}\r\n")),
            (IRC, ":b000001!~b@127.0.0.1 PRIVMSG #bench00000 :".to_owned()),
        ] {
            let shape = lines(pattern);
            let message = [head.as_bytes(), &payload(0, 1), b"\r\n"].concat();
            for cut in 0..message.len() {
                assert_eq!(shape.cut(&message[..cut]), Cut::More, "{pattern} cut at {cut}");
            }
            let step = shape.cut(&message);
            assert_eq!(step, Cut::Delivered(Mark { sender: 0, number: 1 }, message.len()), "{pattern}");
            assert_eq!(shape.cut(b"PING x\r\n"), Cut::Other(6), "{pattern}");
        }
    }

    #[test]
    fn a_frame_that_begins_like_a_message_is_another_one_when_it_holds_no_mark() {
        let shape = lines(IRC);
        let join = b":b000002!~b@127.0.0.1 JOIN #bench00000\r\n";
        let message = [b":b000000!~b@127.0.0.1 PRIVMSG #bench00000 :", &payload(0, 0)[..], b"\r\n"].concat();
        assert_eq!(shape.cut(&[&join[..], &message].concat()), Cut::Other(join.len() - 2));
    }

    #[test]
    fn a_pattern_must_say_what_a_message_is() {
        for (pattern, complaint) in
            [("<m></m>", "missing"), ("{payload}{payload}", "once"), ("<m>{payload}{*}</m>", "after the payload")]
        {
            let error = Shape::new(&Template::new(pattern), &[0], Payload::new(BYTES)).unwrap_err();
            assert!(error.contains(complaint), "{pattern}: {error}");
        }
        for pattern in ["{payload}", "{*}{payload}"] {
            assert!(Shape::new(&Template::new(pattern), &[0], Payload::new(BYTES)).is_ok());
        }
    }
}
