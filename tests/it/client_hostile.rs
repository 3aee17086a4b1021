//! What servers do to clients: each is bounded, and told as the class would.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use xmlsocket::client::{Error, Event, FrameEnd, XmlSocket};

use crate::client::{assert_over, connected, data, next};
use crate::scripted::{Scripted, WAIT};

fn connect(socket: &mut XmlSocket, server: &Scripted) {
    socket.connect("127.0.0.1", server.port()).unwrap();
    assert_eq!(next(socket), Event::Connect);
}

/// The next event is an `IoError` whose reason speaks of `part`, and then it is over.
fn assert_fails(socket: &XmlSocket, part: &str) {
    match next(socket) {
        Event::IoError { id: 2031, reason, .. } if reason.contains(part) => assert_over(socket),
        other => panic!("expected an IoError that speaks of {part:?}, got {other:?}"),
    }
}

#[test]
fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
    let server = Scripted::once(|mut peer| {
        peer.say([&b"0123456789\0"[..], b"0123456789X"].concat());
        // The client has closed, or will: it does not wait for a zero byte.
        let _ = peer.hear_all();
    });
    let mut socket = XmlSocket::new();
    socket.set_frame_bytes_max(10);
    connect(&mut socket, &server);
    assert_eq!(data(&socket), "0123456789");
    assert_fails(&socket, "more than 10 bytes");
    server.join();
}

#[test]
fn a_server_that_never_ends_a_frame_is_left() {
    let server = Scripted::once(|mut peer| {
        let chunk = [b'x'; 65_536];
        while peer.try_say(chunk).is_ok() {}
    });
    let mut socket = XmlSocket::new();
    socket.set_frame_bytes_max(1 << 20);
    connect(&mut socket, &server);
    assert_fails(&socket, "more than 1048576 bytes");
    server.join();
}

#[test]
fn trickled_bytes_become_one_frame() {
    let text = "<m>\u{e9}\u{20ac}</m>";
    let server = Scripted::once(move |mut peer| {
        for byte in text.bytes().chain([0]) {
            peer.say([byte]);
        }
        assert_eq!(peer.hear_all(), b"");
    });
    let socket = connected(&server);
    assert_eq!(data(&socket), text);
    drop(socket);
    server.join();
}

#[test]
fn a_server_that_never_reads_costs_one_deadline() {
    let done = Arc::new(Barrier::new(2));
    let server = {
        let done = Arc::clone(&done);
        Scripted::once(move |mut peer| {
            peer.say("before\0");
            done.wait();
        })
    };
    let mut socket = XmlSocket::new();
    socket.set_send_timeout(Duration::from_millis(200));
    connect(&mut socket, &server);
    let frame = "x".repeat(1 << 20);
    let begin = Instant::now();
    let error = (0..1_000).find_map(|_| socket.send(&frame).err()).expect("the system's buffers are finite");
    assert!(matches!(error, Error::SendTimeout { .. }), "{error:?}");
    assert!(error.is_timeout() && error.is_closed() && error.id() == Some(2031), "{error:?}");
    assert!(begin.elapsed() >= Duration::from_millis(200) && begin.elapsed() < WAIT, "{:?}", begin.elapsed());
    assert_eq!(data(&socket), "before", "what came before is not lost");
    assert_fails(&socket, "did not take a frame within 200ms");
    done.wait();
    server.join();
}

#[test]
fn a_sender_that_waits_for_another_has_the_same_deadline() {
    let done = Arc::new(Barrier::new(2));
    let server = {
        let done = Arc::clone(&done);
        Scripted::once(move |_peer| {
            done.wait();
        })
    };
    let mut socket = XmlSocket::new();
    socket.set_send_timeout(Duration::from_millis(200));
    connect(&mut socket, &server);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let sending = [(); 4].map(|()| {
            let sender = socket.sender();
            scope.spawn(move || {
                let frame = "x".repeat(32 << 20);
                (0..100).find_map(|_| sender.send(&frame).err()).expect("the system's buffers are finite")
            })
        });
        let errors: Vec<_> = sending.into_iter().map(|sending| sending.join().unwrap()).collect();
        assert!(errors.iter().all(Error::is_closed) && errors.iter().any(Error::is_timeout), "{errors:?}");
    });
    assert!(begin.elapsed() < WAIT, "{:?}", begin.elapsed());
    assert_fails(&socket, "did not take a frame within 200ms");
    done.wait();
    server.join();
}

#[test]
fn close_frees_a_blocked_send() {
    let done = Arc::new(Barrier::new(2));
    let server = {
        let done = Arc::clone(&done);
        Scripted::once(move |_peer| {
            done.wait();
        })
    };
    let socket = connected(&server);
    let sender = socket.sender();
    let sent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let frame = "x".repeat(1 << 20);
            loop {
                if let Err(error) = sender.send(&frame) {
                    return error;
                }
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        while sent.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        socket.close().unwrap();
        let error = sending.join().unwrap();
        assert!(error.is_closed() && !error.is_timeout(), "{error:?}");
    });
    done.wait();
    server.join();
}

#[test]
fn a_client_that_takes_no_events_makes_the_server_wait_and_loses_nothing() {
    const FRAMES: usize = 2_000;
    let written = Arc::new(AtomicUsize::new(0));
    let server = {
        let written = Arc::clone(&written);
        Scripted::once(move |mut peer| {
            let mut frame = vec![b'x'; 10_000];
            frame.push(0);
            for _ in 0..FRAMES {
                peer.say(&frame);
                written.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let mut socket = XmlSocket::new();
    socket.set_queue_bytes_max(100_000);
    connect(&mut socket, &server);
    // The server goes on until every buffer is full: it has stopped when it made no progress for a while.
    let mut seen = usize::MAX;
    while seen != written.load(Ordering::SeqCst) {
        seen = written.load(Ordering::SeqCst);
        socket.wait_timeout(Duration::from_millis(100));
    }
    assert!(seen < FRAMES, "20 MB were taken off a server though nobody took an event");
    for _ in 0..FRAMES {
        assert_eq!(data(&socket).len(), 10_000);
    }
    assert_eq!(next(&socket), Event::Close);
    server.join();
}

#[test]
fn close_and_drop_free_a_socket_whose_queue_is_full() {
    for explicit in [true, false] {
        let server = Scripted::once(|mut peer| {
            let frames = b"some frame\0".repeat(10_000);
            while peer.try_say(&frames).is_ok() {}
        });
        let mut socket = XmlSocket::new();
        socket.set_queue_bytes_max(0);
        connect(&mut socket, &server);
        assert_eq!(data(&socket), "some frame", "one event may always wait");
        if explicit {
            socket.close().unwrap();
            assert_over(&socket);
        }
        drop(socket);
        server.join();
    }
}

#[test]
fn a_silent_server_is_left_when_silence_is_bounded() {
    let server = Scripted::once(|mut peer| {
        peer.say("a\0");
        assert_eq!(peer.hear_all(), b"");
    });
    let mut socket = XmlSocket::new();
    socket.set_idle_max(Some(Duration::from_millis(100)));
    connect(&mut socket, &server);
    assert_eq!(data(&socket), "a");
    assert_fails(&socket, "nothing came from the server for 100ms");
    server.join();
}

#[test]
fn frames_of_several_threads_do_not_mix() {
    const THREADS: usize = 4;
    const FRAMES: usize = 3;
    // Longer than the system's buffers, so that each frame takes several writes.
    const BYTES: usize = 4 << 20;
    let server = Scripted::once(|mut peer| {
        let mut counts = [0; THREADS];
        for _ in 0..THREADS * FRAMES {
            let frame = peer.hear();
            let first = frame.as_bytes()[0];
            assert!(frame.len() == BYTES && frame.bytes().all(|byte| byte == first), "frames are mixed");
            counts[usize::from(first - b'a')] += 1;
        }
        assert_eq!(counts, [FRAMES; THREADS]);
    });
    let socket = connected(&server);
    std::thread::scope(|scope| {
        for letter in (b'a'..).take(THREADS) {
            let sender = socket.sender();
            scope.spawn(move || {
                let frame = char::from(letter).to_string().repeat(BYTES);
                (0..FRAMES).for_each(|_| sender.send(&frame).unwrap());
            });
        }
    });
    server.join();
}

#[test]
fn lines_are_frames_when_the_server_speaks_to_telnet() {
    let server = Scripted::once(|mut peer| {
        assert_eq!(peer.hear_bytes(4), b"a\nb\n");
        peer.say("one\r\ntwo\nthr\ree\0\n0123456789\r\n0123456789A\r\n");
        let _ = peer.hear_all();
    });
    let mut socket = XmlSocket::new();
    socket.set_frame_end(FrameEnd::Line);
    socket.set_frame_bytes_max(10);
    connect(&mut socket, &server);
    socket.send("a").unwrap();
    socket.send("b").unwrap();
    for line in ["one", "two", "thr\ree", "", "0123456789"] {
        assert_eq!(data(&socket), line);
    }
    assert_fails(&socket, "more than 10 bytes");
    server.join();
}

/// A value whose `Display` fails.
struct Unwritable;

impl std::fmt::Display for Unwritable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Err(std::fmt::Error)
    }
}

#[test]
fn a_value_that_cannot_be_written_is_refused_and_nothing_is_sent() {
    let server = Scripted::once(|mut peer| assert_eq!(peer.hear_all(), b"after\0"));
    let socket = connected(&server);
    assert!(matches!(socket.send(&Unwritable), Err(Error::Unwritable)));
    socket.send("after").unwrap();
    socket.close().unwrap();
    server.join();
}
