//! Every limit of the server, at it and one beyond it.

use xmlsocket::server::{CloseReason, Flood, Frames};
use xmlsocket::wire::Element;

use crate::harness::{DEADLINE, Note, Probe, Setup};

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
    let frames: String = (0..55).map(|n| format!("{n}\0")).collect();
    client.write(frames.as_bytes());
    client.write(b"la");
    for n in 0..55 {
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
fn silence_is_no_reason_on_a_listener_that_says_so() {
    let mut probe = Probe::default();
    probe.on_idle = Box::new(|_, _| panic!("nobody is to be asked"));
    let (ticked, ticks) = crossbeam_channel::unbounded();
    probe.on_tick = Box::new(move |_, ()| drop(ticked.send(())));
    let mut running =
        Setup::new().settings(|s| s.idle = false).limits(|limits| limits.idle_seconds_max = 1).serve(probe);
    let (mut silent, _) = running.join();
    (0..3).for_each(|_| ticks.recv_timeout(DEADLINE).unwrap());
    silent.send("<a/>");
    assert_eq!(silent.frame(), "<a/>");
}
