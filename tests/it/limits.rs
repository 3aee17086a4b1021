//! Every limit of the server, at it and one beyond it.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use xmlsocket::server::{CloseReason, Flood, Frames};
use xmlsocket::wire::{Element, Limits};

use crate::harness::{Client, DEADLINE, Note, Probe, Setup, Told, lock};

#[test]
fn a_frame_that_waits_behind_paused_ones_has_not_timed_out() {
    let mut running = Setup::new()
        .settings(|settings| {
            settings.frames = Frames::Any;
            settings.flood = Flood::Pause;
        })
        .limits(|limits| {
            limits.frames_per_second_max = 20;
            limits.frames_burst_max = 20;
            limits.frame_seconds_max = 1;
        })
        .serve(Probe::default());
    let (mut client, id) = running.join();
    // The last frame has begun, and is read long before the ones in front of it may be handed on.
    let frames: String = (0..45).map(|n| format!("{n}\0")).collect();
    client.write(frames.as_bytes());
    client.write(b"la");
    for n in 0..45 {
        assert_eq!(client.frame(), n.to_string());
    }
    client.write(b"st\0");
    assert_eq!(client.frame(), "last");
    // Its time counts all the same once nothing else keeps the server from reading.
    client.write(b"never ended");
    client.end();
    assert_eq!(running.notes.closed(id), CloseReason::FrameTimeout { zero_byte_missing: false });
}

#[test]
fn where_the_server_writes_nothing_too_many_frames_wait_instead() {
    let running = Setup::new()
        .any()
        .limits(|limits| {
            limits.frames_per_second_max = 100;
            limits.frames_burst_max = 100;
        })
        .serve(Probe::default());
    let mut client = running.connect();
    let frames: String = (0..130).map(|n| format!("{n}\0")).collect();
    client.write(frames.as_bytes());
    for n in 0..130 {
        assert_eq!(client.frame(), n.to_string());
    }
}

#[test]
fn who_is_silent_is_asked_at_half_the_time_and_closed_at_the_end() {
    let mut probe = Probe::default();
    probe.on_idle = Box::new(|cx, id| cx.send(id, &Element::new("ping")));
    let mut running = Setup::new().limits(|limits| limits.idle_seconds_max = 1).serve(probe);
    let (mut dead, dead_id) = running.join();
    let (mut alive, alive_id) = running.join();
    // Any frame is an answer, an empty one, too.
    for _ in 0..2 {
        assert_eq!(alive.frame(), "<ping/>");
        alive.write(b"\0");
    }
    assert_eq!(dead.frame(), "<ping/>");
    assert!(dead.frame().starts_with("<error code=\"idle-timeout\">"));
    dead.end();
    assert_eq!(running.notes.closed(dead_id), CloseReason::IdleTimeout);
    assert!(!running.notes.all().contains(&Note::Ended(alive_id)));
    alive.send("<a/>");
    while alive.frame() != "<a/>" {}
}

#[test]
fn who_is_silent_is_asked_before_the_time_is_over() {
    let ticks = Arc::new(AtomicU32::new(0));
    let (ticked, asked) = (Arc::clone(&ticks), Arc::clone(&ticks));
    let (ask, when) = crossbeam_channel::unbounded();
    let mut probe = Probe::default();
    probe.on_tick = Box::new(move |_, ()| {
        ticked.fetch_add(1, Ordering::Relaxed);
    });
    probe.on_idle = Box::new(move |_, _| ask.send(asked.load(Ordering::Relaxed)).unwrap());
    let mut running = Setup::new().limits(|limits| limits.idle_seconds_max = 4).serve(probe);
    let _silent = running.join();
    let since = ticks.load(Ordering::Relaxed);
    let passed = when.recv_timeout(DEADLINE).unwrap() - since;
    assert!((1..4).contains(&passed), "asked after {passed} seconds");
}

#[test]
fn silence_is_no_reason_on_a_listener_that_says_so() {
    let mut probe = Probe::default();
    probe.on_idle = Box::new(|_, _| panic!("nobody is to be asked"));
    let (ticked, ticks) = crossbeam_channel::unbounded();
    probe.on_tick = Box::new(move |_, ()| {
        let _ = ticked.send(());
    });
    let mut running =
        Setup::new().settings(|s| s.idle = false).limits(|limits| limits.idle_seconds_max = 1).serve(probe);
    let (mut silent, _) = running.join();
    (0..3).for_each(|_| ticks.recv_timeout(DEADLINE).unwrap());
    silent.send("<a/>");
    assert_eq!(silent.frame(), "<a/>");
}

#[test]
fn a_frame_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    let mut running = Setup::new().limits(|limits| limits.frame_bytes_max = 100).serve(Probe::default());
    let document = |length: usize| format!("<a>{}</a>", "x".repeat(length - "<a></a>".len()));
    let (mut client, id) = running.join();
    client.send(&document(100));
    assert_eq!(client.frame(), document(100));
    client.send(&document(101));
    assert_eq!(
        client.frame(),
        "<error code=\"frame-too-long\">A frame may have 100 bytes before its zero byte.</error>"
    );
    client.end();
    assert_eq!(running.told.close(id), CloseReason::FrameTooLong { frame_bytes_max: 100 });
    // It is closed as soon as the first byte too many is there, whether or not a zero byte will come.
    let (mut client, id) = running.join();
    client.write(&[b'x'; 101]);
    assert!(client.frame().starts_with("<error code=\"frame-too-long\">"));
    client.write(&[b'x'; 100_000]);
    client.end();
    assert_eq!(running.told.close(id), CloseReason::FrameTooLong { frame_bytes_max: 100 });
}

#[test]
fn a_first_frame_that_is_too_long_is_answered_and_creates_no_user() {
    let mut running = Setup::new().policy().limits(|limits| limits.frame_bytes_max = 5_000).serve(Probe::default());
    let mut client = running.connect();
    client.write(&[b' '; 5_001]);
    assert!(client.frame().starts_with("<error code=\"frame-too-long\">"));
    client.end();
    drop(client);
    running.notes.any_ended();
    assert_eq!(running.told.all(), []);
}

#[test]
fn a_frame_that_is_not_ended_in_time_is_closed() {
    let mut running = Setup::new().policy().limits(|limits| limits.frame_seconds_max = 1).serve(Probe::default());
    // One begins and falls silent, one forgot its zero byte, one has ended frames before.
    let mut silent = running.connect();
    silent.write(b"<a");
    let mut author = running.connect();
    author.write(b"<hello to='you'/>\n");
    let mut known = running.connect();
    known.write(b"<hello/>\0<hel");
    assert_eq!(known.frame(), "<hello/>");
    let id = running.told.open();
    // And one trickles: each byte is a sign of life, and none of them ends the frame.
    let mut trickle = running.connect();
    trickle.stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let begun = Instant::now();
    let mut byte = [0];
    let said = loop {
        trickle.stream.write_all(b"x").unwrap();
        match trickle.stream.read(&mut byte) {
            Ok(count) => {
                assert_eq!(count, 1);
                break byte[0];
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    };
    let trickled = begun.elapsed();
    assert_eq!(said, b'<');
    assert!(trickled >= Duration::from_millis(950) && trickled < Duration::from_secs(4), "{trickled:?}");
    assert!(silent.frame().contains("was begun but its zero byte did not come in time"));
    assert!(author.frame().contains("the zero byte that ends a frame is missing"));
    assert!(known.frame().starts_with("<error code=\"frame-timeout\">"));
    [silent, author, known].iter_mut().for_each(Client::end);
    assert_eq!(running.told.close(id), CloseReason::FrameTimeout { zero_byte_missing: false });
}

#[test]
fn without_a_limit_for_frames_those_for_login_and_silence_hold_all_the_same() {
    let limits = |limits: &mut Limits| {
        limits.frame_seconds_max = 0;
        limits.login_seconds_max = 1;
    };
    let mut running = Setup::new().policy().limits(limits).serve(Probe::default());
    // A frame of one that is known takes as long as it likes.
    let mut known = running.connect();
    known.write(b"<hello/>\0<hel");
    assert_eq!(known.frame(), "<hello/>");
    let begun = Instant::now();
    let mut unknown = [&b"<"[..], b"<a>", b" ", b"\n<policy-file-requ"].map(|bytes| {
        let mut client = running.connect();
        client.write(bytes);
        client
    });
    for client in &mut unknown {
        assert!(client.frame().starts_with("<error code=\"frame-timeout\">"));
        client.end();
    }
    assert!(begun.elapsed() >= Duration::from_millis(950), "{:?}", begun.elapsed());
    known.write(b"lo/>\0");
    assert_eq!(known.frame(), "<hello/>");
    running.told.open();
    assert!(!running.told.all().iter().any(|told| matches!(told, Told::Open(_))), "nobody else was known");
}

#[test]
fn frames_that_come_too_fast_are_refused_and_who_goes_on_is_closed() {
    let mut running = Setup::new()
        .limits(|limits| {
            limits.frames_per_second_max = 1;
            limits.frames_burst_max = 5;
        })
        .serve(Probe::default());
    let (mut client, id) = running.join();
    let frames: String = (0..200).map(|n| format!("<a id='{n}'/>\0")).collect();
    client.write(frames.as_bytes());
    let mut said = Vec::new();
    while let Some(frame) = client.frame_or_end() {
        said.push(frame);
    }
    let (echoed, refused): (Vec<_>, Vec<_>) = said.iter().partition(|frame| frame.starts_with("<a"));
    assert!((5..10).contains(&echoed.len()), "{echoed:?}");
    let (last, refused) = refused.split_last().unwrap();
    assert_eq!(**last, CloseReason::TooFast.farewell().unwrap().to_string());
    assert_eq!(refused.len(), 100);
    for frame in refused {
        assert!(frame.starts_with("<error code=\"too-fast\" re=\"") && frame.contains(" wait=\""), "{frame}");
    }
    assert_eq!(running.told.close(id), CloseReason::TooFast);
}

#[test]
fn long_frames_count_for_more_than_one() {
    let running = Setup::new()
        .limits(|limits| {
            limits.frames_per_second_max = 1;
            limits.frames_burst_max = 10;
        })
        .serve(Probe::default());
    let mut client = running.connect();
    let long = format!("<a>{}</a>", "x".repeat(8 * 1024));
    client.send(&long);
    client.send("<b/>");
    client.send(&long);
    assert_eq!(client.frame(), long);
    assert_eq!(client.frame(), "<b/>");
    assert!(client.frame().starts_with("<error code=\"too-fast\""));
}

#[test]
fn a_full_server_says_so_in_what_the_peer_speaks() {
    let mut running = Setup::new().policy().limits(|limits| limits.connections_max = 2).serve(Probe::default());
    let [mut ann, mut bob] = [running.connect(), running.connect()];
    for client in [&mut ann, &mut bob] {
        client.send("<a/>");
        assert_eq!(client.frame(), "<a/>");
    }
    for (first, answer) in [
        (&b"<a/>\0"[..], "<error code=\"server-full\">The server has as many connections as it may."),
        (b"", "<error code=\"server-full\">"),
        (b"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 503 Service Unavailable\r\n"),
        (b"POST / HTTP/1.1\r\n\r\n<login/>\0", "HTTP/1.1 503 Service Unavailable\r\n"),
        (b"\x16\x03\x01\x02\x00\x01", ""),
    ] {
        let mut client = running.connect();
        client.write(first);
        let said = String::from_utf8(client.rest()).unwrap();
        assert!(said.starts_with(answer) && (answer.is_empty() == said.is_empty()), "{said:?}");
        running.notes.wait("refused", |note| (*note == Note::Refused("server-full".to_owned())).then_some(()));
    }
    drop(ann);
    running.notes.any_ended();
    let mut next = running.connect();
    next.send("<next/>");
    assert_eq!(next.frame(), "<next/>");
    assert_eq!(running.server.connections(), 2);
}

#[test]
fn a_full_listener_without_frames_of_its_own_closes_without_a_word() {
    let mut running = Setup::new().any().limits(|limits| limits.connections_max = 1).serve(Probe::default());
    let (_first, _) = running.join();
    let mut second = running.connect();
    second.write(b"hello\0");
    second.end();
}

#[test]
fn a_storm_of_connections_over_the_limit_harms_nobody_inside() {
    let mut running = Setup::new().limits(|limits| limits.connections_max = 10).serve(Probe::default());
    let mut inside: Vec<_> = (0..10).map(|_| running.join().0).collect();
    let storm: Vec<_> = (0..300).map(|_| running.connect()).collect();
    for (n, client) in inside.iter_mut().enumerate() {
        client.send(&format!("<a n='{n}'/>"));
        assert_eq!(client.frame(), format!("<a n='{n}'/>"));
    }
    let mut told = 0;
    for mut client in storm {
        // Each is told why, or closed without a word when too many are being told.
        match client.frame_or_end() {
            Some(said) => {
                assert!(said.starts_with("<error code=\"server-full\">"), "{said}");
                told += 1;
            }
            None => continue,
        }
        client.end();
    }
    assert!(told >= 8, "{told}");
    assert_eq!(running.server.connections(), 10);
    assert!(running.stop() < Duration::from_secs(1));
}

/// Reads nothing, and is closed for it, while everybody else gets everything.
#[test]
fn who_takes_no_byte_for_write_seconds_max_is_closed() {
    let mut running = Setup::new()
        .limits(|limits| {
            limits.write_seconds_max = 1;
            limits.outbox_bytes_max = 64 << 20;
        })
        .serve(Probe::answering(|cx, from, _| {
            (0..8).for_each(|_| cx.send(from, &Element::new("big").text("x".repeat(1 << 20))));
        }));
    let mut client = Client::with_small_buffer(running.address);
    let id = running.notes.opened();
    client.send("<more/>");
    let begun = Instant::now();
    running.notes.fell_behind(id);
    assert_eq!(running.told.close(id), CloseReason::WriteTimeout);
    assert!(begun.elapsed() >= Duration::from_millis(950), "{:?}", begun.elapsed());
    running.notes.ended(id);
}

#[test]
fn who_has_outbox_bytes_max_waiting_is_closed() {
    let mut running =
        Setup::new().limits(|limits| limits.outbox_bytes_max = 1 << 20).serve(Probe::answering(|cx, from, _| {
            (0..8).for_each(|_| cx.send(from, &Element::new("big").text("x".repeat(1 << 20))));
        }));
    let mut client = Client::with_small_buffer(running.address);
    let id = running.notes.opened();
    client.send("<more/>");
    assert_eq!(running.told.close(id), CloseReason::TooSlow);
    running.notes.ended(id);
    let (mut other, _) = running.join();
    other.write(b"\0");
    drop(client);
}

/// The channel to the service holds 16 MiB of text, and whoever has more to say waits: nothing is lost.
#[test]
fn a_slow_service_makes_its_clients_wait_and_loses_nothing() {
    const CLIENTS: usize = 4;
    const FRAMES: usize = 100;
    let (entered, inside) = bounded(0);
    let (open, gate) = bounded::<()>(0);
    let heard = Arc::new(Mutex::new(vec![Vec::new(); CLIENTS]));
    let hears = Arc::clone(&heard);
    let mut first = true;
    let probe = Probe::answering(move |_, _, text| {
        if std::mem::take(&mut first) {
            entered.send(()).unwrap();
            gate.recv_timeout(DEADLINE).unwrap();
        }
        let numbers: Vec<usize> = text.splitn(3, ' ').take(2).map(|number| number.parse().unwrap()).collect();
        lock(&hears)[numbers[0]].push(numbers[1]);
    });
    let mut running = Setup::new().any().quiet().serve(probe);
    let padding = "x".repeat(65_000);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| running.connect()).collect();
    clients[0].send("0 0 ");
    inside.recv_timeout(DEADLINE).unwrap();
    // Everybody writes as much as is taken without the service.
    let writers: Vec<_> = (clients.into_iter().enumerate())
        .map(|(n, client)| {
            let bytes: String = (0..FRAMES).map(|frame| format!("{n} {} {padding}\0", frame + 1)).collect();
            let mut stream = client.stream;
            stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            std::thread::spawn(move || {
                let mut rest = bytes.as_bytes();
                while !rest.is_empty() {
                    match stream.write(rest) {
                        Ok(count) => rest = &rest[count..],
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                            break;
                        }
                    }
                }
                (stream, rest.to_vec())
            })
        })
        .collect();
    let stuck: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    let length = |note: &Note| if let Note::FrameIn(_, length) = note { Some(*length) } else { None };
    let mut read = 0;
    while read < 15 << 20 {
        read += running.notes.wait("16 MiB to be read", length);
    }
    read += running.notes.all().iter().filter_map(length).sum::<usize>();
    assert!(read <= (16 << 20) + CLIENTS * 66_000, "{read} bytes were read");
    open.send(()).unwrap();
    for (mut stream, rest) in stuck {
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(&rest).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    (0..CLIENTS).for_each(|_| drop(running.notes.any_closed()));
    let heard = lock(&heard);
    assert_eq!(heard[0], (0..=FRAMES).collect::<Vec<_>>());
    heard[1..].iter().for_each(|heard| assert_eq!(*heard, (1..=FRAMES).collect::<Vec<_>>()));
}
