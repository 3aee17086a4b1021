//! Frames as lines, for people at a terminal: a newline ends a frame, a zero byte still does, too.
//!
//! A line break inside a frame would end it early. On listeners that read XML it is written so that the document stays the
//! same, elsewhere as a space.
//!
//! Knows: newlines, carriage returns. Must not know: what a frame holds, but that it is XML.

use std::sync::{Arc, LazyLock};

use super::{DecodeEnd, Decoded, Decoder, Encoder, Header, Reply, nul};
use crate::wire::{end_frame, write_on_one_line};

/// Reads lines.
#[derive(Default)]
pub(super) struct Lines {
    /// Whether a carriage return came of which it is not known yet whether a newline follows: then it is dropped.
    holds_return: bool,
    /// Whether a frame has ended, so that it is known what the client ends its frames with.
    is_settled: bool,
}

impl Decoder for Lines {
    fn decode(&mut self, bytes: &[u8], frames: &mut Vec<u8>) -> Result<(usize, Decoded), DecodeEnd> {
        if !self.is_settled
            && let Some(end) = memchr::memchr2(nul::END, b'\n', bytes)
        {
            self.is_settled = true;
            if bytes[end] == nul::END {
                return Ok((0, Decoded::Reply(Reply { bytes: Vec::new(), encoder: Some(nul::encoder()) })));
            }
        }
        let [first, ..] = bytes else { return Ok((0, Decoded::Unfinished)) };
        if std::mem::take(&mut self.holds_return) && *first != b'\n' {
            frames.push(b'\r');
        }
        let mut rest = bytes;
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            frames.extend_from_slice(&rest[..at]);
            match &rest[at..] {
                [b'\n', ..] => end_frame(frames),
                [_, b'\n', ..] => {}
                [_] => self.holds_return = true,
                _ => frames.push(b'\r'),
            }
            rest = &rest[at + 1..];
        }
        frames.extend_from_slice(rest);
        Ok((bytes.len(), Decoded::Frames))
    }

    fn is_unfinished(&self) -> bool {
        self.holds_return
    }
}

/// Writes lines.
struct ToLines {
    /// Whether frames are documents.
    is_xml: bool,
}

static XML: LazyLock<Arc<dyn Encoder>> = LazyLock::new(|| Arc::new(ToLines { is_xml: true }));
static ANY: LazyLock<Arc<dyn Encoder>> = LazyLock::new(|| Arc::new(ToLines { is_xml: false }));

/// What writes each frame as a line.
pub(super) fn encoder(is_xml: bool) -> Arc<dyn Encoder> {
    Arc::clone(if is_xml { &XML } else { &ANY })
}

impl Encoder for ToLines {
    fn header(&self, _bytes: usize) -> Option<Header> {
        None
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) {
        if self.is_xml {
            write_on_one_line(frame, out);
        } else {
            // A space and nothing longer: JSON and most text protocols take it as they take a line break.
            let mut rest = frame;
            while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
                out.extend_from_slice(&rest[..at]);
                out.push(b' ');
                rest = rest[at..].strip_prefix(b"\r\n").unwrap_or(&rest[at + 1..]);
            }
            out.extend_from_slice(rest);
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::split_frames;

    /// What lines become, in pieces of `length` bytes; and whether the client is answered with zero bytes.
    fn decode(bytes: &[u8], length: usize) -> (String, bool) {
        let (mut lines, mut frames, mut with_nul) = (Lines::default(), Vec::new(), false);
        for piece in bytes.chunks(length) {
            let mut at = 0;
            while at < piece.len() {
                let (used, decoded) = lines.decode(&piece[at..], &mut frames).unwrap();
                with_nul |= matches!(decoded, Decoded::Reply(_));
                at += used;
            }
        }
        (frames.escape_ascii().to_string(), with_nul)
    }

    #[test]
    fn a_newline_ends_a_frame_and_takes_its_carriage_return_along() {
        for (bytes, frames, with_nul) in [
            (&b"a\nb\r\n\n\r\nc"[..], r"a\x00b\x00\x00\x00c", false),
            (b"a\0b\n", r"a\x00b\x00", true),
            (b"a\rb\r\r\nc\r\0", r"a\rb\r\x00c\r\x00", false),
            (b"\r\0\n", r"\r\x00\x00", true),
        ] {
            for length in 1..=bytes.len() {
                let cut = format!("{} in pieces of {length}", bytes.escape_ascii());
                assert_eq!(decode(bytes, length), (frames.to_owned(), with_nul), "{cut}");
            }
        }
    }

    #[test]
    fn a_carriage_return_that_is_held_is_unfinished() {
        let mut lines = Lines::default();
        lines.decode(b"a\n\r", &mut Vec::new()).unwrap();
        assert!(lines.is_unfinished());
        lines.decode(b"\n", &mut Vec::new()).unwrap();
        assert!(!lines.is_unfinished());
    }

    proptest::proptest! {
        #[test]
        fn each_frame_is_one_line_whatever_it_holds(
            contents in proptest::collection::vec("[\r\nx<>&]{0,8}|<a b='\r\n'>\n<!--\n--></a>", 0..9),
            is_xml in proptest::bool::ANY,
        ) {
            let mut bytes = Vec::new();
            contents.iter().for_each(|content| encoder(is_xml).encode(content.as_bytes(), &mut bytes));
            let mut frames = Vec::new();
            while !bytes.is_empty() {
                let (used, _) = Lines { is_settled: true, ..Lines::default() }.decode(&bytes, &mut frames).unwrap();
                bytes.drain(..used);
            }
            let read: Vec<_> = split_frames(&frames).collect();
            proptest::prop_assert_eq!(read.len(), contents.len());
            for (read, content) in read.iter().zip(&contents) {
                if !content.contains(['\r', '\n']) {
                    proptest::prop_assert_eq!(*read, content.as_bytes());
                }
            }
        }
    }
}
