//! Integration tests.

mod costs;
mod documents;
mod framing;
mod tidy;
