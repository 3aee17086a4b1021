//! Heads of HTTP requests: they say the same however they are cut, and what they say is within bounds.
//!
//! The first byte of the input says how much arrives at a time.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use xmlsocket::edge::http::fuzzing::{Outline, head};

/// Bytes that arrive a piece at a time.
struct Pieces<'input> {
    stream: &'input [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = out.len().min(self.piece);
        self.stream.read(&mut out[..count])
    }
}

fn read(stream: &[u8], piece: usize) -> (Result<Option<Outline>, u16>, Vec<u8>) {
    let mut pieces = Pieces { stream, piece };
    let outcome = head(&mut pieces);
    (outcome, pieces.stream.to_vec())
}

fuzz_target!(|input: &[u8]| {
    let [piece, stream @ ..] = input else { return };
    let (whole, unread) = read(stream, usize::MAX);
    let (cut, cut_unread) = read(stream, 1 + usize::from(*piece));
    match (whole, cut) {
        (Ok(Some(mut whole)), Ok(Some(mut cut))) => {
            assert!(whole.path.starts_with('/') && !whole.path.contains('?'), "{whole:?}");
            assert!(!whole.line.chars().any(char::is_control), "{whole:?} could write into the log");
            assert!(whole.host.len() <= stream.len());
            whole.rest.extend(unread);
            cut.rest.extend(cut_unread);
            assert_eq!(whole, cut, "pieces of {piece}");
            assert!(stream.ends_with(&whole.rest), "what came after the head is kept");
        }
        // Why it is refused may depend on how much was there to look at; that it is may not.
        (Err(whole), Err(cut)) => assert!([whole, cut].iter().all(|status| (400..506).contains(status))),
        // A head is looked at when a line ends: what follows the last line may be refused later, or never be seen.
        (Ok(None) | Err(_), Ok(None)) => {}
        (whole, cut) => panic!("{whole:?} at once, {cut:?} in pieces of {piece}"),
    }
});
