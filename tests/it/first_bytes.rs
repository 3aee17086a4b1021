//! What others wrote is never taken for an answer to HTTP: what a silent client gets, which may be a browser whose request is on
//! the way.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use xmlsocket::relay::Relay;
use xmlsocket::server::{CloseReason, ConnectionId};

use crate::harness::{Client, Note, Running, Setup, lock, log_lines, test_policy};

/// What would be a page under this server's name.
const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<script>";

/// A relay that echoes, and knows everybody at once.
fn setup() -> Setup {
    Setup::new().any().policy().limits(|limits| limits.announce_seconds = 0)
}

fn relay(setup: Setup) -> (Running, Client) {
    let mut running = setup.serve_service(Relay::new(true));
    let (mut ann, _) = silent(&mut running);
    say(&mut ann, "here");
    (running, ann)
}

/// A client that says nothing, once the application knows it.
fn silent(running: &mut Running) -> (Client, ConnectionId) {
    let client = running.connect();
    (client, running.notes.opened())
}

/// Says something, and waits until everybody has been sent it: what is said next comes back after that.
fn say(client: &mut Client, text: &str) {
    for text in [text, "."] {
        client.send(text);
        while client.frame() != text {}
    }
}

/// Nothing was sent to a client so far.
#[track_caller]
fn has_nothing(client: &mut Client) {
    client.stream.set_nonblocking(true).unwrap();
    let got = client.stream.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(got, Err(ErrorKind::WouldBlock));
    client.stream.set_nonblocking(false).unwrap();
}

#[test]
fn what_could_be_a_response_waits_until_a_silent_client_speaks() {
    for (setup, first) in [
        (setup(), PAGE),
        (setup(), "\r\n\r\nhttp/1.0 200"),
        // Here browsers take anything for a response.
        (setup().settings(|settings| settings.public_port = Some(80)), "<a/>"),
    ] {
        let (mut running, mut ann) = relay(setup);
        let (mut bob, _) = silent(&mut running);
        say(&mut ann, first);
        say(&mut ann, "<b/>");
        has_nothing(&mut bob);
        bob.send("<bob/>");
        for expected in [first, ".", "<b/>", ".", "<bob/>"] {
            assert_eq!(bob.frame(), expected);
        }
        ann.send("<c/>");
        assert_eq!(bob.frame(), "<c/>");
        ann.send(PAGE);
        assert_eq!(bob.frame(), PAGE, "it has spoken");
    }
}

#[test]
fn everything_else_reaches_a_silent_client_at_once_and_then_a_request_gets_no_answer() {
    let (mut running, mut ann) = relay(setup());
    let (mut bob, id) = silent(&mut running);
    say(&mut ann, "<a/>");
    say(&mut ann, PAGE);
    for expected in ["<a/>", ".", PAGE, "."] {
        assert_eq!(bob.frame(), expected);
    }
    bob.write(b"GET / HTTP/1.1\r\n\r\n");
    bob.end();
    let reason = running.notes.closed(id);
    assert_eq!(reason, CloseReason::NotXmlSocket("an HTTP request"));
    // Too little was sent to be sure of what follows.
    let (mut eve, _) = silent(&mut running);
    for text in ["hi", PAGE] {
        ann.send(text);
        assert_eq!(ann.frame(), text);
    }
    eve.write(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(eve.rest(), b"hi\0");
}

#[test]
fn a_request_is_answered_when_all_that_was_sent_before_it_waits() {
    let (mut running, mut ann) = relay(setup());
    let (mut browser, id) = silent(&mut running);
    say(&mut ann, PAGE);
    browser.write(b"GET / HTTP/1.1\r\n\r\n");
    let answer = String::from_utf8(browser.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("script"), "{answer}");
    running.notes.closed(id);
}

/// Whenever the request comes: it has an answer of ours or none.
#[test]
fn no_request_is_ever_answered_by_another_client() {
    let (running, mut ann) = relay(setup());
    let stops = Arc::new(AtomicBool::new(false));
    let talks = thread::spawn({
        let stops = Arc::clone(&stops);
        move || {
            while !stops.load(Ordering::Relaxed) {
                say(&mut ann, PAGE);
            }
        }
    });
    for _ in 0..200 {
        let mut browser = running.connect();
        browser.write(b"GET / HTTP/1.1\r\n\r\n");
        let answer = String::from_utf8(browser.rest()).unwrap();
        assert!(!answer.contains("script"), "{answer}");
    }
    stops.store(true, Ordering::Relaxed);
    talks.join().unwrap();
}

#[test]
fn who_says_that_it_will_say_nothing_gets_what_waited() {
    let (mut running, mut ann) = relay(setup());
    let (mut bob, id) = silent(&mut running);
    say(&mut ann, PAGE);
    bob.half_close();
    assert_eq!(String::from_utf8(bob.rest()).unwrap(), format!("{PAGE}\0.\0"));
    assert_eq!(running.notes.closed(id), CloseReason::ByPeer);
}

#[test]
fn a_policy_request_is_answered_after_what_waited_for_it() {
    let (mut running, mut ann) = relay(setup());
    let (mut player, _) = silent(&mut running);
    say(&mut ann, PAGE);
    player.send("<policy-file-request/>");
    for expected in [PAGE, ".", &test_policy().to_string()] {
        assert_eq!(player.frame(), expected);
    }
    player.end();
}

#[test]
fn who_never_speaks_is_closed_when_too_much_waits_and_the_log_says_why() {
    let setup = setup().limits(|limits| {
        limits.frame_bytes_max = 1_000;
        limits.outbox_bytes_max = 10_000;
    });
    let (mut running, mut ann) = relay(setup);
    let (mut bob, id) = silent(&mut running);
    let text = format!("{PAGE}{}", "x".repeat(900));
    for _ in 0..12 {
        ann.send(&text);
        assert_eq!(ann.frame(), text);
    }
    bob.end();
    assert_eq!(running.notes.closed(id), CloseReason::TooSlow);
    let line = format!("what {id} is sent waits until it speaks: it could be taken for an HTTP response");
    assert!(lock(log_lines()).iter().any(|logged| logged.contains(&line)));
    assert!(!running.notes.all().iter().any(|note| matches!(note, Note::Closed(..))), "and nobody else");
}
