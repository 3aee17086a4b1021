//! Integration tests.

// What people say to a chat and what they get, as plays.
#[cfg(feature = "chat")]
mod conversations;

// The chat with many people and much data.
#[cfg(feature = "chat")]
mod crowds;
