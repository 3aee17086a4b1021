//! Defines doors to parts of the server that fuzz targets try one by one. Compiled for them alone.
//!
//! Knows: what each part takes and gives. Must not know: what is true of it (tests/fuzz).

use std::net::SocketAddr;

use super::framing::{Framed, Framing};
use super::proxy::{self, Header};

/// A PROXY header at the start of some bytes: source and destination, unless the proxy speaks for itself, and its length.
pub type Proxied = (Option<(SocketAddr, SocketAddr)>, usize);

/// The PROXY header at the start of `bytes`; `Ok(None)` while it is not whole, an error when there is none.
///
/// # Errors
/// Whether `bytes` begin like a header at all.
pub fn proxy_header(bytes: &[u8]) -> Result<Option<Proxied>, bool> {
    let header = proxy::parse(bytes).map_err(|error| error == proxy::NotProxied::Broken)?;
    Ok(header.map(|(header, length)| match header {
        Header::Addresses { source, destination } => (Some((source, destination)), length),
        Header::Own => (None, length),
    }))
}

/// The framing of an endless document that comes in pieces of this length, and where its root ends; `None` when a listener
/// would not take the root, or there is none.
#[must_use]
pub fn open_stream(stream: &[u8], piece: usize, frame_bytes_max: usize, nodes_max: u32) -> Option<(Framed, usize)> {
    let mut opening = Framing::Stream.opening(frame_bytes_max, nodes_max)?;
    let mut end = 0;
    for piece in stream.chunks(piece) {
        let mut unread = piece.to_vec();
        end += piece.len();
        if let Some(root) = opening.take(&mut unread).ok()? {
            return Some((opening.open(root).ok()?.0, end - unread.len()));
        }
    }
    None
}
