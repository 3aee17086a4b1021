//! Integration tests.

mod client;
mod client_endings;
mod client_hostile;
mod client_listener;
mod client_reconnect;
mod framing;
mod scripted;
// What people say to a chat and what they get, as plays.
#[cfg(feature = "chat")]
mod conversations;
mod costs;
mod documents;
mod framing;
mod tidy;
