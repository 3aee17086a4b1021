//! A raw WebSocket client, which sends messages byte by byte as a test wants them.

use std::net::SocketAddr;

use crate::harness::Client;

/// The key of RFC 6455's example, and the answer to it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A handshake with further fields.
pub(crate) fn handshake(address: SocketAddr, fields: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{fields}\r\n"
    )
}

/// A message as a client sends it, in one fragment.
pub(crate) fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    fragment(0x80 | kind, payload)
}

/// A fragment with this first byte.
pub(crate) fn fragment(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x22, 0x83, 0xF4];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A raw WebSocket client.
pub(crate) struct Ws {
    pub(crate) client: Client,
}

impl Ws {
    pub(crate) fn open(address: SocketAddr) -> Ws {
        Ws::over(Client::connect(address), address)
    }

    /// Shakes hands over a connection.
    pub(crate) fn over(mut client: Client, address: SocketAddr) -> Ws {
        client.write(handshake(address, "").as_bytes());
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nSec-WebSocket-Accept: {ACCEPT}\r\n")), "{head}");
        Ws { client }
    }

    pub(crate) fn send(&mut self, kind: u8, payload: &[u8]) {
        self.client.write(&message(kind, payload));
    }

    /// The next message: its kind and its payload. The server neither masks nor fragments.
    pub(crate) fn receive(&mut self) -> (u8, Vec<u8>) {
        let head = self.client.take(2);
        assert_eq!(head[0] & 0xF0, 0x80, "a whole message");
        let length = match head[1] {
            126 => u64::from(u16::from_be_bytes(self.client.take(2).try_into().unwrap())),
            127 => u64::from_be_bytes(self.client.take(8).try_into().unwrap()),
            length => u64::from(length),
        };
        (head[0] & 0xF, self.client.take(length as usize))
    }

    /// The next message, which must be one of binary frames.
    pub(crate) fn frames(&mut self) -> String {
        let (kind, payload) = self.receive();
        assert_eq!(kind, BINARY, "{}", payload.escape_ascii());
        String::from_utf8(payload).unwrap()
    }

    /// The next message must be a CLOSE with this code; then the stream must end.
    pub(crate) fn closed(&mut self, code: u16) {
        let (kind, payload) = self.receive();
        assert_eq!((kind, &payload[..payload.len().min(2)]), (CLOSE, &code.to_be_bytes()[..]), "{payload:?}");
        self.client.end();
    }
}
