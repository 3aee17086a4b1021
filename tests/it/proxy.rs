//! Proxies in front of a listener: whose word counts, where connections are counted, and what a proxy may not send.

use std::time::{Duration, Instant};

use xmlsocket::wire::Element;

use crate::harness::{Client, Note, Probe, Setup, Told, lock, log_lines};

/// A header of version 1: from 192.0.2.7:50000, which reached 198.51.100.1:1024.
const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 1024\r\n";

/// The same in version 2, with an extension behind it.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10\xc0\x00\x02\x07\xc6\x33\x64\x01\xc3\x50\x04\x00\x04\x00\x01\xff";

/// A server that believes proxies at 127.0.0.1, and tells who joins where it comes from.
fn setup() -> Setup {
    Setup::new().settings(|settings| settings.proxies = vec!["127.0.0.1".parse().unwrap()])
}

fn teller() -> Probe {
    let mut probe = Probe::default();
    probe.on_message = Box::new(|cx, (from, _)| {
        let Some(peer) = cx.peer(from) else { return };
        let (source, destination) = (peer.address.to_string(), peer.local_address.to_string());
        cx.send(from, &Element::new("from").attribute("is", source).attribute("at", destination));
    });
    probe
}

const TOLD: &str = "<from is=\"192.0.2.7:50000\" at=\"198.51.100.1:1024\"/>";

#[test]
fn the_application_sees_the_client_at_whatever_cut_the_header_arrives() {
    let running = setup().serve(teller());
    for header in [V1, V2] {
        let stream = [header, b"<a/>\0"].concat();
        for cut in 1..stream.len() {
            let mut client = running.connect();
            client.write(&stream[..cut]);
            client.write(&stream[cut..]);
            assert_eq!(client.frame(), TOLD, "cut at {cut}");
        }
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_keeps_its_address() {
    let running = setup().serve(teller());
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"] {
        let mut client = running.connect();
        client.write(header);
        client.send("<a/>");
        let expected = format!("<from is=\"{}\" at=\"{}\"/>", client.address(), running.address);
        assert_eq!(client.frame(), expected);
    }
}

#[test]
fn silence_after_the_header_is_a_silent_client() {
    let mut running = setup().serve(Probe::default());
    let mut client = running.connect();
    client.write(V1);
    running.told.open();
    client.send("<a/>");
    assert_eq!(client.frame(), "<a/>");
}

#[test]
fn the_policy_is_for_the_address_that_was_reached() {
    let setup = setup().policy().settings(|settings| {
        let policy = settings.policy.take().unwrap();
        settings.policy = Some(std::sync::Arc::new(move |address| {
            assert_eq!(address, "198.51.100.1:1024".parse().unwrap());
            policy(address)
        }));
    });
    let running = setup.serve(Probe::default());
    let mut client = running.connect();
    client.write(&[V2, b"<policy-file-request/>\0"].concat());
    assert!(client.frame().starts_with("<cross-domain-policy>"));
    client.end();
}

#[test]
fn connections_are_counted_where_they_come_from() {
    let mut running = setup().limits(|limits| limits.connections_per_address_max = 1).serve(Probe::default());
    let join = |last: u8| {
        let mut client = running.connect();
        client.write(format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 50000 1024\r\n<a/>\0").as_bytes());
        client
    };
    let mut first = join(1);
    assert_eq!(first.frame(), "<a/>");
    let mut second = join(2);
    assert_eq!(second.frame(), "<a/>");
    let mut refused = join(1);
    assert!(refused.frame().starts_with("<error code=\"address-full\">"));
    refused.end();
    let mut page = running.connect();
    page.write(b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 1024\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(String::from_utf8(page.rest()).unwrap().starts_with("HTTP/1.1 503 "));
    // Whoever leaves makes room for the next from there.
    let id = running.told.wait("the first message", |told| match told {
        Told::Message(id, _) => Some(*id),
        _ => None,
    });
    drop(first);
    running.notes.wait("the first ended", |note| (*note == Note::Ended(id)).then_some(()));
    let mut client = running.connect();
    client.write(b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 1024\r\n<a/>\0");
    assert_eq!(client.frame(), "<a/>");
}

/// Refused connections give their seats back at once: those of one address cannot fill the server for two lingers.
#[test]
fn connections_of_an_address_that_is_full_take_no_seats_from_others() {
    let setup = setup().limits(|limits| {
        limits.connections_max = 30;
        limits.connections_per_address_max = 1;
    });
    let mut running = setup.serve(Probe::default());
    let address = running.address;
    let from = |source: &str| {
        let mut client = Client::connect(address);
        client.write(format!("PROXY TCP4 {source} 198.51.100.1 50000 1024\r\n<a/>\0").as_bytes());
        client
    };
    let mut first = from("192.0.2.1");
    assert_eq!(first.frame(), "<a/>");
    // None of them goes by itself.
    let refused: Vec<_> = (0..29).map(|_| from("192.0.2.1")).collect();
    (0..29).for_each(|_| running.notes.wait("refused", |note| matches!(note, Note::Refused(_)).then_some(())));
    running.notes.ends(29);
    assert_eq!(running.server.connections(), 1);
    let told = refused.into_iter().filter_map(|mut client| client.frame_or_end());
    let told: Vec<_> = told.collect();
    assert!(told.len() >= 8 && told.iter().all(|said| said.contains("address-full")), "{told:?}");
    assert_eq!({ from("192.0.2.2") }.frame(), "<a/>");
}

#[test]
fn addresses_of_one_network_have_sixteen_times_as_many_connections_as_one() {
    let running = setup().limits(|limits| limits.connections_per_address_max = 1).serve(Probe::default());
    let from = |network: u8, address: u8| {
        let mut client = running.connect();
        let header = format!("PROXY TCP6 2001:db8:{network}:{address}::7 2001:db8::1 50000 1024\r\n<a/>\0");
        client.write(header.as_bytes());
        let said = client.frame();
        (client, said)
    };
    let inside: Vec<_> = (0..16).map(|address| from(1, address)).collect();
    assert!(inside.iter().all(|(_, said)| said == "<a/>"));
    assert!(from(1, 16).1.contains("address-full"));
    assert_eq!(from(2, 16).1, "<a/>");
}

#[test]
fn a_proxy_must_say_for_whom_it_speaks() {
    let mut running = setup().limits(|limits| limits.frame_seconds_max = 1).serve(Probe::default());
    let begun = Instant::now();
    for bytes in [
        &b"<a/>\0"[..],
        b"PROXY TCP4 nonsense\r\n<a/>\0",
        b"PROXYING <a/>\0",
        b"\x16\x03\x01\x02\x00",
        b"PROXY TCP4 192.0.2.7 198.51",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11",
        b"",
    ] {
        let mut client = running.connect();
        client.write(bytes);
        client.end();
        let name = client.address().to_string();
        let lines: Vec<_> = logged(&name);
        assert_eq!(lines.len(), 1, "{}: {lines:?}", bytes.escape_ascii());
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // A proxy that looks whether we are there is no news.
    let probing = running.connect();
    let name = probing.address().to_string();
    drop(probing);
    for _ in 0..8 {
        running.notes.any_ended();
    }
    assert_eq!(logged(&name), [] as [String; 0]);
    assert!(!running.told.all().iter().any(|told| matches!(told, Told::Open(_))));
}

/// What was logged of a proxy at `address`. Other tests of this process may have had that port before.
fn logged(address: &str) -> Vec<String> {
    let lines = lock(log_lines());
    lines.iter().filter(|line| line.contains(address) && line.contains("PROXY header")).cloned().collect()
}

#[test]
fn nobody_else_is_believed() {
    let settings = |proxies: &[&str]| {
        let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        Setup::new().settings(|settings| settings.proxies = proxies)
    };
    for proxies in [&[][..], &["10.0.0.0/8", "::1"]] {
        let mut running = settings(proxies).serve(teller());
        let mut client = running.connect();
        client.write(&[V1, b"<a/>\0"].concat());
        assert!(client.frame().starts_with("<error code=\"not-xml\""), "it is a frame like any other");
        client.send("<a/>");
        assert!(client.frame().contains(&client.address().to_string()));
        running.told.open();
    }
}

#[cfg(feature = "websocket")]
mod http {
    use std::sync::Arc;

    use xmlsocket::edge::http::{Gate, Site};
    use xmlsocket::edge::websocket;

    use super::*;
    use crate::websocket_client::{BINARY, Ws, handshake};

    fn with_websocket(setup: Setup) -> Setup {
        let site = Arc::new(Site::new(Gate::default()).route(websocket::WebSocket));
        setup.settings(|settings| settings.http = Some(site))
    }

    #[test]
    fn a_web_proxy_says_in_the_request_where_it_comes_from() {
        let both = |setup: Setup| with_websocket(setup).serve(teller());
        let (believing, other) = (both(setup()), both(Setup::new()));
        let client = "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 127.0.0.1\r\n";
        for (running, before, fields, source) in [
            (&believing, &b""[..], client, "192.0.2.7:0"),
            (&believing, b"", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 2001:db8::7\r\n", "[2001:db8::7]:0"),
            // Who stands behind a PROXY header is no proxy of ours, and may write what it likes.
            (&believing, V1, client, "192.0.2.7:50000"),
            // A proxy has one word: that of its header, wherever that says the client is, or that it says nothing.
            (&believing, b"PROXY TCP4 127.0.0.1 198.51.100.1 50000 1024\r\n", client, "127.0.0.1:50000"),
            (&believing, b"PROXY UNKNOWN\r\n", client, "127.0.0.1:"),
            (&believing, b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", client, "127.0.0.1:"),
            (&believing, b"", "", "127.0.0.1:"),
            (&believing, b"", "X-Forwarded-For: nonsense\r\n", "127.0.0.1:"),
            (&other, b"", client, "127.0.0.1:"),
        ] {
            let mut client = running.connect();
            client.write(&[before, handshake(running.address, fields).as_bytes()].concat());
            assert!(client.head().starts_with("HTTP/1.1 101 "));
            let mut ws = Ws { client };
            ws.send(BINARY, b"<a/>\0");
            let told = ws.frames();
            assert!(told.starts_with(&format!("<from is=\"{source}")), "{told} for {fields}");
        }
    }

    #[test]
    fn a_web_proxy_s_clients_are_counted_where_they_come_from() {
        let setup = with_websocket(setup()).limits(|limits| limits.connections_per_address_max = 1);
        let mut running = setup.serve(Probe::default());
        let open = |last: u8| {
            let mut client = running.connect();
            client.write(handshake(running.address, &format!("X-Forwarded-For: 192.0.2.{last}\r\n")).as_bytes());
            let head = client.head();
            (client, head)
        };
        let (_first, head) = open(1);
        assert!(head.starts_with("HTTP/1.1 101 "));
        let (_second, head) = open(2);
        assert!(head.starts_with("HTTP/1.1 101 "));
        let (mut third, head) = open(1);
        assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nRetry-After: "), "{head}");
        assert_eq!(running.server.connections(), 2, "who is refused has no seat");
        assert!(String::from_utf8(third.rest()).unwrap().starts_with("Your address has"));
        running.told.open();
        running.told.open();
        running.server.shutdown();
        assert!(!running.told.all().iter().any(|told| matches!(told, Told::Open(_))), "the third is nobody");
    }
}
