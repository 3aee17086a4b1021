//! An XMLSocket server, client library and chat server.

pub mod wire;

pub mod policy;

pub mod server;

pub mod client;

pub mod relay;

#[cfg(feature = "chat")]
pub mod chat;

#[cfg(any(feature = "web", feature = "websocket"))]
pub mod edge;

#[cfg(feature = "cli")]
pub mod cli;
