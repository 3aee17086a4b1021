//! Stopping: from wherever it is asked for, whatever the clients are doing, within the time that was given.

use std::time::{Duration, Instant};

use xmlsocket::server::CloseReason;
use xmlsocket::wire::Element;

use crate::harness::{Client, Note, Probe, Setup};

/// What stopping may take beside the time that clients are given.
const SMALL: Duration = Duration::from_millis(900);

/// A frame of a megabyte.
fn megabyte() -> Element {
    Element::new("big").text("x".repeat(1 << 20))
}

/// Sends everybody who asks four megabytes.
fn generous() -> Probe {
    Probe::answering(|cx, from, _| (0..4).for_each(|_| cx.send(from, &megabyte())))
}

#[test]
fn a_stalled_client_that_has_closed_its_half_cannot_delay_a_stop() {
    let mut running = Setup::new()
        .limits(|limits| {
            limits.shutdown_seconds_max = 1;
            limits.outbox_bytes_max = 64 << 20;
        })
        .serve(generous());
    let mut client = Client::with_small_buffer(running.address);
    let id = running.notes.opened();
    client.send("<more/>");
    client.half_close();
    running.notes.fell_behind(id);
    assert_eq!(running.notes.closed(id), CloseReason::ByPeer);
    let took = running.stop();
    assert!(took < Duration::from_secs(1) + SMALL, "{took:?}");
    assert!(running.notes.all().contains(&Note::Ended(id)));
}

#[test]
fn a_refused_client_that_stays_cannot_delay_a_stop() {
    let mut running = Setup::new().limits(|limits| limits.connections_max = 1).serve(Probe::default());
    let (_first, _) = running.join();
    let mut second = running.connect();
    assert!(second.frame().starts_with("<error code=\"server-full\">"));
    let begun = Instant::now();
    running.server.shutdown();
    assert!(begun.elapsed() < SMALL, "{:?}", begun.elapsed());
}

#[test]
fn a_seat_is_free_only_when_nothing_waits_for_its_client_any_more() {
    let mut running = Setup::new()
        .limits(|limits| {
            limits.connections_max = 1;
            limits.outbox_bytes_max = 64 << 20;
        })
        .serve(generous());
    let mut client = Client::with_small_buffer(running.address);
    let id = running.notes.opened();
    client.send("<more/>");
    client.half_close();
    running.notes.fell_behind(id);
    running.notes.closed(id);
    // Its thread reads no more, but four megabytes wait: it still counts.
    assert!(running.connect().frame().starts_with("<error code=\"server-full\">"));
    assert_eq!(client.rest().len(), 4 * ((1 << 20) + "<big></big>".len() + 1));
    drop(client);
    running.notes.wait("the seat is free", |note| (*note == Note::Ended(id)).then_some(()));
    let (mut next, _) = running.join();
    next.send("<a/>");
    assert!(next.frame().starts_with("<big>"));
}
