//! The engine by itself: what it counts, and what it keeps.

use std::time::Duration;

use super::*;
use crate::wire::{Frame, Limits};

/// An engine with some connections that collect what they are sent.
fn engine(connections: u64) -> Engine {
    let now = Now { instant: Instant::now(), unix: Duration::ZERO };
    let mut engine = Engine::new(now, Outboxes::new(&Limits::default()), None, &[]);
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], 1024));
    for n in 0..connections {
        let peer = Peer::new(local, local, 0, now.instant);
        engine.insert(id(n), peer, None, Outlet::Buffer(Vec::new()));
    }
    engine
}

fn id(n: u64) -> ConnectionId {
    ConnectionId::new(n + 1, n as usize)
}

#[test]
fn it_is_known_how_many_are_there_and_how_many_the_batch_is_for() {
    let mut engine = engine(4);
    assert_eq!((engine.connections(), engine.touched(), engine.batch_len()), (4, 0, 0));
    let frame = Frame::try_from("<a/>").unwrap();
    engine.send(id(0), &frame);
    engine.send_all([id(0), id(2), id(7)], &frame);
    assert_eq!((engine.touched(), engine.batch_len()), (2, 10));
    engine.flush();
    assert_eq!((engine.touched(), engine.batch_len()), (0, 0));
    assert!(engine.remove(id(1)).is_some() && engine.remove(id(1)).is_none());
    assert_eq!(engine.connections(), 3);
}

#[test]
fn a_method_that_sends_without_end_fills_no_batch_without_end() {
    let mut engine = engine(1);
    let frame = Frame::new("x".repeat(METHOD_BYTES_MAX / 2 - 1)).unwrap();
    for (sent, waits) in [(1, 1), (2, 2), (3, 1), (4, 2), (5, 1)] {
        engine.send(id(0), &frame);
        assert_eq!(engine.batch_len(), waits * METHOD_BYTES_MAX / 2, "after {sent}");
    }
}

#[test]
fn memory_that_is_not_needed_any_more_is_given_up() {
    let mut engine = engine(0);
    engine.earlier.reserve(2 * EARLIER_KEPT);
    engine.relax();
    assert!((1..2 * EARLIER_KEPT).contains(&engine.earlier.capacity()), "{}", engine.earlier.capacity());
}
