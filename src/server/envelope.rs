//! Defines [`Envelope`], how frames are wrapped on their way to a client, and the few WebSocket frames that a server
//! says by itself.
//!
//! Knows: the headers of RFC 6455 §5.2 as a server writes them (never masked, never fragmented), what may stand in the
//! middle of a stream. Must not know: queues, sockets, how what a client sends is read.

use std::sync::Arc;

use log::debug;

use super::service::CloseReason;
use crate::wire::{NUL, Root};

/// How frames are wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Envelope {
    /// As they are, each ended by its zero byte.
    Nul,
    /// Each ended by a newline, for people at a terminal.
    Line,
    /// As they are, one binary WebSocket message around all that leaves at a time.
    WebSocketBinary,
    /// Each a text WebSocket message of its own, without its zero byte; what is not UTF-8 becomes U+FFFD.
    WebSocketText,
    /// Each an element of an endless document with this root, without a zero byte.
    Stream(Arc<Root>),
}

impl Envelope {
    /// Whether the client speaks WebSocket: it may be pinged, and wants to be told before the stream ends.
    pub(super) fn is_websocket(&self) -> bool {
        matches!(self, Envelope::WebSocketBinary | Envelope::WebSocketText)
    }

    /// What a client is told, after its last frame, when the conversation ends for `reason`; empty where the end of the
    /// connection says it.
    pub(super) fn last_words(&self, reason: &CloseReason) -> Vec<u8> {
        match self {
            Envelope::Nul | Envelope::Line => Vec::new(),
            Envelope::WebSocketBinary | Envelope::WebSocketText => close_message(reason),
            Envelope::Stream(root) => root.end_tag().into_bytes(),
        }
    }
}

/// A text message, whole.
const TEXT: u8 = 0x81;
/// A binary message, whole.
const BINARY: u8 = 0x82;
/// The end of the conversation.
const CLOSE: u8 = 0x88;

/// A ping that says nothing.
pub(super) const PING: [u8; 2] = [0x89, 0];

/// Bytes that a CLOSE may carry beside its code.
const CLOSE_TEXT_BYTES_MAX: usize = 123;

/// The header of a message; empty where the envelope has none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    bytes: [u8; 10],
    length: usize,
}

impl Header {
    /// What goes before `length` bytes of frames in `envelope`.
    pub(super) fn of(envelope: &Envelope, length: usize) -> Header {
        match envelope {
            Envelope::WebSocketBinary => Header::message(BINARY, length),
            Envelope::Nul | Envelope::Line | Envelope::WebSocketText | Envelope::Stream(_) => {
                Header { bytes: [0; 10], length: 0 }
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn message(kind: u8, payload: usize) -> Header {
        let mut bytes = [0; 10];
        bytes[0] = kind;
        let length = match payload {
            0..=125 => {
                bytes[1] = payload as u8;
                2
            }
            126..=0xFFFF => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&(payload as u64).to_be_bytes());
                10
            }
        };
        Header { bytes, length }
    }
}

/// Appends each of `frames`, which end in a zero byte each, to `out` as a text message.
pub(super) fn wrap_as_text(frames: &[u8], out: &mut Vec<u8>) {
    for frame in frames.split_inclusive(|&byte| byte == NUL) {
        let text = String::from_utf8_lossy(frame.strip_suffix(&[NUL]).unwrap_or(frame));
        out.extend_from_slice(Header::message(TEXT, text.len()).as_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends each of `frames`, which end in a zero byte each, to `out` as an element of a stream with the root `root`. What
/// may only begin a document is left out; so is an element that bears the root's own name, which would be read as a
/// stream that begins anew.
pub(super) fn wrap_in_stream(frames: &[u8], root: &Root, out: &mut Vec<u8>) {
    for frame in frames.split(|&byte| byte == NUL) {
        let element = without_prolog(frame);
        let name = element.strip_prefix(b"<").and_then(|rest| rest.strip_prefix(root.name().as_bytes()));
        match name.and_then(<[u8]>::first) {
            Some(b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>') => {
                debug!("an element is not sent to a client whose stream has a root of its name: {}", root.name());
            }
            _ => out.extend_from_slice(element),
        }
    }
}

/// A document without what stands before its root: byte order mark, declaration, comments, instructions, white space.
fn without_prolog(document: &[u8]) -> &[u8] {
    let mut rest = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    loop {
        rest = rest.trim_ascii_start();
        let end: &[u8] = if rest.starts_with(b"<?") {
            b"?>"
        } else if rest.starts_with(b"<!--") {
            b"-->"
        } else {
            return rest;
        };
        match memchr::memmem::find(&rest[end.len()..], end) {
            Some(at) => rest = &rest[at + 2 * end.len()..],
            None => return rest,
        }
    }
}

/// The CLOSE that tells a client why the server ends the conversation: one of RFC 6455's codes, and the reason's own
/// code as text.
pub(super) fn close_message(reason: &CloseReason) -> Vec<u8> {
    let code: u16 = match reason {
        CloseReason::ByPeer | CloseReason::PolicyServed | CloseReason::Application { .. } => 1000,
        CloseReason::FrameTooLong { .. } => 1009,
        CloseReason::ProtocolError(_) => 1002,
        CloseReason::Panicked => 1011,
        CloseReason::IdleTimeout | CloseReason::FrameTimeout { .. } | CloseReason::TooFast => 1008,
        _ => 1001,
    };
    let text = reason.code();
    let end = (0..=text.len().min(CLOSE_TEXT_BYTES_MAX)).rev().find(|&end| text.is_char_boundary(end));
    let text = &text[..end.unwrap_or(0)];
    let mut bytes = Header::message(CLOSE, 2 + text.len()).as_bytes().to_vec();
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Overflow, StreamEvent, StreamScanner};

    #[test]
    fn headers_take_the_shortest_form() {
        for (payload, header) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (0xFFFF, &[0x82, 126, 0xFF, 0xFF]),
            (0x1_0000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(Header::of(&Envelope::WebSocketBinary, payload).as_bytes(), header, "{payload}");
        }
        assert!(Header::of(&Envelope::Nul, 10).as_bytes().is_empty());
    }

    #[test]
    fn each_frame_becomes_a_text_message() {
        let mut out = Vec::new();
        wrap_as_text(b"<a/>\0\0caf\xe9\0", &mut out);
        assert_eq!(out, b"\x81\x04<a/>\x81\x00\x81\x06caf\xef\xbf\xbd");
    }

    #[test]
    fn each_frame_becomes_an_element_of_the_stream() {
        let mut scanner = StreamScanner::new(100, Overflow::Close);
        let (_, Some(StreamEvent::Opened(root))) = scanner.scan(b"<r a='1'>").unwrap() else { panic!("a root") };
        for (frames, sent) in [
            (&b"<a/>\0<b>x</b>\0"[..], &b"<a/><b>x</b>"[..]),
            (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!--> - --><?p ?> <a/>\n\0<b/>\0", b"<a/>\n<b/>"),
            (b"<r/>\0<r>\0<r x='1'>\0<!-- r --><r\n/>\0<ra/>\0<r:a/>\0", b"<ra/><r:a/>"),
            (b"\0\0 \0", b""),
            (b"<!-- never ended\0<?\0text\0", b"<!-- never ended<?text"),
        ] {
            let mut out = Vec::new();
            wrap_in_stream(frames, &root, &mut out);
            assert_eq!(out.escape_ascii().to_string(), sent.escape_ascii().to_string());
        }
        assert_eq!(Envelope::Stream(root).last_words(&CloseReason::Shutdown), b"</r>");
        assert_eq!(Envelope::Nul.last_words(&CloseReason::Shutdown), b"");
    }

    #[test]
    fn a_close_message_fits_into_a_control_frame() {
        assert_eq!(close_message(&CloseReason::Shutdown), b"\x88\x0a\x03\xe9shutdown");
        let long = close_message(&CloseReason::application("é".repeat(100), ""));
        assert_eq!((long[0], long[1] as usize), (CLOSE, long.len() - 2));
        assert!(long.len() <= 2 + 125 && str::from_utf8(&long[4..]).is_ok());
    }
}
