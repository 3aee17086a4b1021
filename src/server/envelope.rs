//! Defines [`Envelope`], how frames are wrapped on their way to a client, and the few WebSocket frames that a server
//! says by itself.
//!
//! Knows: the headers of RFC 6455 §5.2 as a server writes them (never masked, never fragmented).
//! Must not know: queues, sockets, how what a client sends is read.

use super::service::CloseReason;
use crate::wire::NUL;

/// How frames are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Envelope {
    /// As they are, each ended by its zero byte.
    Nul,
    /// Each ended by a newline, for people at a terminal.
    Line,
    /// As they are, one binary WebSocket message around all that leaves at a time.
    WebSocketBinary,
    /// Each a text WebSocket message of its own, without its zero byte; what is not UTF-8 becomes U+FFFD.
    WebSocketText,
}

impl Envelope {
    /// Whether the client speaks WebSocket: it may be pinged, and wants to be told before the stream ends.
    pub(super) fn is_websocket(self) -> bool {
        matches!(self, Envelope::WebSocketBinary | Envelope::WebSocketText)
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
    pub(super) fn of(envelope: Envelope, length: usize) -> Header {
        match envelope {
            Envelope::WebSocketBinary => Header::message(BINARY, length),
            Envelope::Nul | Envelope::Line | Envelope::WebSocketText => Header { bytes: [0; 10], length: 0 },
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

    #[test]
    fn headers_take_the_shortest_form() {
        for (payload, header) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (0xFFFF, &[0x82, 126, 0xFF, 0xFF]),
            (0x1_0000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(Header::of(Envelope::WebSocketBinary, payload).as_bytes(), header, "{payload}");
        }
        assert!(Header::of(Envelope::Nul, 10).as_bytes().is_empty());
    }

    #[test]
    fn each_frame_becomes_a_text_message() {
        let mut out = Vec::new();
        wrap_as_text(b"<a/>\0\0caf\xe9\0", &mut out);
        assert_eq!(out, b"\x81\x04<a/>\x81\x00\x81\x06caf\xef\xbf\xbd");
    }

    #[test]
    fn a_close_message_fits_into_a_control_frame() {
        assert_eq!(close_message(&CloseReason::Shutdown), b"\x88\x0a\x03\xe9shutdown");
        let long = close_message(&CloseReason::application("é".repeat(100), ""));
        assert_eq!((long[0], long[1] as usize), (CLOSE, long.len() - 2));
        assert!(long.len() <= 2 + 125 && str::from_utf8(&long[4..]).is_ok());
    }
}
