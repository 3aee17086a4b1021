//! Every way in which a client's connection ends, and what the socket tells then.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use xmlsocket::client::{Error, Event, XmlSocket};

use crate::client::{assert_over, connected, data, next};
use crate::scripted::{Mute, Refusing, Scripted, WAIT};

fn assert_io_error(event: &Event, part: &str) {
    match event {
        Event::IoError { id, text, reason } => {
            assert_eq!((*id, text.as_str()), (2031, "Error #2031: Socket Error."));
            assert!(reason.contains(part), "{reason:?} should speak of {part:?}");
        }
        other => panic!("expected an IoError, got {other:?}"),
    }
}

#[test]
fn a_server_that_half_closes_has_closed() {
    let server = Scripted::once(|mut peer| {
        peer.say("last\0cut");
        peer.half_close();
        assert_eq!(peer.hear_all(), b"", "the client closes in turn");
    });
    let socket = connected(&server);
    assert_eq!((data(&socket).as_str(), next(&socket)), ("last", Event::Close));
    assert_over(&socket);
    server.join();
}

#[test]
fn a_connection_that_ended_is_gone_even_if_nobody_takes_its_end() {
    let server = Scripted::once(|mut peer| {
        peer.say("unread\0");
        peer.half_close();
        assert_eq!(peer.hear_all(), b"");
    });
    let socket = connected(&server);
    server.join();
    assert!(socket.connected(), "the end was not taken");
    // The connection goes a moment after the server has seen its end, so the first frames may still find it.
    let error = (0..1_000_000).find_map(|_| socket.send("late").err()).unwrap();
    assert!(matches!(error, Error::Lost { .. }) && error.is_closed(), "{error:?}");
    assert_eq!((data(&socket).as_str(), next(&socket)), ("unread", Event::Close));
}

#[test]
fn a_reset_is_a_close() {
    let (reset, resets) = channel();
    let server = Scripted::once(move |mut peer| {
        peer.say("a\0");
        resets.recv_timeout(WAIT).unwrap();
        peer.reset();
    });
    let socket = connected(&server);
    assert_eq!(data(&socket), "a");
    reset.send(()).unwrap();
    assert_eq!(next(&socket), Event::Close);
    assert_over(&socket);
}

#[test]
fn after_close_no_event_comes_and_none_that_waited_is_given_out() {
    let server = Scripted::once(|mut peer| {
        peer.say("a\0b\0c\0");
        assert_eq!(peer.hear(), "ready");
        peer.say("d\0");
        assert_eq!(peer.hear_all(), b"bye\0", "what was sent before the close arrives");
    });
    let socket = connected(&server);
    assert_eq!(data(&socket), "a");
    socket.send("ready").unwrap();
    socket.send("bye").unwrap();
    socket.close().unwrap();
    assert_over(&socket);
    assert_eq!(socket.close().unwrap_err().id(), Some(2002), "there is nothing to close any more");
    server.join();
    assert_over(&socket);
}

#[test]
fn close_frees_who_waits_for_an_event() {
    let server = Scripted::once(|mut peer| assert_eq!(peer.hear_all(), b""));
    let socket = connected(&server);
    let sender = socket.sender();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| socket.recv_timeout(WAIT));
        sender.close().unwrap();
        assert!(matches!(waiting.join().unwrap(), Err(Error::NotConnected)));
    });
    server.join();
}

#[test]
fn what_was_sent_arrives_though_the_server_sends_what_nobody_reads() {
    let server = Scripted::once(|mut peer| {
        peer.say("greeting\0");
        // More than anybody takes: without reading on, closing would answer it with a reset.
        peer.say(vec![b'x'; 300_000]);
        let frame = peer.hear();
        assert_eq!(frame.len(), 1_000_000, "{}", frame.len());
        assert_eq!(peer.hear_all(), b"");
    });
    let socket = connected(&server);
    socket.send(&"y".repeat(1_000_000)).unwrap();
    drop(socket);
    server.join();
}

#[test]
fn close_ends_an_attempt() {
    let mute = Mute::bind();
    let socket = XmlSocket::to("127.0.0.1", mute.port()).unwrap();
    assert!(socket.recv_timeout(Duration::from_millis(20)).unwrap_err().is_timeout());
    assert!(!socket.connected());
    socket.close().unwrap();
    assert_over(&socket);
}

#[test]
fn an_attempt_that_takes_too_long_is_one_io_error() {
    let mute = Mute::bind();
    let mut socket = XmlSocket::new();
    socket.set_timeout(Duration::ZERO);
    let begin = Instant::now();
    socket.connect("127.0.0.1", mute.port()).unwrap();
    assert_io_error(&next(&socket), &mute.port().to_string());
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(250) && took < WAIT, "a quarter second at least: {took:?}");
    assert_over(&socket);
}

#[test]
fn dropping_a_socket_never_hangs() {
    let mute = Mute::bind();
    let silent = Scripted::once(|mut peer| assert_eq!(peer.hear_all(), b""));
    let (close, closes) = channel::<()>();
    let stubborn = Scripted::once(move |_peer| closes.recv_timeout(WAIT).unwrap());
    let connecting = XmlSocket::to("127.0.0.1", mute.port()).unwrap();
    let (reading, ignored) = (connected(&silent), connected(&stubborn));
    for (what, socket) in [("connecting", connecting), ("reading", reading), ("a server that ignores it", ignored)] {
        let begin = Instant::now();
        let sender = socket.sender();
        drop(socket);
        assert!(begin.elapsed() < Duration::from_secs(2), "{what}: {:?}", begin.elapsed());
        assert_eq!(sender.send("x").unwrap_err().id(), Some(2002), "a sender outlives its socket, unconnected");
    }
    close.send(()).unwrap();
    silent.join();
    stubborn.join();
}

#[test]
fn a_second_connect_takes_the_place_of_the_first_connection() {
    let first = Scripted::once(|mut peer| {
        peer.say("old\0older\0");
        assert_eq!(peer.hear(), "ready");
        assert_eq!(peer.hear_all(), b"");
    });
    let second = Scripted::once(|mut peer| {
        peer.say("new\0");
        assert_eq!(peer.hear_all(), b"to the second\0");
    });
    let mut socket = connected(&first);
    assert_eq!(data(&socket), "old");
    socket.send("ready").unwrap();
    assert_eq!(socket.connect("127.0.0.1", 70_000).unwrap_err().id(), Some(2003));
    assert!(socket.connected(), "a refused connect changes nothing");
    socket.connect("127.0.0.1", second.port()).unwrap();
    assert!(!socket.connected());
    first.join();
    assert_eq!((next(&socket), data(&socket)), (Event::Connect, "new".to_owned()));
    socket.send("to the second").unwrap();
    socket.close().unwrap();
    second.join();
}

#[test]
fn a_socket_can_connect_again_after_every_end() {
    let mut socket = XmlSocket::new();
    let refusing = Refusing::bind();
    socket.connect("127.0.0.1", refusing.port()).unwrap();
    assert_io_error(&next(&socket), "refused");
    for _ in 0..3 {
        let server = Scripted::once(|mut peer| peer.say("x\0"));
        socket.connect("127.0.0.1", server.port()).unwrap();
        assert_eq!((next(&socket), data(&socket), next(&socket)), (Event::Connect, "x".to_owned(), Event::Close));
    }
    let server = Scripted::once(|mut peer| assert_eq!(peer.hear_all(), b""));
    socket.connect("127.0.0.1", server.port()).unwrap();
    assert_eq!(next(&socket), Event::Connect);
    socket.close().unwrap();
    server.join();
}

#[test]
fn names_are_looked_up_within_the_timeout() {
    let mut socket = XmlSocket::new();
    for (host, default) in
        [("localhost", None), ("", None), ("", Some("127.0.0.1")), ("[127.0.0.1]", Some("nobody.invalid"))]
    {
        let server = Scripted::once(|mut peer| peer.say("x\0"));
        default.into_iter().for_each(|default| socket.set_default_host(default));
        socket.connect(host, server.port()).unwrap();
        assert_eq!((next(&socket), data(&socket), next(&socket)), (Event::Connect, "x".to_owned(), Event::Close));
    }
    // A label of 64 letters cannot be asked of any name server: the system says so at once.
    let nowhere = format!("{}.invalid", "a".repeat(64));
    socket.set_default_host(&nowhere);
    socket.connect("", 1024).unwrap();
    assert_io_error(&next(&socket), &nowhere);
    // A name that no one has (RFC 6761), told by a resolver or by the timeout.
    socket.set_timeout(Duration::from_millis(250));
    let begin = Instant::now();
    socket.connect("nobody.invalid", 1024).unwrap();
    assert_io_error(&next(&socket), "nobody.invalid");
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}
