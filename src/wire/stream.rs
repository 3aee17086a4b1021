//! Defines [`StreamScanner`], which cuts an endless document (one root, many elements, no zero bytes) into elements.
//!
//! Knows: where tags, comments, sections and declarations begin and end, in pieces cut anywhere; the limit on what is
//! not complete; how XMPP starts a stream anew.
//! Must not know: whether an element is well-formed (parsing says), sockets.

use std::fmt;
use std::io::{self, BufRead};
use std::sync::Arc;

use super::document::without_prolog;
use super::fragment::{Fragment, Root, tag_name};
use super::frame::{Frame, NUL};

/// Bytes of one unfinished element that Flash Media Server accepts when nothing else is set.
pub const UNPROCESSED_BYTES_MAX: usize = 4_096;

/// What happens when an element is longer than it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The stream ends with [`StreamError::TooLong`], as in version 3 of Flash Media Server.
    #[default]
    Close,
    /// The element is thrown away and the stream goes on, as in version 2.
    Discard,
}

/// What a piece of the stream turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// The root's start tag: the stream has begun.
    Opened(Arc<Root>),
    /// A complete element directly below the root.
    Element(Fragment),
    /// Inside the stream another one begins: an XML declaration came, or a start tag with the root's name (which is
    /// how an XMPP client goes on after it has authenticated itself). The root before it counts no more.
    Restarted(Arc<Root>),
    /// An element, or text, that was too long is over and was thrown away; only with [`Overflow::Discard`].
    Discarded {
        /// How long it was.
        bytes: u64,
    },
    /// The root's end tag: the stream is over, and what follows is ignored.
    Closed,
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Text, between markup.
    Text,
    /// The byte after `<`.
    Open,
    /// A start tag; whether the byte before was `/`.
    StartTag { slash: bool },
    /// A quoted value in a start tag.
    Value { quote: u8 },
    /// An end tag.
    EndTag,
    /// The byte after `<!`.
    Bang,
    /// The byte after `<!-`.
    BangDash,
    /// The rest of `<![CDATA[`, and how much of it came.
    BangBracket { matched: usize },
    /// A comment, and how many `-` of its end came.
    Comment { dashes: u8 },
    /// A CDATA section, and how many `]` of its end came.
    Section { brackets: u8 },
    /// A processing instruction, or the XML declaration; whether the byte before was `?`.
    Instruction { question: bool },
    /// A document type declaration: how many brackets are open, and which quote.
    Declaration { brackets: u32, quote: Option<u8> },
    /// The stream is over.
    Over,
}

/// Markup that is complete.
#[derive(Clone, Copy, Debug)]
enum Done {
    /// `<a>`
    Start,
    /// `<a/>`
    Empty,
    /// `</a>`
    End,
    /// `<![CDATA[a]]>`
    Section,
    /// `<?a?>`
    Instruction,
    /// A comment, or a document type declaration.
    Other,
}

/// Cuts an endless document into elements, whatever pieces it comes in. Holds one unfinished element at most.
///
/// Text and comments between the elements are no element and are dropped, and so are zero bytes there, which some
/// clients send out of habit.
pub struct StreamScanner {
    unprocessed_max: usize,
    overflow: Overflow,
    part: Part,
    /// How many elements are open; 0 before the root, 1 between elements.
    depth: usize,
    /// The unfinished element, or the unfinished tag or declaration outside of one.
    item: Vec<u8>,
    /// The length of `item`, also when it is being thrown away.
    length: u64,
    /// Whether `item` is being thrown away.
    discarding: bool,
    /// The root, once it came.
    root: Option<Arc<Root>>,
    /// What the last tag meant besides its first event: `<root/>` opens and closes.
    pending: Option<StreamEvent>,
    /// The position in the stream, for errors.
    offset: u64,
}

impl StreamScanner {
    /// A scanner that holds `unprocessed_max` bytes at most.
    #[must_use]
    pub fn new(unprocessed_max: usize, overflow: Overflow) -> StreamScanner {
        StreamScanner {
            unprocessed_max,
            overflow,
            part: Part::Text,
            depth: 0,
            item: Vec::new(),
            length: 0,
            discarding: false,
            root: None,
            pending: None,
            offset: 0,
        }
    }

    /// Scans `input` up to the end of the first thing that is complete. Gives the number of bytes that were used, and
    /// what is complete; without it all bytes were used. Call it again with the rest, and with nothing, until it gives
    /// nothing more.
    ///
    /// # Errors
    /// [`StreamError::TooLong`], and [`StreamError::Malformed`] where it cannot be told what follows. The scanner
    /// MUST NOT be used afterwards.
    pub fn scan(&mut self, input: &[u8]) -> Result<(usize, Option<StreamEvent>), StreamError> {
        if let Some(event) = self.pending.take() {
            return Ok((0, Some(event)));
        }
        for (at, &byte) in input.iter().enumerate() {
            let event = self.step(byte)?;
            self.offset += 1;
            if event.is_some() {
                return Ok((at + 1, event));
            }
        }
        Ok((input.len(), None))
    }

    /// Whether nothing is unfinished: the bytes so far end where an element, or the stream, ends.
    #[must_use]
    pub fn is_between_elements(&self) -> bool {
        self.part == Part::Over || (self.depth <= 1 && self.part == Part::Text)
    }

    /// How many bytes are held of what is unfinished.
    #[must_use]
    pub fn held(&self) -> usize {
        self.item.len()
    }

    fn step(&mut self, byte: u8) -> Result<Option<StreamEvent>, StreamError> {
        let outside = self.part == Part::Text && self.depth <= 1;
        if self.part == Part::Over {
            return Ok(None);
        } else if outside && byte != b'<' {
            return self.text_outside(byte);
        } else if outside {
            self.clear();
        } else if byte == NUL {
            return Err(self.malformed("a zero byte inside an element or a tag"));
        }
        let (part, done) = self.follow(byte)?;
        self.keep(byte)?;
        self.part = part;
        match done {
            Some(done) if self.depth <= 1 => self.complete_outside(done),
            Some(done) => Ok(self.complete_inside(done)),
            None => Ok(None),
        }
    }

    /// Text before the root or between elements. White space is nothing (and keeps links alive); other text counts as
    /// unprocessed, so that it is bounded too.
    fn text_outside(&mut self, byte: u8) -> Result<Option<StreamEvent>, StreamError> {
        let nothing = matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | NUL);
        if self.depth == 0 {
            // A byte order mark is text too, and the only text that may stand there.
            let mark = [0xef, 0xbb, 0xbf].get(self.offset as usize) == Some(&byte);
            return if nothing || mark { Ok(None) } else { Err(self.malformed("text before the root element")) };
        }
        self.length += u64::from(!nothing);
        if self.length <= self.unprocessed_max as u64 {
            return Ok(None);
        }
        match self.overflow {
            Overflow::Close => Err(StreamError::TooLong { unprocessed_max: self.unprocessed_max }),
            Overflow::Discard => Ok(Some(StreamEvent::Discarded { bytes: std::mem::take(&mut self.length) })),
        }
    }

    /// Adds `byte` to the unfinished item, if it is kept.
    fn keep(&mut self, byte: u8) -> Result<(), StreamError> {
        self.length += 1;
        if self.length > self.unprocessed_max as u64 && !self.discarding {
            // Without its root a stream means nothing, so a root is never thrown away.
            if self.overflow == Overflow::Close || self.depth == 0 {
                return Err(StreamError::TooLong { unprocessed_max: self.unprocessed_max });
            }
            self.discarding = true;
            self.item = Vec::new();
        }
        if !self.discarding {
            self.item.push(byte);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.item.clear();
        self.length = 0;
        self.discarding = false;
    }

    fn malformed(&self, reason: &'static str) -> StreamError {
        StreamError::Malformed { byte_offset: self.offset, reason }
    }

    /// What the byte after `byte` is part of, and what is complete with `byte`.
    fn follow(&self, byte: u8) -> Result<(Part, Option<Done>), StreamError> {
        let part = match (self.part, byte) {
            (Part::Text, b'<') => Part::Open,
            (Part::Open, b'/') => Part::EndTag,
            (Part::Open, b'!') => Part::Bang,
            (Part::Open, b'?') => Part::Instruction { question: false },
            // Every byte that is not ASCII may begin a name here: which characters do is for the parser to say.
            (Part::Open, b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | 0x80..) => Part::StartTag { slash: false },
            (Part::Open, _) => return Err(self.malformed("a `<` that begins nothing")),
            (Part::StartTag { slash }, b'>') => {
                return Ok((Part::Text, Some(if slash { Done::Empty } else { Done::Start })));
            }
            (Part::StartTag { .. }, quote @ (b'"' | b'\'')) => Part::Value { quote },
            (Part::StartTag { .. } | Part::EndTag, b'<') => return Err(self.malformed("a `<` inside a tag")),
            (Part::StartTag { .. }, _) => Part::StartTag { slash: byte == b'/' },
            (Part::Value { quote }, _) if byte == quote => Part::StartTag { slash: false },
            (Part::EndTag, b'>') => return Ok((Part::Text, Some(Done::End))),
            (Part::Bang, b'-') => Part::BangDash,
            (Part::Bang, b'[') => Part::BangBracket { matched: 0 },
            (Part::Bang, b'A'..=b'Z') if self.depth == 0 => Part::Declaration { brackets: 0, quote: None },
            (Part::BangDash, b'-') => Part::Comment { dashes: 0 },
            (Part::BangBracket { matched }, _) if b"CDATA[".get(matched) == Some(&byte) => match matched {
                5 => Part::Section { brackets: 0 },
                _ => Part::BangBracket { matched: matched + 1 },
            },
            (Part::Bang | Part::BangDash | Part::BangBracket { .. }, _) => {
                return Err(self.malformed("a `<!` that begins nothing that may stand here"));
            }
            (Part::Comment { dashes: 2 }, b'>') => return Ok((Part::Text, Some(Done::Other))),
            (Part::Comment { dashes }, b'-') => Part::Comment { dashes: 2.min(dashes + 1) },
            (Part::Comment { .. }, _) => Part::Comment { dashes: 0 },
            (Part::Section { brackets: 2 }, b'>') => return Ok((Part::Text, Some(Done::Section))),
            (Part::Section { brackets }, b']') => Part::Section { brackets: 2.min(brackets + 1) },
            (Part::Section { .. }, _) => Part::Section { brackets: 0 },
            (Part::Instruction { question: true }, b'>') => return Ok((Part::Text, Some(Done::Instruction))),
            (Part::Instruction { .. }, _) => Part::Instruction { question: byte == b'?' },
            (Part::Declaration { brackets: 0, quote: None }, b'>') => return Ok((Part::Text, Some(Done::Other))),
            (Part::Declaration { brackets, quote }, _) => in_declaration(brackets, quote, byte),
            (part @ (Part::Text | Part::Value { .. } | Part::EndTag | Part::Over), _) => part,
        };
        Ok((part, None))
    }

    /// What the markup that is complete means before the root and between elements.
    fn complete_outside(&mut self, done: Done) -> Result<Option<StreamEvent>, StreamError> {
        let is_root = self.depth == 1 && !self.discarding && self.is_root(tag_name(&self.item));
        match done {
            Done::Start | Done::Empty if self.depth == 0 || is_root => return Ok(Some(self.begin(done))),
            Done::Start => self.depth = 2,
            Done::Empty => return Ok(Some(self.element())),
            Done::End if is_root => {
                self.part = Part::Over;
                self.clear();
                return Ok(Some(StreamEvent::Closed));
            }
            Done::End => return Err(self.malformed("an end tag that is not the root's")),
            Done::Section if self.depth == 0 => return Err(self.malformed("text before the root element")),
            // An XML declaration can only begin a document.
            Done::Instruction if tag_name(&self.item) == b"?xml" => self.depth = 0,
            Done::Instruction | Done::Section | Done::Other if self.discarding => return Ok(Some(self.element())),
            Done::Instruction | Done::Section | Done::Other => {}
        }
        if self.depth <= 1 {
            self.clear();
        }
        Ok(None)
    }

    /// What the markup that is complete means inside an element.
    fn complete_inside(&mut self, done: Done) -> Option<StreamEvent> {
        match done {
            Done::Start => self.depth += 1,
            Done::End => self.depth -= 1,
            Done::Empty | Done::Section | Done::Instruction | Done::Other => {}
        }
        if self.depth == 1 { Some(self.element()) } else { None }
    }

    fn is_root(&self, name: &[u8]) -> bool {
        self.root.as_ref().is_some_and(|root| String::from_utf8_lossy(name) == root.name())
    }

    /// The stream begins, or begins anew, with the start tag that is complete.
    fn begin(&mut self, done: Done) -> StreamEvent {
        let root = Arc::new(Root::of(&self.item));
        let before = self.root.replace(Arc::clone(&root));
        self.depth = 1;
        self.clear();
        if matches!(done, Done::Empty) {
            self.part = Part::Over;
            self.pending = Some(StreamEvent::Closed);
        }
        if before.is_some() { StreamEvent::Restarted(root) } else { StreamEvent::Opened(root) }
    }

    /// The element that is complete.
    fn element(&mut self) -> StreamEvent {
        let (bytes, discarded) = (self.length, self.discarding);
        let item = std::mem::take(&mut self.item);
        self.clear();
        match (&self.root, Frame::new(item)) {
            (Some(root), Ok(frame)) if !discarded => StreamEvent::Element(Fragment::new(frame, Arc::clone(root))),
            _ => StreamEvent::Discarded { bytes },
        }
    }
}

/// The element that `frame` is, with its name, as it may stand inside an endless document: without what may stand only at
/// the beginning of a document. `None` where a reader of streams would read anything else than one element. The
/// element's own name still matters: one that the root bears begins the stream anew.
#[must_use]
pub fn element_alone(frame: &[u8]) -> Option<(&str, &str)> {
    let text = without_prolog(str::from_utf8(frame).ok()?);
    if !text.starts_with('<') || text[1..].starts_with(['!', '?', '/']) {
        return None;
    }
    // It need not keep a byte: how long the first thing is that would be thrown away is all that is asked.
    let mut scanner = StreamScanner::new(0, Overflow::Discard);
    scanner.depth = 1;
    match scanner.scan(text.as_bytes()) {
        Ok((used, Some(StreamEvent::Discarded { bytes })))
            if bytes == used as u64 && without_prolog(&text[used..]).is_empty() =>
        {
            let element = &text[..used];
            Some((str::from_utf8(tag_name(element.as_bytes())).ok()?, element))
        }
        _ => None,
    }
}

/// What the next byte is part of after `byte` inside a document type declaration.
fn in_declaration(brackets: u32, quote: Option<u8>, byte: u8) -> Part {
    match (quote, byte) {
        (Some(open), _) => Part::Declaration { brackets, quote: quote.filter(|_| byte != open) },
        (None, b'"' | b'\'') => Part::Declaration { brackets, quote: Some(byte) },
        (None, b'[') => Part::Declaration { brackets: brackets.saturating_add(1), quote },
        (None, b']') => Part::Declaration { brackets: brackets.saturating_sub(1), quote },
        (None, _) => Part::Declaration { brackets, quote },
    }
}

/// Reads the elements of an endless document from a byte stream, in whatever pieces it arrives.
pub struct StreamReader<R> {
    /// Where the bytes come from.
    reader: R,
    scanner: StreamScanner,
}

impl<R: BufRead> StreamReader<R> {
    /// A reader whose unfinished element is held by `scanner`.
    pub fn new(reader: R, scanner: StreamScanner) -> StreamReader<R> {
        StreamReader { reader, scanner }
    }

    /// Reads up to the end of the next thing that is complete. `None` is the end of the byte stream; what was not
    /// complete by then is dropped.
    ///
    /// # Errors
    /// Those of [`StreamScanner::scan`]. An I/O error is handed on unchanged; after one that is temporary (a read
    /// timeout) `read` may be called again.
    pub fn read(&mut self) -> Result<Option<StreamEvent>, StreamError> {
        if let (_, Some(event)) = self.scanner.scan(&[])? {
            return Ok(Some(event));
        }
        loop {
            let input = match self.reader.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(input) => input,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(StreamError::Io(error)),
            };
            let (used, event) = self.scanner.scan(input)?;
            self.reader.consume(used);
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// The scanner, to see whether something is unfinished.
    #[must_use]
    pub fn scanner(&self) -> &StreamScanner {
        &self.scanner
    }

    /// The stream that elements are read from.
    pub fn reader(&self) -> &R {
        &self.reader
    }
}

/// Why a stream cannot be read any further.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// More came than may be unfinished: the peer's fault, or not a stream at all.
    TooLong {
        /// The limit that was exceeded.
        unprocessed_max: usize,
    },
    /// It cannot be told where anything ends: the peer's fault.
    Malformed {
        /// Where in the stream.
        byte_offset: u64,
        /// What stands there, for a person.
        reason: &'static str,
    },
    /// The stream failed; nobody's fault, or a deadline of the caller's.
    Io(io::Error),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamError::TooLong { unprocessed_max } => {
                write!(f, "an element, or what should be one, is longer than {unprocessed_max} bytes")
            }
            StreamError::Malformed { byte_offset, reason } => {
                write!(f, "{reason}, at byte {byte_offset} of the stream")
            }
            StreamError::Io(_) => f.write_str("the connection failed while a stream was read"),
        }
    }
}

impl std::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StreamError::Io(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
