//! WebSocket (RFC 6455): the handshake, by `tungstenite`, and a framing for what follows it.
//!
//! Binary messages carry XMLSocket's own stream, zero bytes included, and their boundaries mean nothing. A text message
//! is one frame. What the client sends first decides how it is answered.
//!
//! Knows: `tungstenite`'s handshake. Must not know: sockets, who may open a WebSocket.

// What a client sends.
mod incoming;

// What it gets.
mod outgoing;

use std::sync::Arc;

use tungstenite::handshake::server::{Request as Handshake, create_response};
use tungstenite::http::HeaderValue;
use tungstenite::http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};

use self::incoming::Messages;
use super::http::{Request, Response, Route, RouteAnswer};
use crate::server::{Framed, Transport};

/// What frames travel in.
const TRANSPORT: Transport = Transport::named("websocket");

/// The paths at which a WebSocket can be opened.
const PATHS: [&str; 2] = ["/", "/ws"];

/// The subprotocol that some clients ask for: bytes in binary messages.
const SUBPROTOCOL: &str = "binary";

/// Opens WebSockets at `/` and `/ws`.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebSocket;

impl Route for WebSocket {
    fn answer(&self, request: &Request<'_>) -> Option<RouteAnswer> {
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
    /// What reads and writes a client, for a fuzz target.
    #[doc(hidden)]
    #[must_use]
    pub fn framing() -> Framed {
        framing()
    }
}

/// Answers the handshake.
fn open(request: &Request<'_>) -> RouteAnswer {
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
    RouteAnswer::Upgrade(response, framing(), TRANSPORT)
}

/// What reads and writes a client: as bytes, until it has shown that it speaks in texts.
fn framing() -> Framed {
    Framed { decoder: Box::new(Messages::default()), encoder: Arc::clone(&outgoing::BINARY) }
}

fn upgrade_required(sentence: &'static str) -> Response {
    let response = Response::text(426, sentence).with("Upgrade", "websocket").with("Connection", "Upgrade, close");
    response.with("Sec-WebSocket-Version", "13")
}
