//! Integration tests.

mod client;
mod scripted;
