//! Integration tests.

mod framing;
