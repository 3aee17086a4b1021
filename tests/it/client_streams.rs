//! The members of Flash Media Server's stream class.

use xmlsocket::client::{Event, XmlStreams};
use xmlsocket::wire::{Overflow, StreamEvent, UNPROCESSED_BYTES_MAX};

use crate::scripted::{Scripted, WAIT};

fn next(socket: &XmlStreams) -> Event<StreamEvent> {
    socket.recv_timeout(WAIT).unwrap_or_else(|error| panic!("expected an event, got: {error}"))
}

/// The next event in short.
fn word(socket: &XmlStreams) -> String {
    match next(socket) {
        Event::Data(StreamEvent::Opened(root)) => format!("opened {}{}", root.name(), root.attributes()),
        Event::Data(StreamEvent::Restarted(root)) => format!("restarted {}{}", root.name(), root.attributes()),
        Event::Data(StreamEvent::Element(element)) => element.frame().text().unwrap().to_owned(),
        Event::Data(StreamEvent::Discarded { bytes }) => format!("discarded {bytes}"),
        Event::Data(other) => format!("{other:?}").to_lowercase(),
        Event::IoError { reason, .. } => reason,
        other => format!("{other:?}"),
    }
}

fn connect(socket: &mut XmlStreams, server: &Scripted) {
    socket.connect("127.0.0.1", server.port()).unwrap();
    assert_eq!(next(socket), Event::Connect);
}

const HELLO: &str = "<stream:stream to='a.test' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

#[test]
fn an_endless_document_is_told_element_by_element_and_its_end_closes() {
    let server = Scripted::once(|mut peer| {
        assert_eq!(peer.hear_bytes(HELLO.len()), HELLO.as_bytes());
        peer.say(format!("<?xml version='1.0'?>{HELLO}\n"));
        for byte in "<stream:features><x a='>'/></stream:features> \n<message><body>hi</body></message>".bytes() {
            peer.say([byte]);
        }
        assert_eq!(peer.hear_bytes(11), b"<presence/>", "no zero byte between elements");
        peer.say("</stream:stream>");
        assert_eq!(peer.hear_all(), b"");
    });
    let mut socket = XmlStreams::new();
    connect(&mut socket, &server);
    socket.send(HELLO).unwrap();
    assert_eq!(word(&socket), format!("opened {}", &HELLO[1..HELLO.len() - 1]));
    let Event::Data(StreamEvent::Element(features)) = next(&socket) else { panic!("expected an element") };
    assert_eq!(features.frame().text().unwrap(), "<stream:features><x a='>'/></stream:features>");
    let document = features.document(9).unwrap();
    assert_eq!(document.root().tag_name().namespace(), Some("http://etherx.jabber.org/streams"));
    assert_eq!(document.root().first_child().unwrap().tag_name().namespace(), Some("jabber:client"));
    assert_eq!(features.root().document(9).unwrap().attribute("to"), Some("a.test"));
    assert_eq!(word(&socket), "<message><body>hi</body></message>");
    socket.send("<presence/>").unwrap();
    assert_eq!([word(&socket), word(&socket)], ["closed", "Close"]);
    assert!(!socket.connected() && socket.recv().unwrap_err().is_closed());
    server.join();
}

#[test]
fn a_stream_may_begin_anew() {
    let server = Scripted::once(|mut peer| {
        peer.say("<s id='1'><a/><?xml version='1.0'?><s id='2'><b/><s id='3'><c/>");
    });
    let mut socket = XmlStreams::new();
    connect(&mut socket, &server);
    let words: Vec<_> = (0..7).map(|_| word(&socket)).collect();
    assert_eq!(words, ["opened s id='1'", "<a/>", "restarted s id='2'", "<b/>", "restarted s id='3'", "<c/>", "Close"]);
    server.join();
}

/// A root, and an element of `bytes` bytes.
fn with_element(bytes: usize) -> String {
    format!("<s><a>{}</a><b/>", "x".repeat(bytes - "<a></a>".len()))
}

#[test]
fn what_is_unprocessed_is_bounded_and_the_connection_closes_or_the_data_is_thrown_away() {
    assert_eq!(UNPROCESSED_BYTES_MAX, 4096);
    for (max, overflow, bytes, words) in [
        (None, Overflow::Close, 4096, ["opened s", "<", "<b/>", "Close"].as_slice()),
        (None, Overflow::Close, 4097, &["opened s", "the server's stream cannot be read: an element"]),
        (None, Overflow::Discard, 4097, &["opened s", "discarded 4097", "<b/>", "Close"]),
        (Some(100_000), Overflow::Close, 100_000, &["opened s", "<", "<b/>", "Close"]),
        (Some(100_000), Overflow::Close, 100_001, &["opened s", "the server's stream cannot be read: an element"]),
    ] {
        let server = Scripted::once(move |mut peer| {
            let _ = peer.try_say(with_element(bytes));
        });
        let mut socket = XmlStreams::default();
        max.into_iter().for_each(|max| socket.set_max_unprocessed(max));
        socket.set_overflow(overflow);
        connect(&mut socket, &server);
        for expected in words {
            let found = word(&socket);
            assert!(found.starts_with(expected), "{bytes} of {max:?}: expected {expected}, got {found:.60}");
        }
        assert!(!socket.connected());
        server.join();
    }
}

#[test]
fn what_is_no_stream_is_an_io_error() {
    for (text, part) in [("hello", "text before the root"), ("</s>", "an end tag"), ("<s><a>\0", "a zero byte")] {
        let server = Scripted::once(move |mut peer| {
            peer.say(text);
            let _ = peer.hear_all();
        });
        let mut socket = XmlStreams::new();
        connect(&mut socket, &server);
        let last = std::iter::from_fn(|| Some(word(&socket))).find(|word| !word.starts_with("opened")).unwrap();
        assert!(last.contains(part), "{text}: {last}");
        server.join();
    }
}

#[test]
fn an_element_that_is_cut_off_is_never_told() {
    let server = Scripted::once(|mut peer| peer.say("<s><a><b/>"));
    let mut socket = XmlStreams::new();
    connect(&mut socket, &server);
    assert_eq!([word(&socket), word(&socket)], ["opened s", "Close"]);
    server.join();
}
