//! When the application hears of a connection, and that asking for the policy file is no reason to.

use std::time::{Duration, Instant};

use xmlsocket::server::{CloseReason, Framing};
use xmlsocket::wire::Element;

use crate::harness::{Client, Probe, Running, Setup, Told, test_policy};

const REQUEST: &str = "<policy-file-request/>";

/// Connects once more and says something: what the service was told before that is everything it will be told.
fn told_before_the_next(running: &mut Running) -> Vec<Told> {
    let mut next = running.connect();
    next.send("<next/>");
    assert_eq!(next.frame(), "<next/>");
    let told = running.told.all();
    let next = told.iter().position(|told| matches!(told, Told::Message(_, text) if text == "<next/>")).unwrap();
    told[..next - 1].to_vec()
}

#[test]
fn the_first_frame_makes_a_connection_known() {
    // Nobody could wait for the announcement that silence brings.
    let mut running = Setup::new().policy().limits(|limits| limits.announce_seconds = 1_000).serve(Probe::default());
    let mut ann = running.connect();
    ann.send("<hello/>");
    assert_eq!(ann.frame(), "<hello/>");
    let id = running.told.open();
    assert_eq!(running.told.all(), [Told::Message(id, "<hello/>".to_owned())]);
}

#[test]
fn an_empty_first_frame_makes_a_connection_known() {
    let mut running = Setup::new().policy().limits(|limits| limits.announce_seconds = 1_000).serve(Probe::default());
    let mut ann = running.connect();
    ann.write(b"\0");
    running.told.open();
}

#[test]
fn silence_makes_a_connection_known_after_announce_seconds() {
    let mut probe = Probe::default();
    probe.on_open = Box::new(|cx, id| cx.send(id, &Element::new("welcome")));
    let running = Setup::new().policy().limits(|limits| limits.announce_seconds = 1).serve(probe);
    let begun = Instant::now();
    let mut ann = running.connect();
    assert_eq!(ann.frame(), "<welcome/>");
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(950), "{waited:?}");
    ann.send("<hello/>");
    assert_eq!(ann.frame(), "<hello/>");
}

#[test]
fn without_a_policy_or_with_no_announce_seconds_a_connection_is_known_at_once() {
    for setup in [
        Setup::new().limits(|limits| limits.announce_seconds = 60),
        Setup::new().policy().limits(|limits| limits.announce_seconds = 0),
    ] {
        let mut probe = Probe::default();
        probe.on_open = Box::new(|cx, id| cx.send(id, &Element::new("welcome")));
        let running = setup.serve(probe);
        assert_eq!(running.connect().frame(), "<welcome/>");
    }
}

#[test]
fn a_begun_frame_stops_the_clock() {
    let mut running = Setup::new().policy().limits(|limits| limits.announce_seconds = 1).serve(Probe::default());
    let mut slow = running.connect();
    slow.write(b"<policy-file-req");
    // A silent connection that came later is announced, so the time has passed for the first one, too.
    let _silent = running.connect();
    let silent = running.told.open();
    slow.write(b"uest/>\0");
    assert_eq!(slow.frame(), test_policy().to_string());
    slow.end();
    drop(slow);
    let ended = running.notes.any_ended();
    assert_ne!(ended, silent);
    assert_eq!(running.told.all(), []);
}

#[test]
fn a_policy_request_is_answered_closed_and_no_user_wherever_it_is_cut() {
    let mut running = Setup::new().policy().serve(Probe::default());
    let answer = [test_policy().to_string().as_bytes(), b"\0"].concat();
    for request in [&b"<policy-file-request/>\0"[..], b"<policy-file-request />\0", b"<cross-domain-request/>\0"] {
        for cut in 0..request.len() {
            let mut player = running.connect();
            player.write(&request[..cut]);
            player.write(&request[cut..]);
            assert_eq!(player.rest().escape_ascii().to_string(), answer.escape_ascii().to_string(), "cut at {cut}");
        }
    }
    let mut player = running.connect();
    for byte in b"<policy-file-request/>\0" {
        player.write(&[*byte]);
    }
    assert_eq!(player.rest(), answer);
    assert_eq!(told_before_the_next(&mut running), []);
}

#[test]
fn what_follows_a_policy_request_is_dropped() {
    let mut running = Setup::new().policy().serve(Probe::default());
    let mut player = running.connect();
    player.write(b"<policy-file-request/>\0<hello/>\0");
    assert_eq!(player.frame(), test_policy().to_string());
    player.end();
    assert_eq!(told_before_the_next(&mut running), []);
}

#[test]
fn a_frame_that_quotes_a_policy_request_is_a_frame() {
    let running = Setup::new().policy().serve(Probe::default());
    let mut ann = running.connect();
    for text in ["<m>&lt;policy-file-request/></m>", "<m><policy-file-request/></m>", "<policy-file-request a='1'/>"] {
        ann.send(text);
        assert_eq!(ann.frame(), text);
    }
}

#[test]
fn without_a_policy_a_request_for_it_is_a_frame() {
    let running = Setup::new().serve(Probe::default());
    let mut ann = running.connect();
    ann.send(REQUEST);
    assert_eq!(ann.frame(), REQUEST);
}

#[test]
fn a_late_policy_request_is_answered_and_ends_the_connection() {
    let mut running = Setup::new().policy().limits(|limits| limits.announce_seconds = 1).serve(Probe::default());
    // Late because the connection was silent for too long.
    let mut silent = running.connect();
    let id = running.told.open();
    silent.send(REQUEST);
    assert_eq!(silent.frame(), test_policy().to_string());
    silent.end();
    assert_eq!(running.told.close(id), CloseReason::PolicyServed);
    // Late because something else came first, which is answered first.
    let mut busy = running.connect();
    busy.send("<hello/>");
    busy.send(REQUEST);
    busy.send("<more/>");
    let id = running.told.open();
    assert_eq!(busy.frame(), "<hello/>");
    assert_eq!(busy.frame(), test_policy().to_string());
    busy.end();
    assert_eq!(running.told.close(id), CloseReason::PolicyServed);
    assert_eq!(running.told.all(), [Told::Message(id, "<hello/>".to_owned())]);
}

#[test]
fn a_policy_request_on_a_line_listener_creates_no_user() {
    let mut running = Setup::new().policy().settings(|s| s.framing = Framing::Line).serve(Probe::default());
    for request in [&b"<policy-file-request/>\0"[..], b"<policy-file-request/>\n", b"<policy-file-request/>\r\n"] {
        let mut player = running.connect();
        player.write(request);
        assert_eq!(player.frame(), test_policy().to_string());
        player.end();
    }
    let mut next = running.connect();
    next.send("<next/>");
    assert_eq!(next.frame(), "<next/>");
    let id = running.told.open();
    assert_eq!(running.told.all(), [Told::Message(id, "<next/>".to_owned())]);
}

#[test]
fn a_greeting_has_the_end_that_the_client_uses() {
    let mut probe = Probe::default();
    probe.on_open = Box::new(|cx, id| cx.send(id, &Element::new("welcome")));
    let running = Setup::new()
        .policy()
        .settings(|settings| settings.framing = Framing::Line)
        .limits(|limits| limits.announce_seconds = 1_000)
        .serve(probe);
    let mut flash = running.connect();
    flash.write(b"<a/>\0");
    flash.half_close();
    assert_eq!(flash.rest().escape_ascii().to_string(), "<welcome/>\\x00<a/>\\x00");
    let mut telnet = running.connect();
    telnet.write(b"<a/>\r\n");
    telnet.half_close();
    assert_eq!(telnet.rest().escape_ascii().to_string(), "<welcome/>\\n<a/>\\n");
}

#[test]
fn a_policy_port_answers_requests_and_nothing_else() {
    let mut setup = Setup::new();
    setup.policy_port = true;
    let mut running = setup.serve(Probe::default());
    let address = running.server.local_addrs()[1];
    let mut player = Client::connect(address);
    player.send(REQUEST);
    assert_eq!(player.frame(), test_policy().to_string());
    player.end();
    for other in [&b"<hello/>\0"[..], b"\0", b"hello\0<policy-file-request/>\0", b"\xff\xff\0"] {
        let mut client = Client::connect(address);
        client.write(other);
        client.end();
    }
    assert_eq!(told_before_the_next(&mut running), []);
}
