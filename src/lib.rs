//! An XMLSocket server, client library and chat server.

pub mod wire;

pub mod policy;

pub mod client;
