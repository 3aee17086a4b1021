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
// The program, from outside.
#[cfg(feature = "cli")]
mod cli_clients;
#[cfg(feature = "cli")]
mod cli_serve;
#[cfg(feature = "cli")]
mod cli_terminal;
#[cfg(feature = "cli")]
mod cli_usage;
#[cfg(feature = "cli")]
mod program;
