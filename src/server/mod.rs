//! The server: who reads, who decides, who writes. Knows frames and documents, not what they mean.
//!
//! In the order of the path:

// One client's socket, as its users share it.
mod link;

// The dispatcher's table of connections, and the application's hand on it.
mod engine;

// Bytes on their way to one client.
mod outbox;

// What an application is and sees.
mod service;

// An application without a network.
mod stage;

pub use engine::Context;
pub use service::{CloseReason, ConnectionId, Message, Now, Peer, Service, Transport};
pub use stage::Stage;
