//! Defines [`Frame`], the unit of the wire: any bytes up to a zero byte. The zero byte is written and read here only.
//!
//! Knows: `BufRead::read_until`, the length limit, what an unterminated tail means.
//! Must not know: XML (framing never depends on parsing), sockets, threads, time.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::str::Utf8Error;

/// The byte that ends every frame on the wire.
pub const NUL: u8 = 0;

/// The content of one frame: raw bytes without the zero byte that ended them. May be empty: Flash delivers empty
/// frames, and they count as a sign of life.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// Makes a frame of `bytes`.
    ///
    /// # Errors
    /// Gives the bytes back when they hold a zero byte, which would make two frames of one.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Frame, NulInFrame> {
        let bytes = bytes.into();
        if memchr::memchr(NUL, &bytes).is_some() { Err(NulInFrame(bytes)) } else { Ok(Frame(bytes)) }
    }

    /// The raw bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, strictly.
    ///
    /// # Errors
    /// When the bytes are not UTF-8 (old players can be set to the system's code page).
    pub fn text(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.0)
    }

    /// The bytes as text, each invalid sequence replaced by U+FFFD, as players decode them.
    #[must_use]
    pub fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte before the zero byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The raw bytes, owned.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:?})", self.lossy())
    }
}

impl TryFrom<&str> for Frame {
    type Error = NulInFrame;

    fn try_from(text: &str) -> Result<Frame, NulInFrame> {
        Frame::new(text)
    }
}

/// Bytes that cannot be one frame, because a zero byte is among them; holds them unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NulInFrame(pub Vec<u8>);

impl fmt::Display for NulInFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame cannot hold a zero byte: it would end the frame early")
    }
}

impl std::error::Error for NulInFrame {}

/// What can be sent as one frame: a [`Frame`], an [`Element`](super::Element), or a type of yours.
pub trait Encode {
    /// Appends the frame's content to `out`. MUST NOT touch what `out` holds already. There SHOULD be no zero byte in it:
    /// one would end the frame early, so that peers could put frames into each other's mouths; [`write_frame`] sends
    /// U+FFFD in its place.
    fn encode(&self, out: &mut Vec<u8>);
}

impl Encode for Frame {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// Appends `content` and the zero byte that ends it to `out`, so that both leave in one write. It is one frame whatever
/// the content holds: a zero byte in it becomes U+FFFD. Gives whether there was one, which is a mistake in the program.
pub fn write_frame(content: &(impl Encode + ?Sized), out: &mut Vec<u8>) -> bool {
    let start = out.len();
    content.encode(out);
    let held_nul = memchr::memchr(NUL, out.get(start..).unwrap_or_default()).is_some();
    if held_nul {
        replace_nul(start, out);
    }
    end_frame(out);
    held_nul
}

#[cold]
fn replace_nul(start: usize, out: &mut Vec<u8>) {
    for byte in out.split_off(start) {
        match byte {
            NUL => out.extend_from_slice("\u{fffd}".as_bytes()),
            _ => out.push(byte),
        }
    }
}

/// Ends the frame whose content `out` ends with.
pub fn end_frame(out: &mut Vec<u8>) {
    out.push(NUL);
}

/// The frames in `bytes`, where each is ended by its zero byte.
pub fn split_frames(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr::memchr_iter(NUL, bytes).map(move |end| {
        let frame = &bytes[start..end];
        start = end + 1;
        frame
    })
}

/// Reads frames from a byte stream, bounded in length, in whatever pieces the stream arrives.
pub struct FrameReader<R> {
    /// Where the bytes come from.
    reader: R,
    /// The longest frame that is accepted, its zero byte not counted.
    frame_bytes_max: usize,
    /// The frame that has begun and not ended. Kept when reading fails, so that a caller with a timeout can go on.
    partial: Vec<u8>,
}

impl<R: BufRead> FrameReader<R> {
    /// A reader of frames of at most `frame_bytes_max` bytes, the zero byte not counted.
    pub fn new(reader: R, frame_bytes_max: usize) -> FrameReader<R> {
        FrameReader { reader, frame_bytes_max, partial: Vec::new() }
    }

    /// Reads the next frame. `None` is the end of the stream; bytes after the last zero byte were never a frame
    /// and are dropped, as players drop them.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] as soon as one byte too many has arrived, without waiting for a zero byte. An
    /// I/O error is handed on unchanged; after one that is temporary (a read timeout) `read` may be called again.
    pub fn read(&mut self) -> Result<Option<Frame>, FrameError> {
        let room = self.frame_bytes_max.saturating_add(1).saturating_sub(self.partial.len());
        self.reader.by_ref().take(room as u64).read_until(NUL, &mut self.partial)?;
        if self.partial.last() == Some(&NUL) {
            self.partial.pop();
            Ok(Some(Frame(std::mem::take(&mut self.partial))))
        } else if self.partial.len() > self.frame_bytes_max {
            Err(FrameError::TooLong { frame_bytes_max: self.frame_bytes_max })
        } else {
            self.partial.clear();
            Ok(None)
        }
    }

    /// The frame that has begun and not ended: what was read of it when [`read`](FrameReader::read) failed.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// The stream that frames are read from.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// The stream that frames are read from. Reading from it directly loses frames.
    pub fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }
}

/// Why no frame could be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum FrameError {
    /// The peer sent more bytes than a frame may have, without a zero byte: its fault, or not an XMLSocket at all.
    TooLong {
        /// The limit that was exceeded.
        frame_bytes_max: usize,
    },
    /// The stream failed; nobody's fault, or a deadline of the caller's.
    Io(io::Error),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> FrameError {
        FrameError::Io(error)
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLong { frame_bytes_max } => write!(f, "no zero byte within {frame_bytes_max} bytes"),
            FrameError::Io(_) => f.write_str("the connection failed while a frame was read"),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FrameError::TooLong { .. } => None,
            FrameError::Io(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read_all(stream: &[u8], frame_bytes_max: usize) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
        let mut reader = FrameReader::new(stream, frame_bytes_max);
        let mut frames = Vec::new();
        loop {
            match reader.read() {
                Ok(Some(frame)) => frames.push(frame.into_bytes()),
                Ok(None) => return (frames, Ok(())),
                Err(error) => return (frames, Err(error)),
            }
        }
    }

    #[test]
    fn a_frame_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
        let (frames, end) = read_all(b"12345\x0012345\x00", 5);
        assert_eq!(frames, [b"12345", b"12345"]);
        assert!(end.is_ok());

        let (frames, end) = read_all(b"12345\x00123456\x00", 5);
        assert_eq!(frames, [b"12345"]);
        assert!(matches!(end, Err(FrameError::TooLong { frame_bytes_max: 5 })), "{end:?}");

        let (frames, end) = read_all(b"12345", 5);
        assert!(frames.is_empty() && end.is_ok(), "as long as a frame may be, and the stream is over: {end:?}");
    }

    #[test]
    fn a_frame_that_is_too_long_stays_too_long() {
        let mut reader = FrameReader::new(BufReader::new(&b"123456\x00a\x00"[..]), 5);
        for _ in 0..3 {
            assert!(matches!(reader.read(), Err(FrameError::TooLong { .. })));
        }
        assert_eq!(reader.partial(), b"123456", "the caller may want to say what it was");
    }

    #[test]
    fn no_limit_is_a_limit_too() {
        let (frames, end) = read_all(b"a\x00b\x00", usize::MAX);
        assert_eq!(frames, [b"a", b"b"]);
        assert!(end.is_ok());
        let (frames, end) = read_all(b"\x00\x00a\x00", 0);
        assert_eq!(frames, [b"", b""]);
        assert!(matches!(end, Err(FrameError::TooLong { frame_bytes_max: 0 })), "{end:?}");
    }

    #[test]
    fn what_no_zero_byte_ended_was_no_frame() {
        let mut reader = FrameReader::new(&b"a\x00tail"[..], 100);
        assert_eq!(reader.read().unwrap().unwrap().bytes(), b"a");
        assert_eq!(reader.read().unwrap(), None);
        assert_eq!(reader.partial(), b"");
        assert_eq!(reader.read().unwrap(), None);
    }

    #[test]
    fn errors_say_what_a_program_did_and_why_nothing_was_read() {
        use std::error::Error;
        assert_eq!(
            Frame::new("a\0").unwrap_err().to_string(),
            "a frame cannot hold a zero byte: it would end the frame early"
        );
        let too_long = FrameError::TooLong { frame_bytes_max: 5 };
        assert_eq!(too_long.to_string(), "no zero byte within 5 bytes");
        assert!(too_long.source().is_none());
        let failed = FrameError::from(io::Error::other("unplugged"));
        assert_eq!(failed.to_string(), "the connection failed while a frame was read");
        assert_eq!(failed.source().unwrap().to_string(), "unplugged");
    }

    #[test]
    fn a_zero_byte_cannot_get_into_a_frame() {
        assert_eq!(Frame::new("a\0b"), Err(NulInFrame(b"a\0b".to_vec())));
        assert_eq!(Frame::try_from("a").unwrap().bytes(), b"a");
        assert_eq!(Frame::new(b"\xff".as_slice()).unwrap().lossy(), "\u{fffd}");
        assert_eq!(Frame::new(b"ab\xff".as_slice()).unwrap().text().unwrap_err().valid_up_to(), 2);
    }

    #[test]
    fn a_frame_and_its_zero_byte_are_appended_together() {
        let mut out = b"before".to_vec();
        write_frame(&Frame::try_from("<a/>").unwrap(), &mut out);
        write_frame(&Frame::default(), &mut out);
        assert_eq!(out, b"before<a/>\x00\x00");
        assert_eq!(split_frames(&out).collect::<Vec<_>>(), [&b"before<a/>"[..], b""]);
    }

    #[test]
    fn one_frame_stays_one_whatever_a_program_writes_into_it() {
        struct Careless;
        impl Encode for Careless {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(b"<a>\0<forged/>\0</a>");
            }
        }
        let mut out = b"before\0".to_vec();
        assert!(write_frame(&Careless, &mut out));
        assert!(!write_frame(&Frame::default(), &mut out));
        let frames: Vec<_> = split_frames(&out).map(String::from_utf8_lossy).collect();
        assert_eq!(frames, ["before", "<a>\u{fffd}<forged/>\u{fffd}</a>", ""]);
    }
}
