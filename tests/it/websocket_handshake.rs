//! The WebSocket handshake: who gets in, and who is told why not.

use std::sync::Arc;

use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::WebSocketConfig;
use xmlsocket::edge::http::{Gate, Site};
use xmlsocket::edge::websocket;
use xmlsocket::policy::DomainPattern;
use xmlsocket::server::Ended;

use crate::harness::{Probe, Setup, Told};
use crate::websocket_client::{KEY, handshake};

/// A server with WebSockets, for pages of `chat.example.org` and below `friend.example`.
pub(crate) fn setup() -> Setup {
    let friend: DomainPattern = "*.friend.example".parse().unwrap();
    let gate = Gate::new(["chat.example.org".to_owned()])
        .with_friends(move |origin, _| friend.matches(origin).then_some(()).ok_or_else(String::new));
    let site = Arc::new(Site::new(gate).route(websocket::WebSocket));
    Setup::new().settings(|settings| settings.http = Some(site))
}

#[test]
fn broken_handshakes_are_refused() {
    let running = setup().serve(Probe::default());
    let good = handshake(running.address, "");
    let key = format!("Sec-WebSocket-Key: {KEY}\r\n");
    let host = format!("Host: {}\r\n", running.address);
    for (what, request, status) in [
        ("no key", good.replace(&key, ""), "400"),
        ("a short key", good.replace(KEY, "dGhlIHNhbXBsZQ=="), "400"),
        ("a key that is no base64", good.replace(KEY, "?GhlIHNhbXBsZSBub25jZQ=="), "400"),
        ("version 8", good.replace("Version: 13", "Version: 8"), "426"),
        ("no version", good.replace("Sec-WebSocket-Version: 13\r\n", ""), "426"),
        ("no Connection", good.replace("keep-alive, Upgrade", "keep-alive"), "400"),
        ("no upgrade", good.replace("Upgrade: WebSocket\r\n", ""), "426"),
        ("HTTP/1.0", good.replace("HTTP/1.1", "HTTP/1.0"), "400"),
        ("another path", good.replace("/ws", "/other"), "404"),
        ("POST", good.replace("GET", "POST"), "405"),
        ("no Host", good.replace(&host, ""), "400"),
        ("a foreign Host", good.replace(&host, "Host: evil.example\r\n"), "421"),
        ("a foreign page", handshake(running.address, "Origin: https://evil.example\r\n"), "403"),
        ("nobody's page", handshake(running.address, "Origin: null\r\n"), "403"),
        ("another port's page", handshake(running.address, "Origin: http://127.0.0.1:1\r\n"), "403"),
        (
            "two Origins",
            handshake(
                running.address,
                &format!("Origin: http://{0}\r\nOrigin: http://evil.example\r\n", running.address),
            ),
            "403",
        ),
    ] {
        let mut client = running.connect();
        client.write(request.as_bytes());
        // What follows is dropped, not read as frames.
        client.write(b"<evil/>\0");
        let head = client.head();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {head}");
        if status == "426" {
            assert!(head.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{what}: {head}");
        }
        client.half_close();
        client.rest();
    }
    assert_eq!(running.server.shutdown(), Ended::Shutdown);
    let mut running = running;
    assert!(!running.told.all().iter().any(|told| matches!(told, Told::Message(..))));
}

#[test]
fn friends_and_other_programs_get_in() {
    let running = setup().serve(Probe::default());
    let own = format!("Origin: http://{}\r\n", running.address);
    for (fields, protocol) in [
        ("", None),
        (own.as_str(), None),
        ("Origin: https://games.friend.example\r\n", None),
        ("Origin: https://chat.example.org\r\n", None),
        ("Sec-WebSocket-Protocol: chat, binary\r\n", Some("binary")),
        ("Sec-WebSocket-Protocol: base64\r\n", None),
        ("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n", None),
    ] {
        let mut client = running.connect();
        client.write(handshake(running.address, fields).as_bytes());
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{fields}: {head}");
        assert!(!head.contains("Extensions"), "{head}");
        let chosen = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(chosen, protocol, "{fields}");
    }
    let config = WebSocketConfig::default().read_buffer_size(4096);
    let mut request = format!("ws://{}/", running.address).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "binary".parse().unwrap());
    let (_, response) =
        tungstenite::client::client_with_config(request, running.connect().stream, Some(config)).unwrap();
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "binary");
}
