//! Every limit of the server, at it and one beyond it.

use xmlsocket::server::{CloseReason, Flood, Frames};

use crate::harness::{Probe, Setup};

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
