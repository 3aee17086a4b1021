//! What all connections have together: memory, how fast they may be, and limits that are set while they are there.

use crossbeam_channel::{bounded, unbounded};
use xmlsocket::server::PostError;
use xmlsocket::wire::Limits;

use crate::harness::{DEADLINE, Probe, Setup};

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
