//! Endless documents: they mean the same however they are cut, and what becomes a frame is a document that means the
//! same to everybody, after any number of relays.
//!
//! The first byte of the input says how much arrives at a time.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use xmlsocket::server::fuzzing::elements;
use xmlsocket::server::{DecodeEnd, Decoded};
use xmlsocket::wire::{Document, Frame, Overflow, Root, StreamEvent, StreamScanner};

const NODES_MAX: u32 = 256;

/// The root of the stream to which elements are relayed; one with this name would begin it anew.
const ROOT: &[u8] = b"<a-root-of-its-own>";

/// The root at the start of a stream, and where it ends.
fn open(stream: &[u8], piece: usize) -> Option<(StreamScanner, Arc<Root>, usize)> {
    let mut scanner = StreamScanner::new(2_048, Overflow::Close);
    let mut at = 0;
    while at < stream.len() {
        let end = stream.len().min(at.saturating_add(piece));
        match scanner.scan(&stream[at..end]) {
            Ok((used, Some(StreamEvent::Opened(root)))) => return Some((scanner, root, at + used)),
            Ok((0, _)) => at = end,
            Ok((used, _)) => at += used,
            Err(_) => return None,
        }
    }
    None
}

/// What a listener makes of a stream that comes in pieces.
fn read(stream: &[u8], piece: usize) -> Option<(Decoded, Option<DecodeEnd>)> {
    let (scanner, root, begun) = open(stream, piece)?;
    let mut elements = elements(scanner, root, NODES_MAX)?;
    let mut decoded = Decoded::default();
    for piece in stream[begun..].chunks(piece) {
        if let Err(end) = elements.decode(piece, &mut decoded) {
            return Some((decoded, Some(end)));
        }
    }
    Some((decoded, None))
}

/// The frames of a stream.
fn frames(decoded: &Decoded) -> Vec<&[u8]> {
    let mut frames: Vec<&[u8]> = decoded.frames.split(|byte| *byte == 0).collect();
    assert_eq!(frames.pop(), Some(&b""[..]), "every element is whole");
    frames
}

fuzz_target!(|input: &[u8]| {
    let [piece, stream @ ..] = input else { return };
    let whole = read(stream, usize::MAX);
    let cut = read(stream, 1 + usize::from(*piece));
    let (Some((whole, end)), Some((cut, cut_end))) = (whole, cut) else { return };
    assert_eq!((&whole.frames, &whole.answers), (&cut.frames, &cut.answers), "pieces of {piece}");
    assert_eq!(end, cut_end);

    // Those that a listener would hand on are relayed to another server, whose root declares nothing, and must be the
    // same elements there.
    let admitted: Vec<&[u8]> = frames(&whole)
        .into_iter()
        .filter(|frame| Document::parse(Frame::new(*frame).expect("no zero byte"), NODES_MAX).is_ok())
        .collect();
    if admitted.iter().any(|frame| frame.windows(ROOT.len()).any(|part| part == ROOT)) {
        return;
    }
    let relayed = [ROOT, &admitted.concat()[..]].concat();
    let mut scanner = StreamScanner::new(relayed.len() + 1, Overflow::Close);
    let (begun, _) = scanner.scan(&relayed).expect("a root");
    let root = open(ROOT, usize::MAX).expect("a root").1;
    let mut second = elements(scanner, root, NODES_MAX).expect("a root");
    let mut decoded = Decoded::default();
    assert_eq!(second.decode(&relayed[begun..], &mut decoded), Ok(()), "{}", relayed.escape_ascii());
    let text = |frames: &[&[u8]]| frames.iter().map(|frame| frame.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(text(&frames(&decoded)), text(&admitted));
});
