//! WebSocket messages: what they bring at whatever cut, what they cost, when something has begun.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What a stream amounts to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    frames: Vec<u8>,
    replies: Vec<u8>,
    as_text: bool,
    /// How many steps brought nothing.
    idle: usize,
    end: Option<String>,
}

/// A client, read in pieces.
#[derive(Default)]
struct Reader {
    messages: Messages,
    heard: Heard,
}

impl Reader {
    fn read(&mut self, mut bytes: &[u8]) {
        while self.heard.end.is_none() {
            let heard = &mut self.heard;
            match self.messages.decode(bytes, &mut heard.frames) {
                Ok((used, decoded)) => {
                    bytes = &bytes[used..];
                    match decoded {
                        Decoded::Frames => {}
                        Decoded::Reply(reply) => {
                            heard.replies.extend(reply.bytes);
                            heard.as_text |= reply.encoder.is_some_and(|encoder| Arc::ptr_eq(&encoder, &TEXTS));
                        }
                        Decoded::Idle => heard.idle += 1,
                        Decoded::Unfinished => return assert!(bytes.is_empty(), "all is used"),
                    }
                }
                Err(end) => {
                    heard.replies.extend(end.reply);
                    heard.end = Some(format!("{:?}", end.reason));
                }
            }
        }
    }
}

/// What a stream amounts to, in pieces of these lengths.
fn decode(stream: &[u8], pieces: &[usize]) -> Heard {
    let mut reader = Reader::default();
    let mut rest = stream;
    for piece in pieces.iter().cycle() {
        let (piece, after) = rest.split_at(rest.len().min(*piece));
        reader.read(piece);
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    reader.heard
}

/// A fragment with this first byte, masked.
fn fragment(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x22, 0x83, 0xF4];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length => bytes.extend([&[0x80 | 126][..], &(length as u16).to_be_bytes()].concat()),
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A message or a fragment, well made or not quite.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x80, 0x00, 0x89, 0x8A]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![Just(b"<a/>\0".to_vec()), Just("é".into()), vec(any::<u8>(), 0..300)];
    (first, payload, prop::bool::weighted(0.95)).prop_map(|(first, payload, masked)| {
        let mut bytes = fragment(first, &payload);
        if !masked {
            bytes[1] &= 0x7f;
        }
        bytes
    })
}

#[test]
fn frames_that_ended_before_what_is_no_text_have_come_in_whatever_pieces() {
    for payload in [&b"a\0b\0\x80"[..], b"a\0b\0\xc3(", b"a\0b\0\xc3", b"a\0b\0\xe2\x82\0"] {
        let stream = fragment(0x81, payload);
        for length in 1..=stream.len() {
            let heard = decode(&stream, &[length]);
            assert!(heard.frames.starts_with(b"a\0b\0"), "{} in pieces of {length}", payload.escape_ascii());
            assert_eq!(heard.frames.iter().filter(|byte| **byte == NUL).count(), 2, "{}", payload.escape_ascii());
        }
    }
}

proptest! {
    #[test]
    fn a_stream_means_the_same_however_it_is_cut(
        stream in vec(piece(), 0..12),
        tail in vec(any::<u8>(), 0..20),
        pieces in vec(1_usize..400, 1..8),
    ) {
        let stream = [stream.concat(), tail].concat();
        let mut whole = decode(&stream, &[stream.len().max(1)]);
        for pieces in [&pieces[..], &[1]] {
            let mut cut = decode(&stream, pieces);
            if whole.end.is_some() {
                // Of text that is none, more or less may have been handed on; no frame of it was ended.
                for heard in [&mut cut, &mut whole] {
                    let end = heard.frames.iter().rposition(|byte| *byte == NUL).map_or(0, |at| at + 1);
                    heard.frames.truncate(end);
                }
            }
            prop_assert_eq!(&cut, &whole);
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in(
        contents in vec("[a\n\r<>é]{0,9}", 0..9),
        cuts in vec(0_usize..9, 0..9),
        as_text in any::<bool>(),
    ) {
        // As text a message each, as bytes all in one, in fragments with pings between them.
        let sent: Vec<u8> = contents.iter().flat_map(|content| [content.as_bytes(), b"\0"].concat()).collect();
        let stream = if as_text {
            contents.iter().flat_map(|content| fragment(0x81, content.as_bytes())).collect()
        } else {
            let (mut stream, mut rest, mut kind) = (Vec::new(), &sent[..], BINARY);
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                stream.extend(fragment(kind, part));
                stream.extend(fragment(0x80 | PING, b"?"));
                (rest, kind) = (after, CONTINUATION);
            }
            stream.extend(fragment(0x80 | kind, rest));
            stream
        };
        let heard = decode(&stream, &[stream.len().max(1)]);
        prop_assert_eq!(heard.frames, sent);
        prop_assert_eq!(heard.end, None);
    }
}

#[test]
fn the_first_message_says_how_to_answer() {
    for (stream, as_text) in [
        ([fragment(0x82, b"\0"), fragment(0x81, b"a")].concat(), false),
        ([fragment(0x81, b"a"), fragment(0x82, b"\0")].concat(), true),
        ([fragment(0x89, b""), fragment(0x82, b""), fragment(0x81, b"")].concat(), true),
        ([fragment(0x02, b""), fragment(0x80, b"\0"), fragment(0x81, b"a")].concat(), false),
        ([fragment(0x02, b""), fragment(0x80, b""), fragment(0x01, b""), fragment(0x80, b"a")].concat(), true),
    ] {
        assert_eq!(decode(&stream, &[7]).as_text, as_text, "{}", stream.escape_ascii());
    }
}

#[test]
fn whatever_ends_no_frame_is_counted() {
    for (what, stream, idle) in [
        ("a message", fragment(0x82, b"<a/>\0"), 0),
        ("a text", fragment(0x81, b""), 0),
        ("an empty message", fragment(0x82, b""), 1),
        ("a pong", fragment(0x8a, b"x"), 1),
        ("empty fragments", [fragment(0x02, b"<a/>\0"), fragment(0, b"").repeat(9), fragment(0x80, b"")].concat(), 10),
        ("a fragment a byte", [fragment(0x01, b"<"), fragment(0, b"a").repeat(9)].concat(), 9),
        ("a message a byte", fragment(0x82, b"a").repeat(10), 9),
    ] {
        for length in [1, 6, 1_000] {
            assert_eq!(decode(&stream, &[length]).idle, idle, "{what} in pieces of {length}");
        }
    }
}

#[test]
fn a_message_has_begun_until_it_ends_whatever_comes_between() {
    let mut reader = Reader::default();
    let ping = fragment(0x89, b"?");
    for (bytes, unfinished) in [
        (&b""[..], false),
        (&ping, false),
        (&ping[..1], true),
        (&ping[1..], false),
        (&fragment(0x02, b"<a/>\0"), true),
        (&ping, true),
        (&fragment(0x00, b"<a/>\0"), true),
        (&fragment(0x80, b"<a/>\0"), false),
        (&fragment(0x82, b"<a/>\0")[..9], true),
        (&fragment(0x82, b"<a/>\0")[9..], false),
    ] {
        reader.read(bytes);
        assert_eq!(reader.messages.is_unfinished(), unfinished, "after {}", bytes.escape_ascii());
    }
}

#[test]
fn one_thing_at_a_time_is_decoded() {
    let stream = [fragment(0x82, b"<a/>\0<b/>\0"), fragment(0x89, b""), fragment(0x82, b"<c/>\0")].concat();
    let (mut messages, mut frames) = (Messages::default(), Vec::new());
    let (used, decoded) = messages.decode(&stream, &mut frames).unwrap();
    assert!(matches!(decoded, Decoded::Frames));
    assert_eq!((used, frames.as_slice()), (16, &b"<a/>\0<b/>\0"[..]));
}
