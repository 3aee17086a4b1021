//! The ladder of docs/class: each step does what its head says, and fails as its head says.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::embedding::example;
use crate::harness::{Client, DEADLINE};

/// The steps, from the first to the last.
const STEPS: &[(&str, &str)] = &[
    ("01_mirror", include_str!("../../docs/class/steps/01_mirror.rs")),
    ("02_frames", include_str!("../../docs/class/steps/02_frames.rs")),
    ("03_threads", include_str!("../../docs/class/steps/03_threads.rs")),
    ("04_relay", include_str!("../../docs/class/steps/04_relay.rs")),
    ("05_dispatcher", include_str!("../../docs/class/steps/05_dispatcher.rs")),
    ("06_outboxes", include_str!("../../docs/class/steps/06_outboxes.rs")),
    ("07_bounded", include_str!("../../docs/class/steps/07_bounded.rs")),
    ("08_lengths", include_str!("../../docs/class/steps/08_lengths.rs")),
    ("09_deadlines", include_str!("../../docs/class/steps/09_deadlines.rs")),
    ("10_last_words", include_str!("../../docs/class/steps/10_last_words.rs")),
    ("11_join", include_str!("../../docs/class/steps/11_join.rs")),
    ("12_library", include_str!("../../docs/class/steps/12_library.rs")),
];

/// Lines that a step may add to the one before, indentation aside.
const ADDED_MAX: usize = 40;

/// The frames with which a reader that stalls is shown: more than the buffers of the system take.
const FRAMES: usize = 12_000;
const FRAME_BYTES: usize = 2_000;

/// A running step. Ended when dropped.
struct Step {
    child: Child,
    address: SocketAddr,
}

impl Step {
    fn start(name: &str) -> Step {
        let mut command = Command::new(example(name));
        command.arg("127.0.0.1:0").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        Step { child, address }
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// A sender, a receiver and one that will not read, all of them known to the server.
    fn with_stalled_reader(&self) -> (Client, Client, Client) {
        let mut stalled = Client::with_small_buffer(self.address);
        let [mut sender, mut receiver] = [self.connect(), self.connect()];
        meet(&mut sender, &mut receiver);
        meet(&mut sender, &mut stalled);
        meet(&mut receiver, &mut sender);
        (sender, receiver, stalled)
    }

    /// Kilobytes of memory that the server has in use.
    fn resident_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends the input of the server, which then ends.
    fn end(&mut self) -> ExitStatus {
        self.child.stdin = None;
        self.child.wait().unwrap()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets `speaker` speak until `listener` hears it: then the server knows both.
fn meet(speaker: &mut Client, listener: &mut Client) {
    let begun = Instant::now();
    listener.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    while begun.elapsed() < DEADLINE {
        speaker.send("hi");
        if try_frame(listener) {
            listener.stream.set_read_timeout(Some(DEADLINE)).unwrap();
            return;
        }
    }
    panic!("nobody hears it");
}

/// Whether a frame comes in time.
fn try_frame(client: &mut Client) -> bool {
    let mut byte = [0];
    loop {
        match client.stream.read(&mut byte) {
            Ok(1) if byte[0] == 0 => return true,
            Ok(1) => {}
            Ok(_) => panic!("the connection ended"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Sends frames until all are sent, or until none is taken for a while. Gives whether all were.
fn pour(client: &Client) -> bool {
    let mut frame = vec![b'x'; FRAME_BYTES];
    frame.push(0);
    client.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut stream = &client.stream;
    for _ in 0..FRAMES {
        let mut rest = &frame[..];
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return false,
                Err(error) => panic!("{error}"),
            }
        }
    }
    true
}

/// Reads frames until there are as many as were poured.
fn read_all(client: &mut Client) {
    let mut bytes = vec![0; 1 << 16];
    let mut frames = 0;
    while frames < FRAMES {
        let count = client.stream.read(&mut bytes).unwrap();
        assert!(count > 0, "the connection ended after {frames} frames");
        // Words from the beginning may still be there; they are shorter than any read.
        frames += bytes[..count].iter().filter(|byte| **byte == 0).count();
    }
}

/// The lines of a step without its head.
fn code(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with("//!")).map(str::trim).collect()
}

/// How many lines `after` has that are not, in this order, in `before`.
fn added(before: &[&str], after: &[&str]) -> usize {
    let mut longest = vec![vec![0; after.len() + 1]; before.len() + 1];
    for (b, line) in before.iter().enumerate() {
        for (a, other) in after.iter().enumerate() {
            longest[b + 1][a + 1] =
                if line == other { longest[b][a] + 1 } else { longest[b][a + 1].max(longest[b + 1][a]) };
        }
    }
    after.len() - longest[before.len()][after.len()]
}

#[test]
fn each_step_is_a_small_one_and_says_what_is_wrong_with_it() {
    for ((_, before), ((name, after), number)) in STEPS.iter().zip(STEPS[1..].iter().zip(2..)) {
        let added = added(&code(before), &code(after));
        assert!(added <= ADDED_MAX, "{name} adds {added} lines");
        assert!(after.starts_with(&format!("//! Step {number}: ")), "{name}");
    }
    for (name, text) in &STEPS[..STEPS.len() - 1] {
        assert!(text.contains("\n//! What is wrong with it: "), "{name}");
    }
}

#[test]
fn a_read_is_not_a_message() {
    let step = Step::start("01_mirror");
    let mut client = step.connect();
    let mut piece = [0; 3];
    client.write(b"hel");
    client.stream.read_exact(&mut piece).unwrap();
    assert_eq!(&piece, b"leh");
    client.write(b"lo\0");
    client.stream.read_exact(&mut piece).unwrap();
    assert_eq!(&piece, b"\0ol");
}

#[test]
fn a_frame_is_one_in_however_many_reads_it_comes_and_the_next_client_waits() {
    let step = Step::start("02_frames");
    let [mut first, mut second] = [step.connect(), step.connect()];
    second.send("abc");
    first.write(b"hel");
    first.write(b"lo\0");
    assert_eq!(first.frame(), "olleh");
    second.stream.set_nonblocking(true).unwrap();
    assert_eq!(second.stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "nobody has read it yet");
    second.stream.set_nonblocking(false).unwrap();
    drop(first);
    assert_eq!(second.frame(), "cba");
}

#[test]
fn with_a_thread_for_each_nobody_waits_for_another() {
    let step = Step::start("03_threads");
    let _silent = step.connect();
    let mut client = step.connect();
    client.send("abc");
    assert_eq!(client.frame(), "cba");
}

#[test]
fn a_reader_that_stalls_stops_everybody_whether_by_a_lock_or_by_a_channel() {
    for name in ["04_relay", "05_dispatcher"] {
        let step = Step::start(name);
        let (sender, receiver, _stalled) = step.with_stalled_reader();
        let reading = thread::spawn(move || {
            let mut sink = vec![0; 1 << 16];
            while (&receiver.stream).read(&mut sink).is_ok_and(|count| count > 0) {}
        });
        assert!(!pour(&sender), "{name} goes on though one does not read");
        drop(step);
        reading.join().unwrap();
    }
}

#[test]
fn an_outbox_without_a_bound_stops_nobody_and_takes_memory_without_end() {
    let step = Step::start("06_outboxes");
    let (sender, mut receiver, _stalled) = step.with_stalled_reader();
    let before = step.resident_kib();
    let reading = thread::spawn(move || read_all(&mut receiver));
    assert!(pour(&sender));
    reading.join().unwrap();
    let grown = step.resident_kib() - before;
    // The buffers of the system hold the first few megabytes.
    assert!(grown > FRAMES * FRAME_BYTES / 1_024 / 2, "{grown} KiB");
}

#[test]
fn a_bounded_outbox_closes_who_does_not_read() {
    let step = Step::start("07_bounded");
    let (sender, _receiver, mut stalled) = step.with_stalled_reader();
    let mut sender_stream = sender.stream.try_clone().unwrap();
    let before = step.resident_kib();
    let pouring = thread::spawn(move || {
        let mut frame = vec![b'x'; FRAME_BYTES];
        frame.push(0);
        (0..FRAMES).try_for_each(|_| sender_stream.write_all(&frame)).unwrap();
    });
    pouring.join().unwrap();
    let got = stalled.rest().len();
    assert!(got < FRAMES * FRAME_BYTES, "it was let go before it had all");
    let grown = step.resident_kib().saturating_sub(before);
    assert!(grown < FRAMES * FRAME_BYTES / 1_024 / 2, "{grown} KiB");
}

#[test]
fn an_endless_frame_ends_its_connection() {
    let step = Step::start("08_lengths");
    let mut client = step.connect();
    client.write(&[b'x'; 65_536]);
    client.end();
    let mut other = step.connect();
    other.write(&[b'x'; 65_535]);
    other.write(b"\0");
    other.half_close();
    other.end();
}

#[test]
fn one_byte_now_and_then_does_not_hold_a_thread() {
    let step = Step::start("09_deadlines");
    let mut client = step.connect();
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let begun = Instant::now();
    let mut byte = [0];
    while begun.elapsed() < DEADLINE {
        // A write may fail once the server has closed: then the read says so, too.
        let _ = client.stream.write(b"x");
        match client.stream.read(&mut byte) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return,
        }
    }
    panic!("it is still there");
}

#[test]
fn everybody_hears_the_last_word_and_every_thread_ends() {
    for (name, last_word) in [("11_join", Some("<bye reason=\"shutdown\"/>")), ("12_library", None)] {
        let mut step = Step::start(name);
        let [mut ann, mut bob] = [step.connect(), step.connect()];
        meet(&mut ann, &mut bob);
        assert!(step.end().success(), "{name}");
        let mut last = None;
        while let Some(frame) = bob.frame_or_end() {
            last = Some(frame);
        }
        assert_eq!(last.filter(|frame| frame != "hi").as_deref(), last_word, "{name}");
    }
}

#[test]
fn a_server_that_does_not_wait_ends_all_the_same() {
    assert!(Step::start("10_last_words").end().success());
}
