//! Everything that needs a socket, a thread or a process: one binary, so that it links once.

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

// The server over loopback.
mod announce;
mod closing;
mod harness;
mod http;
mod server;
mod shutdown;
