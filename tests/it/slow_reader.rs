//! Clients that read slowly, or not at all: theirs alone is the delay, and what they get is whole and in order.

use std::io::Read;
use std::time::{Duration, Instant};

use xmlsocket::server::CloseReason;
use xmlsocket::wire::Element;

use crate::harness::{Client, DEADLINE, Note, Probe, Setup, alone};

/// Bytes of the text in each numbered frame.
const PADDING: usize = 1_000;

fn numbered(n: usize) -> Element {
    Element::new("n").attribute("n", n).text("x".repeat(PADDING))
}

/// Sends as many numbered frames as a message asks for, counting on.
fn counter() -> Probe {
    let mut next = 0;
    Probe::answering(move |cx, from, text| {
        let count: usize = text.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        for n in next..next + count {
            cx.send(from, &numbered(n));
        }
        next += count;
    })
}

/// A client that falls behind and catches up, again and again, gets every byte once and in order.
#[test]
fn who_falls_behind_and_recovers_misses_nothing() {
    const ROUNDS: usize = 3;
    const FRAMES: usize = 3_000;
    let mut running =
        Setup::new().small_send_buffer().quiet().limits(|limits| limits.outbox_bytes_max = 64 << 20).serve(counter());
    let mut client = Client::with_small_buffer(running.address);
    let id = running.opened();
    let mut next = 0;
    for _ in 0..ROUNDS {
        client.send(&format!("<more n='{FRAMES}'/>"));
        running.notes.fell_behind(id);
        // Meanwhile more comes, which must queue up behind the rest.
        client.send("<more n='10'/>");
        for _ in 0..FRAMES + 10 {
            assert_eq!(client.frame(), numbered(next).to_string());
            next += 1;
        }
        // Behind though nothing waits: the catch-up writer takes the little that comes, until nothing does.
        client.send("<more n='1'/>");
        assert_eq!(client.frame(), numbered(next).to_string());
        next += 1;
        running.notes.caught_up(id);
        client.send("<more n='1'/>");
        assert_eq!(client.frame(), numbered(next).to_string());
        next += 1;
    }
    client.half_close();
    client.end();
    assert_eq!(running.notes.closed(id), CloseReason::ByPeer);
}

/// The same with many small frames, read a few bytes at a time: partial sends end anywhere.
#[test]
fn bytes_are_whole_wherever_a_send_ends() {
    let mut running =
        Setup::new().small_send_buffer().quiet().limits(|limits| limits.outbox_bytes_max = 64 << 20).serve(
            Probe::answering(|cx, from, _| {
                for n in 0..100_000_u32 {
                    cx.send(from, &Element::new("n").text(n));
                }
            }),
        );
    let mut client = Client::with_small_buffer(running.address);
    let id = running.opened();
    client.send("<more/>");
    client.half_close();
    running.notes.fell_behind(id);
    let expected: String = (0..100_000).map(|n| format!("<n>{n}</n>\0")).collect();
    let mut got = Vec::new();
    let mut piece = [0; 7_777];
    loop {
        let size = 1 + got.len() % piece.len();
        match client.stream.read(&mut piece[..size]).unwrap() {
            0 => break,
            count => got.extend_from_slice(&piece[..count]),
        }
    }
    assert!(got == expected.as_bytes(), "{} bytes of {}", got.len(), expected.len());
}

/// Half of the clients never read. The other half gets everything, promptly; the stalled ones are closed, and only they.
#[test]
fn stalled_readers_delay_nobody_and_are_closed() {
    const FRAMES: usize = 1_000;
    let mut running = Setup::new()
        .small_send_buffer()
        .any()
        .quiet()
        .limits(|limits| limits.outbox_bytes_max = 1 << 20)
        .serve(Probe::fan_out());
    let stalled: Vec<_> = (0..5)
        .map(|_| {
            let client = Client::with_small_buffer(running.address);
            (client, running.opened())
        })
        .collect();
    let mut readers: Vec<_> = (0..5).map(|_| running.join().0).collect();
    let (mut sender, _) = running.join();
    let padding = "x".repeat(2_000);
    let mut slowest = Duration::ZERO;
    for n in 0..FRAMES {
        let frame = format!("{n} {padding}");
        let begun = Instant::now();
        sender.send(&frame);
        for reader in &mut readers {
            assert_eq!(reader.frame(), frame);
        }
        assert_eq!(sender.frame(), frame);
        slowest = slowest.max(begun.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    for (mut client, id) in stalled {
        assert_eq!(running.notes.closed(id), CloseReason::TooSlow);
        // What it did get is the beginning of what was sent.
        let expected: String = (0..FRAMES).map(|n| format!("{n} {padding}\0")).collect();
        let got = client.rest();
        assert!(expected.as_bytes().starts_with(&got), "{} bytes", got.len());
        assert!(got.len() < expected.len());
    }
    let behind = running.notes.all().iter().filter(|note| matches!(note, Note::FellBehind(_))).count();
    assert_eq!(behind, 5, "nobody else fell behind");
}

/// What waits for many stalled clients is shared between them. Measured in a process of its own.
#[test]
fn what_waits_for_many_is_kept_once() {
    alone("slow_reader::what_waits_for_many_is_kept_once", || {
        let mut running =
            Setup::new().any().quiet().limits(|limits| limits.outbox_bytes_max = 64 << 20).serve(Probe::fan_out());
        let stalled: Vec<_> = (0..20)
            .map(|_| {
                let client = Client::with_small_buffer(running.address);
                (client, running.opened())
            })
            .collect();
        let (mut sender, _) = running.join();
        let before = resident_bytes();
        // 12 MB for each. The system takes some; 160 MB and more would wait here if each had its own.
        let text = "x".repeat(60_000);
        for _ in 0..200 {
            sender.send(&text);
            assert_eq!(sender.frame(), text);
        }
        stalled.iter().for_each(|(_, id)| running.notes.fell_behind(*id));
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 40 << 20, "{} MiB more", grown >> 20);
    });
}

/// Bytes of this process that are in memory.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
fn a_client_that_closes_its_half_gets_all_that_waits_for_it() {
    let mut running =
        Setup::new().small_send_buffer().quiet().limits(|limits| limits.outbox_bytes_max = 64 << 20).serve(counter());
    let mut client = Client::with_small_buffer(running.address);
    let id = running.opened();
    client.send("<more n='2000'/>");
    client.half_close();
    running.notes.fell_behind(id);
    assert_eq!(running.notes.closed(id), CloseReason::ByPeer);
    for n in 0..2_000 {
        assert_eq!(client.frame(), numbered(n).to_string());
    }
    client.end();
    drop(client);
    running.notes.ended(id);
}

#[test]
fn a_client_that_is_closed_while_it_is_behind_gets_all_that_was_sent_before() {
    let mut running =
        Setup::new().small_send_buffer().quiet().limits(|limits| limits.outbox_bytes_max = 64 << 20).serve(
            Probe::answering(|cx, from, text| {
                if text == "<quit/>" {
                    cx.send(from, &Element::new("bye"));
                    return cx.close(from, CloseReason::application("quit", "It said so."));
                }
                (0..2_000).for_each(|n| cx.send(from, &numbered(n)));
            }),
        );
    let mut client = Client::with_small_buffer(running.address);
    let id = running.opened();
    client.send("<more/>");
    running.notes.fell_behind(id);
    client.send("<quit/>");
    assert_eq!(running.notes.closed(id).code(), "quit");
    for n in 0..2_000 {
        assert_eq!(client.frame(), numbered(n).to_string());
    }
    assert_eq!(client.frame(), "<bye/>");
    client.end();
}

#[test]
fn a_client_that_goes_away_while_it_is_behind_leaves_nothing() {
    for reset in [false, true] {
        let mut running = Setup::new()
            .small_send_buffer()
            .quiet()
            .limits(|limits| limits.outbox_bytes_max = 64 << 20)
            .serve(counter());
        let mut client = Client::with_small_buffer(running.address);
        let id = running.opened();
        client.send("<more n='2000'/>");
        running.notes.fell_behind(id);
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        let reason = running.notes.closed(id);
        assert!(matches!(reason, CloseReason::Lost(_) | CloseReason::ByPeer), "{reason:?}");
        running.notes.ended(id);
        assert_eq!(running.server.connections(), 0);
    }
}

#[test]
fn a_stop_gives_who_is_behind_the_time_that_is_set() {
    let mut running = Setup::new()
        .small_send_buffer()
        .quiet()
        .limits(|limits| {
            limits.outbox_bytes_max = 64 << 20;
            limits.shutdown_seconds_max = 0;
        })
        .serve(counter());
    let mut client = Client::with_small_buffer(running.address);
    let id = running.opened();
    client.send("<more n='2000'/>");
    running.notes.fell_behind(id);
    let handle = running.server.handle();
    handle.shutdown();
    for n in 0..2_000 {
        assert_eq!(client.frame(), numbered(n).to_string());
    }
    client.end();
    drop(client);
    let (done, ended) = crossbeam_channel::bounded(1);
    std::thread::spawn(move || done.send(running.server.wait()));
    ended.recv_timeout(DEADLINE).unwrap();
}
