//! Defines doors to parts of the server that fuzz targets try one by one. Compiled for them alone.
//!
//! Knows: what each part takes and gives. Must not know: what is true of it (tests/fuzz).

use std::net::SocketAddr;
use std::sync::Arc;

use super::http::Decoder;
use super::proxy::{self, Header};
use super::streamed::{self, Elements};
use crate::wire::{Root, StreamScanner};

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

/// What unwraps a stream after its root; `None` when a listener would not take the root.
#[must_use]
pub fn elements(scanner: StreamScanner, root: Arc<Root>, nodes_max: u32) -> Option<Box<dyn Decoder>> {
    streamed::check(&root, nodes_max).ok()?;
    Some(Box::new(Elements::new(scanner, root, nodes_max)))
}
