//! An application that panics: it loses the connection that it was about, and no other.

use std::time::Duration;

use xmlsocket::server::{CloseReason, Ended};
use xmlsocket::wire::Element;

use crate::harness::{Note, Probe, Setup};

const FAREWELL: &str =
    "<error code=\"internal-error\">The server failed on this request; others are not affected.</error>";

#[test]
fn a_panic_over_a_message_closes_its_sender_only() {
    let mut running = Setup::new().serve(Probe::answering(|cx, from, text| {
        cx.send(from, &Element::new("before"));
        assert_ne!(text, "<panic/>");
    }));
    let (mut ann, _) = running.join();
    for _ in 0..5 {
        let (mut bob, id) = running.join();
        bob.write(b"<panic/>\0<more/>\0");
        assert_eq!(bob.frame(), "<before/>");
        assert_eq!(bob.frame(), FAREWELL);
        bob.end();
        assert_eq!(running.told.close(id), CloseReason::Panicked);
    }
    ann.send("<a/>");
    assert_eq!(ann.frame(), "<before/>");
}

#[test]
fn a_panic_over_an_opening_closes_it_and_is_told_to_the_application() {
    let mut probe = Probe::default();
    probe.on_open = Box::new(|_, id| assert!(id.serial() % 2 == 1, "every second one"));
    let mut running = Setup::new().serve(probe);
    for _ in 0..4 {
        let (mut odd, _) = running.join();
        let (mut even, id) = running.join();
        assert_eq!(even.frame(), FAREWELL);
        even.end();
        assert_eq!(running.told.close(id), CloseReason::Panicked);
        odd.send("<a/>");
        assert_eq!(odd.frame(), "<a/>");
    }
}

#[test]
fn panics_over_closings_do_not_stop_the_server() {
    let mut probe = Probe::answering(|cx, from, text| match text {
        "<quit/>" => cx.close(from, CloseReason::application("quit", "It said so.")),
        _ => panic!("and over a message, too"),
    });
    probe.on_close = Box::new(|_, _| panic!("over a closing"));
    let mut running = Setup::new().serve(probe);
    for last in ["<quit/>", "<panic/>", ""].repeat(3) {
        let (mut client, id) = running.join();
        client.send(last);
        client.half_close();
        client.rest();
        drop(client);
        running.notes.ended(id);
    }
    let (mut client, _) = running.join();
    client.send("<quit/>");
    client.end();
    assert_eq!(running.server.shutdown(), Ended::Shutdown);
}

#[test]
fn a_panic_over_silence_closes_the_silent_one() {
    let mut probe = Probe::default();
    probe.on_idle = Box::new(|_, _| panic!("over silence"));
    let mut running = Setup::new().limits(|limits| limits.idle_seconds_max = 1).serve(probe);
    let (mut silent, id) = running.join();
    assert_eq!(silent.frame(), FAREWELL);
    silent.end();
    assert_eq!(running.told.close(id), CloseReason::Panicked);
}

#[test]
fn three_panics_over_nobody_within_a_minute_stop_the_server() {
    let mut probe = Probe::default();
    probe.on_external = Box::new(|_, _| panic!("over what another thread posted"));
    probe.on_shutdown = Box::new(|cx, ()| assert_eq!(cx.connections(), 1));
    let mut running = Setup::new().serve(probe);
    let (mut client, id) = running.join();
    let handle = running.server.handle();
    for n in 0..2 {
        handle.post(n).unwrap();
    }
    client.send("<a/>");
    assert_eq!(client.frame(), "<a/>");
    handle.post(2).unwrap();
    client.end();
    assert_eq!(running.server.wait(), Ended::ServicePanicked);
    assert_eq!(running.server.wait(), Ended::ServicePanicked);
    assert!(running.notes.all().contains(&Note::Ended(id)));
}

#[test]
fn a_tick_that_panics_counts_too() {
    let mut probe = Probe::default();
    let mut ticks = 0;
    probe.on_tick = Box::new(move |_, ()| {
        ticks += 1;
        panic!("over tick {ticks}");
    });
    probe.on_external = Box::new(|_, _| panic!("over what another thread posted"));
    let mut running = Setup::new().serve(probe);
    let (mut client, _) = running.join();
    running.server.handle().post(()).unwrap();
    running.server.handle().post(()).unwrap();
    client.end();
    assert_eq!(running.server.wait(), Ended::ServicePanicked);
}

#[test]
fn a_farewell_that_panics_does_not_hinder_the_stop() {
    let mut probe = Probe::default();
    probe.on_shutdown = Box::new(|_, ()| panic!("over the farewell"));
    let mut running = Setup::new().serve(probe);
    let (mut client, _) = running.join();
    let took = running.stop();
    assert!(took < Duration::from_secs(1), "{took:?}");
    client.end();
}

#[test]
fn state_that_a_frame_left_half_written_reaches_nobody() {
    struct Half;
    impl xmlsocket::wire::Encode for Half {
        fn encode(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(b"<half");
            panic!("in the middle of a frame");
        }
    }
    let mut running = Setup::new().serve(Probe::answering(|cx, from, text| match text {
        "<half/>" => cx.send(from, &Half),
        _ => cx.send(from, &Element::new("whole")),
    }));
    let (mut ann, _) = running.join();
    let (mut bob, _) = running.join();
    ann.write(b"<a/>\0<half/>\0");
    bob.send("<a/>");
    assert_eq!(ann.frame(), "<whole/>");
    assert_eq!(ann.frame(), FAREWELL);
    ann.end();
    assert_eq!(bob.frame(), "<whole/>");
}
