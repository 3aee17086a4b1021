//! What all connections have together: memory, how fast they may be, and limits that are set while they are there.

use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, unbounded};
use xmlsocket::server::{CloseReason, PostError};
use xmlsocket::wire::{Element, Limits};

use crate::harness::{Client, DEADLINE, Note, Probe, Running, Setup};

#[test]
fn new_limits_reach_the_service_though_the_channel_is_full() {
    let (entered, inside) = bounded(1);
    let (open, gate) = bounded::<()>(1);
    let (told, telling) = unbounded();
    let mut probe = Probe::answering(move |_, _, _| {
        entered.send(()).unwrap();
        gate.recv_timeout(DEADLINE).unwrap();
    });
    probe.on_limits = Box::new(move |_, limits| told.send(limits.rooms_max).unwrap());
    let mut running = Setup::new().serve(probe);
    let (mut client, _) = running.join();
    client.send("<wait/>");
    inside.recv_timeout(DEADLINE).unwrap();
    let handle = running.server.handle();
    while handle.post(()) != Err(PostError::Full(())) {}
    let mut limits = Limits::default();
    limits.rooms_max = 7;
    handle.set_limits(limits);
    open.send(()).unwrap();
    assert_eq!(telling.recv_timeout(DEADLINE), Ok(7));
    assert!(telling.is_empty(), "once");
}

/// Sends whoever asks as many frames of 1 000 bytes as it asks for.
fn generous() -> Probe {
    Probe::answering(|cx, from, text| {
        let count: usize = text.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        (0..count).for_each(|_| cx.send(from, &thousand()));
    })
}

fn thousand() -> Element {
    Element::new("n").text("x".repeat(992))
}

#[test]
fn when_too_much_waits_for_all_those_with_most_are_closed() {
    let setup = Setup::new().small_send_buffer().quiet().limits(|limits| limits.outboxes_bytes_max = 1 << 20);
    let mut running = setup.serve(generous());
    let stalled = |running: &mut Running, count: usize| {
        let mut client = Client::with_small_buffer(running.address);
        let id = running.opened();
        client.send(&format!("<more n='{count}'/>"));
        running.notes.fell_behind(id);
        (client, id, count)
    };
    // Together a little less than may wait, whatever the system took of it.
    let mut clients = Vec::from([300, 450, 200].map(|count| stalled(&mut running, count)));
    // This is too much, though little.
    clients.push(stalled(&mut running, 200));
    let (_, most, _) = clients[1];
    assert_eq!(running.notes.closed(most), CloseReason::TooSlow);
    // Whoever has less gets all of it.
    for (client, _, count) in clients.iter_mut().filter(|(_, id, _)| *id != most) {
        (0..*count).for_each(|_| assert_eq!(client.frame(), thousand().to_string()));
    }
    // What has been taken waits no more.
    let (mut client, id, count) = stalled(&mut running, 900);
    (0..count).for_each(|_| assert_eq!(client.frame(), thousand().to_string()));
    assert!(!running.notes.all().iter().any(|note| matches!(note, Note::Closed(..))));
    drop(client);
    running.notes.ended(id);
}

#[test]
fn the_bound_of_one_outbox_is_the_newest_for_those_that_are_there_already() {
    let setup = Setup::new().small_send_buffer().quiet().limits(|limits| limits.outbox_bytes_max = 100_000);
    let mut running = setup.serve(generous());
    let ask = |running: &mut Running, count: usize| {
        let mut client = Client::with_small_buffer(running.address);
        let id = running.opened();
        client.send("<more n='1'/>");
        assert_eq!(client.frame(), thousand().to_string());
        let mut limits = Limits::default();
        limits.outbox_bytes_max = 2_000_000;
        running.server.handle().set_limits(limits.clone());
        client.send(&format!("<more n='{count}'/>"));
        running.notes.fell_behind(id);
        limits.outbox_bytes_max = 100_000;
        running.server.handle().set_limits(limits);
        (client, id)
    };
    let (mut client, _) = ask(&mut running, 1_000);
    (0..1_000).for_each(|_| assert_eq!(client.frame(), thousand().to_string()));
    let (mut client, id) = ask(&mut running, 1_000);
    client.send("<more n='1'/>");
    assert_eq!(running.notes.closed(id), CloseReason::TooSlow);
}

/// A chunk that waits takes memory beside its bytes: many short frames are not kept within bounds by their bytes alone.
#[test]
fn short_frames_that_wait_one_by_one_count_more_than_their_bytes() {
    let setup = Setup::new().small_send_buffer().any().quiet().limits(|limits| limits.outbox_bytes_max = 1 << 20);
    let mut running = setup.serve(Probe::fan_out());
    let client = Client::with_small_buffer(running.address);
    let id = running.opened();
    let (mut sender, _) = running.join();
    // One batch each: the sender waits for its own copy.
    let mut sent = 0;
    while !running.notes.all().contains(&Note::Closed(id, CloseReason::TooSlow)) {
        sender.send("x");
        assert_eq!(sender.frame(), "x");
        sent += 1;
        assert!(sent < 100_000, "{sent} frames and none counted more than its two bytes");
    }
    drop(client);
}

/// A server that reads as fast as an address may be, from one connection too.
fn with_rate(per_second: u64, probe: Probe) -> Running {
    let setup = Setup::new().any().quiet().limits(|limits| {
        limits.frames_per_second_max = 1_000;
        limits.frames_burst_max = 1_000;
        limits.frames_per_second_per_address_max = per_second;
    });
    setup.serve(probe)
}

#[test]
fn who_connects_again_and_again_delivers_no_more_than_its_address_may() {
    const PER_SECOND: usize = 50;
    let (heard, hearing) = unbounded();
    let mut running = with_rate(PER_SECOND as u64, Probe::answering(move |_, _, _| heard.send(()).unwrap()));
    let begun = Instant::now();
    let mut refused = 0;
    for _ in 0..1_000 {
        let mut client = running.connect();
        // Whoever is refused may find that out while it writes.
        let _ = client.stream.write_all("x\0".repeat(10).as_bytes());
        drop(client);
        refused += running.notes.all().iter().filter(|note| matches!(note, Note::Refused(_))).count();
    }
    let may = 4 * PER_SECOND + begun.elapsed().as_secs() as usize * PER_SECOND + PER_SECOND;
    assert!(hearing.len() <= may, "{} heard of one address that may say {may}", hearing.len());
    assert!(refused > 0, "connections that come too fast are refused");
    // Another address has its own.
    let mut other = Client::from(Ipv4Addr::new(127, 0, 0, 2), running.address);
    other.send("x");
    other.half_close();
    running.notes.opened();
}

#[test]
fn a_frame_is_admitted_only_when_the_connection_has_paid_for_what_the_last_one_brought() {
    let setup = Setup::new().limits(|limits| {
        limits.frames_per_second_max = 10;
        limits.frames_burst_max = 20;
    });
    let mut running = setup.serve(generous());
    let (mut client, _) = running.join();
    // 1 000 frames of 1 000 bytes, and 64 for each: 33 measures of 32 KiB, of which the first is free.
    client.send("<more n='1000'/>");
    (0..1_000).for_each(|_| assert_eq!(client.frame(), thousand().to_string()));
    client.send("<more n='1'/>");
    let refused = client.frame();
    assert!(refused.starts_with("<error code=\"too-fast\" "), "{refused}");
    let wait: u64 = refused.split("wait=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    // 20 that were saved up, less 1 and 32, more 1 for each tenth of a second since; then 1 for the next.
    assert!((300..=1_401).contains(&wait), "{refused}");
    // What is usual costs nothing of its own.
    let (mut client, _) = running.join();
    for _ in 0..18 {
        client.send("<more n='30'/>");
        (0..30).for_each(|_| assert_eq!(client.frame(), thousand().to_string()));
    }
}

#[test]
fn what_a_connection_brings_costs_its_address_though_it_is_gone() {
    let mut running = with_rate(10, generous());
    let mut client = running.connect();
    client.send("<more n='3000'/>");
    (0..3_000).for_each(|_| assert_eq!(client.frame(), thousand().to_string()));
    drop(client);
    running.notes.any_ended();
    let mut again = running.connect();
    again.end();
    running.notes.wait("refused", |note| (*note == Note::Refused("too-fast".to_owned())).then_some(()));
    let mut other = Client::from(Ipv4Addr::new(127, 0, 0, 2), running.address);
    other.send("<more n='1'/>");
    assert_eq!(other.frame(), thousand().to_string());
}

#[test]
fn frames_of_an_address_that_wait_are_read_when_it_may_say_more() {
    let running = with_rate(100, Probe::default());
    let mut clients: Vec<_> = (0..4).map(|_| running.connect()).collect();
    let frames: String = (0..130).map(|n| format!("{n}\0")).collect();
    let begun = Instant::now();
    clients.iter_mut().for_each(|client| client.write(frames.as_bytes()));
    for client in &mut clients {
        (0..130).for_each(|n| assert_eq!(client.frame(), n.to_string()));
    }
    // 4 connections and 520 frames, of which 400 were saved up.
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// A tree takes many times what its text does: the channel holds as many bytes of both, not as many texts.
#[test]
fn the_channel_counts_the_trees_of_its_documents() {
    const FRAMES: usize = 200;
    let (entered, inside) = bounded(1);
    let (open, gate) = bounded::<()>(1);
    let mut first = true;
    let (heard, hearing) = unbounded();
    let probe = Probe::answering(move |_, _, text| {
        if std::mem::take(&mut first) {
            entered.send(()).unwrap();
            gate.recv_timeout(DEADLINE).unwrap();
        }
        heard.send(text.len()).unwrap();
    });
    let mut running = Setup::new().quiet().serve(probe);
    let (mut client, _) = running.join();
    client.send("<wait/>");
    inside.recv_timeout(DEADLINE).unwrap();
    // 12 MB of text fit into the channel, and would take 100 MB with their trees. So it is not read to its end.
    let costly = format!("<a>{}</a>", "<b c='' d='' e=''/>".repeat(3_000));
    let bytes = format!("{costly}\0").repeat(FRAMES);
    let mut rest = bytes.as_bytes();
    client.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let stuck = loop {
        match client.stream.write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) => break error.kind(),
        }
        assert!(!rest.is_empty(), "all of it was read");
    };
    assert_eq!(stuck, ErrorKind::WouldBlock);
    open.send(()).unwrap();
    client.stream.set_write_timeout(Some(DEADLINE)).unwrap();
    client.write(rest);
    assert_eq!(hearing.recv_timeout(DEADLINE), Ok("<wait/>".len()));
    (0..FRAMES).for_each(|_| assert_eq!(hearing.recv_timeout(DEADLINE), Ok(costly.len())));
}

#[test]
fn a_frame_larger_than_the_channel_gets_through_whatever_else_is_said() {
    let setup = Setup::new().any().quiet().limits(|limits| limits.frame_bytes_max = 32 << 20);
    let (heard, hearing) = unbounded();
    let probe = Probe::answering(move |cx, from, text| {
        heard.send(text.len()).unwrap();
        cx.send(from, &Element::new("heard"));
    });
    let mut running = setup.serve(probe);
    let (mut large, _) = running.join();
    let (stop, stopped) = bounded::<()>(0);
    let others: Vec<_> = (0..2)
        .map(|_| {
            let (mut client, _) = running.join();
            let stopped = stopped.clone();
            std::thread::spawn(move || {
                // Some are always in the channel.
                let many = "x\0".repeat(100);
                while stopped.try_recv() != Err(crossbeam_channel::TryRecvError::Disconnected) {
                    client.write(many.as_bytes());
                    (0..100).for_each(|_| drop(client.frame()));
                }
            })
        })
        .collect();
    large.send(&"y".repeat(17 << 20));
    while hearing.recv_timeout(DEADLINE).unwrap() != 17 << 20 {}
    drop((stop, stopped));
    others.into_iter().for_each(|other| other.join().unwrap());
}
