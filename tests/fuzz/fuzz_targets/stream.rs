//! Endless documents: they mean the same however they are cut; what becomes a frame is written into another stream as
//! exactly one element, and is the same document there, after any number of relays.
//!
//! The first byte of the input says how much arrives at a time.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use xmlsocket::server::Encoder;
use xmlsocket::server::fuzzing::{encoded, stream};
use xmlsocket::wire::{Document, Frame};
use xmlsocket_fuzz::{Found, frames, read, shown};

const NODES_MAX: u32 = 256;

const BYTES_MAX: usize = 2_048;

/// What a listener makes of a stream that comes in `pieces`, and what writes into it.
fn receive(pieces: &[&[u8]], bytes_max: usize) -> Option<(Found, Arc<dyn Encoder>)> {
    let (mut framed, unread, begun) = stream(pieces, bytes_max, NODES_MAX)?;
    let rest: Vec<&[u8]> = [&[&unread[..]], &pieces[begun..]].concat();
    Some((read(&mut *framed.decoder, &rest), framed.encoder))
}

/// Whether a listener hands a frame on.
fn is_admitted(frame: &&[u8]) -> bool {
    Document::parse(Frame::new(*frame).expect("no zero byte"), NODES_MAX).is_ok()
}

fuzz_target!(|input: &[u8]| {
    let [piece, stream @ ..] = input else { return };
    let pieces: Vec<&[u8]> = stream.chunks(1 + usize::from(*piece)).collect();
    let (whole, cut) = (receive(&[stream], BYTES_MAX), receive(&pieces, BYTES_MAX));
    assert_eq!(whole.is_some(), cut.is_some(), "pieces of {piece}");
    let (Some((whole, _)), Some((cut, _))) = (whole, cut) else { return };
    assert_eq!(shown(&[&whole.frames, &whole.replies]), shown(&[&cut.frames, &cut.replies]), "pieces of {piece}");
    assert_eq!(whole.end, cut.end);

    let admitted: Vec<&[u8]> = frames(&whole.frames).into_iter().filter(is_admitted).collect();
    let mut relayed = admitted.iter().flat_map(|frame| [frame, &b"\0"[..]].concat()).collect::<Vec<u8>>();
    // From one relay to the next, whose root is another one: elements with a root's own name are left out.
    for root in [&b"<r>"[..], b"<s:s xmlns:s='u'>", b"<r xmlns='urn:default' xmlns:a='b'>"] {
        let (_, encoder) = receive(&[root], usize::MAX).expect("a root");
        let written = [root, &encoded(&encoder, &relayed)].concat();
        let (second, _) = receive(&[&written], usize::MAX).expect("a root");
        assert_eq!(second.end, None, "{}", written.escape_ascii());
        assert!(second.replies.is_empty(), "a relay begins the stream anew: {}", written.escape_ascii());
        let got = frames(&second.frames);
        let (before, name) = (frames(&relayed), if root[1] == b's' { "s:s" } else { "r" });
        let is_sent = |frame: &&&[u8]| {
            let document = Document::parse(Frame::new(**frame).expect("no zero byte"), NODES_MAX).expect("admitted");
            let text = document.frame().lossy().into_owned();
            let tag = text
                .trim_start_matches('\u{FEFF}')
                .split('<')
                .find(|tag| !tag.starts_with(['?', '!']) && !tag.trim().is_empty());
            let tag = tag.unwrap_or_default();
            !tag.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '\t', '\r', '\n', '/', '>']))
        };
        let expected: Vec<&&[u8]> = before.iter().filter(is_sent).collect();
        assert_eq!(got.len(), expected.len(), "{:?} of {:?}", shown(&got), shown(&before));
        assert!(got.iter().all(is_admitted), "what is admitted stays admitted: {:?}", shown(&got));
        relayed = second.frames;
    }
});
