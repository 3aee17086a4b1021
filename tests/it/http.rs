//! HTTP on a port that is no web server's: answered in its own words, and not one byte of it read as frames.

use std::time::{Duration, Instant};

use xmlsocket::wire::Element;

use crate::harness::{Probe, Setup};

#[test]
fn http_to_a_connection_that_was_greeted_already_is_closed_at_once() {
    let mut probe = Probe::default();
    probe.on_open = Box::new(|cx, id| cx.send(id, &Element::new("welcome")));
    let running = Setup::new().serve(probe);
    let mut browser = running.connect();
    assert_eq!(browser.frame(), "<welcome/>");
    let begun = Instant::now();
    browser.write(b"GET / HTTP/1.1\r\n\r\n");
    browser.end();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
