//! What a WebSocket client gets: frames in messages, pings, and the CLOSE that says why the server ends the conversation.
//!
//! A server's messages are never masked and never fragmented, so that binary ones are the batch as it is, shared by all who
//! get it, behind a header of at most ten bytes.
//!
//! Knows: the headers of RFC 6455 §5.2 as a server writes them. Must not know: queues, sockets, how a client is read.

use std::sync::{Arc, LazyLock};

use crate::server::{CloseReason, Encoder, Header};

/// A text message, whole.
const TEXT: u8 = 0x81;
/// A binary message, whole.
const BINARY_MESSAGE: u8 = 0x82;
/// The end of the conversation.
const CLOSE: u8 = 0x88;
/// A ping that says nothing.
const PING: [u8; 2] = [0x89, 0];
/// The answer to a ping.
const PONG: u8 = 0x8a;

/// Bytes that a CLOSE may carry beside its code.
const CLOSE_TEXT_BYTES_MAX: usize = 123;

/// Writes all that leaves at a time as one binary message, each frame ended by its zero byte. One for all connections.
pub(super) static BINARY: LazyLock<Arc<dyn Encoder>> = LazyLock::new(|| Arc::new(Binary));

/// Writes each frame as a text message. One for all connections, so that what many get is encoded once.
pub(super) static TEXTS: LazyLock<Arc<dyn Encoder>> = LazyLock::new(|| Arc::new(Texts));

struct Binary;

impl Encoder for Binary {
    fn header(&self, bytes: usize) -> Option<Header> {
        Some(header(BINARY_MESSAGE, bytes))
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(header(BINARY_MESSAGE, frame.len() + 1).as_bytes());
        out.extend_from_slice(frame);
        crate::wire::end_frame(out);
    }

    fn ping(&self) -> Option<&'static [u8]> {
        Some(&PING)
    }

    fn goodbye(&self, reason: &CloseReason) -> Vec<u8> {
        close(code(reason), reason.code())
    }
}

struct Texts;

impl Encoder for Texts {
    fn header(&self, _bytes: usize) -> Option<Header> {
        None
    }

    /// What is not UTF-8 becomes U+FFFD: a text message must be.
    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(frame);
        out.extend_from_slice(header(TEXT, text.len()).as_bytes());
        out.extend_from_slice(text.as_bytes());
    }

    fn ping(&self) -> Option<&'static [u8]> {
        Some(&PING)
    }

    fn goodbye(&self, reason: &CloseReason) -> Vec<u8> {
        close(code(reason), reason.code())
    }
}

/// RFC 6455's code for why the server ends the conversation.
fn code(reason: &CloseReason) -> u16 {
    match reason {
        CloseReason::ByPeer | CloseReason::PolicyServed | CloseReason::Application { .. } => 1000,
        CloseReason::FrameTooLong { .. } => 1009,
        CloseReason::ProtocolError(_) => 1002,
        CloseReason::Panicked => 1011,
        CloseReason::IdleTimeout | CloseReason::FrameTimeout { .. } | CloseReason::TooFast => 1008,
        _ => 1001,
    }
}

/// A CLOSE with one of RFC 6455's codes and a text, which is cut to the length that it may have.
pub(super) fn close(code: u16, text: &str) -> Vec<u8> {
    let end = (0..=text.len().min(CLOSE_TEXT_BYTES_MAX)).rev().find(|&end| text.is_char_boundary(end));
    closed_with(&[&code.to_be_bytes(), &text.as_bytes()[..end.unwrap_or(0)]].concat())
}

/// A CLOSE with this payload, of at most 125 bytes.
pub(super) fn closed_with(payload: &[u8]) -> Vec<u8> {
    [header(CLOSE, payload.len()).as_bytes(), payload].concat()
}

/// The answer to a ping with this payload.
pub(super) fn pong(payload: &[u8]) -> Vec<u8> {
    [header(PONG, payload.len()).as_bytes(), payload].concat()
}

/// The header of a message.
fn header(kind: u8, payload: usize) -> Header {
    match payload {
        0..=125 => Header::new(&[kind, payload as u8]),
        126..=0xFFFF => {
            let [high, low] = (payload as u16).to_be_bytes();
            Header::new(&[kind, 126, high, low])
        }
        _ => {
            let mut bytes = [kind, 127, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes[2..].copy_from_slice(&(payload as u64).to_be_bytes());
            Header::new(&bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_take_the_shortest_form() {
        for (payload, bytes) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (0xFFFF, &[0x82, 126, 0xFF, 0xFF]),
            (0x1_0000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            assert_eq!(BINARY.header(payload).unwrap().as_bytes(), bytes, "{payload}");
        }
    }

    #[test]
    fn each_frame_becomes_a_text_message() {
        let mut out = Vec::new();
        [&b"<a/>"[..], b"", b"caf\xe9", b"a\nb"].iter().for_each(|frame| TEXTS.encode(frame, &mut out));
        assert_eq!(out, b"\x81\x04<a/>\x81\x00\x81\x06caf\xef\xbf\xbd\x81\x03a\nb");
        assert!(TEXTS.header(9).is_none());
    }

    #[test]
    fn a_close_message_fits_into_a_control_frame() {
        assert_eq!(BINARY.goodbye(&CloseReason::Shutdown), b"\x88\x0a\x03\xe9shutdown");
        let long = TEXTS.goodbye(&CloseReason::application("é".repeat(100), ""));
        assert_eq!((long[0], long[1] as usize), (CLOSE, long.len() - 2));
        assert!(long.len() <= 2 + 125 && str::from_utf8(&long[4..]).is_ok());
    }
}
