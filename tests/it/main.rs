//! Integration tests.

// Frames cut out of streams, in every piece they can arrive in.
mod framing;

// What is a document, and what is not.
mod documents;

// What the most expensive frames cost.
mod costs;

mod client;
mod client_endings;
mod client_hostile;
mod client_listener;
mod client_reconnect;
mod scripted;

// What people say to a chat and what they get, as plays.
#[cfg(feature = "chat")]
mod conversations;

// The order of the house: layers, features, lengths.
mod tidy;
