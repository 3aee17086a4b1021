//! The outbox over a socket: what waits and how much, in which order it leaves, and what is last.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::thread;

use socket2::SockRef;

use super::super::batch::Batch;
use super::super::framing::{Framing, Header};
use super::super::waiting::CHUNK_BYTES;
use super::*;
use crate::wire::{Frame, Limits};

/// The longest that a test waits for anything.
const DEADLINE: Duration = Duration::from_secs(10);

/// More than the system keeps for a client that does not read.
const LARGE: usize = 4 << 20;

/// A framing with a header, a ping and a goodbye.
struct Wordy;

impl Encoder for Wordy {
    fn header(&self, bytes: usize) -> Option<Header> {
        Some(Header::new(format!("[{bytes}]").as_bytes()))
    }

    fn encode(&self, _frame: &[u8], _out: &mut Vec<u8>) {}

    fn ping(&self) -> Option<&'static [u8]> {
        Some(b"ping")
    }

    fn goodbye(&self, _reason: &CloseReason) -> Vec<u8> {
        b"goodbye".to_vec()
    }
}

/// An outbox, and the client at the other end of its link.
struct Pair {
    outbox: Outbox,
    outboxes: Arc<Outboxes>,
    client: TcpStream,
}

impl Pair {
    fn new(encoder: Arc<dyn Encoder>, first_bytes: FirstBytes, write_timeout: Option<Duration>) -> Pair {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        let server = listener.accept().unwrap().0;
        SockRef::from(&client).set_recv_buffer_size(64 << 10).unwrap();
        SockRef::from(&server).set_send_buffer_size(64 << 10).unwrap();
        let outboxes = Outboxes::new(&Limits { outbox_bytes_max: 1 << 30, ..Limits::default() });
        let link = Arc::new(Link::new(server));
        let outbox = Outbox::new(link, encoder, first_bytes, Arc::clone(&outboxes), write_timeout);
        Pair { outbox, outboxes, client }
    }

    fn nul() -> Pair {
        Pair::new(Framing::Nul.encoder(true), FirstBytes::Free, None)
    }

    fn wordy() -> Pair {
        Pair::new(Arc::new(Wordy), FirstBytes::Free, None)
    }

    fn push(&self, text: &str) -> Pushed {
        let mut batch = Batch::default();
        let piece = batch.push_shared(&Frame::try_from(text).unwrap());
        self.outbox.push(&Sending::new(&batch), &[piece])
    }

    fn say(&self, bytes: &[u8], is_goodbye: bool) -> Pushed {
        self.outbox.reply(Reply { bytes: bytes.to_vec(), encoder: None }, is_goodbye)
    }

    /// Sends more than the system takes. No writer is started.
    fn fall_behind(&self) {
        assert_eq!(self.outbox.waiting(), None);
        assert_eq!(self.push(&"x".repeat(LARGE)), Pushed::FellBehind);
        let waits = self.waits();
        assert!(waits > CHUNK_BYTES && waits <= LARGE + 20 + 2 * CHUNK_BYTES, "{waits}");
    }

    /// Lets `bytes` bytes wait beside what waits already.
    fn leave_room(&self, bytes: usize) {
        let each = self.waits() + CHUNK_BYTES + bytes;
        self.outboxes.set_limits(&Limits { outbox_bytes_max: each as u64, ..Limits::default() });
    }

    fn waits(&self) -> usize {
        self.outbox.waiting().expect("the client is behind")
    }

    /// What the client gets until nothing more comes, `x`s left out, while a writer sends what waits.
    fn rest(mut self) -> String {
        thread::scope(|scope| {
            scope.spawn(|| self.outbox.catch_up());
            let mut got = Vec::new();
            self.client.read_to_end(&mut got).unwrap();
            got.retain(|byte| *byte != b'x');
            String::from_utf8(got).unwrap()
        })
    }

    fn reads(&mut self, expected: &str) {
        let mut got = vec![0; expected.len()];
        self.client.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), expected);
    }
}

#[test]
fn what_waits_may_be_as_much_as_the_bound_and_not_a_byte_more() {
    let pair = Pair::nul();
    pair.fall_behind();
    pair.leave_room(10);
    assert_eq!(pair.push("123456789"), Pushed::Done);
    assert_eq!(pair.waits(), pair.outboxes.each_max());
    assert_eq!((pair.outbox.link().killed(), pair.outbox.link().is_open()), (None, true));
    pair.leave_room(9);
    assert_eq!(pair.push("123456789"), Pushed::Overflow);
    assert_eq!(pair.outbox.link().killed(), Some(CloseReason::TooSlow));

    // Once the system took a part, what is left is what counts.
    let pair = Pair::nul();
    pair.outboxes.set_limits(&Limits { outbox_bytes_max: 1, ..Limits::default() });
    assert_eq!(pair.push("who takes what it is sent needs no bound"), Pushed::Done);
    assert_eq!(pair.push(&"x".repeat(LARGE)), Pushed::Overflow);
    assert_eq!(pair.outbox.link().killed(), Some(CloseReason::TooSlow));
}

#[test]
fn what_a_framing_says_waits_within_the_same_bound() {
    let pair = Pair::nul();
    pair.fall_behind();
    pair.leave_room(4);
    assert_eq!(pair.say(b"1234", false), Pushed::Done);
    assert_eq!(pair.waits(), pair.outboxes.each_max());
    pair.leave_room(3);
    let line = Some(Framing::Line.encoder(true));
    assert_eq!(pair.outbox.reply(Reply { bytes: b"1234".to_vec(), encoder: line }, true), Pushed::Overflow);
    assert_eq!(pair.waits() + CHUNK_BYTES + 3, pair.outboxes.each_max());
    assert_eq!((pair.outbox.ping(), pair.say(b"", false)), (Pushed::Done, Pushed::Done), "nothing always fits");
    // What was refused changes nothing.
    pair.leave_room(100);
    assert_eq!(pair.push("after"), Pushed::Done);
    assert_eq!(pair.outbox.finish(&CloseReason::PolicyServed), Pushed::Done);
    assert_eq!(pair.rest(), "\x001234after\0");

    let mut pair = Pair::wordy();
    pair.outboxes.set_limits(&Limits { outbox_bytes_max: 1, ..Limits::default() });
    assert_eq!((pair.say(b"level", false), pair.outbox.ping()), (Pushed::Done, Pushed::Done));
    pair.reads("levelping");
}

#[test]
fn all_arrives_in_the_order_of_the_decisions_whoever_sends_it() {
    let mut pair = Pair::wordy();
    assert_eq!(pair.push("first"), Pushed::Done);
    pair.reads("[6]first\0");
    pair.fall_behind();
    let nul = Some(Framing::Nul.encoder(true));
    assert_eq!(pair.push("a"), Pushed::Done);
    assert_eq!(pair.outbox.reply(Reply { bytes: b"pong".to_vec(), encoder: nul }, false), Pushed::Done);
    assert_eq!(pair.push("b"), Pushed::Done);
    assert_eq!(pair.outbox.finished(), None);
    assert_eq!(pair.outbox.finish(&CloseReason::PolicyServed), Pushed::Done);
    assert_eq!(pair.outbox.finished(), None, "bytes wait");
    assert_eq!(pair.rest(), format!("[{}]\0[2]a\0pongb\0", LARGE + 1));
}

#[test]
fn who_took_all_is_sent_to_at_once_again() {
    let mut pair = Pair::nul();
    pair.fall_behind();
    let Pair { outbox, client, .. } = &mut pair;
    thread::scope(|scope| {
        let writer = scope.spawn(|| outbox.catch_up());
        let mut sent = vec![0; LARGE + 1];
        client.read_exact(&mut sent).unwrap();
        // Most likely the writer waits for this one; if not, it is sent at once.
        let mut batch = Batch::default();
        let piece = batch.push_shared(&Frame::try_from("more").unwrap());
        assert_eq!(outbox.push(&Sending::new(&batch), &[piece]), Pushed::Done);
        client.read_exact(&mut sent[..5]).unwrap();
        assert_eq!(&sent[..5], b"more\0");
        writer.join().unwrap();
    });
    assert_eq!(pair.outbox.waiting(), None);
    assert!(pair.outbox.link().is_open());
    assert_eq!(pair.push("again"), Pushed::Done);
    pair.reads("again\0");
}

#[test]
fn a_goodbye_is_said_once_and_last() {
    for (is_said_by_the_framing, is_behind) in [(true, false), (false, false), (true, true), (false, true)] {
        let pair = Pair::wordy();
        if is_behind {
            pair.fall_behind();
        }
        if is_said_by_the_framing {
            assert_eq!(pair.say(b"goodbye", true), Pushed::Done);
            assert_eq!((pair.push("a"), pair.say(b"b", false), pair.outbox.ping()), {
                (Pushed::Done, Pushed::Done, Pushed::Done)
            });
        }
        assert_eq!(pair.outbox.finish(&CloseReason::PolicyServed), Pushed::Done);
        assert_eq!(pair.outbox.finished().is_some(), !is_behind);
        assert!(!pair.outbox.link().is_open(), "what is read does not matter any more");
        assert_eq!((pair.push("a"), pair.say(b"b", false), pair.outbox.ping()), {
            (Pushed::Done, Pushed::Done, Pushed::Done)
        });
        assert_eq!(pair.outbox.finish(&CloseReason::PolicyServed), Pushed::Done);
        assert_eq!(pair.outbox.link().killed(), None, "nothing was tried");
        let got = pair.rest();
        let before = if is_behind { format!("[{}]\0", LARGE + 1) } else { String::new() };
        assert_eq!(got, format!("{before}goodbye"));
    }
}

#[test]
fn the_end_is_noted_when_all_was_sent_and_stays() {
    let mut pair = Pair::nul();
    pair.fall_behind();
    pair.outbox.finish(&CloseReason::PolicyServed);
    let Pair { outbox, client, .. } = &mut pair;
    thread::scope(|scope| {
        let writer = scope.spawn(|| outbox.catch_up());
        assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), LARGE + 1);
        writer.join().unwrap();
    });
    let finished = pair.outbox.finished();
    assert!(finished.is_some());
    pair.outbox.finish(&CloseReason::PolicyServed);
    assert_eq!(pair.outbox.finished(), finished);
}

#[test]
fn a_goodbye_that_the_system_does_not_take_waits() {
    let pair = Pair::wordy();
    pair.fall_behind();
    // Fill what is left of the system's buffer, as if the writer had ended just before.
    pair.outbox.lock().waiting.clear();
    pair.outbox.lock().behind = false;
    while !matches!(pair.outbox.link().try_send(&[b'x'; 1000]), Err(error) if error.kind() == ErrorKind::WouldBlock) {}
    assert_eq!(pair.outbox.finish(&CloseReason::PolicyServed), Pushed::FellBehind);
    assert_eq!((pair.outbox.waiting(), pair.outbox.finished()), (Some(CHUNK_BYTES + 7), None));
    assert!(pair.rest().ends_with("goodbye"));
}

#[test]
fn who_was_sent_nothing_can_be_left_to_its_own_thread() {
    let pair = Pair::wordy();
    assert!(pair.outbox.withdraw());
    assert_eq!((pair.push("a"), pair.say(b"b", false), pair.outbox.ping()), (Pushed::Done, Pushed::Done, Pushed::Done));
    pair.outbox.finish(&CloseReason::PolicyServed);
    assert_eq!(pair.rest(), "");

    let mut pair = Pair::wordy();
    assert_eq!(pair.push("a"), Pushed::Done);
    assert!(!pair.outbox.withdraw());
    assert_eq!(pair.push("b"), Pushed::Done);
    pair.reads("[2]a\0[2]b\0");
}

#[test]
fn what_is_held_waits_for_the_client_to_speak_and_arrives_in_order() {
    let held = || Pair::new(Framing::Nul.encoder(true), FirstBytes::of_silent(&[80]), None);
    let pair = held();
    assert_eq!((pair.push("a"), pair.push("b"), pair.say(b"c", false)), (Pushed::Held, Pushed::Done, Pushed::Done));
    assert_eq!(pair.waits(), 5 + 3 * CHUNK_BYTES);
    assert_eq!((pair.outbox.release(), pair.outbox.release()), (Pushed::FellBehind, Pushed::Done));
    assert!(!pair.outbox.withdraw(), "it is on its way");
    assert_eq!(pair.push("d"), Pushed::Done);
    pair.outbox.finish(&CloseReason::PolicyServed);
    assert_eq!(pair.rest(), "a\0b\0cd\0");

    // Nothing was held.
    let mut pair = held();
    assert_eq!((pair.outbox.waiting(), pair.outbox.release(), pair.outbox.waiting()), (Some(0), Pushed::Done, None));
    assert_eq!(pair.push("a"), Pushed::Done);
    pair.reads("a\0");

    // What is held leaves no more once the client's own thread answers, or once it is over.
    for by_its_own_thread in [true, false] {
        let pair = held();
        assert_eq!(pair.push("a"), Pushed::Held);
        if by_its_own_thread {
            assert!(pair.outbox.withdraw());
        } else {
            assert_eq!(pair.outbox.finish(&CloseReason::PolicyServed), Pushed::Done);
            assert!(pair.outbox.finished().is_some());
        }
        assert_eq!(pair.waits(), 0);
        assert_eq!((pair.outbox.release(), pair.outbox.waiting()), (Pushed::Done, None));
    }

    // The bound holds for it, too.
    let pair = held();
    pair.outboxes.set_limits(&Limits { outbox_bytes_max: 9, ..Limits::default() });
    assert_eq!(pair.push("a"), Pushed::Overflow);
}

#[test]
fn who_takes_nothing_for_too_long_is_let_go() {
    let pair = Pair::new(Framing::Nul.encoder(true), FirstBytes::Free, Some(Duration::from_millis(1)));
    pair.fall_behind();
    pair.outbox.catch_up();
    assert_eq!(pair.outbox.link().killed(), Some(CloseReason::WriteTimeout));
    assert_eq!(pair.waits(), 0, "nothing waits for who is gone");
}

#[test]
fn who_has_left_is_let_go_by_whoever_writes() {
    let gone = |pair: &Pair| {
        SockRef::from(&pair.client).set_linger(Some(Duration::ZERO)).unwrap();
        SockRef::from(&pair.client).shutdown(std::net::Shutdown::Both).unwrap();
    };
    for is_behind in [false, true] {
        let pair = Pair::nul();
        if is_behind {
            pair.fall_behind();
        }
        gone(&pair);
        let Pair { outbox, client, .. } = pair;
        drop(client);
        if is_behind {
            outbox.catch_up();
        } else {
            let mut batch = Batch::default();
            let piece = batch.push_shared(&Frame::default());
            let started = Instant::now();
            while !outbox.link().is_dead() {
                assert!(started.elapsed() < DEADLINE, "the system says so at once, or the second time");
                assert_eq!(outbox.push(&Sending::new(&batch), &[piece]), Pushed::Done);
            }
        }
        assert!(matches!(outbox.link().killed(), Some(CloseReason::Lost(_))), "{:?}", outbox.link().killed());
        assert_eq!(outbox.waiting(), is_behind.then_some(0));
    }
}

#[test]
fn what_is_discarded_waits_no_more_and_nothing_follows() {
    let pair = Pair::nul();
    pair.fall_behind();
    pair.outbox.discard();
    assert_eq!((pair.waits(), pair.push("a"), pair.waits()), (0, Pushed::Done, 0));
    // Whoever waited for more ends.
    let got = pair.rest();
    assert_eq!(got, "", "what the system had taken is not taken back");
}

#[test]
fn a_header_that_was_sent_in_part_goes_on_where_it_was_cut() {
    for (sent, rest) in
        [(0, ("[12]", 12)), (1, ("12]", 12)), (3, ("]", 12)), (4, ("", 12)), (5, ("", 11)), (16, ("", 0))]
    {
        assert_eq!(left(b"[12]", 12, sent), (rest.0.as_bytes(), rest.1), "{sent}");
    }
    let pair = Pair::wordy();
    pair.fall_behind();
    pair.outbox.lock().waiting.clear();
    pair.outbox.lock().behind = false;
    while !matches!(pair.outbox.link().try_send(&[b'x'; 1000]), Err(error) if error.kind() == ErrorKind::WouldBlock) {}
    assert_eq!(pair.push("whole"), Pushed::FellBehind);
    assert_eq!(pair.waits(), 2 * CHUNK_BYTES + "[6]whole.".len());
    pair.outbox.finish(&CloseReason::PolicyServed);
    assert!(pair.rest().ends_with("[6]whole\0goodbye"));
}

#[test]
fn nothing_follows_a_message_that_was_cut_off() {
    for (encoder, header) in
        [(Framing::Nul.encoder(true), String::new()), (Arc::new(Wordy), format!("[{}]", LARGE + 1))]
    {
        let mut pair = Pair::new(encoder, FirstBytes::Free, None);
        pair.outboxes.set_limits(&Limits { outbox_bytes_max: 1 << 20, ..Limits::default() });
        assert_eq!(pair.push(&"x".repeat(LARGE)), Pushed::Overflow);
        // The application had closed it in the same breath: then that is why it is let go.
        assert_eq!(pair.outbox.finish(&CloseReason::PolicyServed), Pushed::Done);
        let mut got = Vec::new();
        pair.client.read_to_end(&mut got).unwrap();
        let payload = got.strip_prefix(header.as_bytes()).unwrap();
        assert!(!payload.is_empty() && payload.iter().all(|byte| *byte == b'x'), "{header}");
    }
}
