//! Frames cut out of streams: what players and their tests send, in every piece it can arrive in.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read};

use proptest::collection::vec;
use proptest::prelude::*;
use xmlsocket::wire::{Frame, FrameError, FrameReader, write_frame};

/// A stream that arrives in given pieces; `None` is a read that fails with a timeout. It ends when they do.
struct Pieces(VecDeque<Option<Vec<u8>>>);

impl Pieces {
    fn new<'a>(pieces: impl IntoIterator<Item = Option<&'a [u8]>>) -> Pieces {
        // An empty piece would be the end of the stream.
        Pieces(pieces.into_iter().filter(|piece| *piece != Some(b"")).map(|piece| piece.map(<[u8]>::to_vec)).collect())
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.pop_front() {
            None => Ok(0),
            Some(None) => Err(io::ErrorKind::WouldBlock.into()),
            Some(Some(mut piece)) => {
                let length = piece.len().min(buffer.len());
                buffer[..length].copy_from_slice(&piece[..length]);
                if length < piece.len() {
                    self.0.push_front(Some(piece.split_off(length)));
                }
                Ok(length)
            }
        }
    }
}

/// The frames of a stream, reading on after each timeout, and whether it ended with a frame that is too long.
fn frames(pieces: Pieces, buffer: usize, frame_bytes_max: usize) -> (Vec<Vec<u8>>, bool) {
    let mut reader = FrameReader::new(BufReader::with_capacity(buffer, pieces), frame_bytes_max);
    let mut frames = Vec::new();
    loop {
        match reader.read() {
            Ok(Some(frame)) => frames.push(frame.into_bytes()),
            Ok(None) => return (frames, false),
            Err(FrameError::TooLong { .. }) => return (frames, true),
            Err(FrameError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            Err(error) => panic!("{error}"),
        }
    }
}

/// What the frames of `stream` must be: its parts between zero bytes, up to the first that is too long.
fn expected(stream: &[u8], frame_bytes_max: usize) -> (Vec<Vec<u8>>, bool) {
    let mut parts: Vec<&[u8]> = stream.split(|byte| *byte == 0).collect();
    let tail = parts.pop().unwrap_or_default();
    let within = parts.iter().take_while(|part| part.len() <= frame_bytes_max).count();
    let too_long = within < parts.len() || tail.len() > frame_bytes_max;
    (parts[..within].iter().map(|part| part.to_vec()).collect(), too_long)
}

/// Streams as they were seen on the wire, and the frames that players make of them.
const STREAMS: &[(&[u8], &[&str])] = &[
    // The segments of Ruffle's own test, joined.
    (b"\0First\0", &["", "First"]),
    (b"HelloWorld!\0", &["HelloWorld!"]),
    (b"This is a test\0", &["This is a test"]),
    (b"One\0Two\0Three\0", &["One", "Two", "Three"]),
    (b"\0\0\0", &["", "", ""]),
    (b"AA\0BB\0CCDD\0", &["AA", "BB", "CCDD"]),
    (b"Hello!\0<root><item /></root>\0", &["Hello!", "<root><item /></root>"]),
    // A zero byte in a string that is sent splits it; newlines are content.
    (b"Plain \0 text\0", &["Plain ", " text"]),
    (b"a\nb\r\n\0", &["a\nb\r\n"]),
    // A newline before the zero byte is common; one server sends the zero byte first.
    (b"<msg/>\n\0", &["<msg/>\n"]),
    (b"\0<msg/>\n", &[""]),
    // An unterminated tail was never a message.
    (b"AA\0BB\0CC", &["AA", "BB"]),
    (b"tail", &[]),
    (b"", &[]),
    // Not XML, not ASCII.
    (
        b"%xt%s%j#jr%-1%100%\0{\"t\":\"xt\"}\0!SOS<clear/>\n\0",
        &["%xt%s%j#jr%-1%100%", "{\"t\":\"xt\"}", "!SOS<clear/>\n"],
    ),
    ("<ENTER name=\"名無しさん\"/>\0".as_bytes(), &["<ENTER name=\"名無しさん\"/>"]),
];

#[test]
fn every_stream_gives_its_frames_whole_byte_by_byte_and_cut_anywhere() {
    for (stream, wanted) in STREAMS {
        let wanted: Vec<Vec<u8>> = wanted.iter().map(|frame| frame.as_bytes().to_vec()).collect();
        let check = |pieces: Pieces, how: &str| {
            assert_eq!(frames(pieces, 8192, 1000), (wanted.clone(), false), "{how}: {:?}", stream.escape_ascii());
        };
        check(Pieces::new([Some(*stream)]), "in one piece");
        check(Pieces::new(stream.chunks(1).map(Some)), "byte by byte");
        for cut in 0..=stream.len() {
            let (before, after) = stream.split_at(cut);
            check(Pieces::new([Some(before), Some(after)]), "cut in two");
            check(Pieces::new([Some(before), None, Some(after)]), "with a timeout between");
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_frames() {
    let shift_jis = b"<a b=\"\x96\xbc\x96\xb3\"/>\0\xff\xfe\0";
    let (frames, _) = frames(Pieces::new(shift_jis.chunks(3).map(Some)), 8192, 100);
    assert_eq!(frames, [&b"<a b=\"\x96\xbc\x96\xb3\"/>"[..], b"\xff\xfe"]);
    let frame = Frame::new(frames[0].clone()).unwrap();
    assert!(frame.text().is_err());
    assert!(frame.lossy().starts_with("<a b=\"\u{fffd}"));
}

#[test]
fn one_byte_too_many_is_noticed_when_it_arrives() {
    // The next read would time out: a reader that waited for more would report that.
    for pieces in [vec![6], vec![5, 1], vec![1; 6], vec![3, 9]] {
        let bytes = [b'x'; 9];
        let pieces = Pieces::new(pieces.iter().map(|length| Some(&bytes[..*length])).chain([None]));
        let mut reader = FrameReader::new(BufReader::new(pieces), 5);
        assert!(matches!(reader.read(), Err(FrameError::TooLong { frame_bytes_max: 5 })));
    }
    // And a frame of just the limit is still awaited.
    let mut reader = FrameReader::new(BufReader::new(Pieces::new([Some(&b"12345"[..]), None, Some(b"\0")])), 5);
    assert!(matches!(reader.read(), Err(FrameError::Io(_))));
    assert_eq!(reader.partial(), b"12345");
    assert_eq!(reader.read().unwrap().unwrap().bytes(), b"12345");
}

#[test]
fn a_failure_is_handed_on_and_what_was_read_is_kept() {
    let mut reader = FrameReader::new(BufReader::new(Pieces::new([Some(&b"a\0<b"[..]), None, None, Some(b"/>\0")])), 9);
    assert_eq!(reader.read().unwrap().unwrap().bytes(), b"a");
    for _ in 0..2 {
        match reader.read() {
            Err(FrameError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            other => panic!("{other:?}"),
        }
        assert_eq!(reader.partial(), b"<b");
    }
    assert_eq!(reader.read().unwrap().unwrap().bytes(), b"<b/>");
    assert_eq!(reader.partial(), b"");
    assert_eq!(reader.read().unwrap(), None);
}

/// Bytes with many zero bytes among them.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![1 => Just(0), 2 => any::<u8>(), 1 => Just(b'<')], 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_are_the_parts_between_zero_bytes_however_the_stream_is_cut(
        stream in streams(),
        lengths in vec(1_usize..40, 1..20),
        timeouts in vec(any::<bool>(), 1..7),
        buffer in 1_usize..70,
        frame_bytes_max in prop_oneof![0_usize..40, Just(usize::MAX)],
    ) {
        let mut pieces = Vec::new();
        let mut rest = &stream[..];
        for n in 0.. {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(lengths[n % lengths.len()].min(rest.len()));
            pieces.push(Some(piece));
            pieces.extend(timeouts[n % timeouts.len()].then_some(None));
            rest = after;
        }
        prop_assert_eq!(frames(Pieces::new(pieces), buffer, frame_bytes_max), expected(&stream, frame_bytes_max));
    }

    #[test]
    fn what_is_written_is_read_again(contents in vec(vec(1_u8.., 0..50), 0..20), buffer in 1_usize..70) {
        let mut stream = Vec::new();
        for content in &contents {
            write_frame(&Frame::new(content.clone()).unwrap(), &mut stream);
        }
        prop_assert_eq!(frames(Pieces::new([Some(&stream[..])]), buffer, 50), (contents, false));
    }
}
