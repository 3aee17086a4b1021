//! Defines the door to a request's head that a fuzz target tries. Compiled for it alone.
//!
//! Knows: what the head gives. Must not know: what is true of it (tests/fuzz).

use std::io::Read;

use super::head::{self, Head};

/// What a head says.
#[derive(Debug, PartialEq, Eq)]
pub struct Outline {
    /// Whether the head of the response is all that is wanted.
    pub is_head: bool,
    /// Whether something follows that is to be stored.
    pub has_body: bool,
    /// The path.
    pub path: String,
    /// The name by which the client calls the server.
    pub host: String,
    /// What is logged.
    pub line: String,
    /// What came after the head.
    pub rest: Vec<u8>,
}

/// Reads a head as a visitor's is read; `None` when the stream ends before.
///
/// # Errors
/// The status with which it is refused.
pub fn head(stream: &mut impl Read) -> Result<Option<Outline>, u16> {
    let status = |refusal: head::Refusal| refusal.response.status();
    let Some(head) = Head::read_from(stream).map_err(status)? else { return Ok(None) };
    let mut fields = head::room();
    let parsed = head.parse(&mut fields).map_err(status)?;
    let (path, host) = (parsed.path.to_owned(), parsed.host.to_owned());
    let (is_head, has_body, line) = (head.is_head(), parsed.has_body(), head.line());
    Ok(Some(Outline { is_head, has_body, path, host, line, rest: head.into_rest() }))
}
