//! WebSocket (RFC 6455), by `tungstenite`: the handshake, and unwrapping what a client sends.
//!
//! Binary messages carry the bytes of the stream, zero bytes included, and their boundaries mean nothing. A text
//! message is one frame. What the client sends first decides how it is answered.
//!
//! `tungstenite` reads from the bytes at hand and writes its own answers (pong, CLOSE) into a buffer: reading,
//! deadlines and writing stay the server's, so that a WebSocket client is bounded as any other.
//!
//! Knows: `tungstenite`. Must not know: sockets, frames, who may open a WebSocket.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, Write};

use tungstenite::handshake::server::{Request as Handshake, create_response};
use tungstenite::http::HeaderValue;
use tungstenite::http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::http::{Reply, Request, Response, Route};
use crate::server::{DecodeEnd, Decoded, Decoder};
use crate::wire::NUL;

/// Bytes of one message, however many frames are in it.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Bytes of the buffer that every connection has from its beginning.
const BUFFER_BYTES: usize = 256;

/// The paths at which a WebSocket can be opened.
const PATHS: [&str; 2] = ["/", "/ws"];

/// The subprotocol that some clients ask for: bytes in binary messages.
const SUBPROTOCOL: &str = "binary";

/// Opens WebSockets at `/` and `/ws`.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebSocket;

impl Route for WebSocket {
    fn answer(&self, request: &Request<'_>) -> Option<Reply> {
        let wanted = request.words("upgrade").any(|word| word.eq_ignore_ascii_case("websocket"));
        match request.path() {
            path if !PATHS.contains(&path) || request.is_head() => None,
            _ if wanted => Some(open(request)),
            "/ws" => Some(upgrade_required("This is a WebSocket's address.").into()),
            _ => None,
        }
    }
}

#[cfg(fuzzing)]
impl WebSocket {
    /// What unwraps a client's messages, for a fuzz target.
    #[doc(hidden)]
    #[must_use]
    pub fn decoder() -> Box<dyn Decoder> {
        Box::new(Messages::new())
    }
}

/// Answers the handshake.
fn open(request: &Request<'_>) -> Reply {
    if let Err((origin, reason)) = request.check_origin() {
        let origin: String = origin.chars().take(100).collect();
        let note = format!("pages of {origin:?} may not connect: {reason}");
        return Response::text(403, "Pages of your site may not connect here.").noted(note).into();
    }
    if request.value("sec-websocket-version") != Some("13") {
        return upgrade_required("This server speaks version 13 of WebSocket.").into();
    }
    let mut handshake = Handshake::new(());
    let fields = handshake.headers_mut();
    if request.words("connection").any(|word| word.eq_ignore_ascii_case("upgrade")) && !request.is_http_1_0() {
        fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if let Some(key) = request.value("sec-websocket-key").and_then(|key| HeaderValue::from_str(key).ok()) {
        fields.insert(SEC_WEBSOCKET_KEY, key);
    }
    let accepted = match create_response(&handshake) {
        Ok(accepted) => accepted,
        Err(error) => return Response::text(400, "This is no WebSocket handshake.").noted(error.to_string()).into(),
    };
    let accept = accepted.headers().get("Sec-WebSocket-Accept").and_then(|accept| accept.to_str().ok());
    let mut response = Response::bare(101)
        .with("Connection", "Upgrade")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Accept", accept.unwrap_or_default().to_owned());
    if request.words("sec-websocket-protocol").any(|word| word == SUBPROTOCOL) {
        response = response.with("Sec-WebSocket-Protocol", SUBPROTOCOL);
    }
    Reply::Upgrade(response, Box::new(Messages::new()))
}

fn upgrade_required(sentence: &'static str) -> Response {
    let response = Response::text(426, sentence).with("Upgrade", "websocket").with("Connection", "Upgrade, close");
    response.with("Sec-WebSocket-Version", "13")
}

/// The messages of one client.
struct Messages {
    context: WebSocketContext,
    /// Whether a message with bytes of frames has come, so that it is settled how the client is answered.
    has_spoken: bool,
}

impl Messages {
    fn new() -> Messages {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        Messages { context: WebSocketContext::new(Role::Server, Some(config)), has_spoken: false }
    }

    /// Notes a message with bytes of frames.
    fn spoke(&mut self, is_text: bool, decoded: &mut Decoded) {
        decoded.messages += 1;
        if !std::mem::replace(&mut self.has_spoken, true) {
            decoded.answer_as_text = is_text;
        }
    }
}

impl Decoder for Messages {
    fn decode(&mut self, bytes: &[u8], decoded: &mut Decoded) -> Result<(), DecodeEnd> {
        let mut feed = Feed { bytes, answers: Vec::new() };
        let end = loop {
            match self.context.read(&mut feed) {
                Ok(Message::Binary(bytes)) if bytes.is_empty() => decoded.controls += 1,
                Ok(Message::Binary(bytes)) => {
                    self.spoke(false, decoded);
                    decoded.frames.extend_from_slice(&bytes);
                }
                Ok(Message::Text(text)) => {
                    self.spoke(true, decoded);
                    decoded.frames.extend_from_slice(text.as_bytes());
                    if !text.ends_with('\0') {
                        decoded.frames.push(NUL);
                    }
                }
                Ok(_) => decoded.controls += 1,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(Error::ConnectionClosed) => break Err(DecodeEnd::Closed),
                Err(error) => {
                    let (code, text) = fault(&error);
                    let _ = self.context.close(&mut feed, Some(CloseFrame { code, reason: (&*text).into() }));
                    break Err(DecodeEnd::Broken(text));
                }
            }
        };
        decoded.answers.append(&mut feed.answers);
        end
    }
}

/// What is wrong, as a code for the client and a sentence for the log and the client.
fn fault(error: &Error) -> (CloseCode, Cow<'static, str>) {
    match error {
        Error::Capacity(_) => (CloseCode::Size, format!("a message has at most {MESSAGE_BYTES_MAX} bytes").into()),
        Error::Utf8(_) => (CloseCode::Invalid, "a text message is UTF-8".into()),
        Error::Protocol(error) => (CloseCode::Protocol, error.to_string().into()),
        _ => (CloseCode::Protocol, "this is no WebSocket message".into()),
    }
}

/// The bytes at hand as a stream, which ends for now where they end; and what is answered.
struct Feed<'bytes> {
    bytes: &'bytes [u8],
    answers: Vec<u8>,
}

impl Read for Feed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.bytes {
            [] => Err(ErrorKind::WouldBlock.into()),
            _ => self.bytes.read(out),
        }
    }
}

impl Write for Feed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// What a stream amounts to, in pieces of these lengths: bytes of frames, answers, and how it ended.
    fn decode(stream: &[u8], pieces: &[usize]) -> (Vec<u8>, Vec<u8>, Option<DecodeEnd>) {
        let (mut messages, mut decoded) = (Messages::new(), Decoded::default());
        let mut rest = stream;
        for piece in pieces.iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(*piece));
            if let Err(end) = messages.decode(piece, &mut decoded) {
                return (decoded.frames, decoded.answers, Some(end));
            }
            if after.is_empty() {
                break;
            }
            rest = after;
        }
        (decoded.frames, decoded.answers, None)
    }

    /// A message or a fragment, well made or not quite.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let first = prop_oneof![8 => prop::sample::select(vec![0x81u8, 0x82, 0x01, 0x02, 0x80, 0x00, 0x89, 0x8A]), 1 => any::<u8>()];
        let payload = prop_oneof![Just(b"<a/>\0".to_vec()), Just("é".into()), vec(any::<u8>(), 0..300)];
        (first, payload, prop::bool::weighted(0.95)).prop_map(|(first, payload, masked)| {
            let mut bytes = vec![first];
            let mask = if masked { 0x80 } else { 0 };
            match payload.len() {
                length @ 0..=125 => bytes.push(mask | length as u8),
                length => bytes.extend([&[mask | 126][..], &(length as u16).to_be_bytes()].concat()),
            }
            bytes.extend_from_slice(if masked { &[0; 4] } else { &[] });
            bytes.extend_from_slice(&payload);
            bytes
        })
    }

    proptest! {
        #[test]
        fn a_stream_means_the_same_however_it_is_cut(
            stream in vec(piece(), 0..12),
            tail in vec(any::<u8>(), 0..20),
            pieces in vec(1usize..400, 1..8),
        ) {
            let stream = [stream.concat(), tail].concat();
            let whole = decode(&stream, &[stream.len().max(1)]);
            prop_assert_eq!(&decode(&stream, &pieces), &whole);
            prop_assert_eq!(&decode(&stream, &[1]), &whole);
        }
    }

    #[test]
    fn the_first_message_says_how_to_answer() {
        for (stream, as_text) in [
            (&b"\x82\x81\0\0\0\0\0\x81\x81\0\0\0\0a"[..], false),
            (b"\x81\x81\0\0\0\0a\x82\x81\0\0\0\0\0", true),
            (b"\x89\x80\0\0\0\0\x82\x80\0\0\0\0\x81\x80\0\0\0\0", true),
        ] {
            let mut decoded = Decoded::default();
            assert_eq!(Messages::new().decode(stream, &mut decoded), Ok(()));
            assert_eq!(decoded.answer_as_text, as_text, "{}", stream.escape_ascii());
        }
    }
}
