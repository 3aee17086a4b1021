//! What all connections have together: memory, how fast they may be, and limits that are set while they are there.

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
