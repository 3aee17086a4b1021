//! Lines: they are the same frames however the bytes are cut, and n frames that are written are n frames that are read.
//!
//! The first byte of the input says how much arrives at a time, and whether frames are documents.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xmlsocket::server::fuzzing::{encoded, lines};
use xmlsocket::wire::{Document, Frame};
use xmlsocket_fuzz::{frames, number, read, shown};

const NODES_MAX: u32 = 256;

fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let how = number(&mut input, 256);
    let (is_xml, piece) = (how & 1 == 1, 1 + how / 2);
    let mut framed = lines(is_xml).expect("lines have a decoder");
    let whole = read(&mut *framed.decoder, &[input]);
    let pieces: Vec<&[u8]> = input.chunks(piece).collect();
    let cut = read(&mut *lines(is_xml).expect("as above").decoder, &pieces);
    assert_eq!(whole.frames.escape_ascii().to_string(), cut.frames.escape_ascii().to_string(), "pieces of {piece}");
    assert!(whole.end.is_none() && whole.replies.is_empty());

    // What anybody sends over a connection where only zero bytes end a frame.
    let is_sent = |frame: &&[u8]| !is_xml || Document::parse(Frame::new(*frame).expect("whole"), NODES_MAX).is_ok();
    let sent: Vec<&[u8]> = input.split(|byte| *byte == 0).filter(is_sent).collect();
    let all: Vec<u8> = sent.iter().flat_map(|frame| [frame, &b"\0"[..]].concat()).collect();
    let written = encoded(&framed.encoder, &all);
    assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), sent.len(), "{}", written.escape_ascii());
    assert!(!written.contains(&0));
    let got = read(&mut *lines(is_xml).expect("as above").decoder, &[&written]);
    let got = frames(&got.frames);
    assert_eq!(got.len(), sent.len(), "{:?} of {:?}", shown(&got), shown(&sent));
    for (got, sent) in got.iter().zip(&sent) {
        if is_xml {
            let [got, sent] = [got, sent].map(|frame| Document::parse(Frame::new(*frame).expect("whole"), NODES_MAX));
            let (got, sent) = (got.map_err(|(_, error)| error).expect("still a document"), sent.expect("filtered"));
            let texts = |document: &Document| {
                let nodes = document.root().descendants().filter(|node| node.is_text());
                nodes.filter_map(|node| node.text().map(str::to_owned)).collect::<Vec<_>>()
            };
            assert_eq!(texts(&got), texts(&sent));
        }
    }
});
