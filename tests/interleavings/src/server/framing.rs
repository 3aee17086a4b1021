//! In the place of framings: one that puts a `<` before what is sent together, and says `!` at the end, or nothing.

use std::sync::Arc;

use super::closing::CloseReason;

/// As the server's.
pub(super) trait Encoder: Send + Sync {
    fn header(&self, bytes: usize) -> Option<Header>;
    fn encode(&self, frame: &[u8], out: &mut Vec<u8>);
    fn ping(&self) -> Option<&'static [u8]>;
    fn goodbye(&self, reason: &CloseReason) -> Vec<u8>;
}

/// As the server's.
#[derive(Default)]
pub(super) struct Header(&'static [u8]);

impl Header {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0
    }
}

/// As the server's.
#[derive(Default)]
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    pub(super) encoder: Option<Arc<dyn Encoder>>,
}

/// As the server's, of a framing that has a header.
pub(super) fn encode_each(encoder: &dyn Encoder, frames: &[u8], out: &mut Vec<u8>) {
    encoder.encode(frames, out);
}

/// The framing, and whether it has a goodbye.
pub(super) struct Marked(pub(super) bool);

impl Encoder for Marked {
    fn header(&self, _bytes: usize) -> Option<Header> {
        Some(Header(b"<"))
    }

    fn encode(&self, _frame: &[u8], _out: &mut Vec<u8>) {
        unreachable!("frames travel as they are, behind a header");
    }

    fn ping(&self) -> Option<&'static [u8]> {
        Some(b"?")
    }

    fn goodbye(&self, _reason: &CloseReason) -> Vec<u8> {
        if self.0 { b"!".to_vec() } else { Vec::new() }
    }
}
