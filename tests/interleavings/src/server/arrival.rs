//! Of what happens before the first frame: what the outbox needs.

// The server's own file.
#[allow(dead_code, reason = "the scenarios need a part of it")]
#[path = "../../../../src/server/arrival/first_bytes.rs"]
pub(super) mod first_bytes;
