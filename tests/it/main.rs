//! Integration tests.

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
