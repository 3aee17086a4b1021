//! Integration tests.

mod client;
mod client_endings;
mod client_hostile;
mod client_listener;
mod client_reconnect;
mod framing;
mod scripted;
