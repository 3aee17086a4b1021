//! The ordinary course of things: frames in, frames out, errors that keep the connection.

use std::time::{Duration, Instant};

use crate::harness::{Probe, Setup};

#[test]
fn what_on_close_sends_leaves_at_once() {
    let mut probe = Probe::default();
    let survivor = std::sync::Arc::new(std::sync::OnceLock::new());
    let (first, listener) = (survivor.clone(), survivor);
    probe.on_open = Box::new(move |_, id| drop(first.set(id)));
    probe.on_close = Box::new(move |cx, id| {
        cx.send(*listener.get().unwrap(), &xmlsocket::wire::Element::new("left").attribute("id", id.serial()));
    });
    let mut running = Setup::new().serve(probe);
    let (mut ann, _) = running.join();
    let begun = Instant::now();
    for _ in 0..8 {
        let (bob, id) = running.join();
        drop(bob);
        assert_eq!(ann.frame(), format!("<left id=\"{}\"/>", id.serial()));
    }
    // Were it sent with the next tick, each round would take half a second.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
