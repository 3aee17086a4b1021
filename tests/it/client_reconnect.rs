//! A client that lost its server, and comes back.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use xmlsocket::client::{Event, EventListener, Reconnect, Sender, XmlSocket};
use xmlsocket::wire::Frame;

use crate::client::{assert_over, data, next};
use crate::scripted::{Refusing, Scripted, WAIT};

/// Short delays, always the same.
fn quick() -> Reconnect {
    Reconnect::new().delays(Duration::from_millis(2), Duration::from_millis(20)).seed(1)
}

fn attempt(event: Event) -> (u32, Duration) {
    match event {
        Event::Reconnecting { attempt, delay } => (attempt, delay),
        other => panic!("expected Reconnecting, got {other:?}"),
    }
}

#[test]
fn a_lost_connection_is_made_again_and_greeted_again() {
    let server = Scripted::run(|listener| {
        for round in 0..3 {
            let mut peer = listener.accept();
            assert_eq!(peer.hear(), format!("<login again=\"{}\"/>", round > 0));
            assert_eq!(peer.hear(), "<join/>");
            peer.say(format!("{round}\0"));
            assert_eq!(peer.hear(), "application", "the application speaks after the greeting");
        }
    });
    let mut socket = XmlSocket::new();
    socket.set_reconnect(Some(quick().held_min(Duration::ZERO).greeting(|greeting| {
        greeting.send(&format_args!("<login again=\"{}\"/>", greeting.again()))?;
        greeting.send("<join/>")
    })));
    socket.connect("127.0.0.1", server.port()).unwrap();
    for round in 0..3 {
        assert_eq!(next(&socket), Event::Connect);
        assert_eq!(data(&socket), round.to_string());
        socket.send("application").unwrap();
        assert_eq!(next(&socket), Event::Close);
        assert!(!socket.connected() && socket.send("x").is_err());
        assert_eq!(attempt(next(&socket)).0, 1, "a connection that held starts the count anew");
    }
    socket.close().unwrap();
    assert_over(&socket);
    server.join();
}

#[test]
fn tries_are_counted_delayed_and_limited() {
    let refusing = Refusing::bind();
    let mut socket = XmlSocket::new();
    socket.set_reconnect(Some(quick().attempts_max(4)));
    let begin = Instant::now();
    socket.connect("127.0.0.1", refusing.port()).unwrap();
    let mut delays = Vec::new();
    for n in 1..=4 {
        assert!(matches!(next(&socket), Event::IoError { id: 2031, .. }));
        let (attempt, delay) = attempt(next(&socket));
        assert_eq!(attempt, n);
        delays.push(delay);
    }
    assert!(matches!(next(&socket), Event::IoError { id: 2031, .. }), "the last try fails too");
    assert_over(&socket);
    assert!(begin.elapsed() >= delays.iter().sum(), "each delay is waited for");
    assert!(delays.is_sorted() && delays[0] >= Duration::from_millis(1), "{delays:?}");
}

#[test]
fn a_server_that_accepts_and_closes_is_asked_ever_less_often() {
    let server = Scripted::run(|listener| (0..4).for_each(|_| drop(listener.accept())));
    let mut socket = XmlSocket::new();
    socket.set_reconnect(Some(quick().attempts_max(3).held_min(WAIT)));
    socket.connect("127.0.0.1", server.port()).unwrap();
    for n in 1..=3 {
        assert_eq!((next(&socket), next(&socket)), (Event::Connect, Event::Close));
        assert_eq!(attempt(next(&socket)).0, n);
    }
    assert_eq!((next(&socket), next(&socket)), (Event::Connect, Event::Close));
    assert_over(&socket);
    server.join();
}

#[test]
fn close_and_drop_end_the_waiting_for_the_next_try() {
    for explicit in [true, false] {
        let refusing = Refusing::bind();
        let mut socket = XmlSocket::new();
        socket.set_reconnect(Some(Reconnect::new().delays(Duration::MAX, Duration::MAX)));
        socket.connect("127.0.0.1", refusing.port()).unwrap();
        assert!(matches!(next(&socket), Event::IoError { .. }));
        assert!(attempt(next(&socket)).1 >= Duration::from_secs(3600));
        let begin = Instant::now();
        if explicit {
            socket.close().unwrap();
            assert_over(&socket);
        }
        drop(socket);
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
}

#[test]
fn a_greeting_that_fails_is_a_connection_that_failed() {
    let server = Scripted::run(|listener| (0..2).for_each(|_| assert_eq!(listener.accept().hear_all(), b"")));
    let mut socket = XmlSocket::new();
    socket.set_reconnect(Some(
        quick().attempts_max(1).greeting(|_| Err(xmlsocket::client::Error::Lost { reason: "no password".into() })),
    ));
    socket.connect("127.0.0.1", server.port()).unwrap();
    let is_failure = |event| matches!(event, Event::IoError { reason, .. } if reason.contains("no password"));
    assert!(is_failure(next(&socket)));
    assert_eq!(attempt(next(&socket)).0, 1);
    assert!(is_failure(next(&socket)));
    assert_over(&socket);
    server.join();
}

/// Tells what it hears.
struct Teller(std::sync::mpsc::Sender<String>);

impl EventListener for Teller {
    fn on_connect(&mut self, _: &Sender) {
        self.0.send("connect".into()).unwrap();
    }

    fn on_data(&mut self, socket: &Sender, frame: Frame) {
        self.0.send(frame.lossy().into_owned()).unwrap();
        socket.close().unwrap();
    }

    fn on_close(&mut self, _: &Sender) {
        self.0.send("close".into()).unwrap();
    }

    fn on_reconnecting(&mut self, _: &Sender, attempt: u32, delay: Duration) {
        assert!(delay <= Duration::from_millis(20));
        self.0.send(format!("reconnecting {attempt}")).unwrap();
    }
}

#[test]
fn a_listener_hears_of_it_and_can_end_it() {
    let server = Scripted::run(|listener| {
        drop(listener.accept());
        let mut peer = listener.accept();
        peer.say("enough\0");
        assert_eq!(peer.hear_all(), b"");
    });
    let (teller, told) = channel();
    let mut socket = XmlSocket::new();
    socket.set_reconnect(Some(quick()));
    socket.listen(Teller(teller));
    socket.connect("127.0.0.1", server.port()).unwrap();
    assert!(socket.wait_timeout(WAIT));
    server.join();
    drop(socket);
    assert_eq!(told.iter().collect::<Vec<_>>(), ["connect", "close", "reconnecting 1", "connect", "enough"]);
}
