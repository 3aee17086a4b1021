//! XMLSocket's own framing: each frame is ended by a zero byte. All others are translated from it and to it.
//!
//! There is nothing to decode: `BufReader::read_until` cuts the client's bytes into frames. And nothing is encoded: frames
//! leave as they lie in the batch, in one slice for all who get the same.
//!
//! Knows: which byte it is. Must not know: anything else.

use std::sync::{Arc, LazyLock};

use super::{Encoder, Header};
use crate::wire::{NUL, end_frame};

/// The byte that ends a frame.
pub(super) const END: u8 = NUL;

/// Writes frames as they are.
struct AsTheyAre;

/// One for all connections: it knows nothing of them.
static ENCODER: LazyLock<Arc<dyn Encoder>> = LazyLock::new(|| Arc::new(AsTheyAre));

/// What writes frames as they are.
pub(in super::super) fn encoder() -> Arc<dyn Encoder> {
    Arc::clone(&ENCODER)
}

impl Encoder for AsTheyAre {
    fn header(&self, _bytes: usize) -> Option<Header> {
        Some(Default::default())
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(frame);
        end_frame(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_leave_as_they_are_together_or_one_by_one() {
        let encoder = encoder();
        assert_eq!(encoder.header(9).map(|header| header.as_bytes().len()), Some(0));
        let mut out = b"before\0".to_vec();
        encoder.encode(b"<a/>", &mut out);
        encoder.encode(b"", &mut out);
        assert_eq!(out, b"before\0<a/>\0\0");
    }
}
