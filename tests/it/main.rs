//! Everything that needs a socket, a thread or a process: one binary, so that it links once.

// The wire.
mod costs;
mod documents;
mod framing;

// The client classes, against scripted servers.
mod client;
mod client_endings;
mod client_hostile;
mod client_listener;
mod client_reconnect;
mod scripted;

// The server over loopback.
mod announce;
mod closing;
mod harness;
mod http;
mod server;
mod shutdown;

// What a connection costs, against the program.
#[cfg(feature = "cli")]
mod memory;

// What people say to a chat and what they get, as plays.
#[cfg(feature = "chat")]
mod conversations;

// The source text itself: who may name whom.
mod tidy;
