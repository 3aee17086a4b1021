//! Streams of any bytes, cut anywhere: their frames are the parts between zero bytes.
//!
//! The first byte of the input says how long a frame may be, the second how much arrives at a time.

#![no_main]

use std::io::BufReader;

use libfuzzer_sys::fuzz_target;
use xmlsocket::wire::{FrameError, FrameReader};

fuzz_target!(|input: &[u8]| {
    let [limit, piece, stream @ ..] = input else { return };
    let frame_bytes_max = usize::from(*limit);
    let reader = BufReader::with_capacity(1 + usize::from(*piece), stream);
    let mut frames = FrameReader::new(reader, frame_bytes_max);

    let mut parts: Vec<&[u8]> = stream.split(|byte| *byte == 0).collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        match frames.read() {
            Ok(Some(frame)) => assert_eq!(frame.bytes(), part),
            Err(FrameError::TooLong { .. }) => return assert!(part.len() > frame_bytes_max),
            other => panic!("{other:?} instead of a frame"),
        }
    }
    match frames.read() {
        Ok(None) => assert!(tail.len() <= frame_bytes_max),
        Err(FrameError::TooLong { .. }) => assert!(tail.len() > frame_bytes_max),
        other => panic!("{other:?} at the end"),
    }
});
