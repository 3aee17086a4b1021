//! WebSocket messages, through a socket and all that reads from it: the frames that reach the application are those that
//! the messages hold, however the bytes are cut, and the client gets them back as whole messages.
//!
//! The input is a list of messages: what each is, how long, and whether it is sent apart from the one before.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use xmlsocket::edge::http::{Gate, Site};
use xmlsocket::edge::websocket::WebSocket;
use xmlsocket::server::{Frames, ListenerSettings};
use xmlsocket_fuzz::{Running, decode, number};

const FRAME_BYTES_MAX: usize = 1_024;

const HANDSHAKE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

static RUNNING: LazyLock<Running> = LazyLock::new(|| {
    let mut settings = ListenerSettings::default();
    settings.frames = Frames::Any;
    settings.http = Some(Arc::new(Site::new(Gate::new([])).route(WebSocket)));
    Running::start(vec![settings], FRAME_BYTES_MAX as u64)
});

/// First bytes of messages and fragments: texts, bytes, pings, a pong, the end; then what should not be.
const KINDS: [u8; 12] = [0x82, 0x81, 0x02, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88, 0xC2, 0x83, 0x09];

/// One message, masked with zeros as a client's must be, or not quite.
fn message(kind: u8, payload: &[u8], is_masked: bool) -> Vec<u8> {
    let mask = if is_masked { 0x80 } else { 0 };
    let mut message = match payload.len() {
        length @ 0..=125 => vec![kind, mask | length as u8],
        length => [&[kind, mask | 126][..], &(length as u16).to_be_bytes()].concat(),
    };
    message.extend_from_slice(if is_masked { &[0; 4] } else { &[] });
    message.extend_from_slice(payload);
    message
}

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let mut pieces = vec![HANDSHAKE.to_vec()];
    while !input.is_empty() && pieces.len() < 40 {
        let kind = KINDS[number(&mut input, KINDS.len())];
        let (how, length) = (number(&mut input, 256), number(&mut input, 256));
        let length = (length * if how & 2 == 0 { 1 } else { 7 }).min(input.len());
        let (payload, rest) = input.split_at(length);
        input = rest;
        let message = message(kind, payload, how & 0xF0 != 0xF0);
        match pieces.last_mut() {
            Some(last) if how & 1 == 0 => last.extend(message),
            _ => pieces.push(message),
        }
    }
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    let heard = RUNNING.converse(0, &pieces);
    let told = RUNNING.frames();

    let stream = pieces.concat();
    let decoded = decode(&mut *WebSocket::framing().decoder, [&stream[HANDSHAKE.len()..]]);
    // One that is too long ends it.
    let frames = decoded.frames().into_iter().take_while(|frame| frame.len() <= FRAME_BYTES_MAX);
    assert_eq!(told, frames.collect::<Vec<_>>());

    let answer = heard.windows(4).position(|end| end == b"\r\n\r\n").expect("an answer") + 4;
    assert!(heard.starts_with(b"HTTP/1.1 101 "), "{}", heard.escape_ascii());
    let mut rest = &heard[answer..];
    let mut echoed = Vec::new();
    while let [first, length, after @ ..] = rest {
        let (length, after) = match length {
            126 => (usize::from(u16::from_be_bytes([after[0], after[1]])), &after[2..]),
            127 => (u64::from_be_bytes(*after.first_chunk().expect("a length")) as usize, &after[8..]),
            length => (usize::from(*length), after),
        };
        let (payload, after) = after.split_at_checked(length).expect("whole messages");
        match first {
            0x82 => echoed.extend_from_slice(payload),
            0x81 => {
                echoed.extend_from_slice(payload);
                echoed.push(0);
            }
            0x88 | 0x8A => {}
            other => panic!("a message that begins with {other:#x}"),
        }
        rest = after;
    }
    // After a fault, or when the client says that this is all, not everything may come back; what does is right.
    let sent: Vec<u8> = told.iter().flat_map(|frame| [&frame[..], b"\0"].concat()).collect();
    assert!(sent.starts_with(&echoed), "{} of {}", echoed.escape_ascii(), sent.escape_ascii());
});
