//! A relay's receivers that say nothing: they miss nothing from the moment they are connected, and who was no receiver
//! hears nothing.

use std::io::Read;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use xmlsocket::relay::Relay;
use xmlsocket::server::{
    Answer, CloseReason, ConnectionId, DecodeEnd, Decoded, Decoder, Door, Encoder, Framed, Framing, Header,
    ListenerSettings, Transport, Visitor,
};

use crate::harness::{Client, DEADLINE, Note, Random, Running, Setup, lock, log_lines, test_policy};

const REQUEST: &str = "<policy-file-request/>";

/// A relay that echoes and serves a policy; nobody is known for its silence.
fn setup() -> Setup {
    Setup::new().any().policy().limits(|limits| limits.announce_seconds = 1_000)
}

fn relay(setup: Setup) -> Running {
    setup.serve_service(Relay::new(true))
}

/// A client that says nothing, once the server has accepted it.
fn silent(running: &mut Running) -> (Client, ConnectionId) {
    let client = running.connect();
    let id = running.notes.wait("a connection accepted", |note| match note {
        Note::Accepted(id) => Some(*id),
        _ => None,
    });
    (client, id)
}

/// A client that the application knows.
fn talker(running: &mut Running) -> Client {
    let (mut client, _) = silent(running);
    say(&mut client, "here");
    client
}

/// Says something, and waits until everybody has been sent it.
fn say(client: &mut Client, text: &str) {
    client.send(text);
    while client.frame() != text {}
}

#[track_caller]
fn hears(client: &mut Client, expected: &[&str]) {
    for expected in expected {
        assert_eq!(client.frame(), *expected);
    }
}

/// The next bytes must be `expected`, whatever they mean.
#[track_caller]
fn reads(client: &mut Client, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    client.stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn a_silent_receiver_misses_nothing_from_the_moment_it_is_connected() {
    let mut running = relay(setup());
    let mut ann = talker(&mut running);
    let (mut bob, _) = silent(&mut running);
    for text in ["1", "", " <a b='c'/>\n", "%xt%z%"] {
        say(&mut ann, text);
    }
    let (mut eve, _) = silent(&mut running);
    say(&mut ann, "5");
    // Its first byte is not yet its first frame.
    bob.write(b"bo");
    say(&mut ann, "6");
    bob.write(b"b\0");
    hears(&mut bob, &["1", "", " <a b='c'/>\n", "%xt%z%", "5", "6", "bob"]);
    hears(&mut ann, &["bob"]);
    say(&mut ann, "7");
    hears(&mut bob, &["7"]);
    eve.send("");
    hears(&mut eve, &["5", "6", "bob", "7", ""]);
}

#[test]
fn a_receiver_that_stays_silent_hears_of_its_first_second_when_it_is_over() {
    let mut running = relay(setup().limits(|limits| limits.announce_seconds = 1));
    let mut ann = talker(&mut running);
    let (mut bob, _) = silent(&mut running);
    say(&mut ann, "1");
    say(&mut ann, "2");
    hears(&mut bob, &["1", "2"]);
    say(&mut ann, "3");
    hears(&mut bob, &["3"]);
}

#[test]
fn who_is_known_at_once_misses_nothing_either() {
    let mut setup = setup().limits(|limits| limits.announce_seconds = 0);
    setup.settings.policy = None;
    let mut running = relay(setup);
    let mut ann = talker(&mut running);
    let (mut bob, _) = silent(&mut running);
    say(&mut ann, "1");
    hears(&mut bob, &["1"]);
}

#[test]
fn who_asks_for_the_policy_or_for_a_page_hears_nothing_of_it() {
    let mut running = relay(setup());
    let mut ann = talker(&mut running);
    let [mut player, mut browser, mut port_scanner] = [0; 3].map(|_| silent(&mut running).0);
    say(&mut ann, "for clients");
    player.send(REQUEST);
    hears(&mut player, &[&test_policy().to_string()]);
    player.end();
    browser.write(b"GET / HTTP/1.1\r\n\r\n");
    let page = String::from_utf8(browser.rest()).unwrap();
    assert!(page.starts_with("HTTP/1.1 ") && !page.contains("for clients"), "{page}");
    port_scanner.half_close();
    port_scanner.end();
    assert_eq!(running.notes.all().iter().filter(|note| matches!(note, Note::Opened(_))).count(), 1);
}

#[test]
fn a_stream_hears_from_its_root_on_what_was_sent_since_it_was_connected() {
    let mut running = relay(setup().settings(|settings| settings.framing = Framing::Stream));
    let (mut ann, _) = silent(&mut running);
    let (mut bob, _) = silent(&mut running);
    ann.write(b"<r><a/>");
    reads(&mut ann, b"<r><a/>");
    bob.write(b"<s>");
    reads(&mut bob, b"<s><a/>");
}

#[test]
fn who_has_waited_through_more_than_may_wait_is_closed_and_the_log_says_why() {
    let setup = setup().limits(|limits| {
        limits.frame_bytes_max = 1_000;
        limits.outbox_bytes_max = 5_000;
    });
    let mut running = relay(setup);
    let mut ann = talker(&mut running);
    let (mut bob, id) = silent(&mut running);
    let text = "x".repeat(900);
    (0..6).for_each(|_| say(&mut ann, &text));
    let (mut eve, _) = silent(&mut running);
    say(&mut ann, "last");
    bob.send("bob");
    bob.end();
    assert_eq!(running.notes.closed(id), CloseReason::TooSlow);
    let line = format!("{id} was not known until more than outbox_bytes_max had been sent to everybody");
    assert!(lock(log_lines()).iter().any(|logged| logged.contains(&line)));
    eve.send("eve");
    hears(&mut eve, &["last", "eve"]);
    hears(&mut ann, &["eve"]);
}

/// Lets a connection in as another protocol's, with its own word before what is sent, once the test says so.
struct SlowDoor {
    asked: Sender<()>,
    go: Receiver<()>,
}

struct Marked;

impl Door for SlowDoor {
    fn answer(&self, _: &mut Visitor<'_>) -> Answer {
        self.asked.send(()).unwrap();
        self.go.recv_timeout(DEADLINE).unwrap();
        let framing = Framed { decoder: Box::new(Marked), encoder: Arc::new(Marked) };
        Answer::Upgraded { framing, transport: Transport::named("marked"), unread: Vec::new() }
    }
}

impl Decoder for Marked {
    fn decode(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(usize, Decoded), DecodeEnd> {
        Ok((0, Decoded::Unfinished))
    }
    fn is_unfinished(&self) -> bool {
        false
    }
}

impl Encoder for Marked {
    fn header(&self, _: usize) -> Option<Header> {
        Some(Header::new(b"marked:"))
    }
    fn encode(&self, _: &[u8], _: &mut Vec<u8>) {}
}

#[test]
fn who_comes_through_the_door_misses_nothing_meanwhile() {
    for announce_seconds in [0, 1_000] {
        let ((asked, asks), (goes, go)) = (unbounded(), unbounded());
        let door = Arc::new(SlowDoor { asked, go });
        let set = |settings: &mut ListenerSettings| settings.http = Some(door);
        let mut running = relay(setup().settings(set).limits(|limits| limits.announce_seconds = announce_seconds));
        let mut ann = talker(&mut running);
        let (mut bob, id) = silent(&mut running);
        if announce_seconds == 0 {
            // The application knows it, and has to forget it again.
            running.notes.wait("the second opened", |note| (*note == Note::Opened(id)).then_some(()));
        }
        bob.write(b"GET / HTTP/1.1\r\n\r\n");
        asks.recv_timeout(DEADLINE).unwrap();
        say(&mut ann, "1");
        say(&mut ann, "2");
        goes.send(()).unwrap();
        reads(&mut bob, b"marked:1\x002\x00");
    }
}

/// Receivers come at any time and speak at any time, while somebody talks without pause: each hears all from some frame
/// on, in order, until the end.
#[test]
fn whenever_a_receiver_comes_and_speaks_nothing_is_lost_or_out_of_order() {
    let seed = std::process::id().into();
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut running = relay(setup());
    let mut ann = talker(&mut running);
    let mut receivers = Vec::new();
    for number in 0..500 {
        ann.send(&number.to_string());
        if random.below(20) == 0 {
            receivers.push((silent(&mut running).0, number, false));
        }
        let some = random.below(40);
        if let Some((receiver, _, speaks @ false)) = receivers.get_mut(some) {
            receiver.send("spoke");
            *speaks = true;
        }
    }
    say(&mut ann, "end");
    for (mut receiver, came, spoke) in receivers {
        if !spoke {
            receiver.send("spoke");
        }
        let heard = std::iter::from_fn(|| Some(receiver.frame()).filter(|frame| frame != "end"));
        let numbers: Vec<usize> = heard.filter_map(|frame| frame.parse().ok()).collect();
        let first = numbers.first().copied().unwrap_or(500);
        assert!(first <= came + 1, "it came after {came} and its first was {first}");
        assert_eq!(numbers, (first..500).collect::<Vec<_>>());
    }
}
