//! The members of ActionScript 3's class, one by one, against scripted servers.

use std::time::Duration;

use xmlsocket::client::{Error, Event, XmlSocket};
use xmlsocket::wire::{Document, Element, Frame};

use crate::scripted::{Refusing, Scripted, WAIT};

/// The next event; the test fails when none comes.
pub(crate) fn next(socket: &XmlSocket) -> Event {
    socket.recv_timeout(WAIT).unwrap_or_else(|error| panic!("expected an event, got: {error}"))
}

/// The text of the next frame.
pub(crate) fn data(socket: &XmlSocket) -> String {
    match next(socket) {
        Event::Data(frame) => frame.text().unwrap().to_owned(),
        other => panic!("expected a frame, got {other:?}"),
    }
}

/// A socket that is connected to `server`, its `Connect` taken.
pub(crate) fn connected(server: &Scripted) -> XmlSocket {
    let socket = XmlSocket::to("127.0.0.1", server.port()).unwrap();
    assert_eq!(next(&socket), Event::Connect);
    socket
}

/// No more events come, and asking for one says so.
pub(crate) fn assert_over(socket: &XmlSocket) {
    assert!(!socket.connected());
    let over = |result: Result<Event, Error>| match result {
        Err(Error::NotConnected) => {}
        other => panic!("expected the end, got {other:?}"),
    };
    over(socket.recv_timeout(WAIT));
    over(socket.try_recv().map(|event| event.expect("an end is no absence")));
    // This one would wait for ever, so it comes last.
    over(socket.recv());
}

/// Segments as they come from a server, and the frames they hold.
const SEGMENTS: &[(&[&str], &[&str])] = &[
    (&["\0First\0"], &["", "First"]),
    (&["Hello", "World!", "\0"], &["HelloWorld!"]),
    (&["This", " is", " a ", "test\0"], &["This is a test"]),
    (&["One\0Two\0Three\0"], &["One", "Two", "Three"]),
    (&["\0\0\0"], &["", "", ""]),
    (&["AA\0BB\0CC"], &["AA", "BB"]),
    (&["DD\0"], &["CCDD"]),
];

#[test]
fn frames_are_told_apart_however_the_stream_is_cut() {
    let server = Scripted::once(|mut peer| {
        for (segments, frames) in SEGMENTS {
            segments.iter().for_each(|segment| peer.say(segment));
            // The client asks for the next vector only once it has this one, so that vectors do not run together.
            assert_eq!(peer.hear(), frames.len().to_string());
        }
    });
    let socket = connected(&server);
    for (_, frames) in SEGMENTS {
        for frame in *frames {
            assert_eq!(data(&socket), *frame);
        }
        socket.send(&frames.len()).unwrap();
    }
    assert_eq!(next(&socket), Event::Close);
    assert_over(&socket);
    server.join();
}

#[test]
fn the_order_is_connect_data_close_and_connected_follows_what_was_taken() {
    let server = Scripted::once(|mut peer| {
        peer.say("a\0b\0unfinished");
    });
    let mut socket = XmlSocket::new();
    assert!(!socket.connected());
    assert_over(&socket);
    socket.connect("127.0.0.1", server.port()).unwrap();
    server.join();
    // Everything has happened; as long as nothing is taken the socket is not connected.
    assert!(!socket.connected());
    assert!(matches!(socket.send("early"), Err(Error::NotConnected)));
    assert_eq!(next(&socket), Event::Connect);
    assert!(socket.connected());
    assert_eq!((data(&socket), data(&socket)), ("a".to_owned(), "b".to_owned()));
    assert!(socket.connected(), "the close has happened, and was not taken");
    assert_eq!(next(&socket), Event::Close);
    assert_over(&socket);
}

#[test]
fn the_iterator_takes_the_events_and_ends_with_the_connection() {
    let server = Scripted::once(|mut peer| peer.say("a\0b\0"));
    let socket = XmlSocket::to("127.0.0.1", server.port()).unwrap();
    let mut events = socket.events();
    let words: Vec<_> = events.by_ref().take(4).map(|event| format!("{event:?}")).collect();
    assert_eq!(words, ["Connect", "Data(Frame(\"a\"))", "Data(Frame(\"b\"))", "Close"]);
    assert!(events.next().is_none());
    server.join();
}

#[test]
fn send_writes_the_text_and_one_zero_byte() {
    let server = Scripted::once(|mut peer| {
        let frames = ["<a b=\"&lt;\"/>", "text", "9", "", "<d> <e/></d>", "Plain ", " text", "\u{e9}\n"];
        for frame in frames {
            assert_eq!(peer.hear(), frame);
        }
        assert_eq!(peer.hear_all(), b"\xff\0");
    });
    let socket = connected(&server);
    socket.send(&Element::new("a").attribute("b", "<")).unwrap();
    socket.send("text").unwrap();
    socket.send(&9).unwrap();
    socket.send(&String::new()).unwrap();
    socket.send(&Document::parse(Frame::try_from("<d> <e/></d>").unwrap(), 9).unwrap()).unwrap();
    socket.send("Plain \0 text").unwrap();
    socket.sender().send("\u{e9}\n").unwrap();
    socket.send_encoded(&Frame::new([0xff]).unwrap()).unwrap();
    socket.close().unwrap();
    server.join();
}

#[test]
fn unconnected_calls_are_refused_in_the_players_words() {
    let mut socket = XmlSocket::new();
    for error in [socket.send("x").unwrap_err(), socket.close().unwrap_err(), socket.sender().send("x").unwrap_err()] {
        assert_eq!(error.id(), Some(2002));
        assert_eq!(error.player_text().unwrap(), "Error #2002: Operation attempted on invalid socket.");
        assert!(error.is_closed());
    }
    for port in [65_536, 70_000, u32::MAX, 0] {
        let error = socket.connect("127.0.0.1", port).unwrap_err();
        assert_eq!(error.id(), Some(2003));
        assert_eq!(error.player_text().unwrap(), "Error #2003: Invalid socket port number specified.");
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    }
    let error = XmlSocket::to("http://a.test", 80).unwrap_err();
    assert_eq!(error.player_text().unwrap(), "Error #2011: Socket connection failed to http://a.test:80.");
    assert_over(&socket);
}

#[test]
fn a_refused_connection_is_one_io_error() {
    let refusing = Refusing::bind();
    let port = refusing.port();
    let mut socket = XmlSocket::new();
    socket.connect("127.0.0.1", port).unwrap();
    match next(&socket) {
        Event::IoError { id, text, reason } => {
            assert_eq!((id, text.as_str()), (2031, "Error #2031: Socket Error."));
            assert!(reason.contains(&format!("127.0.0.1:{port}")) && reason.contains("refused"), "{reason}");
        }
        other => panic!("expected an IoError, got {other:?}"),
    }
    assert_over(&socket);
}

#[test]
fn the_timeout_is_twenty_seconds_and_at_least_a_quarter_second() {
    let mut socket = XmlSocket::new();
    assert_eq!(socket.timeout(), Duration::from_millis(20_000));
    socket.set_timeout(Duration::ZERO);
    assert_eq!(socket.timeout(), Duration::from_millis(250));
    socket.set_timeout(Duration::from_millis(251));
    assert_eq!(socket.timeout(), Duration::from_millis(251));
    socket.set_timeout(Duration::MAX);
    assert_eq!(socket.timeout(), Duration::from_millis(i32::MAX as u64), "the class counts in 31 bits");
}
