//! Everything that needs a socket, a thread or a process: one binary, so that it links once.

// The wire.
mod costs;
mod documents;
mod framing;

// The client classes, against scripted servers.
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
mod arrivals;
mod budgets;
mod class;
mod closing;
mod descriptors;
mod embedding;
mod first_bytes;
mod framings;
mod harness;
mod hostile;
mod http;
mod limits;
mod panics;
mod random;
mod server;
mod shutdown;
mod slow_reader;
mod streams;

// The edges.
#[cfg(any(feature = "web", feature = "websocket"))]
mod http_client;
#[cfg(any(feature = "web", feature = "websocket"))]
mod proxy;
#[cfg(feature = "web")]
mod web;
#[cfg(feature = "websocket")]
mod websocket;
#[cfg(feature = "websocket")]
mod websocket_client;
#[cfg(feature = "websocket")]
mod websocket_handshake;

// What people say to a chat and what they get, as plays.
#[cfg(feature = "chat")]
mod conversations;
#[cfg(feature = "chat")]
mod crowds;
#[cfg(feature = "chat")]
mod hostile_chat;

// The program.
#[cfg(all(feature = "cli", target_os = "linux"))]
mod bench;
#[cfg(feature = "cli")]
mod cli_browsers;
#[cfg(feature = "cli")]
mod cli_clients;
#[cfg(feature = "cli")]
mod cli_policy;
#[cfg(feature = "cli")]
mod cli_serve;
#[cfg(feature = "cli")]
mod cli_stalled;
#[cfg(feature = "cli")]
mod cli_terminal;
#[cfg(feature = "cli")]
mod cli_threads;
#[cfg(feature = "cli")]
mod cli_usage;
#[cfg(feature = "cli")]
mod memory;
#[cfg(feature = "cli")]
mod program;
#[cfg(feature = "cli")]
mod readme;

// The order of the house: layers, features, lengths.
mod tidy;
