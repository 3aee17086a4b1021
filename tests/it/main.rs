//! Integration tests.

mod documents;
mod framing;
