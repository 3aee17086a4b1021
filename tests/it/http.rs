//! HTTP and TLS on a port that speaks neither: answered in their own words or closed, and not one byte of them read as
//! frames.

use std::time::{Duration, Instant};

use xmlsocket::server::CloseReason;
use xmlsocket::wire::Element;

use crate::harness::{Client, Probe, Running, Setup, Told, alone, lock, log_lines};

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const NOT_ALLOWED: &str =
    "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A policy is served and nobody announced for silence: what reaches the service is what was read as frames.
fn patient() -> Running {
    Setup::new().policy().limits(|limits| limits.announce_seconds = 1_000).serve(Probe::default())
}

fn answer_to(client: &mut Client) -> String {
    String::from_utf8(client.rest()).unwrap()
}

/// Connects once more and says something: what the service was told before that is everything it will be told.
fn nothing_was_told(running: &mut Running) {
    let mut next = running.connect();
    next.send("<next/>");
    assert_eq!(next.frame(), "<next/>");
    let id = running.told.open();
    assert_eq!(running.told.all(), [Told::Message(id, "<next/>".to_owned())]);
}

#[test]
fn every_method_is_answered_wherever_the_request_is_cut() {
    let mut running = patient();
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", NOT_FOUND),
        ("HEAD /index.html HTTP/1.0\r\n\r\n", NOT_FOUND),
        ("POST / HTTP/1.1\r\n\r\n", NOT_ALLOWED),
        ("PUT /a HTTP/1.1\r\n\r\n", NOT_ALLOWED),
        ("DELETE /a HTTP/1.1\r\n\r\n", NOT_ALLOWED),
        ("PATCH /a HTTP/1.1\r\n\r\n", NOT_ALLOWED),
        ("TRACE / HTTP/1.1\r\n\r\n", NOT_ALLOWED),
        ("OPTIONS * HTTP/1.1\r\n\r\n", NOT_ALLOWED),
        ("CONNECT a:1 HTTP/1.1\r\n\r\n", NOT_ALLOWED),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", NOT_ALLOWED),
        ("GET http://a/ HTTP/1.1\r\n\r\n", NOT_FOUND),
        ("post / HTTP/1.1\r\n\r\n", NOT_ALLOWED),
        ("Odd-Method /a HTTP/1.1\r\n\r\n", NOT_ALLOWED),
    ] {
        for cut in 0..request.len() {
            let mut client = running.connect();
            client.write(&request.as_bytes()[..cut]);
            client.write(&request.as_bytes()[cut..]);
            assert_eq!(answer_to(&mut client), answer, "{request:?} cut at {cut}");
        }
    }
    nothing_was_told(&mut running);
}

#[test]
fn frames_in_a_request_are_never_read_as_frames() {
    let mut running = patient();
    for head in [
        "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n",
        "PUT /<login/>\0 HTTP/1.1\r\n\r\n",
        "POST /\0<login nick='a'/>\0",
        "post / HTTP/1.1\r\n\r\n",
        "X / HTTP/1.1\r\nX: \0<login nick='a'/>\0\r\n\r\n",
        "POST http://127.0.0.1:1024/ HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\n\n",
        "GET /\r\n",
    ] {
        let mut client = running.connect();
        client.write(head.as_bytes());
        client.write(&b"\0<login nick='ann'/>\0<policy-file-request/>\0".repeat(200));
        let answer = answer_to(&mut client);
        assert!(answer.starts_with("HTTP/1.1 40") && !answer.contains('\0'), "{head:?}: {answer:?}");
    }
    nothing_was_told(&mut running);
}

#[test]
fn what_only_looks_like_http_is_frames() {
    let running = Setup::new().any().serve(Probe::default());
    for text in ["GET", "GET it", "POST office", "SAY /hello", "say / HTTP", "GETTING / HTTP/1.1", "%xt%z%1%"] {
        let mut client = running.connect();
        client.send(text);
        assert_eq!(client.frame(), text);
        // Only the first bytes of a connection tell what it speaks.
        client.send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(client.frame(), "GET / HTTP/1.1\r\n\r\n");
    }
}

#[test]
fn the_application_forgets_a_silent_connection_that_turns_out_to_be_http() {
    let mut running = Setup::new().serve(Probe::default());
    for request in ["GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\n\r\n<login/>\0"] {
        let (mut browser, id) = running.join();
        assert_eq!(running.told.open(), id);
        browser.write(request.as_bytes());
        let answer = answer_to(&mut browser);
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer:?}");
        assert_eq!(running.told.close(id), CloseReason::NotXmlSocket("an HTTP request"));
    }
    assert_eq!(running.told.all(), []);
}

#[test]
fn http_to_a_connection_that_was_greeted_already_is_closed_at_once() {
    let mut probe = Probe::default();
    probe.on_open = Box::new(|cx, id| cx.send(id, &Element::new("welcome")));
    let mut running = Setup::new().serve(probe);
    let (mut browser, id) = running.join();
    assert_eq!(browser.frame(), "<welcome/>");
    let begun = Instant::now();
    browser.write(b"GET / HTTP/1.1\r\n\r\n");
    browser.end();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(running.told.close(id), CloseReason::NotXmlSocket("an HTTP request"));
}

#[test]
fn half_a_request_line_and_silence_is_closed_in_time() {
    let mut running = Setup::new().policy().limits(|limits| limits.frame_seconds_max = 1).serve(Probe::default());
    let clients = ["GET", "GET ", "ODD / HTT"].map(|half| {
        let mut client = running.connect();
        client.write(half.as_bytes());
        (half, client)
    });
    for (half, mut client) in clients {
        let said = client.frame_or_end();
        assert_eq!(said.as_deref().map(|text| text.contains("frame-timeout")), Some(true), "{half:?}: {said:?}");
        client.end();
    }
    nothing_was_told(&mut running);
}

/// In a process of its own, because other tests' connections may have had the same address, and are logged, too.
#[test]
fn a_tls_handshake_is_closed_and_logged_in_one_line() {
    alone("http::a_tls_handshake_is_closed_and_logged_in_one_line", || {
        for setup in [Setup::new().policy(), Setup::new(), Setup::new().any()] {
            let mut running = setup.serve(Probe::default());
            let mut client = running.connect();
            let address = client.address().to_string();
            client.write(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
            client.write(&[0xab; 1_000]);
            client.write(&[0; 1_000]);
            client.end();
            drop(client);
            running.notes.any_ended();
            let lines: Vec<_> = lock(log_lines()).iter().filter(|line| line.contains(&address)).cloned().collect();
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].starts_with("INFO #1 from") && lines[0].contains("a TLS handshake"), "{lines:?}");
            assert!(!running.told.all().iter().any(|told| matches!(told, Told::Message(..))));
        }
    });
}
