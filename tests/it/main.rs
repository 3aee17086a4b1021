//! Everything that needs a socket, a thread or a process: one binary, so that it links once.

// The client classes, against scripted servers.
// Frames cut out of streams, in every piece they can arrive in.
mod framing;

// What is a document, and what is not.
mod documents;

// What the most expensive frames cost.
mod costs;

mod client;
mod client_as2;
mod client_endings;
mod client_example;
mod client_hostile;
mod client_listener;
mod client_permission;
mod client_reconnect;
mod client_streams;
mod scripted;

// The server over loopback.
mod announce;
mod closing;
mod harness;
mod http;
mod limits;
mod proxy;
mod server;
mod shutdown;

// The edges.
#[cfg(any(feature = "web", feature = "websocket"))]
mod http_client;
#[cfg(feature = "web")]
mod web;
#[cfg(feature = "websocket")]
mod websocket;
#[cfg(feature = "websocket")]
mod websocket_handshake;

// What people say to a chat and what they get, as plays.
#[cfg(feature = "chat")]
mod conversations;

// The program.
#[cfg(feature = "cli")]
mod memory;

// The order of the house: layers, features, lengths.
mod tidy;
