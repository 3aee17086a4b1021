//! Endless documents: they mean the same however they are cut, and what becomes a frame is a document that means the
//! same to everybody, after any number of relays.
//!
//! The first byte of the input says how much arrives at a time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xmlsocket::server::fuzzing::open_stream;
use xmlsocket::wire::{Document, Frame, element_alone};
use xmlsocket_fuzz::{Heard, decode};

const NODES_MAX: u32 = 256;
const FRAME_BYTES_MAX: usize = 2_048;

/// The root of the stream to which elements are relayed; one with this name would begin it anew.
const ROOT: &[u8] = b"<a-root-of-its-own>";

/// What a listener makes of a stream that comes in pieces.
fn read(stream: &[u8], piece: usize) -> Option<Heard> {
    let (mut framing, begun) = open_stream(stream, piece, FRAME_BYTES_MAX, NODES_MAX)?;
    Some(decode(&mut *framing.decoder, stream[begun..].chunks(piece)))
}

fuzz_target!(|input: &[u8]| {
    let [piece, stream @ ..] = input else { return };
    let whole = read(stream, stream.len().max(1));
    let cut = read(stream, 1 + usize::from(*piece));
    let (Some(whole), Some(cut)) = (whole, cut) else { return };
    assert_eq!(whole, cut, "pieces of {piece}");

    // Those that a listener would hand on are relayed to another server, whose root declares nothing, and must be the
    // same elements there, one for each that is sent.
    let (mut sent, mut relayed) = (Vec::new(), Vec::new());
    let (mut second, _) = open_stream(ROOT, ROOT.len(), usize::MAX, NODES_MAX).expect("a root");
    for frame in whole.frames() {
        let document = Document::parse(Frame::new(frame).expect("no zero byte"), NODES_MAX);
        let before = relayed.len();
        second.encoder.encode(frame, &mut relayed);
        if document.is_ok() && !frame.starts_with(&ROOT[..ROOT.len() - 1]) {
            assert_eq!(&relayed[before..], frame, "what was one element still is");
        }
        if relayed.len() > before {
            let (_, element) = element_alone(frame).expect("it was sent");
            sent.push(element.as_bytes());
        }
    }
    let heard = decode(&mut *second.decoder, [&relayed[..]]);
    assert_eq!((heard.frames(), &heard.end), (sent, &None), "{}", relayed.escape_ascii());
});
