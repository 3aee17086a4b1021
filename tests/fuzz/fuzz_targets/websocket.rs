//! WebSocket messages, through a socket and all that reads from it: the frames that reach the application are those that
//! the messages hold, however the bytes are cut, another reader of WebSocket finds none that ours does not, and the client
//! gets them back as whole messages.
//!
//! The input is a list of messages: what each is, how long, and whether it is sent apart from the one before.

#![no_main]

use std::io::{self, Read, Write};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocketContext};
use xmlsocket::edge::http::{Gate, Site};
use xmlsocket::edge::websocket::WebSocket;
use xmlsocket::server::{Frames, ListenerSettings};
use xmlsocket_fuzz::{Running, number, read};

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

/// The frames of `bytes`, as far as a reader gets: one that is too long ends it.
fn frames(bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    frames.pop();
    let end = frames.iter().position(|frame| frame.len() > FRAME_BYTES_MAX).unwrap_or(frames.len());
    frames.truncate(end);
    frames
}

/// The bytes of frames that `tungstenite` finds in whole messages.
fn found_by_another(mut stream: &[u8]) -> Vec<u8> {
    let mut socket = WebSocketContext::new(Role::Server, None);
    let mut found = Vec::new();
    loop {
        match socket.read(&mut Feed(&mut stream)) {
            Ok(Message::Binary(bytes)) => found.extend_from_slice(&bytes),
            Ok(Message::Text(text)) => {
                found.extend_from_slice(text.as_bytes());
                if !text.ends_with('\0') {
                    found.push(0);
                }
            }
            Ok(_) => {}
            Err(_) => return found,
        }
    }
}

/// Bytes as a stream that ends with them and takes every answer.
struct Feed<'stream, 'bytes>(&'stream mut &'bytes [u8]);

impl Read for Feed<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for Feed<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
    let messages = &stream[HANDSHAKE.len()..];
    let whole = read(&mut *WebSocket::framing().decoder, &[messages]);
    assert_eq!(told, frames(&whole.frames));
    let found = found_by_another(messages);
    assert!(whole.frames.starts_with(&found), "{}, {}", whole.frames.escape_ascii(), found.escape_ascii());

    let answer = heard.windows(4).position(|end| end == b"\r\n\r\n").expect("an answer") + 4;
    assert!(heard.starts_with(b"HTTP/1.1 101 "), "{}", heard.escape_ascii());
    let mut rest = &heard[answer..];
    let (mut echoed, mut in_text) = (Vec::new(), false);
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
                in_text = true;
            }
            0x88 | 0x8A => {}
            other => panic!("a message that begins with {other:#x}"),
        }
        rest = after;
    }
    // A text message is UTF-8, whatever the frame was.
    let as_sent = |frame: &Vec<u8>| match in_text {
        true => String::from_utf8_lossy(frame).into_owned().into_bytes(),
        false => frame.clone(),
    };
    // After a fault, or when the client says that this is all, not everything may come back; what does is right.
    let sent: Vec<u8> = told.iter().flat_map(|frame| [&as_sent(frame)[..], b"\0"].concat()).collect();
    assert!(sent.starts_with(&echoed), "{} of {}", echoed.escape_ascii(), sent.escape_ascii());
});
