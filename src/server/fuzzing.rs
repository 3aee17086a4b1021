//! Defines doors to parts of the server that fuzz targets try one by one. Compiled for them alone.
//!
//! Knows: what each part takes and gives. Must not know: what is true of it (tests/fuzz).

use std::net::SocketAddr;
use std::sync::Arc;

use super::arrival::proxy::{self, Header};
use super::framing::{self, Encoder, Framed, Framing};

/// A PROXY header at the start of some bytes: source and destination, unless the proxy speaks for itself, and its length.
pub type Proxied = (Option<(SocketAddr, SocketAddr)>, usize);

/// The PROXY header at the start of `bytes`; `Ok(None)` while it is not whole.
///
/// # Errors
/// When there is none: whether `bytes` begin like a header.
pub fn proxy_header(bytes: &[u8]) -> Result<Option<Proxied>, bool> {
    let header = proxy::parse(bytes).map_err(|error| error == proxy::NotProxied::Broken)?;
    Ok(header.map(|(header, length)| match header {
        Header::Addresses { source, destination } => (Some((source, destination)), length),
        Header::Own => (None, length),
    }))
}

/// The framing of lines, of documents or of anything.
#[must_use]
pub fn lines(is_xml: bool) -> Option<Framed> {
    Some(Framed { decoder: Framing::Line.decoder()?, encoder: Framing::Line.encoder(is_xml) })
}

/// The framing of the stream that begins with `pieces`, and what follows its root in the piece that ends the root, with the
/// number of the pieces that were read; `None` where a listener would take no stream.
#[must_use]
pub fn stream(pieces: &[&[u8]], bytes_max: usize, nodes_max: u32) -> Option<(Framed, Vec<u8>, usize)> {
    let mut opening = Framing::Stream.opening(bytes_max, nodes_max)?;
    for (number, piece) in pieces.iter().enumerate() {
        let mut bytes = piece.to_vec();
        while !bytes.is_empty() {
            if let Some(root) = opening.take(&mut bytes).ok()? {
                return Some((opening.open(root).ok()?.0, bytes, number + 1));
            }
        }
    }
    None
}

/// Frames, each with its zero byte, as `encoder` writes them one by one.
#[must_use]
pub fn encoded(encoder: &Arc<dyn Encoder>, frames: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    framing::encode_each(&**encoder, frames, &mut out);
    out
}
