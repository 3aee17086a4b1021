//! Tests of the tape: what receivers may get, and each thing that they may not.

use super::super::payload::Payload;
use super::super::vocabulary::{Preset, Vocabulary};
use super::*;

/// Counts what is heard.
#[derive(Default)]
struct Count {
    marks: Vec<(usize, u64)>,
    others: Vec<String>,
}

impl Ear for Count {
    fn delivered(&mut self, mark: Mark) {
        self.marks.push((mark.sender, mark.number));
    }

    fn other(&mut self, frame: &[u8]) {
        self.others.push(String::from_utf8_lossy(frame).into_owned());
    }
}

fn shape() -> Shape {
    let relay = Vocabulary::of(Preset::Relay);
    Shape::new(&relay.deliver, &relay.delimiter, Payload::new(40)).unwrap()
}

fn frames(marks: &[(usize, u64)]) -> Vec<u8> {
    let (mut out, mut payload) = (Vec::new(), Vec::new());
    for &(sender, number) in marks {
        Payload::new(40).write(Mark { sender, number }, &mut payload);
        out.extend_from_slice(b"<m>");
        out.extend_from_slice(&payload);
        out.extend_from_slice(b"</m>\0");
    }
    out
}

#[test]
fn all_who_hear_the_same_stay_on_the_tape_however_it_is_cut() {
    let (shape, mut tape) = (shape(), Tape::new(2));
    let marks = [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)];
    let stream = frames(&marks);
    for cut in 0..=stream.len() {
        let (mut hearing, mut ear) = (tape.hearing(true), Count::default());
        let done = tape.hear(&shape, &mut hearing, &stream[..cut], &mut ear).unwrap();
        let more = tape.hear(&shape, &mut hearing, &stream[done..], &mut ear).unwrap();
        assert_eq!(done + more, stream.len());
        assert_eq!(ear.marks, marks, "cut at {cut}");
        assert_eq!((hearing.heard, hearing.place), (5, Some(tape.end())));
    }
}

#[test]
fn another_order_is_no_fault_and_leads_back_to_the_tape() {
    let (shape, mut tape) = (shape(), Tape::new(2));
    let (mut ann, mut bob) = (tape.hearing(true), tape.hearing(true));
    let ear = &mut Count::default();
    tape.hear(&shape, &mut ann, &frames(&[(0, 0), (0, 1), (1, 0), (0, 2)]), ear).unwrap();
    tape.hear(&shape, &mut bob, &frames(&[(0, 0), (1, 0), (0, 1)]), ear).unwrap();
    assert_eq!((bob.place, bob.next.as_slice()), (None, &[2, 1][..]));
    tape.hear(&shape, &mut bob, &frames(&[(0, 2)]), ear).unwrap();
    assert_eq!(bob.place, Some(tape.end()));
}

#[test]
fn a_gap_a_repeat_a_torn_frame_and_a_stranger_are_found_on_the_tape_and_off_it() {
    let shape = shape();
    let good = frames(&[(0, 0), (0, 1), (0, 2), (1, 0)]);
    let torn = [&frames(&[(0, 0)])[..], &frames(&[(0, 1)])[..20], &frames(&[(0, 2), (0, 3)])].concat();
    let cases = [
        (frames(&[(0, 0), (0, 2)]), Flaw::Gap { sender: 0, expected: 1, got: 2 }),
        (frames(&[(0, 0), (0, 1), (0, 1)]), Flaw::Repeated { sender: 0, expected: 2, got: 1 }),
        (frames(&[(0, 0), (7, 0)]), Flaw::Foreign { sender: 7 }),
    ];
    for (stream, fault) in cases {
        for leader_first in [false, true] {
            let mut tape = Tape::new(2);
            let (mut leader, mut hearing) = (tape.hearing(true), tape.hearing(true));
            if leader_first {
                tape.hear(&shape, &mut leader, &good, &mut Count::default()).unwrap();
            }
            let result = tape.hear(&shape, &mut hearing, &stream, &mut Count::default());
            assert_eq!(result, Err(fault.clone()), "leader first: {leader_first}");
        }
    }
    let mut tape = Tape::new(2);
    let result = tape.hear(&shape, &mut tape.hearing(true), &torn, &mut Count::default());
    assert!(matches!(result, Err(Flaw::Torn { expected: 1, .. })), "{result:?}");
}

#[test]
fn who_does_not_hear_itself_is_checked_all_the_same() {
    let (shape, mut tape) = (shape(), Tape::new(2));
    let mut sender = tape.hearing(false);
    let ear = &mut Count::default();
    tape.hear(&shape, &mut sender, &frames(&[(1, 0), (1, 1)]), ear).unwrap();
    assert_eq!((sender.heard, sender.place), (2, None));
    let result = tape.hear(&shape, &mut sender, &frames(&[(1, 3)]), ear);
    assert_eq!(result, Err(Flaw::Gap { sender: 1, expected: 2, got: 3 }));
}

#[test]
fn what_all_have_heard_is_forgotten() {
    let (shape, mut tape) = (shape(), Tape::new(1));
    let mut hearings = [tape.hearing(true), tape.hearing(true)];
    for round in 0..100 {
        let marks: Vec<_> = (0..1000).map(|n| (0, round * 1000 + n)).collect();
        let stream = frames(&marks);
        for hearing in &mut hearings {
            tape.hear(&shape, hearing, &stream, &mut Count::default()).unwrap();
        }
        tape.trim(&mut hearings);
        assert!(tape.bytes.len() <= KEPT_BYTES + stream.len());
    }
    assert_eq!((hearings[0].heard, hearings[1].heard), (100_000, 100_000));
}

#[test]
fn other_frames_between_are_handed_on_and_change_nothing() {
    let (shape, mut tape) = (shape(), Tape::new(1));
    let (mut ann, mut bob, mut ear) = (tape.hearing(true), tape.hearing(true), Count::default());
    tape.hear(&shape, &mut ann, &frames(&[(0, 0), (0, 1)]), &mut ear).unwrap();
    let stream = [&frames(&[(0, 0)])[..], b"<ping/>\0", &frames(&[(0, 1)])].concat();
    tape.hear(&shape, &mut bob, &stream, &mut ear).unwrap();
    assert_eq!(ear.others, ["<ping/>"]);
    assert_eq!(bob.place, Some(tape.end()));
}

#[test]
fn who_gets_other_bytes_than_the_others_where_they_vary_is_found() {
    let chat = Vocabulary::of(Preset::Chat);
    let shape = Shape::new(&chat.deliver, &chat.delimiter, Payload::new(40)).unwrap();
    let message = |id: &str, number| {
        let mut payload = Vec::new();
        Payload::new(40).write(Mark { sender: 0, number }, &mut payload);
        [b"<message id=\"", id.as_bytes(), b"\">", &payload, b"</message>\0"].concat()
    };
    let (mut tape, ear) = (Tape::new(1), &mut Count::default());
    let (mut ann, mut bob) = (tape.hearing(true), tape.hearing(true));
    tape.hear(&shape, &mut ann, &[message("9", 0), message("10", 1)].concat(), ear).unwrap();
    let result = tape.hear(&shape, &mut bob, &[message("9", 0), message("100", 1)].concat(), ear);
    assert!(matches!(result, Err(Flaw::Altered { mark: Mark { sender: 0, number: 1 }, .. })), "{result:?}");
}
