//! How connections end: whoever closes, what was sent arrives, and nothing is left behind.

use std::time::{Duration, Instant};

use xmlsocket::server::CloseReason;
use xmlsocket::wire::Element;

use crate::harness::{Client, Note, Probe, Setup};

fn quit() -> CloseReason {
    CloseReason::application("quit", "It said so.")
}

#[test]
fn last_words_arrive_although_the_client_keeps_talking() {
    let mut running = Setup::new().limits(|limits| limits.outbox_bytes_max = 64 << 20).quiet().serve(Probe::answering(
        |cx, from, text| {
            if text == "<kick/>" {
                cx.send(from, &Element::new("big").text("x".repeat(1 << 20)));
                cx.send(from, &Element::new("kicked"));
                cx.close(from, quit());
            }
        },
    ));
    let mut client = Client::with_small_buffer(running.address);
    let id = running.opened();
    client.send("<kick/>");
    client.write(&b"<more/>\0".repeat(20_000));
    assert_eq!(running.notes.closed(id), quit());
    client.write(&b"<more/>\0".repeat(20_000));
    assert_eq!(client.frame().len(), (1 << 20) + "<big></big>".len());
    assert_eq!(client.frame(), "<kicked/>");
    client.end();
}

#[test]
fn a_client_that_closes_when_told_to_is_forgotten_at_once() {
    let running = Setup::new().serve(Probe::answering(|cx, from, _| cx.close(from, quit())));
    let mut running = running;
    let begun = Instant::now();
    for _ in 0..20 {
        let (mut client, id) = running.join();
        client.send("<quit/>");
        client.end();
        drop(client);
        running.notes.wait("the socket is closed", |note| (*note == Note::Ended(id)).then_some(()));
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(running.server.connections(), 0);
}
