//! When the application hears of a connection, and that asking for the policy file is no reason to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use xmlsocket::server::{Answer, CloseReason, Door, Framing, Visitor};
use xmlsocket::wire::Element;

use crate::harness::{Client, Probe, Running, Setup, Told, test_policy};

const REQUEST: &str = "<policy-file-request/>";

/// Answers every HTTP request by closing.
struct Shut;

impl Door for Shut {
    fn answer(&self, _: &mut Visitor<'_>) -> Answer {
        Answer::Done
    }
}

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
fn silence_makes_a_connection_known_after_announce_seconds_where_it_may_be_about_to_ask() {
    let policy = Setup::new().policy();
    let http = Setup::new().settings(|settings| settings.http = Some(Arc::new(Shut)));
    let waiting: Vec<_> = [policy, http]
        .map(|setup| {
            let mut probe = Probe::default();
            probe.on_open = Box::new(|cx, id| cx.send(id, &Element::new("welcome")));
            let running = setup.limits(|limits| limits.announce_seconds = 1).serve(probe);
            let begun = Instant::now();
            let ann = running.connect();
            (running, begun, ann)
        })
        .into();
    for (_running, begun, mut ann) in waiting {
        assert_eq!(ann.frame(), "<welcome/>");
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_millis(950), "{waited:?}");
        ann.send("<hello/>");
        assert_eq!(ann.frame(), "<hello/>");
    }
}

#[test]
fn without_policy_and_pages_or_with_no_announce_seconds_a_connection_is_known_at_once() {
    for setup in [
        Setup::new().limits(|limits| limits.announce_seconds = 60),
        Setup::new()
            .policy()
            .settings(|settings| settings.http = Some(Arc::new(Shut)))
            .limits(|limits| limits.announce_seconds = 0),
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
fn a_policy_request_after_a_long_silence_is_answered_and_ends_the_connection() {
    let mut running = Setup::new().policy().limits(|limits| limits.announce_seconds = 1).serve(Probe::default());
    let mut silent = running.connect();
    let id = running.told.open();
    silent.send(REQUEST);
    assert_eq!(silent.frame(), test_policy().to_string());
    silent.end();
    assert_eq!(running.told.close(id), CloseReason::PolicyServed);
    assert_eq!(running.told.all(), []);
}

#[test]
fn a_policy_request_in_the_middle_is_answered_in_its_turn_and_the_conversation_goes_on() {
    for setup in [Setup::new(), Setup::new().any(), Setup::new().settings(|s| s.framing = Framing::Line)] {
        let mut running = setup.policy().serve(Probe::default());
        let mut busy = running.connect();
        for said in ["<hello/>", "<more/>"] {
            busy.send(said);
            busy.send(REQUEST);
            busy.send("<cross-domain-request />");
        }
        busy.half_close();
        let policy = test_policy().to_string();
        for expected in ["<hello/>", &policy, &policy, "<more/>", &policy, &policy] {
            assert_eq!(busy.frame(), expected);
        }
        busy.end();
        let id = running.told.open();
        assert_eq!(running.told.close(id), CloseReason::ByPeer);
        let told = ["<hello/>", "<more/>"].map(|said| Told::Message(id, said.to_owned()));
        assert_eq!(running.told.all(), told, "of the requests the application hears nothing");
    }
}

#[test]
fn policy_requests_count_as_frames_that_come_too_fast() {
    let setup = Setup::new().policy().limits(|limits| {
        limits.frames_per_second_max = 1;
        limits.frames_burst_max = 3;
    });
    let running = setup.serve(Probe::default());
    let mut busy = running.connect();
    busy.write(format!("<hello/>\0{}", format!("{REQUEST}\0").repeat(3)).as_bytes());
    let policy = test_policy().to_string();
    for expected in ["<hello/>", &policy, &policy] {
        assert_eq!(busy.frame(), expected);
    }
    assert!(busy.frame().starts_with("<error code=\"too-fast\""));
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
